package signingsql

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
)

// Wanting says which finished documents are to be renewed: those whose proof ends
// by a day, or rests on one of these algorithms.
type Wanting struct {
	Kind       signing.GrantKind
	EndBy      time.Time
	Algorithms []string
}

// where is the condition for the columns of signing_grant; $1 is the commune, $2 the kind.
func (w Wanting) where(c commune.ID) (string, []any) {
	args := []any{c, string(w.Kind), sqldb.Micros(w.EndBy)}
	ends := []string{"ends_at <= $3"}
	for _, name := range w.Algorithms {
		args = append(args, "% "+name+" %")
		ends = append(ends, fmt.Sprintf("algorithms LIKE $%d", len(args)))
	}
	return "commune = $1 AND kind = $2 AND stage = 'finished' AND ends_at IS NOT NULL AND (" + strings.Join(ends, " OR ") + ")", args
}

// Due lists grants whose documents are to be renewed, those first that end first.
// Those of skip are left out.
func (s *Store) Due(ctx context.Context, c commune.ID, w Wanting, limit int, skip ...string) (ids []string, err error) {
	where, args := w.where(c)
	rows, err := s.db.Query(ctx, fmt.Sprintf(`SELECT id FROM signing_grant WHERE %s ORDER BY ends_at, id LIMIT %d`, where, limit+len(skip)), args...)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, wrap(err)
		}
		if !slices.Contains(skip, id) && len(ids) < limit {
			ids = append(ids, id)
		}
	}
	return ids, wrap(rows.Err())
}

// Lasting counts a commune's documents that can be renewed, and those that want it.
// next is when the first of all proofs ends; zero where there is none.
func (s *Store) Lasting(ctx context.Context, c commune.ID, w Wanting) (all, due int, next time.Time, err error) {
	var first sqldb.Time
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*), MIN(ends_at) FROM signing_grant WHERE commune = $1 AND kind = $2 AND stage = 'finished' AND ends_at IS NOT NULL`,
		c, string(w.Kind)).Scan(&all, &first); err != nil {
		return 0, 0, time.Time{}, wrap(err)
	}
	where, args := w.where(c)
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM signing_grant WHERE `+where, args...).Scan(&due)
	return all, due, first.Time, wrap(err)
}

// Renew puts another document in the place of was.
func (s *Store) Renew(tx *sqldb.Tx, c commune.ID, grant string, was, document blob.Digest, p Proof) error {
	return one(tx.Exec(`UPDATE signing_grant SET document = $1, ends_at = $2, algorithms = $3, renewals = renewals + 1
		WHERE commune = $4 AND id = $5 AND document = $6 AND stage = 'finished'`,
		document, sqldb.Time{Time: p.EndsAt}, p.algorithms(), c, grant, was))
}

// Revoke remembers that a certificate was revoked, by the SHA-256 of its DER.
func (s *Store) Revoke(tx *sqldb.Tx, c commune.ID, certificate blob.Digest, at time.Time) error {
	_, err := tx.Exec(`INSERT INTO signing_revoked (commune, certificate, revoked_at) VALUES ($1, $2, $3) ON CONFLICT (commune, certificate) DO NOTHING`,
		c, certificate, sqldb.Micros(at))
	return wrap(err)
}

// Revoked says whether a certificate was.
func (s *Store) Revoked(ctx context.Context, c commune.ID, certificate blob.Digest) (bool, error) {
	var n int
	err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM signing_revoked WHERE commune = $1 AND certificate = $2`, c, certificate).Scan(&n)
	return n > 0, wrap(err)
}
