// Package session remembers who is signed in at this provider, in which browser.
//
// It owns the provider's own session: one per browser, for all communes of the
// install, with what a later question may need (when, by which method, what an
// upstream said). It refuses to know clients, levels of assurance and person
// records: those are worked out for each commune that asks. It
// guarantees that a sign-in gets an identifier nobody knew before it (no
// fixation), that the store holds neither the cookie nor a name in clear, and
// that a session ends when idle too long or too old, whatever is done in it, and
// that a request which was under way at sign-out does not bring it back.
package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/web"
)

// Cookie is the name of the session's cookie, before the prefix that web gives it on https.
const Cookie = "belfry-id"

// touch is how often the use of an active session is noted.
const touch = time.Minute

// seen ends the key under which it is noted.
const seen = "/seen"

// Session is one sign-in.
type Session struct {
	ID       string     // random; no client ever sees it, only what is derived from it
	Login    string     // the login request that made it
	Commune  commune.ID // whose application that was for
	Citizen  eid.Citizen
	Issuer   string // of the account elsewhere that was shown, "" for a card
	Subject  string // and who that issuer says it is
	Method   string // name of the method
	Upstream string // the raw level another service stated
	AMR      []string
	At       time.Time // when the citizen proved who they are: auth_time
	// Address is from the card, and AddressFor the one client that its holder agreed to give
	// it to; zero where they did not.
	Address    eid.Address
	AddressFor string
}

// Limits of a session.
type Limits struct {
	Idle     time.Duration // how long it lasts unused, 15 minutes where 0
	Absolute time.Duration // how long it lasts at all, 8 hours where 0
}

// Config of New. All but the limits must be set.
type Config struct {
	KV     kv.Store
	Secret *secret.Master
	Clock  clock.Clock
	Limits
}

// Sessions is the store of sessions.
type Sessions struct {
	Config
	sealer secret.Sealer
}

// New returns the store.
func New(cfg Config) *Sessions {
	if cfg.Idle == 0 {
		cfg.Idle = 15 * time.Minute
	}
	if cfg.Absolute == 0 {
		cfg.Absolute = 8 * time.Hour
	}
	return &Sessions{Config: cfg, sealer: cfg.Secret.Sealer("session")}
}

// stored is how a session lies sealed in the store. The number is written out here
// and nowhere else.
type stored struct {
	ID, Login, Commune, Number, GivenNames, Surname, Method, Upstream string
	Foreigner                                                         bool
	Issuer, Subject, BirthDate                                        string
	AMR                                                               []string
	At                                                                time.Time
	Address                                                           eid.Address
	AddressFor                                                        string
}

// Start signs s in at this browser: a new cookie and a new ID, and whatever session
// the browser had is over. It returns the session as stored.
func (ss *Sessions) Start(w http.ResponseWriter, r *http.Request, s Session) (Session, error) {
	if old := web.Cookie(r, Cookie); old != "" {
		if err := ss.KV.Delete(r.Context(), key(old)); err != nil {
			return Session{}, unreachable(err)
		}
	}
	now := ss.Clock()
	s.ID = rand.Text()
	if s.At.IsZero() || s.At.After(now) { // another service may say that it asked earlier
		s.At = now
	}
	handle := web.NewSecret()
	if err := ss.put(r.Context(), handle, s); err != nil {
		return Session{}, err
	}
	if err := ss.touch(r.Context(), handle, now); err != nil {
		return Session{}, err
	}
	web.SetCookie(w, r, Cookie, handle, 0)
	return s, nil
}

// Current is the browser's session; nil where nobody is signed in.
func (ss *Sessions) Current(r *http.Request) (*Session, error) {
	handle := web.Cookie(r, Cookie)
	if handle == "" {
		return nil, nil
	}
	sealed, err := ss.KV.Get(r.Context(), key(handle))
	if errors.Is(err, kv.ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, unreachable(err)
	}
	s, err := ss.open(sealed, key(handle))
	if err != nil {
		return nil, err
	}
	noted, err := ss.KV.Get(r.Context(), key(handle)+seen)
	if errors.Is(err, kv.ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, unreachable(err)
	}
	var last time.Time
	if err := last.UnmarshalText(noted); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	now := ss.Clock()
	// What is to begin after a whole session was begun by a clock that ran ahead, and would outlive its limits.
	if now.Sub(last) >= ss.Idle || now.Sub(s.At) >= ss.Absolute || s.At.Sub(now) >= ss.Absolute {
		return nil, nil
	}
	// A clock that was set back has a session begin its idle time anew, and ends none.
	if since := now.Sub(last); since >= touch || since < 0 {
		if err := ss.touch(r.Context(), handle, now); err != nil {
			return nil, err
		}
	}
	return &s, nil
}

// End signs the browser out.
func (ss *Sessions) End(w http.ResponseWriter, r *http.Request) error {
	handle := web.Cookie(r, Cookie)
	if handle == "" {
		return nil
	}
	if err := ss.KV.Delete(r.Context(), key(handle)); err != nil {
		return unreachable(err)
	}
	web.ClearCookie(w, r, Cookie)
	return nil
}

// touch notes when the session was in use: beside it, so that it never writes the
// session itself again.
func (ss *Sessions) touch(ctx context.Context, handle string, now time.Time) error {
	text, err := now.MarshalText()
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	if err := ss.KV.Put(ctx, key(handle)+seen, text, ss.Idle); err != nil {
		return unreachable(err)
	}
	return nil
}

func (ss *Sessions) put(ctx context.Context, handle string, s Session) error {
	plain, err := json.Marshal(stored{
		ID: s.ID, Login: s.Login, Commune: string(s.Commune), Number: s.Citizen.Number.Reveal(), GivenNames: s.Citizen.GivenNames, Surname: s.Citizen.Surname,
		Foreigner: s.Citizen.Foreigner, BirthDate: s.Citizen.BirthDate, Issuer: s.Issuer, Subject: s.Subject, Method: s.Method, Upstream: s.Upstream, AMR: s.AMR, At: s.At,
		Address: s.Address, AddressFor: s.AddressFor,
	})
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	if err := ss.KV.Put(ctx, key(handle), ss.sealer.Seal(plain, key(handle)), ss.Absolute); err != nil {
		return unreachable(err)
	}
	return nil
}

func (ss *Sessions) open(sealed []byte, context string) (Session, error) {
	plain, err := ss.sealer.Open(sealed, context)
	if err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	var v stored
	if err := json.Unmarshal(plain, &v); err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	who := eid.Citizen{GivenNames: v.GivenNames, Surname: v.Surname, Foreigner: v.Foreigner, BirthDate: v.BirthDate}
	if v.Number != "" {
		if who.Number, err = eid.ParseNationalNumber(v.Number); err != nil {
			return Session{}, fmt.Errorf("session: %w", err)
		}
	}
	return Session{
		ID: v.ID, Login: v.Login, Commune: commune.ID(v.Commune), Issuer: v.Issuer, Subject: v.Subject, Method: v.Method, Upstream: v.Upstream, AMR: v.AMR, At: v.At, Citizen: who,
		Address: v.Address, AddressFor: v.AddressFor,
	}, nil
}

// key is where the session of a cookie lies: its hash, so that who reads the store cannot use it.
func key(handle string) string {
	sum := sha256.Sum256([]byte(handle))
	return "idp:session:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// unreachable: without its store nobody is signed in, and nobody is taken for somebody.
func unreachable(err error) error {
	return fault.New(fault.Unreachable, "idp.error_store", fmt.Errorf("session: %w", err))
}
