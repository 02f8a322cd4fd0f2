package idpsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Assertion is a client assertion to be used up (RFC 7523 §3).
type Assertion struct {
	Client, JTI string
	Expires     time.Time
}

// ErrReplay is returned where a client assertion was used before.
var ErrReplay = errors.New("idpsql: the client assertion was used before")

// use inserts a; the primary key lets one of several through. A zero a is none.
func (a Assertion) use(tx *sqldb.Tx) (bool, error) {
	if a.Client == "" {
		return true, nil
	}
	return changed(tx.Exec(`INSERT INTO idp_assertion (client, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT (client, jti) DO NOTHING`,
		a.Client, Hash(a.JTI), sqldb.Micros(a.Expires)))
}

// Pushed is a pushed authorization request.
type Pushed struct {
	Handle     string // stored as its hash
	Client     string
	Parameters string
	Expires    time.Time
}

// Push stores p and uses a up; ErrReplay where a was used before.
func (s *Store) Push(ctx context.Context, p Pushed, a Assertion) error {
	var replay bool
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		first, err := a.use(tx)
		if replay = !first; err != nil || replay {
			return err
		}
		_, err = tx.Exec(`INSERT INTO idp_pushed (handle, client, parameters, expires_at) VALUES ($1, $2, $3, $4)`,
			Hash(p.Handle), p.Client, p.Parameters, sqldb.Micros(p.Expires))
		return err
	})
	if err != nil {
		return fmt.Errorf("idpsql: push: %w", err)
	}
	if replay {
		return ErrReplay
	}
	return nil
}

// Pushed returns a live request without using it up; false where there is none.
func (s *Store) Pushed(ctx context.Context, handle string) (Pushed, bool, error) {
	p := Pushed{Handle: handle}
	err := s.db.QueryRow(ctx, `SELECT client, parameters FROM idp_pushed WHERE handle = $1 AND expires_at > $2`, Hash(handle), sqldb.Micros(s.now())).
		Scan(&p.Client, &p.Parameters)
	if missing(err) {
		return Pushed{}, false, nil
	}
	if err != nil {
		return Pushed{}, false, fmt.Errorf("idpsql: pushed: %w", err)
	}
	return p, true, nil
}

// UsePushed uses a pushed request up; false where somebody was first.
func (s *Store) UsePushed(ctx context.Context, handle string) (bool, error) {
	var used bool
	err := s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		used, err = usePushed(tx, handle)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("idpsql: use pushed: %w", err)
	}
	return used, nil
}

func usePushed(tx *sqldb.Tx, handle string) (bool, error) {
	return changed(tx.Exec(`DELETE FROM idp_pushed WHERE handle = $1`, Hash(handle)))
}

// Code is an authorization code; Content is what it stands for.
type Code struct {
	Code    string // stored as its hash
	Client  string
	Session string // the session it was given in
	Content string
	Expires time.Time
}

// AddCode stores c and, where pushed is not "", uses that request up; false, and
// nothing stored, where somebody else used it. with is called in the same
// transaction for what must be recorded together; it may be nil.
func (s *Store) AddCode(ctx context.Context, c Code, pushed string, with func(*sqldb.Tx) error) (bool, error) {
	var added bool
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		added = false
		if pushed != "" {
			if first, err := usePushed(tx, pushed); err != nil || !first {
				return err
			}
		}
		added = true
		if _, err := tx.Exec(`INSERT INTO idp_code (code, client, session, content, expires_at) VALUES ($1, $2, $3, $4, $5)`,
			Hash(c.Code), c.Client, c.Session, c.Content, sqldb.Micros(c.Expires)); err != nil {
			return err
		}
		if with == nil {
			return nil
		}
		return with(tx)
	})
	if err != nil {
		return false, fmt.Errorf("idpsql: add code: %w", err)
	}
	return added, nil
}

// Token is an access token; Content is what it stands for.
type Token struct {
	Token   string // stored as its hash
	Session string // the session it was given in
	Content string
	Expires time.Time
}

// Redemption is one try to exchange a code.
type Redemption struct {
	Code      string
	Client    string
	Assertion Assertion // used up whatever becomes of the code; zero where there is none
	// Check says whether the code's content fits the try (redirect_uri, code_verifier,
	// issuer) and which token to give. It must be pure: it may run twice.
	Check func(content string) (Token, error)
}

// Why a code is not exchanged. All are invalid_grant to the client.
var (
	ErrNoCode   = errors.New("idpsql: no such code, or another client's, or expired")
	ErrCodeUsed = errors.New("idpsql: the code was used before; what it gave is revoked")
)

// Redeem exchanges a code once and returns what it stands for. A second use revokes
// the tokens of the first (RFC 6749 §4.1.2). A try by the code's own client that
// fails Check burns the code: whoever sends a wrong verifier holds a stolen code or
// had one injected. All of it, and the client assertion, in one transaction.
func (s *Store) Redeem(ctx context.Context, r Redemption) (content string, err error) {
	var refused error
	now := sqldb.Micros(s.now())
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		content, refused = "", nil
		first, err := r.Assertion.use(tx)
		if err != nil {
			return err
		}
		if !first {
			refused = ErrReplay
			return nil
		}
		content, refused, err = redeem(tx, r, now)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("idpsql: redeem: %w", err)
	}
	return content, refused
}

func redeem(tx *sqldb.Tx, r Redemption, now int64) (content string, refused, err error) {
	code := Hash(r.Code)
	var used sql.NullInt64
	var expires int64
	err = tx.QueryRow(`SELECT content, expires_at, used_at FROM idp_code WHERE code = $1 AND client = $2`, code, r.Client).Scan(&content, &expires, &used)
	switch {
	case missing(err):
		return "", ErrNoCode, nil
	case err != nil:
		return "", nil, err
	case used.Valid:
		return "", ErrCodeUsed, revoke(tx, code, now)
	case expires <= now:
		return "", ErrNoCode, nil
	}
	first, err := changed(tx.Exec(`UPDATE idp_code SET used_at = $1 WHERE code = $2 AND used_at IS NULL`, now, code))
	if err != nil {
		return "", nil, err
	}
	if !first { // PostgreSQL: another node's transaction came between
		return "", ErrCodeUsed, revoke(tx, code, now)
	}
	token, refused := r.Check(content)
	if refused != nil {
		return "", refused, nil
	}
	_, err = tx.Exec(`INSERT INTO idp_access_token (token, code, session, content, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		Hash(token.Token), code, token.Session, token.Content, sqldb.Micros(token.Expires))
	return content, nil, err
}

// revoke ends the tokens that a code gave.
func revoke(tx *sqldb.Tx, code string, now int64) error {
	_, err := tx.Exec(`UPDATE idp_access_token SET revoked_at = $1 WHERE code = $2 AND revoked_at IS NULL`, now, code)
	return err
}

// TokenContent returns what a live access token stands for; false where it is unknown,
// expired or revoked, or ends later than most from now: a clock that ran ahead gave it,
// and it would live for as long as that.
func (s *Store) TokenContent(ctx context.Context, token string, most time.Duration) (string, bool, error) {
	var content string
	now := s.now()
	err := s.db.QueryRow(ctx, `SELECT content FROM idp_access_token WHERE token = $1 AND expires_at > $2 AND expires_at <= $3 AND revoked_at IS NULL`,
		Hash(token), sqldb.Micros(now), sqldb.Micros(now.Add(most))).Scan(&content)
	if missing(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("idpsql: access token: %w", err)
	}
	return content, true, nil
}

// EndSession revokes every token that was given in a session, and burns its codes.
func (s *Store) EndSession(ctx context.Context, session string, with func(*sqldb.Tx) error) error {
	now := sqldb.Micros(s.now())
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`UPDATE idp_code SET used_at = $1 WHERE session = $2 AND used_at IS NULL`, now, session); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE idp_access_token SET revoked_at = $1 WHERE session = $2 AND revoked_at IS NULL`, now, session); err != nil {
			return err
		}
		if with == nil {
			return nil
		}
		return with(tx)
	})
	if err != nil {
		return fmt.Errorf("idpsql: end session: %w", err)
	}
	return nil
}
