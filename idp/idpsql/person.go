package idpsql

import (
	"context"
	"fmt"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Person is one row: who it is lies in Sealed.
type Person struct {
	ID     string
	Lookup string // keyed hash of the national number
	Sealed string
}

// PersonByLookup returns the person of this keyed hash in commune c; false where there is none.
func (s *Store) PersonByLookup(ctx context.Context, c commune.ID, lookup string) (Person, bool, error) {
	return s.person(ctx, `SELECT id, lookup, sealed FROM idp_person WHERE commune = $1 AND lookup = $2`, c, lookup)
}

// PersonByID returns a person of commune c; false where there is none.
func (s *Store) PersonByID(ctx context.Context, c commune.ID, id string) (Person, bool, error) {
	return s.person(ctx, `SELECT id, lookup, sealed FROM idp_person WHERE commune = $1 AND id = $2`, c, id)
}

func (s *Store) person(ctx context.Context, query string, c commune.ID, key string) (Person, bool, error) {
	var p Person
	err := s.db.QueryRow(ctx, query, string(c), key).Scan(&p.ID, &p.Lookup, &p.Sealed)
	if missing(err) {
		return Person{}, false, nil
	}
	if err != nil {
		return Person{}, false, fmt.Errorf("idpsql: person: %w", err)
	}
	return p, true, nil
}

// AddPerson inserts p; false where another request was first with the same person.
func (s *Store) AddPerson(ctx context.Context, c commune.ID, p Person) (bool, error) {
	var added bool
	now := sqldb.Micros(s.now())
	err := s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		added, err = changed(tx.Exec(`INSERT INTO idp_person (commune, id, lookup, sealed, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (commune, lookup) DO NOTHING`, string(c), p.ID, p.Lookup, p.Sealed, now))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("idpsql: add person: %w", err)
	}
	return added, nil
}

// ResealPerson replaces what is known of a person, for example after a change of name.
func (s *Store) ResealPerson(ctx context.Context, c commune.ID, id, sealed string) error {
	now := sqldb.Micros(s.now())
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE idp_person SET sealed = $1, updated_at = $2 WHERE commune = $3 AND id = $4`, sealed, now, string(c), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("idpsql: reseal person: %w", err)
	}
	return nil
}
