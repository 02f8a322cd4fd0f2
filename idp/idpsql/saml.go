package idpsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// SAMLRequest is an AuthnRequest that a browser took to an identity provider.
type SAMLRequest struct {
	Relay    string // the RelayState; stored as its hash
	ID       string
	Commune  commune.ID
	Provider string
	Login    string // the login request it was made for
	Browser  string // hash of the browser's pre-login cookie
	Consumer string // the address the answer must come to
	Wanted   []string
	Forced   bool // the person must be asked anew
	Issued   time.Time
	Expires  time.Time
	Used     bool
}

// SAMLAssertion is what is remembered of an assertion.
type SAMLAssertion struct {
	Issuer, ID string
	Expires    time.Time
}

// AddSAMLRequest stores r.
func (s *Store) AddSAMLRequest(ctx context.Context, r SAMLRequest) error {
	forced := 0
	if r.Forced {
		forced = 1
	}
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO idp_saml_request (relay, id, commune, provider, login, browser, consumer, wanted, forced, issued_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			Hash(r.Relay), r.ID, string(r.Commune), r.Provider, r.Login, r.Browser, r.Consumer, strings.Join(r.Wanted, " "), forced, sqldb.Micros(r.Issued), sqldb.Micros(r.Expires))
		return err
	})
	if err != nil {
		return fmt.Errorf("idpsql: add SAML request: %w", err)
	}
	return nil
}

// SAMLRequest returns commune c's request with this RelayState, used or not; false
// where there is none, or its time is over.
func (s *Store) SAMLRequest(ctx context.Context, c commune.ID, relay string) (SAMLRequest, bool, error) {
	r := SAMLRequest{Relay: relay, Commune: c}
	var wanted string
	var forced, issued, expires int64
	var used sql.NullInt64
	err := s.db.QueryRow(ctx, `SELECT id, provider, login, browser, consumer, wanted, forced, issued_at, expires_at, used_at
		FROM idp_saml_request WHERE commune = $1 AND relay = $2`, string(c), Hash(relay)).
		Scan(&r.ID, &r.Provider, &r.Login, &r.Browser, &r.Consumer, &wanted, &forced, &issued, &expires, &used)
	if missing(err) {
		return SAMLRequest{}, false, nil
	}
	if err != nil {
		return SAMLRequest{}, false, fmt.Errorf("idpsql: SAML request: %w", err)
	}
	r.Wanted, r.Forced, r.Used = strings.Fields(wanted), forced == 1, used.Valid
	r.Issued, r.Expires = sqldb.FromMicros(issued), sqldb.FromMicros(expires)
	return r, r.Expires.After(s.now()), nil
}

// UseSAMLMessage remembers a message that may be used once: of any number of calls for
// one, at most one is told true.
func (s *Store) UseSAMLMessage(ctx context.Context, c commune.ID, m SAMLAssertion) (first bool, err error) {
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var err error
		first, err = changed(tx.Exec(`INSERT INTO idp_saml_assertion (commune, issuer, id, expires_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (commune, issuer, id) DO NOTHING`, string(c), m.Issuer, m.ID, sqldb.Micros(m.Expires)))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("idpsql: use SAML message: %w", err)
	}
	return first, nil
}

// errUsed rolls a transaction back whose request or assertion was used before.
var errUsed = errors.New("used before")

// UseSAML consumes the request and remembers the assertion in one transaction: of any
// number of calls for one of either, at most one is told true.
func (s *Store) UseSAML(ctx context.Context, r SAMLRequest, a SAMLAssertion) (bool, error) {
	now := sqldb.Micros(s.now())
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		first, err := changed(tx.Exec(`UPDATE idp_saml_request SET used_at = $1
			WHERE commune = $2 AND relay = $3 AND id = $4 AND browser = $5 AND expires_at > $1 AND used_at IS NULL`,
			now, string(r.Commune), Hash(r.Relay), r.ID, r.Browser))
		if err != nil {
			return err
		}
		if !first {
			return errUsed
		}
		first, err = changed(tx.Exec(`INSERT INTO idp_saml_assertion (commune, issuer, id, expires_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (commune, issuer, id) DO NOTHING`, string(r.Commune), a.Issuer, a.ID, sqldb.Micros(a.Expires)))
		if err == nil && !first {
			return errUsed
		}
		return err
	})
	if errors.Is(err, errUsed) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("idpsql: use SAML answer: %w", err)
	}
	return true, nil
}
