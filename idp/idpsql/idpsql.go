// Package idpsql keeps the provider's single-use facts and records in SQL.
//
// It owns the provider's tables: persons, pushed requests, codes, access tokens,
// used client assertions, challenges, SAML requests and assertions, requests to OpenID
// providers elsewhere, clients to tell of a session's end, and keys. It refuses to know HTTP,
// keys and what is sealed in a row. It guarantees that what may happen once
// happens once: a code, a challenge, a pushed request and a client
// assertion are each consumed by one statement whose count of rows decides, in
// one durable transaction with what they give; and that nothing secret lies in a
// row as it is: handles, codes, tokens and nonces are stored as SHA-256.
package idpsql

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Store is the provider's tables.
type Store struct {
	db  *sqldb.DB
	now clock.Clock
}

// New migrates the tables and returns the store.
func New(ctx context.Context, db *sqldb.DB, now clock.Clock) (*Store, error) {
	if err := db.Migrate(ctx, "idp", migrations); err != nil {
		return nil, fmt.Errorf("idpsql: %w", err)
	}
	return &Store{db: db, now: now}, nil
}

// Hash is how a secret string lies in a row.
func Hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Purge deletes what has expired an hour ago: expired things are refused anyway,
// and the hour keeps a late second use recognisable.
func (s *Store) Purge(ctx context.Context) error {
	before := sqldb.Micros(s.now().Add(-time.Hour))
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		for _, statement := range []string{
			`DELETE FROM idp_pushed WHERE expires_at < $1`,
			`DELETE FROM idp_code WHERE expires_at < $1`,
			`DELETE FROM idp_access_token WHERE expires_at < $1`,
			`DELETE FROM idp_assertion WHERE expires_at < $1`,
			`DELETE FROM idp_challenge WHERE expires_at < $1`,
			`DELETE FROM idp_saml_request WHERE expires_at < $1`,
			`DELETE FROM idp_saml_assertion WHERE expires_at < $1`,
			`DELETE FROM idp_upstream_request WHERE expires_at < $1`,
			`DELETE FROM idp_party WHERE expires_at < $1`,
		} {
			if _, err := tx.Exec(statement, before); err != nil {
				return fmt.Errorf("idpsql: purge: %w", err)
			}
		}
		return nil
	})
}

// EndAll removes whatever is good for somebody who holds it: requests, codes, access
// tokens and challenges. After an older state of the database was restored, those that
// were used since would be good again. What was used before stays known.
func EndAll(tx *sqldb.Tx) error {
	for _, statement := range []string{
		`DELETE FROM idp_pushed`,
		`DELETE FROM idp_code`,
		`DELETE FROM idp_access_token`,
		`DELETE FROM idp_challenge`,
		`DELETE FROM idp_saml_request`,
		`DELETE FROM idp_upstream_request`,
		`DELETE FROM idp_party`,
	} {
		if _, err := tx.Exec(statement); err != nil {
			return fmt.Errorf("idpsql: %w", err)
		}
	}
	return nil
}

// Write runs f in a transaction, for what is recorded without a change of ours.
func (s *Store) Write(ctx context.Context, f func(*sqldb.Tx) error) error { return s.db.Write(ctx, f) }

// changed says whether a statement changed exactly one row.
func changed(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func missing(err error) bool { return errors.Is(err, sqldb.ErrNoRows) }
