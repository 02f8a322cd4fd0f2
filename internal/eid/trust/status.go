package trust

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"
)

// statement is what a responder or a revocation list says about one certificate.
type statement struct {
	revoked bool
	from    time.Time // thisUpdate
	next    time.Time // nextUpdate; zero where it says none
	until   time.Time // until when it serves without asking again
}

// Clocks of responders and ours differ a little.
const skew = 5 * time.Minute

// fresh says why s cannot speak about cert now, or nil.
func (v *Verifier) fresh(s statement, cert *x509.Certificate, now time.Time) error {
	if s.from.After(now.Add(skew)) {
		return fmt.Errorf("made in the future, at %s", s.from.Format(time.RFC3339))
	}
	if !s.next.IsZero() && !now.Before(s.next) {
		return fmt.Errorf("out of date since %s", s.next.Format(time.RFC3339))
	}
	// What a root says, of a CA or of the Register, is published months ahead; what is said of a
	// card must be recent.
	if (!v.ofRoot(cert) || s.next.IsZero()) && now.Sub(s.from) > v.maxAge {
		return fmt.Errorf("made at %s, too long ago", s.from.Format(time.RFC3339))
	}
	return nil
}

func (v *Verifier) ofRoot(cert *x509.Certificate) bool { return cert.IsCA || v.isRegistry(cert) }

// keep sets how long s, which is fresh now, serves.
func (v *Verifier) keep(s statement, cert *x509.Certificate, now time.Time) statement {
	s.until = now.Add(v.reuse)
	if v.ofRoot(cert) {
		s.until = now.Add(v.maxAge)
	} else if old := s.from.Add(v.maxAge); old.Before(s.until) {
		s.until = old
	}
	if !s.next.IsZero() && s.next.Before(s.until) {
		s.until = s.next
	}
	return s
}

// status refuses cert unless somebody vouches for it now: its OCSP responder, or
// where that does not answer properly, its issuer's revocation list. Silence is
// never taken for consent (threat T20).
func (v *Verifier) status(ctx context.Context, cert, ca *x509.Certificate, now time.Time) error {
	key := sha256.Sum256(cert.Raw)
	s, ok := v.statements.get(key)
	if !ok || !now.Before(s.until) {
		// Many logins wait for the same CA's status after a start; one asks.
		defer v.turns.take(string(key[:]))()
		if s, ok = v.statements.get(key); !ok || !now.Before(s.until) {
			var err error
			if s, err = v.ask(ctx, cert, ca, now); err != nil {
				return err
			}
			s = v.keep(s, cert, now)
			v.statements.put(key, s)
		}
	}
	if s.revoked {
		return because(ErrRevoked, "revoked or not known to its issuer (CA: %v)", cert.IsCA)
	}
	return nil
}

func (v *Verifier) ask(ctx context.Context, cert, ca *x509.Certificate, now time.Time) (statement, error) {
	s, ocspErr := v.askResponder(ctx, cert, ca, now)
	if ocspErr == nil {
		return s, nil
	}
	s, crlErr := v.lookUp(ctx, cert, ca, now)
	if crlErr == nil {
		return s, nil
	}
	return statement{}, because(ErrResponderDown, "no status (CA: %v): %w", cert.IsCA,
		errors.Join(fmt.Errorf("OCSP: %w", ocspErr), fmt.Errorf("CRL: %w", crlErr)))
}

// recent is a bounded memory by SHA-256: when one half is full the other is forgotten.
type recent[T any] struct {
	mu       sync.Mutex
	now, old map[[32]byte]T
}

const recentHalf = 20_000

func (r *recent[T]) get(key [32]byte) (T, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.now[key]; ok {
		return v, true
	}
	v, ok := r.old[key]
	return v, ok
}

func (r *recent[T]) put(key [32]byte, v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil || len(r.now) >= recentHalf {
		r.old, r.now = r.now, map[[32]byte]T{}
	}
	r.now[key] = v
}

func (r *recent[T]) forget(key [32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.now, key)
	delete(r.old, key)
}

// turns lets one at a time do what others would only repeat.
type turns struct {
	mu sync.Mutex
	m  map[string]*turn
}

type turn struct {
	mu      sync.Mutex
	waiting int
}

// take waits for the turn of key and returns what ends it.
func (t *turns) take(key string) (done func()) {
	t.mu.Lock()
	if t.m == nil {
		t.m = map[string]*turn{}
	}
	one := t.m[key]
	if one == nil {
		one = &turn{}
		t.m[key] = one
	}
	one.waiting++
	t.mu.Unlock()
	one.mu.Lock()
	return func() {
		one.mu.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.waiting--; one.waiting == 0 {
			delete(t.m, key)
		}
	}
}
