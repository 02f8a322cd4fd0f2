// Package session remembers who is signed in at a commune's portal.
//
// It owns the portal's own session: what the sign-in said about a person, kept
// sealed in kv under the hash of a secret that only the browser has. It refuses to
// know HTTP, the provider and what a person may do. It guarantees that
//
//   - a secret of one commune opens nothing at another (threat T16),
//   - who reads the store sees neither names nor numbers: values are sealed with
//     AES-256-GCM under a key derived from the install's, bound to their place,
//   - a session ends after Idle without a request and after Whole in any case,
//   - a person finds every open session of theirs, and can end it, without its secret
//     being kept anywhere; nobody else's is among them,
//   - what has ended stays ended: a request that was under way at sign-out writes
//     when it was seen, never the session again (threat T24); nor does one that
//     begins late under a sign-in which the provider has ended meanwhile.
package session

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/kv"
)

const (
	Idle  = 30 * time.Minute // without a request
	Whole = 8 * time.Hour    // in any case

	touchAfter = time.Minute // how stale Seen may get before it is written again
)

// Session is one person's stay at one commune's portal.
type Session struct {
	Commune    commune.ID
	Subject    string   // the commune's pairwise name for the person
	Former     []string // other names that were found to be the same person's
	GivenNames string
	Surname    string
	Number     eid.NationalNumber // zero where the commune has no authorisation
	BirthDate  string             // "" where the provider does not know it
	Address    string             // as written on the card; "" where its holder did not have it read
	ACR        string
	AuthTime   time.Time // when the person was asked
	SessionID  string    // at the provider
	IDToken    string    // for the sign-out
	Began      time.Time
	Seen       time.Time // the request before this one, to the minute
}

// Name is the person's name as pages show it.
func (s *Session) Name() string {
	return eid.Citizen{GivenNames: s.GivenNames, Surname: s.Surname}.Name()
}

// Subjects are all names by which the commune may know the person, today's first.
func (s *Session) Subjects() []string { return append([]string{s.Subject}, s.Former...) }

// Store keeps sessions, and small things that belong to one session.
type Store struct {
	kv    kv.Store
	aead  cipher.AEAD
	index []byte // key that hides whose the rows of sessions are
	now   clock.Clock
}

// NewStore derives its key from the install's key, which is 32 bytes.
func NewStore(store kv.Store, installKey []byte, now clock.Clock) (*Store, error) {
	if len(installKey) != 32 {
		return nil, fmt.Errorf("session: the install key has %d bytes, not 32", len(installKey))
	}
	key, err := hkdf.Key(sha256.New, installKey, nil, "belfry portal session", 32)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	index, err := indexKey(installKey)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return &Store{kv: store, aead: aead, index: index, now: now}, nil
}

// ErrNone says that there is no such session, or no longer.
var ErrNone = errors.New("session: none")

// Create begins a session and returns the browser's new secret.
func (st *Store) Create(ctx context.Context, s Session, on Device) (string, error) {
	s.Began = st.now()
	secret := rand.Text() + rand.Text()
	if err := st.enter(ctx, s, place(s.Commune, secret, ""), on); err != nil { // before: no session is open that its person does not find
		return "", err
	}
	if err := st.seal(ctx, place(s.Commune, secret, ""), recordOf(s), Whole+time.Minute); err != nil {
		return "", err
	}
	return secret, st.touch(ctx, s.Commune, secret)
}

func (st *Store) touch(ctx context.Context, c commune.ID, secret string) error {
	return st.seal(ctx, place(c, secret, "seen"), st.now(), Idle+touchAfter)
}

// Get returns the session of a secret at this commune. Used is to be called once it
// is known that the request may go on in it.
func (st *Store) Get(ctx context.Context, c commune.ID, secret string) (*Session, error) {
	if secret == "" || len(secret) > 100 {
		return nil, ErrNone
	}
	return st.read(ctx, c, place(c, secret, ""))
}

// read is the session at a place in kv.
func (st *Store) read(ctx context.Context, c commune.ID, at string) (*Session, error) {
	var kept record
	if err := st.open(ctx, at, &kept); err != nil {
		return nil, err
	}
	s, err := kept.session(c)
	if err != nil {
		return nil, err
	}
	if err := st.ended(ctx, c, s.SessionID); err != nil {
		return nil, err
	}
	if err := st.open(ctx, at+"/seen", &s.Seen); err != nil {
		return nil, err
	}
	now := st.now()
	// What is to begin after a whole session was begun by a clock that ran ahead, and would outlive its limits.
	if now.Sub(s.Seen) > Idle || now.Sub(s.Began) > Whole || s.Began.Sub(now) > Whole {
		return nil, ErrNone
	}
	return s, nil
}

// Used notes that session s of a secret is in use; s.Seen stays the request before.
func (st *Store) Used(ctx context.Context, secret string, s *Session) error {
	// A clock that was set back has a session begin its idle time anew, and ends none.
	if since := st.now().Sub(s.Seen); 0 <= since && since < touchAfter {
		return nil
	}
	return st.touch(ctx, s.Commune, secret)
}

// End forgets a session. What was kept for it runs out by itself; nobody can name it any more.
func (st *Store) End(ctx context.Context, c commune.ID, secret string) error {
	if secret == "" {
		return nil
	}
	return st.kv.Delete(ctx, place(c, secret, ""))
}

// EndAll ends every session that the provider's session of this name has begun or may
// still begin: its codes may be under way.
func (st *Store) EndAll(ctx context.Context, c commune.ID, providers string) error {
	if err := st.kv.Put(ctx, endedPlace(c, providers), []byte{1}, Whole+time.Minute); err != nil {
		return fmt.Errorf("session: end: %w", err)
	}
	return nil
}

// ended is ErrNone where the provider has ended its session.
func (st *Store) ended(ctx context.Context, c commune.ID, providers string) error {
	if providers == "" {
		return nil
	}
	_, err := st.kv.Get(ctx, endedPlace(c, providers))
	switch {
	case errors.Is(err, kv.ErrMissing):
		return nil
	case err != nil:
		return fmt.Errorf("session: read: %w", err)
	}
	return ErrNone
}

func endedPlace(c commune.ID, providers string) string {
	sum := sha256.Sum256([]byte(providers))
	return "session-ended/" + string(c) + "/" + hex.EncodeToString(sum[:])
}

// Keep stores v (as JSON, sealed) under a name of this session, as long as one idle session lasts.
func (st *Store) Keep(ctx context.Context, c commune.ID, secret, name string, v any) error {
	return st.seal(ctx, place(c, secret, name), v, 2*Idle)
}

// Kept reads back into v what Keep stored; ErrNone where there is nothing.
func (st *Store) Kept(ctx context.Context, c commune.ID, secret, name string, v any) error {
	return st.open(ctx, place(c, secret, name), v)
}

// Carry keeps for the session of one secret what was kept for that of another; it is for
// the caller to know that both are one person's. Nothing happens where there is nothing.
func (st *Store) Carry(ctx context.Context, c commune.ID, from, to, name string) error {
	var v json.RawMessage
	err := st.Kept(ctx, c, from, name, &v)
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	return st.Keep(ctx, c, to, name, v)
}

// record is the stored form; it alone reveals the number, and only under the seal.
type record struct {
	Commune    commune.ID `json:"commune"`
	Subject    string     `json:"sub"`
	Former     []string   `json:"former,omitempty"`
	GivenNames string     `json:"given"`
	Surname    string     `json:"family"`
	Number     string     `json:"number,omitempty"`
	BirthDate  string     `json:"birth,omitempty"`
	Address    string     `json:"address,omitempty"`
	ACR        string     `json:"acr"`
	AuthTime   time.Time  `json:"auth"`
	SessionID  string     `json:"sid"`
	IDToken    string     `json:"id"`
	Began      time.Time  `json:"began"`
}

func recordOf(s Session) record {
	return record{s.Commune, s.Subject, s.Former, s.GivenNames, s.Surname, s.Number.Reveal(), s.BirthDate, s.Address, s.ACR, s.AuthTime, s.SessionID, s.IDToken, s.Began}
}

func (r record) session(c commune.ID) (*Session, error) {
	if r.Commune != c {
		return nil, ErrNone
	}
	s := &Session{Commune: r.Commune, Subject: r.Subject, Former: r.Former, GivenNames: r.GivenNames, Surname: r.Surname, BirthDate: r.BirthDate, Address: r.Address, ACR: r.ACR, AuthTime: r.AuthTime, SessionID: r.SessionID, IDToken: r.IDToken, Began: r.Began}
	if r.Number == "" {
		return s, nil
	}
	n, err := eid.ParseNationalNumber(r.Number)
	if err != nil {
		return nil, errors.New("session: the kept number is malformed")
	}
	s.Number = n
	return s, nil
}

func (st *Store) seal(ctx context.Context, key string, v any, ttl time.Duration) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	if err := st.kv.Put(ctx, key, st.aead.Seal(nil, nil, plain, []byte(key)), ttl); err != nil {
		return fmt.Errorf("session: keep: %w", err)
	}
	return nil
}

func (st *Store) open(ctx context.Context, key string, v any) error {
	sealed, err := st.kv.Get(ctx, key)
	if errors.Is(err, kv.ErrMissing) {
		return ErrNone
	}
	if err != nil {
		return fmt.Errorf("session: read: %w", err)
	}
	plain, err := st.aead.Open(nil, nil, sealed, []byte(key))
	if err != nil {
		return ErrNone // sealed under another install key: everybody signs in again
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("session: read: %w", err)
	}
	return nil
}

// place is the key in kv: the secret itself is never stored.
func place(c commune.ID, secret, name string) string {
	sum := sha256.Sum256([]byte(secret))
	key := "session/" + string(c) + "/" + hex.EncodeToString(sum[:])
	if name != "" {
		key += "/" + name
	}
	return key
}
