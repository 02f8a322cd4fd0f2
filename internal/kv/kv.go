// Package kv keeps small values for a limited time: sessions, limits, caches.
//
// It owns the store's contract and its implementation in SQL; a Redis one can
// stand beside it under the same suite (kvtest). It refuses to hold a legal fact:
// codes, nonces and SAML identifiers are consumed in SQL by those who own them.
// It guarantees that an expired value is never returned and that of many who
// Take one value exactly one has it.
package kv

import (
	"context"
	"errors"
	"time"
)

// ErrMissing means that there is no such value, or no longer.
var ErrMissing = errors.New("no such value, or it has expired")

// Store keeps values. It is safe for concurrent use. A ttl is positive. When the
// store cannot be reached every method fails: callers refuse, they do not guess.
type Store interface {
	// Put keeps v under key for ttl, in place of what was there.
	Put(ctx context.Context, key string, v []byte, ttl time.Duration) error
	// Get returns the value; ErrMissing.
	Get(ctx context.Context, key string) ([]byte, error)
	// Take returns the value and removes it, in one step; ErrMissing.
	Take(ctx context.Context, key string) ([]byte, error)
	// Delete removes the value, if it is there.
	Delete(ctx context.Context, key string) error
	// Incr counts from 1 in a window that begins with the first call and lasts
	// ttl. Counters are apart from values.
	Incr(ctx context.Context, key string, ttl time.Duration) (int64, error)
}
