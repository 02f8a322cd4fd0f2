package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/tsa"
)

const (
	// clockBack is how far the clock may stand before the newest audit entry:
	// several machines do not agree to the second.
	clockBack = 5 * time.Minute
	// clockTrust is how long the clock is believed after the time-stamping authority
	// has agreed with it, and clockPatience how long where it did not answer.
	clockTrust    = time.Hour
	clockPatience = 5 * time.Minute
)

// ticks is what the time-stamping authority has last made known of our clock.
type ticks struct {
	mu    sync.Mutex
	until time.Time // when to ask again
	wrong error     // it did not agree
}

// heard notes how a request for a stamp, sent by this clock, has ended.
func (t *ticks) heard(now time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.until, t.wrong = now.Add(clockTrust), nil
	case errors.Is(err, tsa.ErrTime):
		t.until, t.wrong = time.Time{}, err // asked again before each signature
	case t.wrong == nil:
		t.until = now.Add(clockPatience)
	}
}

// ask says whether the authority is to be asked before anything is signed: nothing is
// known, what is known is old, or the clock has been set back since.
func (t *ticks) ask(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !now.Before(t.until) || t.until.Sub(now) > clockTrust
}

func (t *ticks) doubt() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wrong
}

// checkClock refuses to sign with a clock that runs behind what was done already, or
// that differs from the time-stamping authority's: /M would be a lie. An authority
// that does not answer says nothing about it.
func (w *work) checkClock(ctx context.Context, key Key) error {
	last, err := w.Audit.Last(ctx, w.g.Commune)
	if err != nil {
		return err
	}
	now := w.Clock()
	if now.Before(last.Add(-clockBack)) {
		return fault.New(fault.Unreachable, "seal.clock", fmt.Errorf("seal: the clock says %v, the audit log has an entry of %v", now, last))
	}
	if !signing.Reaches(key.Level, signing.LevelBT) {
		return nil
	}
	if w.ticks.ask(now) {
		nothing := make([]byte, 32)
		rand.Read(nothing)
		_, err := w.Stamper.Stamp(ctx, signing.ImprintOf(w.stampHash(), nothing))
		w.ticks.heard(w.Clock(), err)
	}
	if err := w.ticks.doubt(); err != nil {
		return fault.New(fault.Unreachable, "seal.clock", fmt.Errorf("seal: the clock says %v, the time-stamping authority something else: %w", now, err))
	}
	return nil
}
