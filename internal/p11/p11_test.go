package p11_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

const userPIN = "48213"

func module(t testing.TB) *p11.Module {
	t.Helper()
	m, err := p11.Load(softcard.Test(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// token makes a token and opens it.
func token(t testing.TB, m *p11.Module, label string, opts ...p11.Option) *p11.Token {
	t.Helper()
	info, err := m.InitToken(label, p11.ParsePIN("87654321"), p11.ParsePIN(userPIN))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := m.Open(p11.Selector{Label: label, Serial: info.Serial}, p11.ParsePIN(userPIN), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	return tok
}

func TestSign(t *testing.T) {
	m := module(t)
	tok := token(t, m, "sign")
	d256, d384, d512 := sha256.Sum256([]byte("x")), sha512.Sum384([]byte("x")), sha512.Sum512([]byte("x"))
	for _, kind := range []p11.KeyKind{p11.RSA2048, p11.P256, p11.P384} {
		label := "key " + string(kind)
		pub, err := tok.GenerateKey(label, kind)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if _, err := tok.GenerateKey(label, kind); !errors.Is(err, p11.ErrExists) {
			t.Errorf("%s: a second key of the same label: %v", kind, err)
		}
		k, err := tok.Signer(label)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if !k.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(pub) {
			t.Errorf("%s: the key found has another public key than the one made", kind)
		}
		digests := map[crypto.Hash][]byte{crypto.SHA256: d256[:], crypto.SHA384: d384[:], crypto.SHA512: d512[:]}
		for h, d := range digests {
			sig, err := k.Sign(nil, d, h)
			if err != nil {
				t.Fatalf("%s %v: %v", kind, h, err)
			}
			switch pub := pub.(type) {
			case *ecdsa.PublicKey:
				if !ecdsa.VerifyASN1(pub, d, sig) {
					t.Errorf("%s %v does not verify", kind, h)
				}
			case *rsa.PublicKey:
				if err := rsa.VerifyPKCS1v15(pub, h, d, sig); err != nil {
					t.Errorf("%s %v: %v", kind, h, err)
				}
				pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
				if sig, err = k.Sign(nil, d, pss); err != nil {
					t.Fatalf("%s %v PSS: %v", kind, h, err)
				}
				if err := rsa.VerifyPSS(pub, h, d, sig, pss); err != nil {
					t.Errorf("%s %v PSS: %v", kind, h, err)
				}
			}
		}
		if want := map[bool]uint64{true: 6, false: 3}[kind == p11.RSA2048]; k.Calls() != want {
			t.Errorf("%s: %d calls counted, want %d", kind, k.Calls(), want)
		}
		if _, err := k.Sign(nil, d256[:20], crypto.SHA1); !errors.Is(err, p11.ErrUnsupported) {
			t.Errorf("%s signed a SHA-1 digest: %v", kind, err)
		}
		if _, err := k.Sign(nil, d256[:], crypto.SHA384); err == nil {
			t.Errorf("%s signed a digest of the wrong length", kind)
		}
	}
	if tok.Calls() != 12 {
		t.Errorf("the token counts %d calls, want 12", tok.Calls())
	}
	if _, err := tok.Signer("key rsa"); !errors.Is(err, p11.ErrNoSuchKey) {
		t.Errorf("half a label: %v", err)
	}
}

func TestSignsAtOnce(t *testing.T) {
	tok := token(t, module(t), "many", p11.Sessions(3))
	pub, err := tok.GenerateKey("k", p11.P256)
	if err != nil {
		t.Fatal(err)
	}
	k, err := tok.Signer("k")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			d := sha256.Sum256(fmt.Append(nil, i))
			sig, err := k.Sign(nil, d[:], crypto.SHA256)
			if err != nil || !ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), d[:], sig) {
				t.Errorf("signature %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if k.Calls() != 24 {
		t.Errorf("%d calls counted, want 24", k.Calls())
	}
}

func TestOneLogin(t *testing.T) {
	m := module(t)
	tok := token(t, m, "login")
	sel := p11.Selector{Label: "login", Serial: tok.Info().Serial}
	if _, err := m.Open(sel, p11.ParsePIN("99999")); !errors.Is(err, p11.ErrPINIncorrect) {
		t.Errorf("joining a login with another PIN: %v", err)
	}
	second, err := m.Open(sel, p11.ParsePIN(userPIN))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open(sel, p11.ParsePIN(userPIN), p11.Exclusive()); !errors.Is(err, p11.ErrBusy) {
		t.Errorf("exclusive beside others: %v", err)
	}
	if _, err := tok.GenerateKey("k", p11.P256); err != nil {
		t.Fatal(err)
	}
	k, err := second.Signer("k")
	if err != nil {
		t.Fatal(err)
	}
	tok.Close()
	d := sha256.Sum256(nil)
	if _, err := k.Sign(nil, d[:], crypto.SHA256); err != nil {
		t.Errorf("after the first opener closed: %v", err)
	}
	second.Close()
	if _, err := k.Sign(nil, d[:], crypto.SHA256); err == nil {
		t.Error("a key signs after its token was closed")
	}
}

func TestPINIsTriedOnce(t *testing.T) {
	m := module(t)
	tok := token(t, m, "pin", p11.Exclusive())
	sel := p11.Selector{Label: "pin", Serial: tok.Info().Serial}
	tok.Close()
	for _, c := range []struct {
		pin  string
		want error
	}{
		{"", p11.ErrPINRequired},
		{"12", p11.ErrPINLength},
		{"11111", p11.ErrPINIncorrect},
		{userPIN, nil},
	} {
		got, err := m.Open(sel, p11.ParsePIN(c.pin), p11.Exclusive())
		if !errors.Is(err, c.want) {
			t.Errorf("a PIN of %d digits: %v, want %v", len(c.pin), err, c.want)
		}
		if err == nil {
			got.Close()
		} else if c.pin != "" && strings.Contains(strings.ReplaceAll(err.Error(), sel.Serial, ""), c.pin) { // random serials hold any two digits
			t.Error("the error shows the PIN")
		}
	}
}

// TestExclusive: each holder of a card logs in by itself, one after the other.
func TestExclusive(t *testing.T) {
	m := module(t)
	tok := token(t, m, "card", p11.Exclusive())
	sel := p11.Selector{Label: "card", Serial: tok.Info().Serial}
	if _, err := tok.GenerateKey("k", p11.P384); err != nil {
		t.Fatal(err)
	}
	tok.Close()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			pin, want := userPIN, error(nil)
			if i%2 == 1 {
				pin, want = "77777", p11.ErrPINIncorrect
			}
			tok, err := m.Open(sel, p11.ParsePIN(pin), p11.Exclusive())
			if !errors.Is(err, want) {
				t.Errorf("opener %d: %v, want %v", i, err, want)
			}
			if err != nil {
				return
			}
			defer tok.Close()
			k, err := tok.Signer("k")
			if err != nil {
				t.Errorf("opener %d: %v", i, err)
				return
			}
			d := sha512.Sum384(nil)
			if _, err := k.Sign(nil, d[:], crypto.SHA384); err != nil {
				t.Errorf("opener %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func TestAlwaysAuthenticate(t *testing.T) {
	m := module(t)
	tok := token(t, m, "always")
	sel := p11.Selector{Label: "always", Serial: tok.Info().Serial}
	pub, err := tok.GenerateKey("Signature", p11.P384, p11.AlwaysAuthenticate())
	if err != nil {
		t.Fatal(err)
	}
	tok.Close()
	pin := p11.ParsePIN(userPIN)
	tok, err = m.Open(sel, pin)
	if err != nil {
		t.Fatal(err)
	}
	defer tok.Close()
	pin.Wipe() // the caller's; the token keeps one for such a key
	k, err := tok.Signer("Signature")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		d := sha512.Sum384([]byte("x"))
		sig, err := k.Sign(nil, d[:], crypto.SHA384)
		if err != nil || !ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), d[:], sig) {
			t.Fatalf("signature: %v", err)
		}
	}
}

func TestSelectorIsExact(t *testing.T) {
	m := module(t)
	a, b := token(t, m, "BELPIC EC"), token(t, m, "BELPIC EC")
	if _, err := m.Open(p11.Selector{Label: "BELPIC"}, p11.ParsePIN(userPIN)); !errors.Is(err, p11.ErrNoSuchToken) {
		t.Errorf("a prefix of the label: %v", err)
	}
	if _, err := m.Open(p11.Selector{Label: "BELPIC EC"}, p11.ParsePIN(userPIN)); !errors.Is(err, p11.ErrAmbiguous) {
		t.Errorf("a label that two tokens have: %v", err)
	}
	if a.Info().Serial == b.Info().Serial {
		t.Fatal("two tokens with one serial number")
	}
	list, err := m.Tokens()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, i := range list {
		if i.Serial == a.Info().Serial || i.Serial == b.Info().Serial {
			seen++
			if !i.Flags.LoginRequired || i.Flags.PINLocked || !i.Flags.Initialized {
				t.Errorf("flags %+v", i.Flags)
			}
		}
	}
	if seen != 2 {
		t.Errorf("%d of the two tokens are listed", seen)
	}
}

func TestCertificates(t *testing.T) {
	m := module(t)
	tok := token(t, m, "certs")
	pub, err := tok.GenerateKey("Authentication", p11.P384, p11.WithID([]byte{2}))
	if err != nil {
		t.Fatal(err)
	}
	k, err := tok.Signer("Authentication")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, k)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second is the same and changes nothing
		if err := tok.ImportCertificate("Authentication", der, p11.WithID([]byte{2})); err != nil {
			t.Fatal(err)
		}
	}
	public, err := m.Open(p11.Selector{Serial: tok.Info().Serial}, p11.PIN{}, p11.WithoutLogin())
	if err != nil {
		t.Fatal(err)
	}
	defer public.Close()
	for _, tok := range []*p11.Token{tok, public} {
		list, err := tok.Certificates()
		if err != nil || len(list) != 1 {
			t.Fatalf("%d certificates, %v", len(list), err)
		}
		if o := list[0]; o.Label != "Authentication" || !bytes.Equal(o.ID, []byte{2}) || !bytes.Equal(o.DER, der) {
			t.Errorf("certificate %q %x", o.Label, o.ID)
		}
	}
	if _, err := public.Signer("Authentication"); !errors.Is(err, p11.ErrPINRequired) {
		t.Errorf("a key without login: %v", err)
	}
	if err := tok.ImportCertificate("x", []byte("no certificate")); err == nil {
		t.Error("something that is no certificate was stored")
	}
}

func TestPINDoesNotPrint(t *testing.T) {
	pin := p11.ParsePIN(userPIN)
	type holder struct{ hidden p11.PIN }
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "pin", pin, "holder", holder{pin})
	j, _ := json.Marshal(map[string]any{"pin": pin})
	for _, s := range []string{
		fmt.Sprint(pin), fmt.Sprintf("%s %v %+v %#v %x %q %d", pin, pin, pin, pin, pin, pin, pin),
		fmt.Sprintf("%+v %#v", holder{pin}, holder{pin}), fmt.Sprintf("%+v", &holder{pin}), log.String(), string(j),
	} {
		if strings.Contains(s, userPIN) || strings.Contains(s, fmt.Sprintf("%x", userPIN)) {
			t.Error("a PIN printed itself")
		}
	}
	again := pin
	pin.Wipe()
	if !again.IsZero() || again.Len() != 0 {
		t.Error("a copy outlives the wipe")
	}
}

func TestReadPINFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pin, err := p11.ReadPINFile(write("good", "12345\n", 0o400))
	if err != nil || pin.Len() != 5 {
		t.Errorf("a good file: %d bytes, %v", pin.Len(), err)
	}
	for _, path := range []string{write("open", "12345", 0o644), write("empty", "\n", 0o600), write("long", strings.Repeat("1", 256), 0o600), filepath.Join(dir, "none")} {
		if _, err := p11.ReadPINFile(path); err == nil {
			t.Errorf("%s was taken", filepath.Base(path))
		}
	}
}

func TestLoad(t *testing.T) {
	softcard.Test(t)
	if _, err := p11.Load(filepath.Join(t.TempDir(), "none.so")); err == nil {
		t.Error("a module that is not there was loaded")
	}
}
