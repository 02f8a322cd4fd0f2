// Package p11 is the one door to PKCS#11: smart cards, HSMs and SoftHSM.
//
// It owns loading a module, finding a token, logging in, sessions, and signing with a
// key in the token. It refuses to know what a key is for: cards are internal/eid/card,
// seals are signing/seal. It follows PKCS #11 v2.40 and what modules really do.
//
// It guarantees:
//   - one initialised module for each path and process, finalised when its last user closes it;
//   - a token is found by its exact label and serial number, never by a slot number, and
//     the slot list is asked anew before each operation, the only call by which every
//     module notices that a card was taken out;
//   - one login for each token and process, and no PIN is ever tried a second time by
//     itself: a refused PIN, a lost login and a last remaining try all end in an error;
//   - a session that saw an error is closed, never used again: a failed C_Sign leaves it
//     answering CKR_OPERATION_ACTIVE for ever;
//   - each call of C_Sign is counted, so that tests can hold it against the grants.
//
// It verifies no signature: what a module returns may be wrong, and callers verify each
// signature against the public key before anything leaves the house.
package p11

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/miekg/pkcs11"
)

// Module is one user's handle of a loaded PKCS#11 library.
type Module struct {
	lib    *library
	closed sync.Once
}

// library is what all Modules of one path share.
type library struct {
	path  string
	ctx   *pkcs11.Ctx
	users int // guarded by libraries.mu

	mu     sync.Mutex // slot list and logins: one at a time
	logins map[string]*login
}

var libraries = struct {
	mu     sync.Mutex
	byPath map[string]*library
}{byPath: map[string]*library{}}

// Load opens the PKCS#11 library at path, or joins those in this process that have.
// Environment variables the module reads (SOFTHSM2_CONF) must be set before the first
// Load, and are read anew after the last Close.
func Load(path string) (*Module, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // two names of one library would initialise it twice
	}
	libraries.mu.Lock()
	defer libraries.mu.Unlock()
	lib := libraries.byPath[path]
	if lib == nil {
		ctx := pkcs11.New(path)
		if ctx == nil {
			return nil, fmt.Errorf("PKCS#11 module %s cannot be loaded", path)
		}
		if err := ctx.Initialize(); err != nil {
			ctx.Destroy()
			return nil, fmt.Errorf("PKCS#11 module %s: %w", path, callError("C_Initialize", err))
		}
		lib = &library{path: path, ctx: ctx, logins: map[string]*login{}}
		libraries.byPath[path] = lib
	}
	lib.users++
	return &Module{lib: lib}, nil
}

// Path is the library's file.
func (m *Module) Path() string { return m.lib.path }

// Close gives the module back; the last one to do so finalises the library. Tokens
// opened through it must be closed before.
func (m *Module) Close() error {
	var err error
	m.closed.Do(func() {
		libraries.mu.Lock()
		defer libraries.mu.Unlock()
		if m.lib.users--; m.lib.users > 0 {
			return
		}
		delete(libraries.byPath, m.lib.path)
		err = callError("C_Finalize", m.lib.ctx.Finalize())
		m.lib.ctx.Destroy()
	})
	return err
}

// Selector names a token. Label and Serial are compared whole; an empty one matches any,
// but then exactly one token must match.
type Selector struct{ Label, Serial string }

func (s Selector) String() string { return fmt.Sprintf("label %q serial %q", s.Label, s.Serial) }

// TokenInfo is what a token says about itself.
type TokenInfo struct {
	Label, Serial, Model, Manufacturer string
	Flags                              Flags
	MinPIN, MaxPIN                     int // bytes; 0 where the token does not say

	slot uint
}

// Flags are the parts of CK_TOKEN_INFO.flags that change how a token is used.
type Flags struct {
	Initialized   bool
	LoginRequired bool // false: the middleware asks for the PIN itself, in its own dialog
	ProtectedPath bool // the PIN is typed on the reader's keypad
	PINCountLow   bool // a wrong PIN was entered since the last right one
	PINFinalTry   bool // one more wrong PIN locks the token
	PINLocked     bool
}

// Tokens lists the tokens present now, initialised ones only.
func (m *Module) Tokens() ([]TokenInfo, error) {
	m.lib.mu.Lock()
	defer m.lib.mu.Unlock()
	all, err := m.lib.tokens()
	if err != nil {
		return nil, err
	}
	var list []TokenInfo
	for _, t := range all {
		if t.Flags.Initialized {
			list = append(list, t)
		}
	}
	return list, nil
}

// tokens asks the slot list and every token. A token that goes away meanwhile is left out.
// lib.mu is held: SoftHSM changes its slots inside C_GetSlotList.
func (lib *library) tokens() ([]TokenInfo, error) {
	slots, err := lib.ctx.GetSlotList(true)
	if err != nil {
		return nil, callError("C_GetSlotList", err)
	}
	var list []TokenInfo
	for _, slot := range slots {
		info, err := lib.ctx.GetTokenInfo(slot)
		if err != nil {
			continue
		}
		list = append(list, tokenInfo(slot, info))
	}
	return list, nil
}

func tokenInfo(slot uint, i pkcs11.TokenInfo) TokenInfo {
	has := func(flag uint) bool { return i.Flags&flag != 0 }
	t := TokenInfo{
		Label: i.Label, Serial: i.SerialNumber, Model: i.Model, Manufacturer: i.ManufacturerID,
		Flags: Flags{
			Initialized:   has(pkcs11.CKF_TOKEN_INITIALIZED),
			LoginRequired: has(pkcs11.CKF_LOGIN_REQUIRED),
			ProtectedPath: has(pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH),
			PINCountLow:   has(pkcs11.CKF_USER_PIN_COUNT_LOW),
			PINFinalTry:   has(pkcs11.CKF_USER_PIN_FINAL_TRY),
			PINLocked:     has(pkcs11.CKF_USER_PIN_LOCKED),
		},
		slot: slot,
	}
	if i.MaxPinLen < 1<<16 { // CK_UNAVAILABLE_INFORMATION is all ones
		t.MinPIN, t.MaxPIN = int(i.MinPinLen), int(i.MaxPinLen)
	}
	return t
}

// find returns the one token that matches. lib.mu is held.
func (lib *library) find(sel Selector) (TokenInfo, error) {
	all, err := lib.tokens()
	if err != nil {
		return TokenInfo{}, err
	}
	var found []TokenInfo
	for _, t := range all {
		if t.Flags.Initialized && (sel.Label == "" || t.Label == sel.Label) && (sel.Serial == "" || t.Serial == sel.Serial) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return TokenInfo{}, fmt.Errorf("%w: %v", ErrNoSuchToken, sel)
	case 1:
		return found[0], nil
	}
	return TokenInfo{}, fmt.Errorf("%w: %v", ErrAmbiguous, sel)
}

// findAgain is find for a token that was found before: where it still is in its slot, the
// others are not asked. lib.mu is held.
func (lib *library) findAgain(was TokenInfo) (TokenInfo, error) {
	there, err := lib.present(was.slot)
	if err != nil {
		return TokenInfo{}, err
	}
	if there {
		info, err := lib.ctx.GetTokenInfo(was.slot)
		if err == nil && info.Label == was.Label && info.SerialNumber == was.Serial {
			return tokenInfo(was.slot, info), nil
		}
	}
	return lib.find(Selector{Label: was.Label, Serial: was.Serial})
}

// present says whether slot still has a token. lib.mu is held.
func (lib *library) present(slot uint) (bool, error) {
	slots, err := lib.ctx.GetSlotList(true)
	if err != nil {
		return false, callError("C_GetSlotList", err)
	}
	return slices.Contains(slots, slot), nil
}
