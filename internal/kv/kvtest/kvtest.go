// Package kvtest is the suite every kv.Store passes.
package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/kv"
)

// Run checks the store that open returns. Its time is the clock's, which the
// suite moves; pass is called with each move, for a store that must be told.
func Run(t *testing.T, open func(*testing.T, clock.Clock) kv.Store, pass func(time.Duration)) {
	ctx := context.Background()
	hand := clock.NewHand(time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC))
	s := open(t, hand.Now)
	move := func(d time.Duration) {
		hand.Add(d)
		if pass != nil {
			pass(d)
		}
	}
	get := func(t *testing.T, key string, want []byte) {
		t.Helper()
		got, err := s.Get(ctx, key)
		if want == nil && !errors.Is(err, kv.ErrMissing) {
			t.Errorf("Get(%q) = %q, %v; want ErrMissing", key, got, err)
		}
		if want != nil && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("Get(%q) = %q, %v; want %q", key, got, err, want)
		}
	}
	put := func(t *testing.T, key string, v []byte, ttl time.Duration) {
		t.Helper()
		if err := s.Put(ctx, key, v, ttl); err != nil {
			t.Fatalf("Put(%q): %v", key, err)
		}
	}

	t.Run("values", func(t *testing.T) {
		get(t, "v", nil)
		put(t, "v", []byte{0, 1, 255}, time.Minute)
		get(t, "v", []byte{0, 1, 255})
		put(t, "v", []byte("other"), time.Minute)
		get(t, "v", []byte("other"))
		put(t, "empty", nil, time.Minute)
		get(t, "empty", []byte{})
		if err := s.Delete(ctx, "v"); err != nil {
			t.Error(err)
		}
		if err := s.Delete(ctx, "v"); err != nil {
			t.Errorf("Delete of nothing: %v", err)
		}
		get(t, "v", nil)
	})
	t.Run("lifetimes", func(t *testing.T) {
		put(t, "short", []byte("s"), time.Minute)
		put(t, "long", []byte("l"), time.Hour)
		move(59 * time.Second)
		get(t, "short", []byte("s"))
		move(2 * time.Second)
		get(t, "short", nil)
		get(t, "long", []byte("l"))
		if _, err := s.Take(ctx, "short"); !errors.Is(err, kv.ErrMissing) {
			t.Errorf("Take of an expired value: %v", err)
		}
		put(t, "short", []byte("again"), time.Minute)
		get(t, "short", []byte("again"))
		if s.Put(ctx, "never", []byte("x"), 0) == nil {
			t.Error("a value without lifetime was accepted")
		}
	})
	t.Run("take", func(t *testing.T) {
		put(t, "once", []byte("x"), time.Minute)
		if v, err := s.Take(ctx, "once"); err != nil || string(v) != "x" {
			t.Errorf("Take: %q, %v", v, err)
		}
		if _, err := s.Take(ctx, "once"); !errors.Is(err, kv.ErrMissing) {
			t.Errorf("Take again: %v", err)
		}
	})
	t.Run("one of many takes", func(t *testing.T) {
		const values, racers = 20, 10
		var taken atomic.Int64
		var wg sync.WaitGroup
		for i := range values {
			key := fmt.Sprint("race-", i)
			put(t, key, []byte(key), time.Minute)
			for range racers {
				wg.Go(func() {
					v, err := s.Take(ctx, key)
					switch {
					case err == nil && string(v) == key:
						taken.Add(1)
					case !errors.Is(err, kv.ErrMissing):
						t.Errorf("Take(%s): %q, %v", key, v, err)
					}
				})
			}
		}
		wg.Wait()
		if taken.Load() != values {
			t.Errorf("%d values were taken %d times", values, taken.Load())
		}
	})
	t.Run("counters", func(t *testing.T) {
		incr := func(want int64) {
			t.Helper()
			if n, err := s.Incr(ctx, "c", time.Minute); err != nil || n != want {
				t.Errorf("Incr: %d, %v; want %d", n, err, want)
			}
		}
		incr(1)
		move(40 * time.Second)
		incr(2)
		move(19 * time.Second)
		incr(3) // the window is that of the first call
		move(2 * time.Second)
		incr(1)
		get(t, "c", nil)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := s.Incr(ctx, "many", time.Minute); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n, err := s.Incr(ctx, "many", time.Minute); err != nil || n != 51 {
			t.Errorf("after 50 at once: %d, %v", n, err)
		}
		if _, err := s.Incr(ctx, "never", 0); err == nil {
			t.Error("a counter without lifetime was accepted")
		}
	})
}
