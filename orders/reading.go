package orders

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/register"
)

// A card read at the counter. A clerk's page asks for a permission, which is good for one
// reading within a few minutes, in the session and by the clerk it was given to; what was
// read is good for one order. That the files are the National Register's is idfile's word:
// only it makes an Identity. That they are no copy, and that the holder is who stands there,
// is the clerk's look at the card and its photo (facts of the card: idfile).

const (
	// PermissionFor is how long a card may be read for after the page has asked.
	PermissionFor = 5 * time.Minute
	// ReadingFor is how long an order may be made of what was read.
	ReadingFor = 30 * time.Minute
)

// The states of a reading.
const (
	readingAllowed = "allowed"
	readingDone    = "read"
	readingUsed    = "used" // an order was made of it
)

// Reading is what a card has told at the counter.
type Reading struct {
	Number     eid.NationalNumber
	GivenNames string
	Surname    string
	BirthDate  string // YYYY-MM-DD, of which month and day may be 00; "" where the card has none
	Child      bool   // a child's card, which alone lets nobody ask for anything
}

// Name is the holder's name.
func (r Reading) Name() string {
	return eid.Citizen{GivenNames: r.GivenNames, Surname: r.Surname}.Name()
}

// AllowReading gives a clerk, in a session of theirs, the permission to have one card read.
func (s *Service) AllowReading(ctx context.Context, c commune.ID, clerk Clerk, session string) (permission string, err error) {
	if _, err := s.commune(c); err != nil {
		return "", err
	}
	permission = rand.Text()
	id, within, err := s.readingNames(c, permission, session)
	if err != nil {
		return "", err
	}
	until := s.now().Add(PermissionFor)
	return permission, s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO orders_reading (commune, id, session, clerk, until, state, person, sealed) VALUES ($1, $2, $3, $4, $5, $6, '', $7)`,
			string(c), id, within, clerk.Subject, sqldb.Micros(until), readingAllowed, []byte{})
		return err
	})
}

// readingNames are a permission and a session as they are kept: whoever reads the table can
// use neither.
func (s *Service) readingNames(c commune.ID, permission, session string) (id, within string, err error) {
	if permission == "" || session == "" {
		return "", "", errNoReading
	}
	id, err = s.vault.mac(c, "\x00reading "+permission)
	if err != nil {
		return "", "", err
	}
	within, err = s.vault.mac(c, "\x00session "+session)
	return id, within, err
}

// What ReadCard and those who use a reading return.
var (
	errNoReading   = fault.New(fault.NotFound, "reading.none", nil)    // never given, of another session, clerk or commune
	errReadingUsed = fault.New(fault.Conflict, "reading.used", nil)    // the permission has had its card, or the reading its order
	errReadingLate = fault.New(fault.Conflict, "reading.late", nil)    // the time is over
	errOtherCard   = fault.New(fault.Conflict, "reading.other", nil)   // of somebody else than was typed
	errNoPhoto     = fault.New(fault.Invalid, "reading.no_photo", nil) // nothing to compare the person with
	errStaleFiles  = errors.New("orders: an identity that was not checked just now")
)

// ReadCard takes over what a card says, by a permission that it uses up, and logs that the
// card was read (T11). typed, where not zero, is the number of whoever the card must be.
// Faults: reading.none (NotFound), reading.used and reading.late (Conflict), reading.other
// (Conflict), reading.no_photo (Invalid); orders.own (Forbidden) where it is the clerk.
func (s *Service) ReadCard(ctx context.Context, c commune.ID, clerk Clerk, session, permission string, card idfile.Identity, typed eid.NationalNumber) (Reading, error) {
	if _, err := s.commune(c); err != nil {
		return Reading{}, err
	}
	at, said := s.now(), card.Content()
	if age := at.Sub(card.At()); card.At().IsZero() || age > PermissionFor || age < -PermissionFor {
		return Reading{}, errStaleFiles
	}
	if len(card.Photo()) == 0 {
		return Reading{}, errNoPhoto
	}
	if !typed.IsZero() && typed != said.Number {
		return Reading{}, errOtherCard
	}
	read := Reading{Number: said.Number, GivenNames: said.GivenNames, Surname: said.Surname, BirthDate: said.BirthDate, Child: said.Child()}
	id, within, err := s.readingNames(c, permission, session)
	if err != nil {
		return Reading{}, err
	}
	person, err := s.vault.person(c, read.Number, "")
	if err != nil {
		return Reading{}, err
	}
	if err := s.notOwn(row{person: person, Order: Order{Commune: c, Subject: unclaimed + person}}, clerk); err != nil {
		return Reading{}, err
	}
	sealed, err := s.sealReading(c, id, read)
	if err != nil {
		return Reading{}, err
	}
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := one(tx.Exec(`UPDATE orders_reading SET state = $1, person = $2, sealed = $3, until = $4
			WHERE commune = $5 AND id = $6 AND session = $7 AND clerk = $8 AND state = $9 AND until > $10`,
			readingDone, person, sealed, sqldb.Micros(at.Add(ReadingFor)), string(c), id, within, clerk.Subject, readingAllowed, sqldb.Micros(at))); err != nil {
			return err
		}
		return s.Audit.Append(tx, audit.Entry{Commune: c, At: at, Actor: clerk.Subject, Action: "orders.card_read", Subject: person})
	})
	if errors.Is(err, errMoved) {
		return Reading{}, s.whyNoReading(ctx, c, id, within, clerk, readingAllowed)
	}
	return read, err
}

// whyNoReading says why a reading is not as it was wanted.
func (s *Service) whyNoReading(ctx context.Context, c commune.ID, id, within string, clerk Clerk, wanted string) error {
	var state string
	err := s.DB.QueryRow(ctx, `SELECT state FROM orders_reading WHERE commune = $1 AND id = $2 AND session = $3 AND clerk = $4`,
		string(c), id, within, clerk.Subject).Scan(&state)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return errNoReading
	case err != nil:
		return err
	case state == wanted:
		return errReadingLate
	case state == readingAllowed:
		return errNoReading // nothing has been read by it
	}
	return errReadingUsed
}

const readingUse = "reading"

// kept is a Reading inside its seal, where alone the number may be written.
type keptReading struct {
	Number, GivenNames, Surname, BirthDate string
	Child                                  bool
}

func (s *Service) sealReading(c commune.ID, id string, r Reading) ([]byte, error) {
	plain, err := json.Marshal(keptReading{r.Number.Reveal(), r.GivenNames, r.Surname, r.BirthDate, r.Child})
	if err != nil {
		return nil, err
	}
	return s.vault.sealText(c, readingUse, id, plain)
}

// reading is what was read by a permission and is still good.
func (s *Service) reading(ctx context.Context, c commune.ID, clerk Clerk, session, permission string) (Reading, error) {
	id, within, err := s.readingNames(c, permission, session)
	if err != nil {
		return Reading{}, err
	}
	var sealed []byte
	err = s.DB.QueryRow(ctx, `SELECT sealed FROM orders_reading WHERE commune = $1 AND id = $2 AND session = $3 AND clerk = $4 AND state = $5 AND until > $6`,
		string(c), id, within, clerk.Subject, readingDone, sqldb.Micros(s.now())).Scan(&sealed)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Reading{}, s.whyNoReading(ctx, c, id, within, clerk, readingDone)
	}
	if err != nil {
		return Reading{}, err
	}
	plain, err := s.vault.openText(c, readingUse, id, sealed)
	if err != nil {
		return Reading{}, fmt.Errorf("a reading: %w", err)
	}
	var kept keptReading
	if err := json.Unmarshal(plain, &kept); err != nil {
		return Reading{}, errors.New("a reading: what its seal holds is none") // the error may quote it
	}
	number, err := eid.ParseNationalNumber(kept.Number)
	if err != nil {
		return Reading{}, err
	}
	return Reading{number, kept.GivenNames, kept.Surname, kept.BirthDate, kept.Child}, nil
}

// readingOf names whose card was read by a permission, used up or not.
func (s *Service) readingOf(ctx context.Context, c commune.ID, clerk Clerk, session, permission string) (person string, err error) {
	id, within, err := s.readingNames(c, permission, session)
	if err != nil {
		return "", err
	}
	err = s.DB.QueryRow(ctx, `SELECT person FROM orders_reading WHERE commune = $1 AND id = $2 AND session = $3 AND clerk = $4 AND state <> $5`,
		string(c), id, within, clerk.Subject, readingAllowed).Scan(&person)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", errNoReading
	}
	return person, err
}

// useReading uses a reading up for an order about its person; what was read is forgotten.
func (s *Service) useReading(tx *sqldb.Tx, c commune.ID, clerk Clerk, session, permission, person string, at time.Time) error {
	id, within, err := s.readingNames(c, permission, session)
	if err != nil {
		return err
	}
	err = one(tx.Exec(`UPDATE orders_reading SET state = $1, sealed = $2 WHERE commune = $3 AND id = $4 AND session = $5 AND clerk = $6 AND state = $7 AND person = $8 AND until > $9`,
		readingUsed, []byte{}, string(c), id, within, clerk.Subject, readingDone, person, sqldb.Micros(at)))
	if errors.Is(err, errMoved) {
		return errReadingUsed
	}
	return err
}

// fromCard puts what the card says in the place of what the register says of the same.
func (r Reading) fromCard(answers []Answer) []Answer {
	told := map[string]string{Surname: r.Surname, GivenNames: r.GivenNames, BirthDate: r.BirthDate}
	if _, ok := register.ParseDay(r.BirthDate); !ok {
		delete(told, BirthDate)
	}
	list := slices.Clone(answers)
	for i, a := range list {
		if value := told[a.Name]; value != "" {
			list[i] = Answer{a.Name, value, FromCard}
		}
	}
	return list
}
