package eid

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Citizen is the holder of a card, as its certificate names them, or somebody of whom
// another service tells.
type Citizen struct {
	Number     NationalNumber // zero where the other service knows none
	GivenNames string         // all those on the certificate; "" for those who have none
	Surname    string         // "" for those who have none
	Foreigner  bool           // the card is a foreigner's
	BirthDate  string         // as another service tells, YYYY-MM-DD, of which month and day may be 00; "" where none does
}

// Address is where a card says that its holder lives. A field is "" where the card has none.
type Address struct {
	Street     string // with number and box
	PostalCode string
	Locality   string
}

// Line is the address on one line, "" where there is none.
func (a Address) Line() string {
	return strings.Trim(a.Street+", "+strings.TrimSpace(a.PostalCode+" "+a.Locality), ", ")
}

// Name is the given names and the surname, for a page that greets or a record that names.
func (c Citizen) Name() string { return strings.TrimSpace(c.GivenNames + " " + c.Surname) }

const maxName = 256 // bytes

// Printable refuses names that could disturb a page or a record: with control,
// invisible or bidirectional characters, or longer than any name.
func Printable(name string) bool {
	return utf8.ValidString(name) && len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}
