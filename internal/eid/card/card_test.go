package card_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/testcerts"
)

const (
	origin = "https://id.example.be"
	nonce  = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80="
)

// reader is the module of the test world, and the card of a new person in it.
func reader(t *testing.T, spec testcerts.CardSpec) (*p11.Module, *testcerts.World, *testcerts.Card) {
	t.Helper()
	w := testcerts.New(t)
	if spec.Person.Name == "" {
		spec.Person = testcerts.Person{GivenNames: "Test Marie", Surname: "Personne", Number: "71715100070"}
	}
	spec.Person.Name = strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	c, err := w.MakeCard(spec)
	if err != nil {
		t.Fatal(err)
	}
	m, err := p11.Load(w.ModulePath())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, w, c
}

func find(t *testing.T, m *p11.Module, c *testcerts.Card) *card.Card {
	t.Helper()
	found, err := card.Find(m, c.Serial)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// verify checks a token as another implementation would: from the wire form alone.
func verify(t *testing.T, made card.Token, origin, nonce string, c *testcerts.Card) {
	t.Helper()
	if made.Format != "web-eid:1.0" || made.AppVersion == "" {
		t.Errorf("format %q", made.Format)
	}
	der, err := base64.StdEncoding.DecodeString(made.UnverifiedCertificate)
	if err != nil || string(der) != string(c.Authentication.Raw) {
		t.Error("another certificate")
	}
	sig, err := base64.StdEncoding.DecodeString(made.Signature)
	if err != nil {
		t.Fatal(err)
	}
	switch made.Algorithm {
	case "ES384":
		o, n := sha512.Sum384([]byte(origin)), sha512.Sum384([]byte(nonce))
		d := sha512.Sum384(append(o[:], n[:]...))
		if len(sig) != 96 || !ecdsa.Verify(c.Authentication.PublicKey.(*ecdsa.PublicKey), d[:], new(big.Int).SetBytes(sig[:48]), new(big.Int).SetBytes(sig[48:])) {
			t.Error("the signature does not verify")
		}
	case "RS256":
		o, n := sha256.Sum256([]byte(origin)), sha256.Sum256([]byte(nonce))
		d := sha256.Sum256(append(o[:], n[:]...))
		if rsa.VerifyPKCS1v15(c.Authentication.PublicKey.(*rsa.PublicKey), crypto.SHA256, d[:], sig) != nil {
			t.Error("the signature does not verify")
		}
	default:
		t.Errorf("algorithm %s", made.Algorithm)
	}
}

func TestAuthenticate(t *testing.T) {
	for name, c := range map[string]struct {
		kind testcerts.Kind
		want string
	}{"today's card": {testcerts.Today, "ES384"}, "a card of before 2021": {testcerts.Old, "RS256"}} {
		t.Run(name, func(t *testing.T) {
			m, w, held := reader(t, testcerts.CardSpec{Kind: c.kind})
			one := find(t, m, held)
			if one.Name() != "Test Personne" || one.AsksItself() || one.LastTry() || one.Blocked() {
				t.Errorf("the card of %q", one.Name())
			}
			made, err := one.Authenticate(origin, nonce, held.Secret())
			if err != nil {
				t.Fatal(err)
			}
			if made.Algorithm != c.want {
				t.Errorf("algorithm %s", made.Algorithm)
			}
			verify(t, made, origin, nonce, held)
			// And the other end believes the certificate.
			v, err := trust.New(trust.Config{Roots: w.Roots(), Hosts: w.Hosts()})
			if err != nil {
				t.Fatal(err)
			}
			der, _ := base64.StdEncoding.DecodeString(made.UnverifiedCertificate)
			trusted, err := v.Authentication(context.Background(), der)
			if err != nil {
				t.Fatal(err)
			}
			if who, err := trust.CitizenOf(trusted); err != nil || who.Name() != held.FullName() {
				t.Errorf("holder: %v", err)
			}
		})
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	m, _, held := reader(t, testcerts.CardSpec{})
	one := find(t, m, held)
	for name, c := range map[string]struct {
		origin, nonce string
		pin           p11.PIN
		want          error
	}{
		"wrong PIN":                             {origin, nonce, p11.ParsePIN("9999"), card.ErrPINWrong},
		"no PIN":                                {origin, nonce, p11.PIN{}, card.ErrPINLength},
		"short PIN":                             {origin, nonce, p11.ParsePIN("12"), card.ErrPINLength},
		"short nonce":                           {origin, nonce[:43], held.Secret(), card.ErrFailed},
		"long nonce":                            {origin, strings.Repeat("A", 129), held.Secret(), card.ErrFailed},
		"nonce not base64":                      {origin, nonce[:43] + "\n", held.Secret(), card.ErrFailed},
		"no origin":                             {"", nonce, held.Secret(), card.ErrFailed},
		"origin null":                           {"null", nonce, held.Secret(), card.ErrFailed},
		"origin with a path":                    {origin + "/", nonce, held.Secret(), card.ErrFailed},
		"origin with a port that is understood": {origin + ":443", nonce, held.Secret(), card.ErrFailed},
		"origin in capitals":                    {"https://ID.example.be", nonce, held.Secret(), card.ErrFailed},
		"file":                                  {"file:///etc", nonce, held.Secret(), card.ErrFailed},
		"another alphabet":                      {"https://ïd.example.be", nonce, held.Secret(), card.ErrFailed},
	} {
		made, err := one.Authenticate(c.origin, c.nonce, c.pin)
		if !errors.Is(err, c.want) || made != (card.Token{}) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "9999") {
			t.Errorf("%s: the error holds the PIN", name)
		}
	}
	if _, err := one.Authenticate(origin, nonce, held.Secret()); err != nil {
		t.Errorf("after all that, the right PIN: %v", err)
	}
}

// Each use is a login of its own: a PIN given once opens nothing for the next.
func TestEachUseNeedsThePIN(t *testing.T) {
	m, _, held := reader(t, testcerts.CardSpec{})
	one := find(t, m, held)
	if _, err := one.Authenticate(origin, nonce, held.Secret()); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Authenticate(origin, nonce, p11.ParsePIN("9999")); !errors.Is(err, card.ErrPINWrong) {
		t.Errorf("a wrong PIN after a right one: %v", err)
	}
	if _, err := one.Sign(crypto.SHA256, make([]byte, 32), p11.ParsePIN("9999")); !errors.Is(err, card.ErrPINWrong) {
		t.Errorf("a signature with a wrong PIN: %v", err)
	}
}

func TestSeveralAtOnce(t *testing.T) {
	m, _, held := reader(t, testcerts.CardSpec{})
	one := find(t, m, held)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			pin, want := held.Secret(), error(nil)
			if i%2 == 1 {
				pin, want = p11.ParsePIN("9999"), card.ErrPINWrong
			}
			if _, err := one.Authenticate(origin, nonce, pin); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
	all.Wait()
}

func TestSign(t *testing.T) {
	m, _, held := reader(t, testcerts.CardSpec{})
	one := find(t, m, held)
	digest := sha512.Sum384([]byte("a document"))
	made, err := one.Sign(crypto.SHA384, digest[:], held.Secret())
	if err != nil {
		t.Fatal(err)
	}
	r, s := new(big.Int).SetBytes(made.Value[:48]), new(big.Int).SetBytes(made.Value[48:])
	if made.Algorithm != "ES384" || !made.Certificate.Equal(held.Signature) || !ecdsa.Verify(held.Signature.PublicKey.(*ecdsa.PublicKey), digest[:], r, s) {
		t.Errorf("%s does not verify", made.Algorithm)
	}
	for name, bad := range map[string]func() error{
		"SHA-1":           func() error { _, err := one.Sign(crypto.SHA1, make([]byte, 20), held.Secret()); return err },
		"another length":  func() error { _, err := one.Sign(crypto.SHA256, digest[:], held.Secret()); return err },
		"nothing to sign": func() error { _, err := one.Sign(crypto.SHA256, nil, held.Secret()); return err },
	} {
		if err := bad(); !errors.Is(err, card.ErrFailed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACardWithoutCertificate(t *testing.T) {
	for kind, want := range map[testcerts.Kind]error{testcerts.Declined: card.ErrDeclined, testcerts.Child: card.ErrChild} {
		t.Run(string(kind), func(t *testing.T) {
			m, _, held := reader(t, testcerts.CardSpec{Kind: kind})
			one := find(t, m, held)
			if one.Name() != "Test Personne" || one.Hidden() {
				t.Errorf("the card of %q", one.Name())
			}
			if _, err := one.Certificate(); !errors.Is(err, want) {
				t.Errorf("certificate: %v", err)
			}
			if _, err := one.SignatureCertificate(); !errors.Is(err, want) {
				t.Errorf("certificate for signatures: %v", err)
			}
			if _, err := one.Authenticate(origin, nonce, held.Secret()); !errors.Is(err, want) {
				t.Errorf("authenticate: %v", err)
			}
			if files, err := one.Read(true); err != nil || len(files.Photo) == 0 {
				t.Errorf("its files: %v", err)
			}
		})
	}
}

// What is written on the card comes with the token, of the same card, and no more of it
// than was asked for; the Register's signature and the holder fit.
func TestReadWhatIsWritten(t *testing.T) {
	for _, kind := range []testcerts.Kind{testcerts.Today, testcerts.Old} {
		t.Run(string(kind), func(t *testing.T) {
			m, w, held := reader(t, testcerts.CardSpec{Kind: kind})
			one := find(t, m, held)
			made, files, err := one.AuthenticateAndRead(origin, nonce, held.Secret())
			if err != nil || files == nil {
				t.Fatal(err)
			}
			verify(t, made, origin, nonce, held)
			if files.Photo != nil {
				t.Error("the photo was not asked for")
			}
			v, err := trust.New(trust.Config{Roots: w.Roots(), Hosts: w.Hosts()})
			if err != nil {
				t.Fatal(err)
			}
			checked, err := (&idfile.Verifier{Authority: v, Clock: clock.System}).Verify(t.Context(), *files)
			if err != nil {
				t.Fatal(err)
			}
			certificate, err := v.Authentication(t.Context(), held.Authentication.Raw)
			if err != nil {
				t.Fatal(err)
			}
			who, err := trust.CitizenOf(certificate)
			if err != nil || checked.Of(who) != nil {
				t.Errorf("the files are another's: %v", err)
			}
			alone, err := one.Read(true)
			if err != nil || len(alone.Photo) == 0 || string(alone.Identity) != string(files.Identity) {
				t.Errorf("without PIN: %v", err)
			}
		})
	}
}

func TestNoSuchCard(t *testing.T) {
	m, _, _ := reader(t, testcerts.CardSpec{})
	if _, err := card.Find(m, "no such serial"); !errors.Is(err, card.ErrNoCard) {
		t.Errorf("%v", err)
	}
}

func TestEveryFailureHasWords(t *testing.T) {
	for _, e := range []*fault.Error{
		card.ErrNoCard, card.ErrNoCertificate, card.ErrChild, card.ErrDeclined, card.ErrNoFiles, card.ErrPINWrong, card.ErrPINLastTry, card.ErrPINLength, card.ErrPINBlocked,
		card.ErrCancelled, card.ErrRemoved, card.ErrTimeout, card.ErrBusy, card.ErrFailed, card.ErrPINIncorrect.With("Count", 1),
	} {
		for _, l := range i18n.Languages {
			if text := i18n.Message(l, e.Key, e.Args); text == e.Key || strings.Contains(text, "no value") {
				t.Errorf("%s in %s: %q", e.Key, l, text)
			}
		}
	}
}

func TestTokenFields(t *testing.T) {
	raw, err := json.Marshal(card.Token{})
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"unverifiedCertificate", "algorithm", "signature", "format", "appVersion"} {
		if !strings.Contains(string(raw), `"`+field+`":`) {
			t.Errorf("no field %s", field)
		}
	}
}
