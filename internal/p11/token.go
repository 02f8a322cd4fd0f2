package p11

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/pkcs11"
)

// Token is an opened token: a pool of sessions under the process's one login.
// All methods may be called at once from several goroutines.
type Token struct {
	lib  *library
	lg   *login // nil with WithoutLogin
	info TokenInfo
	opt  options

	permits chan struct{} // one for each session that may be busy
	calls   atomic.Uint64

	mu     sync.Mutex
	idle   []*session
	pin    PIN // kept only where a key asks for it at each signature
	closed bool
}

// session remembers the handles of the keys it has found: handles end with the login.
type session struct {
	h    pkcs11.SessionHandle
	keys map[string]pkcs11.ObjectHandle
}

type options struct {
	sessions  int
	exclusive bool
	public    bool
	lastTry   bool
	timeout   time.Duration
}

// Option changes how Open opens a token.
type Option func(*options)

// Sessions sets how many operations may run at once on the token; 4 without it, 1 with
// Exclusive. Others wait.
func Sessions(n int) Option { return func(o *options) { o.sessions = max(n, 1) } }

// Exclusive opens the token for this opener alone: so every use of a card logs in by
// its own PIN and logs out at Close. Other exclusive openers wait for that Close.
func Exclusive() Option { return func(o *options) { o.exclusive = true } }

// WithoutLogin opens the token for reading its certificates only. Cards whose objects
// are private (Belgian ones of applet 1.7 under OpenSC) show nothing then.
func WithoutLogin() Option { return func(o *options) { o.public = true } }

// SpendLastTry allows the PIN to be tried even when a wrong one would lock the token.
func SpendLastTry() Option { return func(o *options) { o.lastTry = true } }

// Timeout bounds the wait for one signature, for tokens that can hang. The call itself
// cannot be stopped: its session stays busy until it returns, and is then closed. Zero,
// the default, waits for ever, as keypads and dialogs need.
func Timeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// Open finds the token and logs in. The PIN is tried at most once; it is not kept, but
// for keys of CKA_ALWAYS_AUTHENTICATE. The caller wipes its own.
// Where the middleware or a keypad asks for the PIN, pin is not used.
func (m *Module) Open(sel Selector, pin PIN, opts ...Option) (*Token, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if o.sessions == 0 {
		o.sessions = 4
		if o.exclusive {
			o.sessions = 1
		}
	}
	t := &Token{lib: m.lib, opt: o, permits: make(chan struct{}, o.sessions)}
	if o.public {
		m.lib.mu.Lock()
		defer m.lib.mu.Unlock()
		var err error
		t.info, err = m.lib.find(sel)
		if err != nil {
			return nil, err
		}
		return t, nil
	}
	lg, info, err := m.lib.take(sel, o.exclusive)
	if err != nil {
		return nil, err
	}
	t.lg, t.info = lg, info
	if err := lg.enter(info, pin, o.lastTry); err != nil {
		lg.give()
		return nil, fmt.Errorf("token %v: %w", lg.sel, err)
	}
	if err := t.keepPIN(pin); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Info is what the token said when it was opened.
func (t *Token) Info() TokenInfo { return t.info }

// Calls is how often C_Sign was called through this Token, answered or not.
func (t *Token) Calls() uint64 { return t.calls.Load() }

// Present says whether the token is in its slot and still logged in, as far as is known
// without calling a key: ErrTokenGone if not.
func (t *Token) Present() error {
	_, err := t.slot()
	return t.after(err)
}

// Login logs in again after ErrTokenGone, because a person or a supervisor said so: this
// package never does by itself. It does nothing where the login still lasts.
func (t *Token) Login(pin PIN) error {
	if t.lg == nil {
		return ErrPINRequired
	}
	if err := t.lg.enter(t.info, pin, t.opt.lastTry); err != nil {
		return fmt.Errorf("token %v: %w", t.lg.sel, err)
	}
	return t.keepPIN(pin)
}

// Close ends the sessions, wipes the PIN and logs out where nobody else in this process
// has the token open. Operations under way should be over.
func (t *Token) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	idle := t.idle
	t.idle = nil
	t.pin.Wipe()
	t.mu.Unlock()
	for _, s := range idle {
		t.lib.ctx.CloseSession(s.h)
	}
	if t.lg == nil {
		return nil
	}
	return t.lg.give()
}

// keepPIN keeps a copy of the PIN where a private key wants it at each signature.
func (t *Token) keepPIN(pin PIN) error {
	if pin.IsZero() || !t.info.Flags.LoginRequired || t.info.Flags.ProtectedPath {
		return nil
	}
	return t.with(func(s *session) error {
		keys, err := t.find(s, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY))
		if err != nil {
			return err
		}
		for _, k := range keys {
			if t.alwaysAuthenticate(s, k) {
				t.mu.Lock()
				t.pin.Wipe()
				t.pin = pin.clone()
				t.mu.Unlock()
				return nil
			}
		}
		return nil
	})
}

// with runs f on a session of the pool. After any error the session is closed and
// another takes its place: what it still holds (an active operation, a login lost at a
// reset) is unknown.
func (t *Token) with(f func(*session) error) error {
	t.permits <- struct{}{}
	defer func() { <-t.permits }()
	s, err := t.session()
	if err != nil {
		return t.after(err)
	}
	if err := f(s); err != nil {
		t.lib.ctx.CloseSession(s.h)
		return t.after(err)
	}
	t.mu.Lock()
	keep := !t.closed
	if keep {
		t.idle = append(t.idle, s)
	}
	t.mu.Unlock()
	if !keep {
		t.lib.ctx.CloseSession(s.h)
	}
	return nil
}

// after forgets the login and the other sessions where err says that the token has.
func (t *Token) after(err error) error {
	if !errors.Is(err, ErrTokenGone) {
		return err
	}
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	t.mu.Unlock()
	for _, s := range idle {
		t.lib.ctx.CloseSession(s.h)
	}
	if t.lg != nil {
		t.lg.lost()
	}
	return err
}

// session takes an idle session or opens one, after asking whether the token is there.
func (t *Token) session() (*session, error) {
	slot, err := t.slot()
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, fmt.Errorf("token %s: %w", t.info.Label, ErrClosed)
	}
	if n := len(t.idle); n > 0 {
		s := t.idle[n-1]
		t.idle = t.idle[:n-1]
		t.mu.Unlock()
		return s, nil
	}
	t.mu.Unlock()
	h, err := t.lib.ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return nil, callError("C_OpenSession", err)
	}
	return &session{h: h, keys: map[string]pkcs11.ObjectHandle{}}, nil
}

func (t *Token) slot() (uint, error) {
	if t.lg != nil {
		return t.lg.where()
	}
	t.lib.mu.Lock()
	defer t.lib.mu.Unlock()
	info, err := t.lib.findAgain(t.info)
	if err != nil {
		return 0, fmt.Errorf("%w: %v", ErrTokenGone, err)
	}
	return info.slot, nil
}

// find lists the objects that match a template.
func (t *Token) find(s *session, template ...*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := t.lib.ctx.FindObjectsInit(s.h, template); err != nil {
		return nil, callError("C_FindObjectsInit", err)
	}
	var found []pkcs11.ObjectHandle
	for {
		some, _, err := t.lib.ctx.FindObjects(s.h, 32)
		if err != nil {
			return nil, callError("C_FindObjects", err)
		}
		if len(some) == 0 {
			break
		}
		found = append(found, some...)
	}
	return found, callError("C_FindObjectsFinal", t.lib.ctx.FindObjectsFinal(s.h))
}

// attribute reads one attribute; a missing one is nil.
func (t *Token) attribute(s *session, o pkcs11.ObjectHandle, kind uint) []byte {
	got, err := t.lib.ctx.GetAttributeValue(s.h, o, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	if err != nil || len(got) == 0 {
		return nil
	}
	return got[0].Value
}

func (t *Token) alwaysAuthenticate(s *session, key pkcs11.ObjectHandle) bool {
	v := t.attribute(s, key, pkcs11.CKA_ALWAYS_AUTHENTICATE)
	return len(v) == 1 && v[0] != 0
}

// Object is a certificate in the token.
type Object struct {
	Label string
	ID    []byte // a byte, eight bytes or more: modules disagree, so labels select and ids do not
	DER   []byte
}

// Certificates lists the X.509 certificates the token shows. The padding after the
// certificate that Belgian card files have is cut off, and empty files are left out:
// some cards carry no authentication certificate.
func (t *Token) Certificates() ([]Object, error) {
	var list []Object
	err := t.with(func(s *session) error {
		found, err := t.find(s, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE))
		if err != nil {
			return err
		}
		for _, o := range found {
			der := certificateDER(t.attribute(s, o, pkcs11.CKA_VALUE))
			if der == nil {
				continue
			}
			list = append(list, Object{
				Label: string(t.attribute(s, o, pkcs11.CKA_LABEL)),
				ID:    t.attribute(s, o, pkcs11.CKA_ID),
				DER:   der,
			})
		}
		return nil
	})
	return list, err
}
