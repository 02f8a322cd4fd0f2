package idpsql

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Challenge is a nonce given to a browser for one purpose.
type Challenge struct {
	Nonce   string // as the card signs it; stored as its hash
	Purpose string // "login": a challenge of one purpose never completes another
	Login   string // the login request it was given for
	Browser string // hash of the browser's pre-login cookie
	Expires time.Time
}

// Consumption is what became of a challenge.
type Consumption int

const (
	Consumed    Consumption = iota // this call was the first and only use
	Unknown                        // never given, or for another purpose or login
	OtherHolder                    // given to another browser; it is not used up
	UsedBefore
	TooLate
)

// AddChallenge stores c.
func (s *Store) AddChallenge(ctx context.Context, c Challenge) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO idp_challenge (nonce, purpose, login, browser, expires_at) VALUES ($1, $2, $3, $4, $5)`,
			Hash(c.Nonce), c.Purpose, c.Login, c.Browser, sqldb.Micros(c.Expires))
		return err
	})
	if err != nil {
		return fmt.Errorf("idpsql: add challenge: %w", err)
	}
	return nil
}

// UseChallenge consumes c (its Expires is not looked at). Of any number of calls for
// one challenge at most one is told Consumed: the UPDATE's own condition decides.
func (s *Store) UseChallenge(ctx context.Context, c Challenge) (Consumption, error) {
	var outcome Consumption
	now := sqldb.Micros(s.now())
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		used, err := changed(tx.Exec(`UPDATE idp_challenge SET used_at = $1
			WHERE nonce = $2 AND purpose = $3 AND login = $4 AND browser = $5 AND expires_at > $1 AND used_at IS NULL`,
			now, Hash(c.Nonce), c.Purpose, c.Login, c.Browser))
		if err != nil || used {
			outcome = Consumed
			return err
		}
		outcome, err = whyNot(tx, c)
		return err
	})
	if err != nil {
		return Unknown, fmt.Errorf("idpsql: use challenge: %w", err)
	}
	return outcome, nil
}

func whyNot(tx *sqldb.Tx, c Challenge) (Consumption, error) {
	var purpose, login, browser string
	var used sql.NullInt64
	err := tx.QueryRow(`SELECT purpose, login, browser, used_at FROM idp_challenge WHERE nonce = $1`, Hash(c.Nonce)).
		Scan(&purpose, &login, &browser, &used)
	switch {
	case missing(err):
		return Unknown, nil
	case err != nil:
		return Unknown, err
	case browser != c.Browser:
		return OtherHolder, nil
	case purpose != c.Purpose || login != c.Login:
		return Unknown, nil
	case used.Valid:
		return UsedBefore, nil
	}
	return TooLate, nil
}
