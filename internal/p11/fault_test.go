package p11_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

// Codes of PKCS #11 that devices answer.
const (
	ckrGeneralError  = 0x05
	ckrDeviceError   = 0x30
	ckrDeviceRemoved = 0x32
	ckrPINIncorrect  = 0xa0
	ckrPINLocked     = 0xa4
	ckrSessionGone   = 0xb3
	ckrNotLoggedIn   = 0x101
)

// faultyKey is a P-256 key in a token behind a module that can fail.
func faultyKey(t *testing.T, label string, opts ...p11.Option) (*softcard.Faulty, *p11.Token, *p11.Key) {
	t.Helper()
	f := softcard.NewFaulty(t)
	m, err := p11.Load(f.Module)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	tok := token(t, m, label, opts...)
	if _, err := tok.GenerateKey("k", p11.P256); err != nil {
		t.Fatal(err)
	}
	k, err := tok.Signer("k")
	if err != nil {
		t.Fatal(err)
	}
	return f, tok, k
}

func signs(k *p11.Key) error {
	d := sha256.Sum256([]byte("x"))
	sig, err := k.Sign(nil, d[:], crypto.SHA256)
	if err == nil && !ecdsa.VerifyASN1(k.Public().(*ecdsa.PublicKey), d[:], sig) {
		return errors.New("the signature does not verify")
	}
	return err
}

// TestSessionIsReplaced: after an error the next operation has another session, and works.
func TestSessionIsReplaced(t *testing.T) {
	f, tok, k := faultyKey(t, "replaced", p11.Sessions(1))
	before := f.Signatures()
	for _, failure := range []softcard.Failure{
		{Function: "Sign", Times: 1, Code: ckrGeneralError},
		{Function: "SignInit", Times: 1, Code: ckrGeneralError},
		{Function: "Sign", Times: 1, Code: ckrGeneralError, Lose: true},
		{Function: "GetSlotList", Times: 1, Code: ckrGeneralError},
	} {
		f.Fail(failure)
		if err := signs(k); err == nil {
			t.Errorf("%s failed and nobody heard of it", failure.Function)
		}
		if err := signs(k); err != nil {
			t.Errorf("after %s failed once: %v", failure.Function, err)
		}
	}
	if made, calls := f.Signatures()-before, tok.Calls(); made != 5 || calls != 6 {
		t.Errorf("%d signatures made, %d calls counted; want 5 and 6: one failed before the work, one answer was lost", made, calls)
	}
}

// TestLostLogin: a token that has forgotten its login is not logged in to again by itself.
func TestLostLogin(t *testing.T) {
	for _, code := range []uint{ckrDeviceError, ckrDeviceRemoved, ckrSessionGone, ckrNotLoggedIn} {
		f, tok, k := faultyKey(t, "lost")
		f.Fail(softcard.Failure{Function: "Sign", Times: 1, Code: code})
		for range 3 {
			if err := signs(k); !errors.Is(err, p11.ErrTokenGone) {
				t.Fatalf("code %#x: %v", code, err)
			}
		}
		if err := tok.Login(p11.ParsePIN("77777")); !errors.Is(err, p11.ErrPINIncorrect) {
			t.Errorf("code %#x: login with another PIN: %v", code, err)
		}
		if err := tok.Login(p11.ParsePIN(userPIN)); err != nil {
			t.Errorf("code %#x: login: %v", code, err)
		}
		if err := signs(k); err != nil {
			t.Errorf("code %#x: after a login: %v", code, err)
		}
	}
}

func TestRemovalIsNoticed(t *testing.T) {
	f, tok, k := faultyKey(t, "removed")
	f.Fail(softcard.Failure{Function: "GetSlotList", Code: softcard.NoSlots})
	if err := signs(k); !errors.Is(err, p11.ErrTokenGone) {
		t.Errorf("without a token in any slot: %v", err)
	}
	f.Heal()
	if err := signs(k); !errors.Is(err, p11.ErrTokenGone) {
		t.Errorf("after it was put back, without a login: %v", err)
	}
	if err := tok.Login(p11.ParsePIN(userPIN)); err != nil {
		t.Fatal(err)
	}
	if err := signs(k); err != nil {
		t.Errorf("after a login: %v", err)
	}
}

// TestNoSecondTry: the module sees one C_Login for each that was asked for.
func TestNoSecondTry(t *testing.T) {
	f, tok, _ := faultyKey(t, "tries")
	sel := p11.Selector{Label: "tries", Serial: tok.Info().Serial}
	m, err := p11.Load(f.Module)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	tok.Close()
	for code, want := range map[uint]error{ckrPINIncorrect: p11.ErrPINIncorrect, ckrPINLocked: p11.ErrPINLocked} {
		// The first login is refused; a second one would be good.
		f.Fail(softcard.Failure{Function: "Login", Times: 1, Code: code})
		if tok, err := m.Open(sel, p11.ParsePIN(userPIN)); !errors.Is(err, want) {
			t.Errorf("code %#x: %v", code, err)
			if err == nil {
				tok.Close()
			}
		}
	}
}

func TestTimeout(t *testing.T) {
	f, _, k := faultyKey(t, "hung", p11.Timeout(250*time.Millisecond), p11.Sessions(2))
	before := f.Signatures()
	f.Fail(softcard.Failure{Function: "Sign", Times: 1, Sleep: 1500 * time.Millisecond})
	start := time.Now()
	if err := signs(k); !errors.Is(err, p11.ErrTimeout) || time.Since(start) > 1400*time.Millisecond {
		t.Errorf("a token that hangs: %v after %v", err, time.Since(start))
	}
	if err := signs(k); err != nil {
		t.Errorf("beside the one that hangs: %v", err)
	}
	for f.Signatures() < before+2 { // the call that hung comes back before the token is closed
		time.Sleep(20 * time.Millisecond)
	}
}

// TestOneTokenHangsBesideAnother: of two tokens in one module the one that hangs holds up
// neither the signatures of the other nor the question which tokens are there.
func TestOneTokenHangsBesideAnother(t *testing.T) {
	f, _, hangs := faultyKey(t, "hangs", p11.Timeout(20*time.Second))
	_, tok, other := faultyKey(t, "goes on")
	f.Fail(softcard.Failure{Function: "Sign", Sleep: time.Minute, Token: "hangs"})
	done := make(chan error, 1)
	go func() { done <- signs(hangs) }()
	time.Sleep(100 * time.Millisecond)
	start := time.Now()
	for range 20 {
		if err := errors.Join(signs(other), tok.Present()); err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("20 signatures beside it took %v", took)
	}
	select {
	case err := <-done:
		t.Errorf("it does not hang: %v", err)
	default:
	}
	f.Heal()
	if err := <-done; err != nil {
		t.Errorf("once it goes on: %v", err)
	}
}
