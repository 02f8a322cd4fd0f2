package orders

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/register"
)

// Somebody whom no register knows, at the counter: a clerk takes down what the identity
// document says. Without a number nothing tells two people of one name and birth date apart
// but the clerk, and nobody finds the order after signing in.

// DocumentShown is how identity was checked of somebody who was taken down so.
const DocumentShown Identified = "document_shown"

// DocumentKind is a kind of identity document.
type DocumentKind string

const (
	IdentityCard    DocumentKind = "identity_card"
	Passport        DocumentKind = "passport"
	ResidencePermit DocumentKind = "residence_permit"
	DrivingLicence  DocumentKind = "driving_licence"
)

// DocumentKinds lists every kind, in the order of the page.
var DocumentKinds = []DocumentKind{IdentityCard, Passport, ResidencePermit, DrivingLicence}

// Key is the message key of its words.
func (d DocumentKind) Key() string { return "shown.document." + string(d) }

// Shown is what an identity document says that a clerk has seen.
type Shown struct {
	Surname    string
	GivenNames string
	BirthDate  string // YYYY-MM-DD
	Document   DocumentKind
	Ending     string // the last characters of its number, MaxEnding at most
}

// MaxEnding is how much of a document's number is kept.
const MaxEnding = 4

var (
	endingForm = regexp.MustCompile(`^[0-9A-Z]{1,4}$`)

	errShownName     = fault.New(fault.Invalid, "shown.name_wrong", nil)
	errShownBirth    = fault.New(fault.Invalid, "shown.birth_wrong", nil)
	errShownDocument = fault.New(fault.Invalid, "shown.document_wrong", nil)
	errShownEnding   = fault.New(fault.Invalid, "shown.ending_wrong", nil)
)

// checked is what was typed, trimmed; or the fault of the first field that is wrong. People
// may have one name.
func (d Shown) checked(today string) (Shown, error) {
	made := d
	var good bool
	if made.Surname, good = oneLine(d.Surname, MaxCameName); !good || words(made.Surname) == "" {
		return Shown{}, errShownName
	}
	if made.GivenNames, good = oneLine(d.GivenNames, MaxCameName); !good && strings.TrimSpace(d.GivenNames) != "" {
		return Shown{}, errShownName
	}
	if day, ok := register.ParseDay(d.BirthDate); !ok || string(day) > today {
		return Shown{}, errShownBirth
	}
	if !slices.Contains(DocumentKinds, d.Document) {
		return Shown{}, errShownDocument
	}
	if made.Ending = strings.ToUpper(strings.TrimSpace(d.Ending)); !endingForm.MatchString(made.Ending) {
		return Shown{}, errShownEnding
	}
	return made, nil
}

// takeDown is inquire for somebody whom no register knows: nobody is asked.
func (s *Service) takeDown(c commune.ID, clerk Clerk, shown Shown, product string) (q inquiry, err error) {
	if q.product, err = s.Product(c, product); err != nil {
		return q, err
	}
	if q.product.Registered() {
		return q, fault.New(fault.Conflict, "shown.registered", nil)
	}
	if shown, err = shown.checked(s.today()); err != nil {
		return q, err
	}
	who, err := s.vault.mac(c, "\x00shown "+searchName(shown.Surname, shown.GivenNames)+" "+shown.BirthDate)
	if err != nil {
		return q, err
	}
	q.person = Person{Subject: unclaimed + who, GivenNames: shown.GivenNames, Surname: shown.Surname, BirthDate: shown.BirthDate}
	if q.name, err = s.vault.person(c, q.person.Number, q.person.Subject); err != nil {
		return q, err
	}
	r := row{person: q.name, Order: Order{Commune: c, Subject: q.person.Subject, Surname: shown.Surname, GivenNames: shown.GivenNames}}
	if err := s.notOwn(r, clerk); err != nil {
		return q, err
	}
	q.answers = []Answer{{Surname, shown.Surname, FromDocument}, {GivenNames, shown.GivenNames, FromDocument}, {BirthDate, shown.BirthDate, FromDocument}}
	q.answers = slices.DeleteFunc(q.answers, func(a Answer) bool { return a.Value == "" })
	q.child, q.minor = younger(shown.BirthDate, alone, s.today()), younger(shown.BirthDate, adult, s.today())
	q.shown = &shown
	return q, nil
}

func addShown(tx *sqldb.Tx, r row, shown *Shown) error {
	if shown == nil {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO orders_shown (commune, order_id, document, ending) VALUES ($1, $2, $3, $4)`,
		string(r.Commune), r.ID, string(shown.Document), shown.Ending)
	return err
}

// shownFor reads which document was seen for an order, "" where none was taken down.
func (s *Service) shownFor(ctx context.Context, c commune.ID, order string) (kind DocumentKind, ending string, err error) {
	err = s.DB.QueryRow(ctx, `SELECT document, ending FROM orders_shown WHERE commune = $1 AND order_id = $2`, string(c), order).Scan(&kind, &ending)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", "", nil
	}
	return kind, ending, err
}
