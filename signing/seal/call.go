package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
)

// callsMax is how many calls of one token may be under way where its settings say
// nothing. A token that hangs keeps its callers; nobody else is sent after them.
const callsMax = 4

// slow is how long a call takes that makes a token suspect: others are not sent after
// it, and do not wait for a place.
const slow = 5 * time.Second

// A token that fails this often in a row is left alone for a while, longer each time:
// every call costs an attempt, and the orders that wait all want one.
const (
	failuresMax = 3
	restMin     = 5 * time.Second
	restMax     = time.Minute
)

// token is a Token with its places for calls, and how it has answered lately.
type token struct {
	Token
	places chan struct{}

	mu       sync.Mutex
	failures int       // in a row
	rest     time.Time // until when it is left alone
}

func newToken(t Token) *token {
	if t.Calls <= 0 {
		t.Calls = callsMax
	}
	return &token{Token: t, places: make(chan struct{}, t.Calls)}
}

// take waits a moment for a place; free gives it back.
func (t *token) take(ctx context.Context, patience time.Duration) error {
	select {
	case t.places <- struct{}{}:
		return nil
	default:
	}
	patience = min(patience, slow)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case t.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fmt.Errorf("%d calls of the key have not come back in %v", cap(t.places), patience)
	}
}

func (t *token) free() { <-t.places }

// rests says whether the token is to be left alone. Once its rest is over one caller may
// try it, and the others wait for what that one hears.
func (t *token) rests(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.rest) {
		return true
	}
	t.rest = t.until(now)
	return false
}

// silent says whether the token is being left alone.
func (t *token) silent(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failures >= failuresMax || now.Before(t.rest)
}

// heard notes how a call of the token ended.
func (t *token) heard(now time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures++
	if err == nil {
		t.failures = 0
	}
	t.rest = t.until(now)
}

// hangs notes that a call has not come back for long.
func (t *token) hangs(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = max(t.failures, failuresMax)
	t.rest = t.until(now)
}

func (t *token) until(now time.Time) time.Time {
	if t.failures < failuresMax {
		return time.Time{}
	}
	return now.Add(min(restMin<<min(t.failures-failuresMax, 8), restMax))
}

// ready says why the token is not to be called now, and gives the place back in that case.
func (w *work) ready(ctx context.Context, t *token) error {
	if t.rests(w.Clock()) {
		t.free()
		return errors.New("the key has failed several times in a row, or hangs, and is left alone for a while")
	}
	r, ok := t.Signer.(Readier)
	if !ok {
		return nil
	}
	came := make(chan error, 1)
	go func() { came <- safely(r.Ready) }()
	return w.await(ctx, came, t)
}

// await waits for an answer of the token as long as it may take. Where the answer is an
// error, or comes too late, the place is given back once it has come.
func (w *work) await(ctx context.Context, came <-chan error, t *token) error {
	suspect := time.AfterFunc(min(slow, w.KeyTimeout), func() { t.hangs(w.Clock()) })
	defer suspect.Stop()
	timer := time.NewTimer(w.KeyTimeout)
	defer timer.Stop()
	var err error
	select {
	case err = <-came:
		if err != nil {
			t.free()
		}
		return err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = fmt.Errorf("the key has not answered in %v", w.KeyTimeout)
	}
	go func() { <-came; t.free() }()
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

// call asks the token once. An answer that comes after the deadline is thrown away:
// the attempt will be void by then.
func (w *work) call(ctx context.Context, t *token) ([]byte, error) {
	digest, how, err := w.prepared.Digest()
	if err != nil {
		t.free()
		return nil, err
	}
	var signature []byte // read only once its answer has come
	came := make(chan error, 1)
	go func() {
		came <- safely(func() (err error) { signature, err = t.Signer.Sign(rand.Reader, digest, how); return err })
	}()
	if err := w.await(ctx, came, t); err != nil {
		return nil, err
	}
	t.free()
	return signature, nil
}

// Silent names the communes whose key is being left alone, because it failed or hangs.
func (s *Sealer) Silent() (list []commune.ID) {
	now := s.Clock()
	for c, tokens := range s.tokens {
		if !slices.ContainsFunc(tokens, func(t *token) bool { return !t.silent(now) }) {
			list = append(list, c)
		}
	}
	slices.Sort(list)
	return list
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
