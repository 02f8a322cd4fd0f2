// Package token signs the provider's ID tokens and logout tokens, and publishes the keys.
//
// It owns the signing keys: one line of generations for each algorithm that a
// client uses, made, published, used and retired by themselves. It refuses to know
// what a token says and to whom. It guarantees that a key is published two days
// before it first signs (clients keep a key set for up to a day), that it stays
// published until everything it signed has expired, and that its private part is
// stored only sealed under the install's secret.
//
// Implements JWS (RFC 7515), JWK Set (RFC 7517) and key identifiers by thumbprint
// (RFC 7638), and the key rotation of OpenID Connect Core 1.0 §10.1.1.
package token

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/clock"
)

const (
	life    = 30 * 24 * time.Hour // a key signs for so long
	ahead   = 2 * 24 * time.Hour  // and is published so long before
	keep    = 7 * 24 * time.Hour  // and after: ID tokens come back as hints
	refresh = time.Minute         // between looks at what other nodes did
)

// Store keeps the keys; *idpsql.Store does.
type Store interface {
	SigningKeys(context.Context) ([]idpsql.SigningKey, error)
	AddSigningKey(context.Context, idpsql.SigningKey) error
}

// Keys signs. It is safe for concurrent use.
type Keys struct {
	store  Store
	sealer secret.Sealer
	now    clock.Clock
	log    *slog.Logger
	algs   []jose.SignatureAlgorithm

	mu  sync.Mutex // held by whoever refreshes
	set atomic.Pointer[set]
}

// set is what is known of the keys at one moment.
type set struct {
	read   time.Time
	keys   []key
	jwks   []byte
	public jose.JSONWebKeySet
}

type key struct {
	alg    jose.SignatureAlgorithm
	active time.Time
	kid    string
	secret crypto.Signer
	signer jose.Signer // of ordinary tokens, made once
	public jose.JSONWebKey
}

// typed signs tokens of a type (RFC 7515 §4.1.9).
func (k key) typed(typ jose.ContentType) (jose.Signer, error) {
	return jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: jose.JSONWebKey{Key: k.secret, KeyID: k.kid}}, (&jose.SignerOptions{}).WithType(typ))
}

// New makes or reads the keys for these algorithms.
func New(ctx context.Context, store Store, master *secret.Master, now clock.Clock, log *slog.Logger, algs []jose.SignatureAlgorithm) (*Keys, error) {
	k := &Keys{store: store, sealer: master.Sealer("signing key"), now: now, log: log, algs: algs}
	s, err := k.read(ctx)
	if err != nil {
		return nil, err
	}
	k.set.Store(s)
	return k, nil
}

// JWKS is the published key set as JSON.
func (k *Keys) JWKS(ctx context.Context) []byte { return k.current(ctx).jwks }

// Sign makes a signed JWT of claims with the algorithm's key of now.
func (k *Keys) Sign(ctx context.Context, alg jose.SignatureAlgorithm, claims any) (string, error) {
	return k.sign(ctx, alg, claims, func(own key) (jose.Signer, error) { return own.signer, nil })
}

// SignLogout is Sign for a logout token, whose type keeps it from being taken for
// anything else (OpenID Connect Back-Channel Logout 1.0 §2.4).
func (k *Keys) SignLogout(ctx context.Context, alg jose.SignatureAlgorithm, claims any) (string, error) {
	return k.sign(ctx, alg, claims, func(own key) (jose.Signer, error) { return own.typed("logout+jwt") })
}

func (k *Keys) sign(ctx context.Context, alg jose.SignatureAlgorithm, claims any, with func(key) (jose.Signer, error)) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	own, ok := k.current(ctx).signing(alg, k.now())
	if !ok {
		return "", fmt.Errorf("token: no key for %s", alg)
	}
	signer, err := with(own)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return jws.CompactSerialize()
}

// Verify reads the claims of a token that one of our published keys signed. Times
// and audience are the caller's to judge: a hint may be an expired token.
func (k *Keys) Verify(ctx context.Context, token string, claims any) error {
	parsed, err := jwt.ParseSigned(token, k.algs)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	h := parsed.Headers[0]
	for _, have := range k.current(ctx).keys {
		if have.kid == h.KeyID && string(have.alg) == h.Algorithm {
			return parsed.Claims(have.public.Key, claims)
		}
	}
	return errors.New("token: not signed by a key of ours")
}

// Hint is what an ID token of ours says when a client sends it back.
type Hint struct {
	Subject  string
	Audience []string
	SID      string
}

// Hint reads an ID token that a client sends back (id_token_hint). It may have
// expired; it must be ours, by key and by issuer.
func (k *Keys) Hint(ctx context.Context, hint string, issuers []string) (Hint, error) {
	var claims struct {
		jwt.Claims
		SID string `json:"sid"`
	}
	if err := k.Verify(ctx, hint, &claims); err != nil {
		return Hint{}, err
	}
	if !slices.Contains(issuers, claims.Issuer) {
		return Hint{}, errors.New("token: another issuer's")
	}
	return Hint{claims.Subject, claims.Audience, claims.SID}, nil
}

// signing is the newest key of alg that is active; before that, the one that will be.
func (s *set) signing(alg jose.SignatureAlgorithm, now time.Time) (key, bool) {
	var found key
	var ok bool
	for _, k := range s.keys {
		if k.alg == alg && (!ok || !k.active.After(now)) {
			found, ok = k, true
		}
	}
	return found, ok
}

// current is the set of keys, read anew once a minute by one of the callers. Where
// the database does not answer, the keys we know go on.
func (k *Keys) current(ctx context.Context) *set {
	s := k.set.Load()
	if age := k.now().Sub(s.read); age < refresh && age > -refresh {
		return s
	}
	if !k.mu.TryLock() {
		return s
	}
	defer k.mu.Unlock()
	fresh, err := k.read(ctx)
	if err != nil {
		k.log.Error("signing keys are not refreshed", "error", err)
		return s
	}
	k.set.Store(fresh)
	return fresh
}

func (k *Keys) read(ctx context.Context) (*set, error) {
	rows, err := k.store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	now := k.now()
	made := false
	for _, alg := range k.algs {
		generation, active, due := next(rows, alg, now)
		if !due {
			continue
		}
		if err := k.make(ctx, alg, generation, active); err != nil {
			return nil, err
		}
		made = true
	}
	if made { // read again: another node may have been first with its own
		if rows, err = k.store.SigningKeys(ctx); err != nil {
			return nil, err
		}
	}
	return k.assemble(rows, now)
}

// next says whether alg's next generation is due, and from when it is to sign.
func next(rows []idpsql.SigningKey, alg jose.SignatureAlgorithm, now time.Time) (generation int64, active time.Time, due bool) {
	last := idpsql.SigningKey{}
	for _, r := range rows {
		if r.Alg == string(alg) {
			last = r
		}
	}
	if last.KID == "" {
		return 1, now, true
	}
	end := last.ActiveAt.Add(life)
	if now.Before(end.Add(-ahead)) {
		return 0, time.Time{}, false
	}
	if soonest := now.Add(ahead); end.Before(soonest) { // nobody asked for long
		end = soonest
	}
	return last.Generation + 1, end, true
}

func (k *Keys) make(ctx context.Context, alg jose.SignatureAlgorithm, generation int64, active time.Time) error {
	private, err := generate(alg)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	plain, err := marshal(private)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	thumb, err := (&jose.JSONWebKey{Key: private.Public()}).Thumbprint(hash)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	kid := base64.RawURLEncoding.EncodeToString(thumb)
	sealed := k.sealer.Seal(plain, string(alg)+" "+kid)
	return k.store.AddSigningKey(ctx, idpsql.SigningKey{
		Alg: string(alg), Generation: generation, KID: kid,
		Sealed: base64.RawURLEncoding.EncodeToString(sealed), ActiveAt: active,
	})
}

// assemble opens the keys that are still of use and writes the set to publish.
func (k *Keys) assemble(rows []idpsql.SigningKey, now time.Time) (*set, error) {
	s := &set{read: now}
	for i, r := range rows {
		if retired(rows, i, now) || !slices.Contains(k.algs, jose.SignatureAlgorithm(r.Alg)) {
			continue
		}
		opened, err := k.open(r)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, opened)
		s.public.Keys = append(s.public.Keys, opened.public)
	}
	var err error
	if s.jwks, err = json.Marshal(s.public); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	return s, nil
}

// retired says whether row i stopped signing longer than keep ago.
func retired(rows []idpsql.SigningKey, i int, now time.Time) bool {
	if i+1 >= len(rows) || rows[i+1].Alg != rows[i].Alg {
		return false
	}
	return rows[i+1].ActiveAt.Add(keep).Before(now)
}

func (k *Keys) open(r idpsql.SigningKey) (key, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(r.Sealed)
	if err != nil {
		return key{}, fmt.Errorf("token: key %s: %w", r.KID, err)
	}
	plain, err := k.sealer.Open(sealed, r.Alg+" "+r.KID)
	if err != nil {
		return key{}, fmt.Errorf("token: key %s: %w", r.KID, err)
	}
	private, err := unmarshal(plain)
	if err != nil {
		return key{}, fmt.Errorf("token: key %s: %w", r.KID, err)
	}
	opened := key{
		alg: jose.SignatureAlgorithm(r.Alg), active: r.ActiveAt, kid: r.KID, secret: private,
		public: jose.JSONWebKey{Key: private.Public(), KeyID: r.KID, Algorithm: r.Alg, Use: "sig"},
	}
	if opened.signer, err = opened.typed("JWT"); err != nil {
		return key{}, fmt.Errorf("token: key %s: %w", r.KID, err)
	}
	return opened, nil
}
