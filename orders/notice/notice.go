// Package notice tells people that something happened to their order.
//
// It owns the words of the messages and the door through which they leave. It
// refuses to know orders, databases and mail servers. It guarantees that a
// message holds a link and never a paper, and neither the paper's kind nor a
// person's data: mail is read by others on the way.
package notice

import (
	"context"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// Message is one mail.
type Message struct {
	// ID is the same whenever the same message is sent again, for Message-ID: after a
	// crash a message may leave twice, and a mail server or reader can drop the second.
	ID       string
	To       string // one address, checked by form.Parse
	From     string // the commune's name, for the sender's display name
	ReplyTo  string // the commune's address, "" where it has none
	Language i18n.Language
	Subject  string // one line
	Text     string // plain text, lines separated by \n
}

// Mailer sends a message. An error of kind fault.Invalid means that it can never be
// delivered; every other error that it should be tried again.
type Mailer interface {
	Send(ctx context.Context, m Message) error
}

// Kind is what a notice is about.
type Kind string

const (
	Received Kind = "received" // the order has arrived
	Issued   Kind = "issued"
	Refused  Kind = "refused"
	// Withdrawn: a paper that the person has no longer stands.
	Withdrawn Kind = "withdrawn"
	Asked     Kind = "asked"  // the commune has a question
	Posted    Kind = "posted" // the letter with the paper was sent
	// Codes: the person asked for the references of their open orders, one on each line.
	Codes Kind = "codes"
)

// Kinds lists every kind.
var Kinds = []Kind{Received, Issued, Refused, Withdrawn, Asked, Codes, Posted}

// Words fills subject and text of a notice: link leads to the order's page, where
// the person signs in again, follow to where they see its state without signing in.
func Words(k Kind, l i18n.Language, commune, reference, link, follow string) (subject, text string) {
	key := "orders.mail." + string(k)
	return i18n.T(l, key+".subject", "Commune", commune, "Reference", reference),
		i18n.T(l, key+".text", "Commune", commune, "Reference", reference, "Link", link, "Follow", follow)
}

// Left fills subject and text of a mail about a form that somebody left half-way, and which
// is forgotten at a time: link leads to their forms.
func Left(l i18n.Language, commune string, until time.Time, link string) (subject, text string) {
	return i18n.T(l, "orders.mail.left.subject", "Commune", commune),
		i18n.T(l, "orders.mail.left.text", "Commune", commune, "Until", i18n.Date(l, until), "Link", link)
}
