// Package clock makes time an argument.
//
// It owns nothing but the type: whatever compares, stores or prints a time takes
// a Clock, so that tests can stand at any instant. It refuses to know time zones
// and calendars.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time.
type Clock func() time.Time

// System is the machine's clock, in UTC and without the monotonic part, cut to
// microseconds: what the databases store is what the program compares.
func System() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// At is a clock that stands still.
func At(t time.Time) Clock { return func() time.Time { return t } }

// Hand is a clock moved by hand, for tests. Its zero value stands at the zero time.
type Hand struct {
	mu sync.Mutex
	t  time.Time
}

// NewHand returns a hand-moved clock that stands at t.
func NewHand(t time.Time) *Hand { return &Hand{t: t.UTC()} }

// Now returns where the clock stands; h.Now is a Clock.
func (h *Hand) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.t
}

// Add moves the clock by d, backwards where d is negative.
func (h *Hand) Add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.t = h.t.Add(d)
}
