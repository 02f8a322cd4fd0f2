package p11

import (
	"fmt"
	"sync"

	"github.com/miekg/pkcs11"
)

// login is what this process shares about one token: PKCS#11 logs in an application, not
// a session, so that two openers of one token have one login whether they want it or not.
type login struct {
	lib *library
	sel Selector

	free      sync.Cond // on lib.mu
	shared    int       // openers, guarded by lib.mu
	exclusive bool      // guarded by lib.mu

	mu     sync.Mutex
	in     bool
	slot   uint
	asked  bool    // this login went through C_Login
	mark   pinMark // of the PIN it was opened with, where asked
	holder pkcs11.SessionHandle
	held   bool // holder is open: a login lasts as long as a session is open
}

// take registers an opener of the token, alone where exclusive. An exclusive opener waits
// for another exclusive one, whose use is short, and is refused where the token is shared.
func (lib *library) take(sel Selector, exclusive bool) (*login, TokenInfo, error) {
	lib.mu.Lock()
	defer lib.mu.Unlock()
	info, err := lib.find(sel)
	if err != nil {
		return nil, TokenInfo{}, err
	}
	key := info.Label + "\x00" + info.Serial
	lg := lib.logins[key]
	if lg == nil {
		lg = &login{lib: lib, sel: Selector{Label: info.Label, Serial: info.Serial}}
		lg.free.L = &lib.mu
		lib.logins[key] = lg
	}
	for lg.exclusive {
		lg.free.Wait()
	}
	if exclusive && lg.shared > 0 {
		return nil, TokenInfo{}, fmt.Errorf("%w: %v", ErrBusy, lg.sel)
	}
	lg.exclusive = exclusive
	lg.shared++
	return lg, info, nil
}

// give unregisters an opener; the last one logs out.
func (lg *login) give() error {
	lg.lib.mu.Lock()
	lg.shared--
	last := lg.shared == 0
	if last {
		lg.exclusive = true // nobody joins a login that is about to end
	}
	lg.lib.mu.Unlock()
	var err error
	if last {
		err = lg.out()
	}
	lg.lib.mu.Lock()
	lg.exclusive = false
	lg.lib.mu.Unlock()
	lg.free.Broadcast()
	return err
}

// enter logs in, once. pin is tried at most once, and not at all where the token is logged
// in already: then it must be the same PIN. was is the token as it was found.
func (lg *login) enter(was TokenInfo, pin PIN, lastTry bool) error {
	lg.mu.Lock()
	defer lg.mu.Unlock()
	if lg.in {
		if lg.asked && !lg.mark.matches(pin) {
			return fmt.Errorf("%w (compared with the one this process logged in with)", ErrPINIncorrect)
		}
		return nil
	}
	lg.lib.mu.Lock()
	info, err := lg.lib.findAgain(was)
	lg.lib.mu.Unlock()
	if err != nil {
		return err
	}
	pin, err = pinFor(info, pin, lastTry)
	if err != nil {
		return err
	}
	h, err := lg.lib.ctx.OpenSession(info.slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return callError("C_OpenSession", err)
	}
	if info.Flags.LoginRequired {
		if err := lg.lib.loginOnce(h, pin); err != nil {
			lg.lib.ctx.CloseSession(h)
			return err
		}
	}
	lg.in, lg.slot, lg.holder, lg.held = true, info.slot, h, true
	if lg.asked = info.Flags.LoginRequired; lg.asked {
		lg.mark = markPIN(pin)
	}
	return nil
}

// pinFor is the PIN to give to C_Login: none where the reader or middleware asks for it.
func pinFor(info TokenInfo, pin PIN, lastTry bool) (PIN, error) {
	switch {
	case !info.Flags.LoginRequired || info.Flags.ProtectedPath:
		return PIN{}, nil
	case info.Flags.PINLocked:
		return PIN{}, ErrPINLocked
	case pin.IsZero():
		return PIN{}, ErrPINRequired
	case info.MaxPIN > 0 && (pin.Len() < info.MinPIN || pin.Len() > info.MaxPIN):
		return PIN{}, ErrPINLength
	case info.Flags.PINFinalTry && !lastTry:
		return PIN{}, ErrPINFinalTry
	}
	return pin, nil
}

// loginOnce lets the token look at the PIN once. Where the module thinks that we are
// logged in, it has not looked at it yet: that login is not of this door, and is ended.
func (lib *library) loginOnce(h pkcs11.SessionHandle, pin PIN) error {
	err := lib.ctx.Login(h, pkcs11.CKU_USER, pin.reveal())
	if isCode(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
		lib.ctx.Logout(h)
		err = lib.ctx.Login(h, pkcs11.CKU_USER, pin.reveal())
	}
	return callError("C_Login", err)
}

// where is the token's slot, or ErrTokenGone where the login is lost or the slot is empty.
func (lg *login) where() (uint, error) {
	lg.mu.Lock()
	defer lg.mu.Unlock()
	if !lg.in {
		return 0, fmt.Errorf("%w: %v", ErrTokenGone, lg.sel)
	}
	lg.lib.mu.Lock()
	there, err := lg.lib.present(lg.slot)
	lg.lib.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if !there {
		lg.drop()
		return 0, fmt.Errorf("%w: %v is in no slot", ErrTokenGone, lg.sel)
	}
	return lg.slot, nil
}

// lost forgets the login after the module said that it has.
func (lg *login) lost() {
	lg.mu.Lock()
	defer lg.mu.Unlock()
	lg.drop()
}

// drop closes the holding session; lg.mu is held.
func (lg *login) drop() {
	if lg.held {
		lg.lib.ctx.CloseSession(lg.holder) // the token may be gone: nothing to do about an error
	}
	lg.in, lg.held, lg.mark = false, false, pinMark{}
}

func (lg *login) out() error {
	lg.mu.Lock()
	defer lg.mu.Unlock()
	var err error
	if lg.in && lg.asked {
		err = lg.lib.ctx.Logout(lg.holder)
		if isCode(err, pkcs11.CKR_USER_NOT_LOGGED_IN) {
			err = nil
		}
	}
	lg.drop()
	return callError("C_Logout", err)
}
