package idpsql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Person is one record: who it is about lies in Sealed.
type Person struct {
	ID     string
	Root   string // the oldest record of the same person; ID itself where this is it
	Sealed string
}

// Link is by what somebody is known.
type Link struct {
	Person string
	Issuer string // of an account elsewhere; "" is a national number
	First  time.Time
	Last   time.Time // to the day
}

// one is a row of the database or of a transaction.
type one interface{ Scan(...any) error }

// reader asks one row of either.
type reader func(query string, args ...any) one

func (s *Store) reader(ctx context.Context) reader {
	return func(query string, args ...any) one { return s.db.QueryRow(ctx, query, args...) }
}

func within(tx *sqldb.Tx) reader {
	return func(query string, args ...any) one { return tx.QueryRow(query, args...) }
}

// LinkOf returns the link of a keyed hash in commune c; false where there is none.
func (s *Store) LinkOf(ctx context.Context, c commune.ID, lookup string) (Link, bool, error) {
	l, ok, err := linkOf(s.reader(ctx), c, lookup)
	if err != nil {
		return Link{}, false, fmt.Errorf("idpsql: link: %w", err)
	}
	return l, ok, nil
}

func linkOf(read reader, c commune.ID, lookup string) (Link, bool, error) {
	if lookup == "" {
		return Link{}, false, nil
	}
	var l Link
	var first, last int64
	err := read(`SELECT person, issuer, first_at, last_at FROM idp_link WHERE commune = $1 AND lookup = $2`, string(c), lookup).
		Scan(&l.Person, &l.Issuer, &first, &last)
	if missing(err) {
		return Link{}, false, nil
	}
	l.First, l.Last = sqldb.FromMicros(first), sqldb.FromMicros(last)
	return l, err == nil, err
}

// LinksOf lists by what a record is found, in the order in which it came about.
func (s *Store) LinksOf(ctx context.Context, c commune.ID, person string) ([]Link, error) {
	rows, err := s.db.Query(ctx, `SELECT issuer, first_at, last_at FROM idp_link WHERE commune = $1 AND person = $2 ORDER BY first_at, lookup`, string(c), person)
	if err != nil {
		return nil, fmt.Errorf("idpsql: links: %w", err)
	}
	defer rows.Close()
	var list []Link
	for rows.Next() {
		l := Link{Person: person}
		var first, last int64
		if err := rows.Scan(&l.Issuer, &first, &last); err != nil {
			return nil, fmt.Errorf("idpsql: links: %w", err)
		}
		l.First, l.Last = sqldb.FromMicros(first), sqldb.FromMicros(last)
		list = append(list, l)
	}
	return list, rows.Err()
}

// PersonByID returns a record of commune c; false where there is none.
func (s *Store) PersonByID(ctx context.Context, c commune.ID, id string) (Person, bool, error) {
	p, ok, err := personByID(s.reader(ctx), c, id)
	if err != nil {
		return Person{}, false, fmt.Errorf("idpsql: person: %w", err)
	}
	return p, ok, nil
}

func personByID(read reader, c commune.ID, id string) (Person, bool, error) {
	p := Person{ID: id}
	var under string
	err := read(`SELECT under, sealed FROM idp_person WHERE commune = $1 AND id = $2`, string(c), id).Scan(&under, &p.Sealed)
	if missing(err) {
		return Person{}, false, nil
	}
	if err != nil {
		return Person{}, false, err
	}
	p.Root, err = above(read, c, id, under)
	return p, err == nil, err
}

// depth is how many records may stand under each other; a merge only ever adds one.
const depth = 50

// above is the oldest record over id, which stands under the record named.
func above(read reader, c commune.ID, id, under string) (string, error) {
	for range depth {
		if under == "" {
			return id, nil
		}
		id = under
		if err := read(`SELECT under FROM idp_person WHERE commune = $1 AND id = $2`, string(c), id).Scan(&under); err != nil {
			return "", err
		}
	}
	return "", errors.New("records stand under each other in a ring")
}

// Family lists the records of one person, given the oldest: that one first.
func (s *Store) Family(ctx context.Context, c commune.ID, root string) ([]string, error) {
	family := []string{root}
	for i := 0; i < len(family); i++ {
		if len(family) > depth {
			return nil, errors.New("idpsql: family: records stand under each other in a ring")
		}
		below, err := s.below(ctx, c, family[i])
		if err != nil {
			return nil, fmt.Errorf("idpsql: family: %w", err)
		}
		family = append(family, below...)
	}
	return family, nil
}

func (s *Store) below(ctx context.Context, c commune.ID, id string) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT id FROM idp_person WHERE commune = $1 AND under = $2 ORDER BY created_at, id`, string(c), id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// EachPerson calls f with the ID of every record of a commune until it returns false.
func (s *Store) EachPerson(ctx context.Context, c commune.ID, f func(id string) bool) error {
	rows, err := s.db.Query(ctx, `SELECT id FROM idp_person WHERE commune = $1`, string(c))
	if err != nil {
		return fmt.Errorf("idpsql: persons: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("idpsql: persons: %w", err)
		}
		if !f(id) {
			return nil
		}
	}
	return rows.Err()
}

// Shown is what a sign-in shows of a person: keyed hashes, "" for what it does not.
type Shown struct {
	Number  string // of the national number
	Account string // of the account at Issuer
	Issuer  string
	// ID and Sealed are those of the record to make, if one must be.
	ID, Sealed string
	// MergeID is that of the merge to note, if one must be.
	MergeID string
}

// Change is what a meeting did to what is known of a person.
type Change string

const (
	Nothing Change = ""
	Met     Change = "met"    // for the first time
	Linked  Change = "linked" // a known person showed another number or account
	Joined  Change = "joined" // an account that had been somebody without a number showed the number of somebody known
	// Parted: an account showed a number other than its person's. The number decides; only
	// people can say whether the two are one.
	Parted Change = "parted"
)

// Meeting is whom a sign-in shows. Other is the second record, where Joined or Parted.
type Meeting struct {
	Person Person
	Change Change
	Other  string
}

// Meet finds the record of whoever shows these, and makes and links what is missing.
// with is called in the same transaction where something changed.
func (s *Store) Meet(ctx context.Context, c commune.ID, shown Shown, with func(*sqldb.Tx, Meeting) error) (Meeting, error) {
	var m Meeting
	now := s.now()
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var err error
		if m, err = meet(tx, c, shown, now); err != nil {
			return err
		}
		if m.Change == Nothing {
			return nil
		}
		return with(tx, m)
	})
	if err != nil {
		return Meeting{}, fmt.Errorf("idpsql: meet: %w", err)
	}
	return m, nil
}

func meet(tx *sqldb.Tx, c commune.ID, shown Shown, now time.Time) (Meeting, error) {
	read := within(tx)
	byNumber, numbered, err := linkOf(read, c, shown.Number)
	if err != nil {
		return Meeting{}, err
	}
	byAccount, accounted, err := linkOf(read, c, shown.Account)
	if err != nil {
		return Meeting{}, err
	}
	m := Meeting{Person: Person{ID: byNumber.Person}}
	switch {
	case !numbered && !accounted:
		m.Change, m.Person.ID = Met, shown.ID
		err = addPerson(tx, c, shown, now)
	case numbered && accounted && byNumber.Person != byAccount.Person:
		m.Other = byAccount.Person
		m.Change, err = bring(tx, c, byNumber.Person, byAccount.Person, shown, now)
	case !numbered && shown.Number != "":
		m, err = number(tx, c, byAccount.Person, shown, now)
	case !numbered:
		m.Person.ID = byAccount.Person
	case !accounted && shown.Account != "":
		m.Change = Linked
	}
	if err != nil {
		return Meeting{}, err
	}
	if err := link(tx, c, shown.Number, m.Person.ID, "", now); err != nil {
		return Meeting{}, err
	}
	if m.Other == "" || m.Change == Parted { // an account that was joined still names its own record
		if err := link(tx, c, shown.Account, m.Person.ID, shown.Issuer, now); err != nil {
			return Meeting{}, err
		}
	}
	p, found, err := personByID(read, c, m.Person.ID)
	if err == nil && !found {
		err = errors.New("a link leads to no record")
	}
	m.Person = p
	return m, err
}

// number is for an account whose person is known and that brings a number nobody had.
func number(tx *sqldb.Tx, c commune.ID, known string, shown Shown, now time.Time) (Meeting, error) {
	has, err := hasNumber(tx, c, known)
	if err != nil {
		return Meeting{}, err
	}
	if !has {
		return Meeting{Person: Person{ID: known}, Change: Linked}, nil
	}
	return Meeting{Person: Person{ID: shown.ID}, Change: Parted, Other: known}, addPerson(tx, c, shown, now)
}

// bring is for an account that names another record than the number it brings.
func bring(tx *sqldb.Tx, c commune.ID, numbered, accounted string, shown Shown, now time.Time) (Change, error) {
	one, _, err := personByID(within(tx), c, numbered)
	if err != nil {
		return Nothing, err
	}
	other, _, err := personByID(within(tx), c, accounted)
	if err != nil || one.Root == other.Root {
		return Nothing, err
	}
	has, err := hasNumber(tx, c, accounted)
	if err != nil || has {
		return Parted, err
	}
	apart, err := heldApart(tx, c, one.Root, other.Root)
	if err != nil || apart { // people have said that they are two
		return Nothing, err
	}
	older, younger, err := byAge(tx, c, one.Root, other.Root)
	if err != nil {
		return Nothing, err
	}
	if err := propose(tx, c, Merge{ID: shown.MergeID, Older: older, Younger: younger, Reason: "one sign-in showed both", ProposedBy: Program}, now); err != nil {
		return Nothing, err
	}
	return Joined, join(tx, c, Merge{ID: shown.MergeID, Older: older, Younger: younger}, Program, now)
}

func hasNumber(tx *sqldb.Tx, c commune.ID, person string) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM idp_link WHERE commune = $1 AND person = $2 AND issuer = ''`, string(c), person).Scan(&n)
	return n > 0, err
}

func addPerson(tx *sqldb.Tx, c commune.ID, shown Shown, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO idp_person (commune, id, sealed, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)`,
		string(c), shown.ID, shown.Sealed, sqldb.Micros(now))
	return err
}

// link says that lookup was shown now, and is person's from here on.
func link(tx *sqldb.Tx, c commune.ID, lookup, person, issuer string, now time.Time) error {
	if lookup == "" {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO idp_link (commune, lookup, person, issuer, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $5)
		ON CONFLICT (commune, lookup) DO UPDATE SET person = excluded.person, last_at = excluded.last_at`,
		string(c), lookup, person, issuer, sqldb.Micros(now))
	return err
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
