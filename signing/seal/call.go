package seal

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"
)

// callsMax is how many calls of one key may be under way. A token that hangs
// keeps its callers; once all places are taken nobody else is sent after them.
const callsMax = 8

// A key that fails this often in a row is left alone for a while, longer each time:
// every call costs an attempt, and the orders that wait all want one.
const (
	failuresMax = 3
	restMin     = 5 * time.Second
	restMax     = time.Minute
)

// slots are the places for calls of one key, and how it has answered lately.
type slots struct {
	c chan struct{}

	mu       sync.Mutex
	failures int       // in a row
	rest     time.Time // until when it is left alone
}

type slot struct{ s *slots }

func newSlots() *slots { return &slots{c: make(chan struct{}, callsMax)} }

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

// rests says whether the key is to be left alone. Once its rest is over one caller may
// try it, and the others wait for what that one hears.
func (s *slots) rests(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.rest) {
		return true
	}
	s.rest = s.until(now)
	return false
}

// heard notes how a call of the key ended.
func (s *slots) heard(now time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures++
	if err == nil {
		s.failures = 0
	}
	s.rest = s.until(now)
}

func (s *slots) until(now time.Time) time.Time {
	if s.failures < failuresMax {
		return time.Time{}
	}
	return now.Add(min(restMin<<min(s.failures-failuresMax, 8), restMax))
}

// ready says why the key is not to be called now, and gives the place back in that case.
func (w *work) ready(ctx context.Context, key crypto.Signer, place slot) error {
	if place.s.rests(w.Clock()) {
		place.free()
		return errors.New("the key has failed several times in a row and is left alone for a while")
	}
	r, ok := key.(Readier)
	if !ok {
		return nil
	}
	came := make(chan error, 1)
	go func() { came <- safely(r.Ready) }()
	return w.await(ctx, came, place.free)
}

// await waits for an answer of the key as long as it may take. Where the answer is an
// error, or comes too late, free is called once it has come.
func (w *work) await(ctx context.Context, came <-chan error, free func()) error {
	timer := time.NewTimer(w.KeyTimeout)
	defer timer.Stop()
	var err error
	select {
	case err = <-came:
		if err != nil {
			free()
		}
		return err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = fmt.Errorf("the key has not answered in %v", w.KeyTimeout)
	}
	go func() { <-came; free() }()
	return err
}

// safely makes an error of a panic: a module of somebody else's is behind f.
func safely(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return f()
}

// call asks the key once. An answer that comes after the deadline is thrown away:
// the attempt will be void by then.
func (w *work) call(ctx context.Context, key crypto.Signer, place slot) ([]byte, error) {
	digest, how, err := w.prepared.Digest()
	if err != nil {
		place.free()
		return nil, err
	}
	var signature []byte // read only once its answer has come
	came := make(chan error, 1)
	go func() {
		came <- safely(func() (err error) { signature, err = key.Sign(rand.Reader, digest, how); return err })
	}()
	if err := w.await(ctx, came, place.free); err != nil {
		return nil, err
	}
	place.free()
	return signature, nil
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
