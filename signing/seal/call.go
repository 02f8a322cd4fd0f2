package seal

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
	"sync"
	"time"
)

// callsMax is how many calls of one key may be under way. A token that hangs
// keeps its callers; once all places are taken nobody else is sent after them.
const callsMax = 8

// slots are the places for calls of one key.
type slots struct{ c chan struct{} }

type slot struct{ s *slots }

func newSlots() *slots { return &slots{make(chan struct{}, callsMax)} }

func (s *slots) take(ctx context.Context, patience time.Duration) (slot, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case s.c <- struct{}{}:
		return slot{s}, nil
	case <-ctx.Done():
		return slot{}, ctx.Err()
	case <-timer.C:
		return slot{}, fmt.Errorf("%d calls of the key have not come back in %v", callsMax, patience)
	}
}

func (s slot) free() { <-s.s.c }

// call asks the key once. An answer that comes after the deadline is thrown away:
// the attempt will be void by then.
func (w *work) call(ctx context.Context, key crypto.Signer, place slot) ([]byte, error) {
	digest, how, err := w.prepared.Digest()
	if err != nil {
		place.free()
		return nil, err
	}
	type answer struct {
		signature []byte
		err       error
	}
	came := make(chan answer, 1)
	go func() {
		defer place.free()
		var a answer
		defer func() {
			if v := recover(); v != nil { // a module of somebody else's is behind it
				a = answer{err: fmt.Errorf("panic: %v", v)}
			}
			came <- a
		}()
		a.signature, a.err = key.Sign(rand.Reader, digest, how)
	}()
	timer := time.NewTimer(w.KeyTimeout)
	defer timer.Stop()
	select {
	case a := <-came:
		return a.signature, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, fmt.Errorf("the key has not answered in %v", w.KeyTimeout)
	}
}

// grantLocks let one worker of this process at a time work on a grant. They spare
// calls of the key; that two processes do no harm is the store's matter.
type grantLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

func (l *grantLocks) lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		l.mu.Lock()
		if l.held == nil {
			l.held = map[string]chan struct{}{}
		}
		others, taken := l.held[name]
		if !taken {
			mine := make(chan struct{})
			l.held[name] = mine
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, name)
				l.mu.Unlock()
				close(mine)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-others:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
