package idpsql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Program stands for the program itself where it joined two records.
const Program = "belfry"

// Merge is two records held to be one person's. People are named by their records.
type Merge struct {
	ID                      string
	Older, Younger          string
	Reason                  string
	ProposedBy, ConfirmedBy string
	ProposedAt, ConfirmedAt time.Time // zero where it was not yet
	UndoneAt                time.Time // zero while it stands
}

// Stands says whether the two are one now.
func (m Merge) Stands() bool { return !m.ConfirmedAt.IsZero() && m.UndoneAt.IsZero() }

// Open says whether it waits for a second person.
func (m Merge) Open() bool { return m.ConfirmedAt.IsZero() && m.UndoneAt.IsZero() }

// Why a merge is refused.
var (
	ErrNoMerge  = errors.New("idpsql: no such merge, or no longer in that state")
	ErrNoPerson = errors.New("idpsql: no such person in this commune")
	ErrOne      = errors.New("idpsql: the two records are one person's already")
	ErrOwn      = errors.New("idpsql: nobody merges themselves")
	ErrTwice    = errors.New("idpsql: the second person is the first")
	ErrOpen     = errors.New("idpsql: it is proposed already")
)

// Propose notes that m.Older and m.Younger (in any order) may be one; m.ID, Reason and
// ProposedBy are taken from m.
func (s *Store) Propose(ctx context.Context, c commune.ID, m Merge, with func(*sqldb.Tx, Merge) error) (Merge, error) {
	now := s.now()
	err := s.change(ctx, func(tx *sqldb.Tx) error {
		one, other, by, err := parties(tx, c, m.Older, m.Younger, m.ProposedBy)
		switch {
		case err != nil:
			return err
		case one == other:
			return ErrOne
		case by == one || by == other:
			return ErrOwn
		}
		if m.Older, m.Younger, err = byAge(tx, c, one, other); err != nil {
			return err
		}
		var open int
		if err := tx.QueryRow(`SELECT count(*) FROM idp_merge WHERE commune = $1 AND older = $2 AND younger = $3 AND confirmed_at IS NULL AND undone_at IS NULL`,
			string(c), m.Older, m.Younger).Scan(&open); err != nil {
			return err
		}
		if open > 0 {
			return ErrOpen
		}
		m.ProposedAt = now
		if err := propose(tx, c, m, now); err != nil {
			return err
		}
		return with(tx, m)
	})
	return m, err
}

// Confirm joins the records of an open proposal. by must be neither of them, nor
// whoever proposed it, under any record.
func (s *Store) Confirm(ctx context.Context, c commune.ID, id, by string, with func(*sqldb.Tx, Merge) error) error {
	now := s.now()
	return s.change(ctx, func(tx *sqldb.Tx) error {
		m, err := mergeByID(within(tx), c, id)
		if err != nil {
			return err
		}
		if !m.Open() {
			return ErrNoMerge
		}
		one, other, second, err := parties(tx, c, m.Older, m.Younger, by)
		if err != nil {
			return err
		}
		first, found, err := personByID(within(tx), c, m.ProposedBy)
		if err != nil {
			return err
		}
		switch {
		case one == other:
			return ErrOne
		case second == one || second == other || first.Root == one || first.Root == other:
			return ErrOwn
		case !found || first.Root == second:
			return ErrTwice
		}
		if m.Older, m.Younger, err = byAge(tx, c, one, other); err != nil { // either may stand under another since
			return err
		}
		if err := join(tx, c, m, by, now); err != nil {
			return err
		}
		return with(tx, m)
	})
}

// Undo ends a merge, or withdraws a proposal: both records stand for themselves again.
func (s *Store) Undo(ctx context.Context, c commune.ID, id, by string, with func(*sqldb.Tx, Merge) error) error {
	now := sqldb.Micros(s.now())
	return s.change(ctx, func(tx *sqldb.Tx) error {
		m, err := mergeByID(within(tx), c, id)
		if err != nil {
			return err
		}
		if !m.UndoneAt.IsZero() {
			return ErrNoMerge
		}
		one, other, who, err := parties(tx, c, m.Older, m.Younger, by)
		if err != nil {
			return err
		}
		if who == one || who == other {
			return ErrOwn
		}
		if _, err := tx.Exec(`UPDATE idp_merge SET undone_by = $1, undone_at = $2, notice_older = NULL, notice_younger = NULL WHERE commune = $3 AND id = $4`,
			by, now, string(c), id); err != nil {
			return err
		}
		if m.Stands() {
			if _, err := tx.Exec(`UPDATE idp_person SET under = '', updated_at = $1 WHERE commune = $2 AND id = $3 AND under = $4`,
				now, string(c), m.Younger, m.Older); err != nil {
				return err
			}
		}
		return with(tx, m)
	})
}

// change runs f, and returns its refusals as they are.
func (s *Store) change(ctx context.Context, f func(*sqldb.Tx) error) error {
	if err := s.db.Write(ctx, f); err != nil {
		return fmt.Errorf("idpsql: merge: %w", err)
	}
	return nil
}

// parties are the oldest records of three people.
func parties(tx *sqldb.Tx, c commune.ID, ids ...string) (one, other, by string, err error) {
	var roots [3]string
	for i, id := range ids {
		p, found, err := personByID(within(tx), c, id)
		if err != nil {
			return "", "", "", err
		}
		if !found {
			return "", "", "", ErrNoPerson
		}
		roots[i] = p.Root
	}
	return roots[0], roots[1], roots[2], nil
}

// byAge puts the record that was made first, first.
func byAge(tx *sqldb.Tx, c commune.ID, one, other string) (older, younger string, err error) {
	err = tx.QueryRow(`SELECT id FROM idp_person WHERE commune = $1 AND id IN ($2, $3) ORDER BY created_at, id LIMIT 1`, string(c), one, other).Scan(&older)
	if older == other {
		one, other = other, one
	}
	return one, other, err
}

func propose(tx *sqldb.Tx, c commune.ID, m Merge, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO idp_merge (commune, id, older, younger, reason, proposed_by, proposed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		string(c), m.ID, m.Older, m.Younger, m.Reason, m.ProposedBy, sqldb.Micros(now))
	return err
}

// join puts the younger record, which stands under none, under the older.
func join(tx *sqldb.Tx, c commune.ID, m Merge, by string, now time.Time) error {
	if _, err := tx.Exec(`UPDATE idp_merge SET older = $1, younger = $2, confirmed_by = $3, confirmed_at = $4 WHERE commune = $5 AND id = $6`,
		m.Older, m.Younger, by, sqldb.Micros(now), string(c), m.ID); err != nil {
		return err
	}
	ok, err := changed(tx.Exec(`UPDATE idp_person SET under = $1, updated_at = $2 WHERE commune = $3 AND id = $4 AND under = ''`,
		m.Older, sqldb.Micros(now), string(c), m.Younger))
	if err == nil && !ok {
		err = ErrNoPerson
	}
	return err
}

// heldApart says whether somebody has undone a merge of the two.
func heldApart(tx *sqldb.Tx, c commune.ID, one, other string) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM idp_merge WHERE commune = $1 AND undone_at IS NOT NULL AND confirmed_at IS NOT NULL
		AND ((older = $2 AND younger = $3) OR (older = $3 AND younger = $2))`, string(c), one, other).Scan(&n)
	return n > 0, err
}

const mergeColumns = `id, older, younger, reason, proposed_by, proposed_at, COALESCE(confirmed_by, ''), COALESCE(confirmed_at, 0), COALESCE(undone_at, 0)`

func scanMerge(row one) (Merge, error) {
	var m Merge
	var proposed, confirmed, undone int64
	err := row.Scan(&m.ID, &m.Older, &m.Younger, &m.Reason, &m.ProposedBy, &proposed, &m.ConfirmedBy, &confirmed, &undone)
	m.ProposedAt, m.ConfirmedAt, m.UndoneAt = sqldb.FromMicros(proposed), since(confirmed), since(undone)
	return m, err
}

// since is the time of a column that may be empty.
func since(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return sqldb.FromMicros(micros)
}

func mergeByID(read reader, c commune.ID, id string) (Merge, error) {
	m, err := scanMerge(read(`SELECT `+mergeColumns+` FROM idp_merge WHERE commune = $1 AND id = $2`, string(c), id))
	if missing(err) {
		return Merge{}, ErrNoMerge
	}
	return m, err
}

// Merges lists those of a commune that are open or stand, the newest first.
func (s *Store) Merges(ctx context.Context, c commune.ID) ([]Merge, error) {
	return s.merges(ctx, `SELECT `+mergeColumns+` FROM idp_merge WHERE commune = $1 AND undone_at IS NULL ORDER BY proposed_at DESC, id DESC`, string(c))
}

// Unseen lists the merges about a record, made or undone, of which the person has not
// been told when signing in as it.
func (s *Store) Unseen(ctx context.Context, c commune.ID, person string) ([]Merge, error) {
	return s.merges(ctx, `SELECT `+mergeColumns+` FROM idp_merge WHERE commune = $1 AND confirmed_at IS NOT NULL
		AND ((older = $2 AND notice_older IS NULL) OR (younger = $2 AND notice_younger IS NULL)) ORDER BY proposed_at, id`, string(c), person)
}

func (s *Store) merges(ctx context.Context, query string, args ...any) ([]Merge, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("idpsql: merges: %w", err)
	}
	defer rows.Close()
	var list []Merge
	for rows.Next() {
		m, err := scanMerge(rows)
		if err != nil {
			return nil, fmt.Errorf("idpsql: merges: %w", err)
		}
		list = append(list, m)
	}
	return list, rows.Err()
}

// Seen notes that the person of a record was told of every merge about it.
func (s *Store) Seen(ctx context.Context, c commune.ID, person string, with func(*sqldb.Tx) error) error {
	now := sqldb.Micros(s.now())
	return s.change(ctx, func(tx *sqldb.Tx) error {
		for _, column := range []string{"older", "younger"} {
			if _, err := tx.Exec(`UPDATE idp_merge SET notice_`+column+` = $1 WHERE commune = $2 AND `+column+` = $3 AND confirmed_at IS NOT NULL AND notice_`+column+` IS NULL`,
				now, string(c), person); err != nil {
				return err
			}
		}
		return with(tx)
	})
}
