package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Merge is two records that are proposed to be, or are, one person's.
type Merge struct {
	ID             string
	Older, Younger Known
	Reason         string
	By             string    // the name of whoever proposed it, "" for the program itself
	Own            bool      // the reader proposed it, or is one of the two
	At             time.Time // when it was proposed
	Confirmed      time.Time // zero where it waits for a second person
}

// Known is a person as staff see them: a name, and by what they are known.
type Known struct {
	Name      string
	BirthDate string // as in eid.Citizen
	Links     []idpsql.Link
}

// What whoever merges can do something about.
var (
	errNoMerge  = fault.New(fault.Conflict, "person.gone", nil)
	errNoPerson = fault.New(fault.NotFound, "person.unknown", nil)
	errOne      = fault.New(fault.Conflict, "person.one", nil)
	errOwn      = fault.New(fault.Forbidden, "person.own", nil)
	errTwice    = fault.New(fault.Forbidden, "person.twice", nil)
	errOpen     = fault.New(fault.Conflict, "person.open", nil)
	errReason   = fault.New(fault.Invalid, "person.reason", nil)
)

// worded turns the store's refusals into those that people read.
func worded(err error) error {
	for cause, said := range map[error]*fault.Error{
		idpsql.ErrNoMerge: errNoMerge, idpsql.ErrNoPerson: errNoPerson, idpsql.ErrOne: errOne,
		idpsql.ErrOwn: errOwn, idpsql.ErrTwice: errTwice, idpsql.ErrOpen: errOpen,
	} {
		if errors.Is(err, cause) {
			return said.Because(err)
		}
	}
	return err
}

// reasonLimit is the most that a reason may have, in bytes.
const reasonLimit = 500

// Find is the record that somebody means: by a national number, or by a subject of one of
// the sectors.
func (p *Persons) Find(ctx context.Context, c commune.ID, sectors []string, typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	if n, err := eid.ParseNationalNumber(typed); err == nil {
		l, found, err := p.store.LinkOf(ctx, c, p.byNumber(c, n))
		if err == nil && !found {
			err = errNoPerson
		}
		return l.Person, err
	}
	found := ""
	err := p.store.EachPerson(ctx, c, func(id string) bool {
		for _, sector := range sectors {
			if p.Subject(sector, id) == typed {
				found = id
			}
		}
		return found == ""
	})
	if err == nil && found == "" {
		err = errNoPerson
	}
	return found, err
}

// Propose holds two records to be one person's, until somebody else confirms it. by is
// the record of whoever proposes, and is neither of them.
func (p *Persons) Propose(ctx context.Context, c commune.ID, one, other, reason, by string) error {
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > reasonLimit {
		return errReason
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	_, err = p.store.Propose(ctx, c, idpsql.Merge{ID: id.String(), Older: one, Younger: other, Reason: reason, ProposedBy: by}, p.journal(c, "person.merge_proposed", by))
	return worded(err)
}

// Confirm joins the two: from here on the younger record's person has the older's subject.
// by is neither of them nor whoever proposed it.
func (p *Persons) Confirm(ctx context.Context, c commune.ID, id, by string) error {
	return worded(p.store.Confirm(ctx, c, id, by, p.journal(c, "person.merged", by)))
}

// Undo withdraws a proposal, or parts the two again: each has the subject it had.
func (p *Persons) Undo(ctx context.Context, c commune.ID, id, by string) error {
	return worded(p.store.Undo(ctx, c, id, by, p.journal(c, "person.unmerged", by)))
}

func (p *Persons) journal(c commune.ID, action, by string) func(*sqldb.Tx, idpsql.Merge) error {
	return func(tx *sqldb.Tx, m idpsql.Merge) error {
		return p.record(tx, c, action, by, m.Older, map[string]string{"merge": m.ID, "younger": m.Younger})
	}
}

// Merges lists those that are open or stand, for the person reading.
func (p *Persons) Merges(ctx context.Context, c commune.ID, reader Person) ([]Merge, error) {
	rows, err := p.store.Merges(ctx, c)
	if err != nil {
		return nil, err
	}
	var list []Merge
	for _, row := range rows {
		m := Merge{ID: row.ID, Reason: row.Reason, At: row.ProposedAt, Confirmed: row.ConfirmedAt}
		if m.Older, err = p.known(ctx, c, row.Older); err != nil {
			return nil, err
		}
		if m.Younger, err = p.known(ctx, c, row.Younger); err != nil {
			return nil, err
		}
		for _, id := range []string{row.Older, row.Younger, row.ProposedBy} {
			if id == idpsql.Program {
				continue
			}
			someone, found, err := p.Get(ctx, c, id)
			if err != nil || !found {
				return nil, fmt.Errorf("identity: merge %s: %w", row.ID, err)
			}
			m.Own = m.Own || someone.Root == reader.Root
			if id == row.ProposedBy {
				m.By = someone.Citizen.Name()
			}
		}
		list = append(list, m)
	}
	return list, nil
}

func (p *Persons) known(ctx context.Context, c commune.ID, id string) (Known, error) {
	someone, found, err := p.Get(ctx, c, id)
	if err != nil || !found {
		return Known{}, fmt.Errorf("identity: person %s: %w", id, err)
	}
	links, err := p.store.LinksOf(ctx, c, id)
	return Known{someone.Citizen.Name(), someone.Citizen.BirthDate, links}, err
}

// Notice is a merge, or its end, that a person is to be told of.
type Notice struct {
	Joined bool // false where it was undone
	At     time.Time
}

// Notices are those that the person has not been told of, signing in as this record.
func (p *Persons) Notices(ctx context.Context, c commune.ID, person Person) ([]Notice, error) {
	rows, err := p.store.Unseen(ctx, c, person.ID)
	if err != nil {
		return nil, err
	}
	var list []Notice
	for _, m := range rows {
		n := Notice{Joined: m.Stands(), At: m.ConfirmedAt}
		if !n.Joined {
			n.At = m.UndoneAt
		}
		list = append(list, n)
	}
	return list, nil
}

// Told notes that the person was told of all notices.
func (p *Persons) Told(ctx context.Context, c commune.ID, person Person) error {
	return p.store.Seen(ctx, c, person.ID, func(tx *sqldb.Tx) error {
		return p.record(tx, c, "person.told", person.ID, person.ID, nil)
	})
}
