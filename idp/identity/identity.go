// Package identity keeps the persons that a commune's applications know.
//
// It owns one record per person and commune: found by a keyed hash of the national
// number, or of an account elsewhere for those who have none, with what names the person
// sealed; and the subject by which a client
// knows them. It refuses to know sessions, methods and which client may be told
// the number. It guarantees that records of two communes cannot be linked by what
// the database holds or what clients get (docs/adr/0008): hash, seal and
// subject all depend on the commune or the sector, under keys outside the database.
package identity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
)

// Person is a citizen as one commune knows them.
type Person struct {
	ID      string // random (UUIDv7); never leaves the provider
	Citizen eid.Citizen
}

// Store is where rows lie; *idpsql.Store does it.
type Store interface {
	PersonByLookup(context.Context, commune.ID, string) (idpsql.Person, bool, error)
	PersonByID(context.Context, commune.ID, string) (idpsql.Person, bool, error)
	AddPerson(context.Context, commune.ID, idpsql.Person) (bool, error)
	ResealPerson(ctx context.Context, c commune.ID, id, sealed string) error
}

// Persons finds and keeps person records.
type Persons struct {
	store    Store
	lookup   secret.MAC
	pairwise secret.MAC
	sealer   secret.Sealer
}

// New returns the persons of a store.
func New(store Store, master *secret.Master) *Persons {
	return &Persons{store: store, lookup: master.MAC("lookup"), pairwise: master.MAC("pairwise"), sealer: master.Sealer("person")}
}

// Account is somebody's at another service: the subject that an issuer knows them by.
type Account struct{ Issuer, Subject string }

// Know returns the person of citizen in commune c: by the national number, and by the
// account where there is none. Who is met for the first time gets a record, and a name
// that has changed is taken over.
func (p *Persons) Know(ctx context.Context, c commune.ID, citizen eid.Citizen, a Account) (Person, error) {
	lookup, err := p.lookupOf(c, citizen, a)
	if err != nil {
		return Person{}, err
	}
	row, found, err := p.store.PersonByLookup(ctx, c, lookup)
	if err != nil {
		return Person{}, err
	}
	if !found {
		return p.meet(ctx, c, lookup, citizen)
	}
	known, err := p.open(c, row)
	if err != nil || known.Citizen == citizen {
		return known, err
	}
	known.Citizen = citizen
	return known, p.store.ResealPerson(ctx, c, known.ID, p.seal(c, known))
}

// lookupOf is the keyed hash by which a person is found. One of an account has four parts
// and one of a number two, so that none is the other's.
func (p *Persons) lookupOf(c commune.ID, citizen eid.Citizen, a Account) (string, error) {
	switch {
	case !citizen.Number.IsZero():
		return encode(p.lookup.Sum(string(c), citizen.Number.Reveal())), nil
	case a.Issuer == "" || a.Subject == "":
		return "", errors.New("identity: a citizen without a number or an account")
	}
	return encode(p.lookup.Sum(string(c), "account", a.Issuer, a.Subject)), nil
}

func (p *Persons) meet(ctx context.Context, c commune.ID, lookup string, citizen eid.Citizen) (Person, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Person{}, fmt.Errorf("identity: %w", err)
	}
	person := Person{ID: id.String(), Citizen: citizen}
	added, err := p.store.AddPerson(ctx, c, idpsql.Person{ID: person.ID, Lookup: lookup, Sealed: p.seal(c, person)})
	if err != nil || added {
		return person, err
	}
	row, found, err := p.store.PersonByLookup(ctx, c, lookup) // another request met them first
	if err != nil || !found {
		return Person{}, fmt.Errorf("identity: a person that is there cannot be found: %w", err)
	}
	return p.open(c, row)
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

// Subject is how clients of a sector know the person: always the same, and of no
// use to another sector (pairwise, OpenID Connect Core 1.0 §8.1).
func (p *Persons) Subject(sector, id string) string { return encode(p.pairwise.Sum(sector, id)) }

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
	return Person{ID: row.ID, Citizen: who}, nil
}

// place ties a sealed record to its row: moved elsewhere it does not open.
func place(c commune.ID, id string) string { return string(c) + " " + id }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
