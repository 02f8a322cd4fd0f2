// Package identity keeps the persons that a commune's applications know.
//
// It owns one record per person and commune: found by keyed hashes of the national
// number and of accounts elsewhere, with what names the person sealed; the subject by
// which a client knows them; and merges, where two records are found to be one person's.
// It refuses to know sessions, methods, who works at a commune and which client may be
// told the number. It guarantees that records of two communes cannot be linked by what
// the database holds or what clients get (docs/adr/0008): hash, seal and
// subject all depend on the commune or the sector, under keys outside the database.
package identity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Person is a citizen as one commune knows them.
type Person struct {
	ID      string // of the record: random (UUIDv7); never leaves the provider
	Root    string // the oldest record of the same person, from which the subject is made
	Citizen eid.Citizen
}

// Store is where rows lie; *idpsql.Store does it.
type Store interface {
	LinkOf(context.Context, commune.ID, string) (idpsql.Link, bool, error)
	LinksOf(ctx context.Context, c commune.ID, person string) ([]idpsql.Link, error)
	PersonByID(context.Context, commune.ID, string) (idpsql.Person, bool, error)
	Family(ctx context.Context, c commune.ID, root string) ([]string, error)
	EachPerson(ctx context.Context, c commune.ID, f func(id string) bool) error
	Meet(context.Context, commune.ID, idpsql.Shown, func(*sqldb.Tx, idpsql.Meeting) error) (idpsql.Meeting, error)
	ResealPerson(ctx context.Context, c commune.ID, id, sealed string) error
	Propose(context.Context, commune.ID, idpsql.Merge, func(*sqldb.Tx, idpsql.Merge) error) (idpsql.Merge, error)
	Confirm(ctx context.Context, c commune.ID, id, by string, with func(*sqldb.Tx, idpsql.Merge) error) error
	Undo(ctx context.Context, c commune.ID, id, by string, with func(*sqldb.Tx, idpsql.Merge) error) error
	Merges(context.Context, commune.ID) ([]idpsql.Merge, error)
	Unseen(ctx context.Context, c commune.ID, person string) ([]idpsql.Merge, error)
	Seen(ctx context.Context, c commune.ID, person string, with func(*sqldb.Tx) error) error
}

// Record writes to the commune's journal, in the transaction of what it tells. Actor and
// subject are records of persons, or "belfry".
type Record func(tx *sqldb.Tx, c commune.ID, action, actor, subject string, detail map[string]string) error

// Persons finds and keeps person records.
type Persons struct {
	store    Store
	record   Record
	now      clock.Clock
	lookup   secret.MAC
	pairwise secret.MAC
	sealer   secret.Sealer
}

// New returns the persons of a store.
func New(store Store, master *secret.Master, now clock.Clock, record Record) *Persons {
	return &Persons{store: store, record: record, now: now, lookup: master.MAC("lookup"), pairwise: master.MAC("pairwise"), sealer: master.Sealer("person")}
}

// Account is somebody's at another service: the subject that an issuer knows them by.
type Account struct{ Issuer, Subject string }

// Know returns the person of citizen in commune c: by the national number, and by the
// account where there is none. Who is met for the first time gets a record. A number and
// an account that one sign-in shows are one person's from then on; neither a name nor an
// address ever links anybody. A name that has changed is taken over.
func (p *Persons) Know(ctx context.Context, c commune.ID, citizen eid.Citizen, a Account) (Person, error) {
	number, account := p.lookups(c, citizen, a)
	if number == "" && account == "" {
		return Person{}, errors.New("identity: a citizen without a number or an account")
	}
	row, settled, err := p.settled(ctx, c, number, account)
	if err != nil {
		return Person{}, err
	}
	if !settled {
		if row, err = p.meet(ctx, c, citizen, a, number, account); err != nil {
			return Person{}, err
		}
	}
	known, err := p.open(c, row)
	if err != nil {
		return Person{}, err
	}
	if citizen.Number.IsZero() { // an account that does not tell the number takes none away
		citizen.Number = known.Citizen.Number
	}
	if known.Citizen == citizen {
		return known, nil
	}
	known.Citizen = citizen
	return known, p.store.ResealPerson(ctx, c, known.ID, p.seal(c, known))
}

// used is how exactly it is kept when somebody was last known by a number or an account.
const used = 24 * time.Hour

// settled returns the record where a sign-in shows nothing new.
func (p *Persons) settled(ctx context.Context, c commune.ID, number, account string) (idpsql.Person, bool, error) {
	var found []idpsql.Person
	for _, lookup := range []string{number, account} {
		if lookup == "" {
			continue
		}
		l, known, err := p.store.LinkOf(ctx, c, lookup)
		if err != nil || !known || p.now().Sub(l.Last) >= used {
			return idpsql.Person{}, false, err
		}
		row, known, err := p.store.PersonByID(ctx, c, l.Person)
		if err != nil || !known {
			return idpsql.Person{}, false, err
		}
		found = append(found, row)
	}
	same := found[0].Root == found[len(found)-1].Root
	return found[0], same, nil
}

// meet finds, makes and links what is missing, in one transaction.
func (p *Persons) meet(ctx context.Context, c commune.ID, citizen eid.Citizen, a Account, number, account string) (idpsql.Person, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return idpsql.Person{}, fmt.Errorf("identity: %w", err)
	}
	merge, err := uuid.NewV7()
	if err != nil {
		return idpsql.Person{}, fmt.Errorf("identity: %w", err)
	}
	shown := idpsql.Shown{
		Number: number, Account: account, Issuer: a.Issuer,
		ID: id.String(), Sealed: p.seal(c, Person{ID: id.String(), Citizen: citizen}), MergeID: merge.String(),
	}
	m, err := p.store.Meet(ctx, c, shown, func(tx *sqldb.Tx, m idpsql.Meeting) error {
		if m.Change == idpsql.Met { // the sign-in that follows says it
			return nil
		}
		detail := map[string]string{}
		if a.Issuer != "" {
			detail["issuer"] = a.Issuer
		}
		if m.Other != "" {
			detail["other"] = m.Other
		}
		return p.record(tx, c, "person."+string(m.Change), idpsql.Program, m.Person.ID, detail)
	})
	return m.Person, err
}

// lookups are the keyed hashes by which a person is found, "" for what is not shown. One
// of an account has four parts and one of a number two, so that none is the other's.
func (p *Persons) lookups(c commune.ID, citizen eid.Citizen, a Account) (number, account string) {
	if !citizen.Number.IsZero() {
		number = p.byNumber(c, citizen.Number)
	}
	if a.Issuer != "" && a.Subject != "" {
		account = encode(p.lookup.Sum(string(c), "account", a.Issuer, a.Subject))
	}
	return number, account
}

func (p *Persons) byNumber(c commune.ID, n eid.NationalNumber) string {
	return encode(p.lookup.Sum(string(c), n.Reveal()))
}

// Get returns a person by the record's ID; false where commune c knows none.
func (p *Persons) Get(ctx context.Context, c commune.ID, id string) (Person, bool, error) {
	row, found, err := p.store.PersonByID(ctx, c, id)
	if err != nil || !found {
		return Person{}, false, err
	}
	person, err := p.open(c, row)
	return person, err == nil, err
}

// Subject is how clients of a sector know the person of an oldest record (Person.Root):
// always the same, and of no use to another sector (pairwise, OpenID Connect Core 1.0 §8.1).
func (p *Persons) Subject(sector, root string) string { return encode(p.pairwise.Sum(sector, root)) }

// Former are the other subjects by which clients of a sector may know the person: those
// of records that were merged with theirs.
func (p *Persons) Former(ctx context.Context, c commune.ID, sector, root string) ([]string, error) {
	family, err := p.store.Family(ctx, c, root)
	if err != nil {
		return nil, err
	}
	var former []string
	for _, id := range family[1:] {
		former = append(former, p.Subject(sector, id))
	}
	return former, nil
}

// sealed is what a record says once it is opened.
type sealed struct {
	Number, GivenNames, Surname string
	Foreigner                   bool
	BirthDate                   string `json:",omitempty"`
}

func (p *Persons) seal(c commune.ID, person Person) string {
	plain, err := json.Marshal(sealed{person.Citizen.Number.Reveal(), person.Citizen.GivenNames, person.Citizen.Surname, person.Citizen.Foreigner, person.Citizen.BirthDate})
	if err != nil {
		panic(err) // strings and a bool
	}
	return encode(p.sealer.Seal(plain, place(c, person.ID)))
}

func (p *Persons) open(c commune.ID, row idpsql.Person) (Person, error) {
	raw, err := base64.RawURLEncoding.DecodeString(row.Sealed)
	if err != nil {
		return Person{}, fmt.Errorf("identity: person %s: %w", row.ID, err)
	}
	plain, err := p.sealer.Open(raw, place(c, row.ID))
	if err != nil {
		return Person{}, fmt.Errorf("identity: person %s: %w", row.ID, err)
	}
	var v sealed
	if err := json.Unmarshal(plain, &v); err != nil {
		return Person{}, fmt.Errorf("identity: person %s: %w", row.ID, err)
	}
	who := eid.Citizen{GivenNames: v.GivenNames, Surname: v.Surname, Foreigner: v.Foreigner, BirthDate: v.BirthDate}
	if v.Number != "" {
		if who.Number, err = eid.ParseNationalNumber(v.Number); err != nil {
			return Person{}, fmt.Errorf("identity: person %s: %w", row.ID, err)
		}
	}
	return Person{ID: row.ID, Root: row.Root, Citizen: who}, nil
}

// place ties a sealed record to its row: moved elsewhere it does not open.
func place(c commune.ID, id string) string { return string(c) + " " + id }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
