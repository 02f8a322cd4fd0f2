package idpsql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// UpstreamRequest is an authorization request that a browser took to an OpenID
// provider elsewhere.
type UpstreamRequest struct {
	State    string // stored as its hash
	Commune  commune.ID
	Source   string
	Login    string   // the login request it was made for
	Browser  string   // hash of the browser's pre-login cookie
	Redirect string   // the address the answer must come to
	Wanted   []string // levels of which one must be reached, as the source names them
	Forced   bool     // the person must be asked anew
	Issued   time.Time
	Expires  time.Time
	Used     bool
}

// AddUpstreamRequest stores r.
func (s *Store) AddUpstreamRequest(ctx context.Context, r UpstreamRequest) error {
	forced := 0
	if r.Forced {
		forced = 1
	}
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO idp_upstream_request (state, commune, source, login, browser, redirect, wanted, forced, issued_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			Hash(r.State), string(r.Commune), r.Source, r.Login, r.Browser, r.Redirect, strings.Join(r.Wanted, " "), forced, sqldb.Micros(r.Issued), sqldb.Micros(r.Expires))
		return err
	})
	if err != nil {
		return fmt.Errorf("idpsql: add upstream request: %w", err)
	}
	return nil
}

// UpstreamRequest returns the request of commune c to a source with this state, used
// or not; false where there is none, or its time is over.
func (s *Store) UpstreamRequest(ctx context.Context, c commune.ID, source, state string) (UpstreamRequest, bool, error) {
	r := UpstreamRequest{State: state, Commune: c, Source: source}
	var wanted string
	var forced, issued, expires int64
	var used sql.NullInt64
	err := s.db.QueryRow(ctx, `SELECT login, browser, redirect, wanted, forced, issued_at, expires_at, used_at
		FROM idp_upstream_request WHERE commune = $1 AND source = $2 AND state = $3`, string(c), source, Hash(state)).
		Scan(&r.Login, &r.Browser, &r.Redirect, &wanted, &forced, &issued, &expires, &used)
	if missing(err) {
		return UpstreamRequest{}, false, nil
	}
	if err != nil {
		return UpstreamRequest{}, false, fmt.Errorf("idpsql: upstream request: %w", err)
	}
	r.Wanted, r.Forced, r.Used = strings.Fields(wanted), forced == 1, used.Valid
	r.Issued, r.Expires = sqldb.FromMicros(issued), sqldb.FromMicros(expires)
	return r, r.Expires.After(s.now()), nil
}

// UseUpstreamRequest consumes r: of any number of calls, at most one is told true.
func (s *Store) UseUpstreamRequest(ctx context.Context, r UpstreamRequest) (bool, error) {
	now := sqldb.Micros(s.now())
	first := false
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var err error
		first, err = changed(tx.Exec(`UPDATE idp_upstream_request SET used_at = $1
			WHERE commune = $2 AND source = $3 AND state = $4 AND browser = $5 AND expires_at > $1 AND used_at IS NULL`,
			now, string(r.Commune), r.Source, Hash(r.State), r.Browser))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("idpsql: use upstream request: %w", err)
	}
	return first, nil
}

// UpstreamKey is one generation of a key of a commune at a source; the private part
// lies in Sealed.
type UpstreamKey struct {
	Commune    commune.ID
	Source     string
	Purpose    string
	Generation int64
	KID        string
	Sealed     string
	ActiveAt   time.Time // in use from here on, until the next generation is
}

// UpstreamKeys lists the keys of a commune at a source, generations in order.
func (s *Store) UpstreamKeys(ctx context.Context, c commune.ID, source string) ([]UpstreamKey, error) {
	rows, err := s.db.Query(ctx, `SELECT purpose, generation, kid, sealed, active_at FROM idp_upstream_key
		WHERE commune = $1 AND source = $2 ORDER BY purpose, generation`, string(c), source)
	if err != nil {
		return nil, fmt.Errorf("idpsql: upstream keys: %w", err)
	}
	defer rows.Close()
	var keys []UpstreamKey
	for rows.Next() {
		k := UpstreamKey{Commune: c, Source: source}
		var active int64
		if err := rows.Scan(&k.Purpose, &k.Generation, &k.KID, &k.Sealed, &active); err != nil {
			return nil, fmt.Errorf("idpsql: upstream keys: %w", err)
		}
		k.ActiveAt = sqldb.FromMicros(active)
		keys = append(keys, k)
	}
	return keys, rows.Err()
}

// AddUpstreamKey stores k unless its generation exists: then another node was first,
// and its key counts.
func (s *Store) AddUpstreamKey(ctx context.Context, k UpstreamKey) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO idp_upstream_key (commune, source, purpose, generation, kid, sealed, active_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (commune, source, purpose, generation) DO NOTHING`,
			string(k.Commune), k.Source, k.Purpose, k.Generation, k.KID, k.Sealed, sqldb.Micros(k.ActiveAt))
		return err
	})
	if err != nil {
		return fmt.Errorf("idpsql: add upstream key: %w", err)
	}
	return nil
}
