// Package document makes the PDF of a document.
//
// It owns the templates, the few fixed words on the paper (number, date, how to
// check it) and the program that sets them: Typst, in a child process. It refuses
// to know orders, registers, numbers' allocation, keys and seals: whoever calls
// has chosen and worded everything particular. It guarantees that
//
//   - the result is tagged PDF/A-2a (ISO 19005-2) and PDF/UA-1 (ISO 14289-1),
//   - the same input gives the same bytes, so that a hash can be approved,
//   - people's text is data only: no character of it is ever read as markup, and
//     control, bidirectional and zero-width characters are gone (threat T13),
//   - a crash, a loop or a hostile text costs one request, never the server.
package document

import (
	"context"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// Renderer makes the PDF of a document. Typst is the one there is.
type Renderer interface {
	// Render returns the bytes of the PDF: the same for the same Document, always.
	// It fails with a fault.Error: Invalid where the text cannot be printed,
	// Unreachable where the renderer does not work now and may later.
	Render(ctx context.Context, d Document) ([]byte, error)
}

// Document is everything that is printed, in the order of the paper. All text is
// plain; line breaks are kept in Legal and Intro only.
type Document struct {
	// Template names the layout; "residence" is a heading, a table of facts, a list and a legal
	// mention, "letter" the cover sheet of what is sent by post.
	Template string
	// Language of every text here and of the fixed words: fr, nl or de.
	Language i18n.Language
	// Commune heads the paper.
	Commune Commune
	// Recipient are the lines of a letter's address; none on papers.
	Recipient []string
	// Title is the heading and the PDF's title, for example "Certificat de résidence".
	Title string
	// NumberLabel stands before Number; the usual word where it is empty.
	NumberLabel string
	// Number as it is printed, for example "2026-000123".
	Number string
	// Date is printed as the day of issue and is the PDF's creation time. Whole seconds count.
	Date time.Time
	// Place where the paper is made out; the commune's name where it is empty.
	Place string
	// Intro stands above the table: who certifies what.
	Intro string
	// Facts are the rows of the table.
	Facts []Fact
	// List stands under the facts; no list where it has no columns.
	List List
	// Legal stands under the table: legal basis, purpose, how long the paper is good for.
	Legal string
	// Signatory is in whose place and by whom it is signed; nothing is printed where empty.
	Signatory Signatory
	// Seal is what the paper says about its electronic seal.
	Seal Seal
	// Verify is how somebody who holds the paper checks it.
	Verify Verify
	// Specimen prints SPECIMEN across each page: test keys made it, it proves nothing.
	Specimen bool
}

// Commune is the issuing commune as the head of the paper shows it.
type Commune struct {
	Name    string   // "Commune de Beaumarais"
	Address []string // lines under the name: street, city, telephone; at most six
	Colour  string   // "#rrggbb" of the line under the head; black where empty
}

// Fact is one row of the table.
type Fact struct{ Label, Value string }

// List is a table with a heading: each row has a cell for each column.
type List struct {
	Title   string
	Columns []Column
	Rows    [][]string
}

// Column is one of a List.
type Column struct {
	Label string
	Width int // beside the others; 1 where 0
}

// Signatory is a delegate: "Pour le Bourgmestre, l’agent délégué" and a name.
type Signatory struct{ Mention, Name string }

// Seal is what the paper says about the seal it will carry.
type Seal struct {
	Name      string // of the certificate's holder, for example "Commune de Beaumarais"
	Qualified bool   // by its certificate (eIDAS article 3(27)); otherwise an advanced seal
}

// Verify is how somebody who holds the paper checks it. Everything is printed
// beside the QR code too, because a forged code leads anywhere (threat T28).
type Verify struct {
	URL  string // in the QR code: the commune's verification page with an opaque token; http or https
	Page string // the page's address as people type it, for example "https://guichet.beaumarais.be/verify"
	Code string // to type there together with the number, for example "7KQ4-M2XW-9A"
}
