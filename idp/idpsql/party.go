package idpsql

import (
	"context"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Party is a client that was given a code in a session and is to be told of its end.
type Party struct {
	ID      string // random
	Session string
	Client  string
	Issuer  string // under which the person signed in
	Subject string // by which the client knows them
	Expires time.Time
}

// AddParty remembers a party in the transaction of the code it is given. Of one session,
// client and issuer there is one row, which stays as long as the last code asks for.
func AddParty(tx *sqldb.Tx, p Party) error {
	_, err := tx.Exec(`INSERT INTO idp_party (id, session, client, issuer, subject, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (session, client, issuer) DO UPDATE SET expires_at = excluded.expires_at`,
		p.ID, p.Session, p.Client, p.Issuer, p.Subject, sqldb.Micros(p.Expires))
	if err != nil {
		return fmt.Errorf("idpsql: add party: %w", err)
	}
	return nil
}

// Parties are those of a session.
func Parties(tx *sqldb.Tx, session string) ([]Party, error) {
	rows, err := tx.Query(`SELECT id, session, client, issuer, subject, expires_at FROM idp_party WHERE session = $1 ORDER BY id`, session)
	if err != nil {
		return nil, fmt.Errorf("idpsql: parties: %w", err)
	}
	defer rows.Close()
	var list []Party
	for rows.Next() {
		p, err := scanParty(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// Party returns one of them; false where it was told, or is of no interest any more.
func (s *Store) Party(ctx context.Context, id string) (Party, bool, error) {
	p, err := scanParty(s.db.QueryRow(ctx, `SELECT id, session, client, issuer, subject, expires_at FROM idp_party WHERE id = $1 AND expires_at > $2`, id, sqldb.Micros(s.now())))
	if missing(err) {
		return Party{}, false, nil
	}
	return p, err == nil, err
}

// Told forgets a party.
func (s *Store) Told(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM idp_party WHERE id = $1`, id); err != nil {
			return fmt.Errorf("idpsql: told: %w", err)
		}
		return nil
	})
}

func scanParty(row interface{ Scan(...any) error }) (Party, error) {
	var p Party
	var expires int64
	if err := row.Scan(&p.ID, &p.Session, &p.Client, &p.Issuer, &p.Subject, &expires); err != nil {
		return Party{}, fmt.Errorf("idpsql: party: %w", err)
	}
	p.Expires = sqldb.FromMicros(expires)
	return p, nil
}
