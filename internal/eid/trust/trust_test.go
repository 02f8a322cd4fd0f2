package trust

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
)

var sentinels = []*fault.Error{ErrMalformed, ErrNotYetValid, ErrExpired, ErrWrongUse, ErrUnknownCA, ErrRevoked, ErrResponderDown}

// silent fails where an error tells who the holder is.
func silent(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, secret := range []string{testNumber, "Peeters", "Sofie"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error names the holder")
		}
	}
}

func TestAGoodCardPasses(t *testing.T) {
	w := newWorld(t)
	c, err := w.check(w.verifier(nil), w.card(nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Path()) != 3 || !c.Path()[2].Equal(w.root.cert) || !c.At().Equal(noon) || c.X509() != c.Path()[0] {
		t.Errorf("path of %d at %v", len(c.Path()), c.At())
	}
	who, err := CitizenOf(c)
	if err != nil || who.Name() != "Sofie Maria Peeters" || who.Foreigner || who.Number.Reveal() != testNumber {
		t.Errorf("another holder: %v", err)
	}
}

func TestEveryRefusalHasItsOwnWords(t *testing.T) {
	for _, e := range sentinels {
		for _, l := range i18n.Languages {
			if text := i18n.T(l, e.Key); text == e.Key || len(text) < 40 {
				t.Errorf("%s in %s: %q", e.Key, l, text)
			}
		}
	}
}

func TestRefusedCertificates(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(nil)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	odd, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	stranger := w.newCA("Citizen CA", authority{}, nil)
	below := func(issuer authority, public any) []byte {
		template := *w.card(nil)
		template.Raw, template.AuthorityKeyId = nil, nil
		return w.sign(&template, issuer.cert, public, issuer.key).Raw
	}
	with := func(change func(*x509.Certificate)) []byte { return w.card(change).Raw }
	good := w.card(nil).Raw
	forged := append([]byte(nil), good...)
	forged[len(forged)-5] ^= 1

	for name, c := range map[string]struct {
		der  []byte
		want *fault.Error
	}{
		"nothing":         {nil, ErrMalformed},
		"noise":           {[]byte("0\x82\x01\x00no certificate"), ErrMalformed},
		"bytes behind it": {append(append([]byte(nil), good...), 0, 0), ErrMalformed},
		"huge":            {make([]byte, maxCertificate+1), ErrMalformed},
		"weak RSA key":    {below(w.ca, &weak.PublicKey), ErrMalformed},
		"unusual curve":   {below(w.ca, &odd.PublicKey), ErrMalformed},
		"unknown critical extension": {with(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}), ErrMalformed},
		"not yet valid": {with(func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Second) }), ErrNotYetValid},
		"expired":       {with(func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) }), ErrExpired},
		"signature certificate": {with(func(c *x509.Certificate) {
			c.KeyUsage, c.Policies = x509.KeyUsageContentCommitment, []x509.OID{policy(2, 16, 56, 12, 1, 1, 2, 1)}
		}), ErrWrongUse},
		"no key usage": {with(func(c *x509.Certificate) { c.KeyUsage = 0 }), ErrWrongUse},
		"server's": {with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
			ErrWrongUse},
		"strange use": {with(func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 2, 3}}
		}), ErrWrongUse},
		"a CA's": {with(func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid = true, true
			c.KeyUsage |= x509.KeyUsageCertSign
		}), ErrWrongUse},
		"no policy": {with(func(c *x509.Certificate) { c.Policies = nil }), ErrWrongUse},
		"register's policy": {with(func(c *x509.Certificate) { c.Policies = []x509.OID{policy(2, 16, 56, 12, 1, 1, 4)} }),
			ErrWrongUse},
		"policy under another arc": {with(func(c *x509.Certificate) { c.Policies = []x509.OID{policy(2, 16, 56, 11, 1, 1, 2, 2)} }),
			ErrWrongUse},
		"longer policy": {with(func(c *x509.Certificate) { c.Policies = []x509.OID{policy(2, 16, 56, 12, 1, 1, 2, 2, 1)} }),
			ErrWrongUse},
		"a CA of the same name": {below(stranger, leafKey().Public()), ErrUnknownCA},
		"forged":                {forged, ErrUnknownCA},
	} {
		_, err := v.Authentication(context.Background(), c.der)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Key)
		}
		silent(t, err)
	}
	if n := w.count("/ocsp"); n != 0 {
		t.Errorf("the responder was asked %d times about certificates that were refused before", n)
	}
}

func TestAcceptedVariants(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(nil)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := *w.card(nil)
	template.Raw = nil
	for name, c := range map[string]*x509.Certificate{
		"no extended key usage": w.card(func(c *x509.Certificate) { c.ExtKeyUsage = nil }),
		"one policy of several": w.card(func(c *x509.Certificate) {
			c.Policies = []x509.OID{policy(1, 2, 3), policy(2, 16, 56, 9, 1, 1, 7, 2)}
		}),
		"RSA":                     w.sign(&template, w.ca.cert, key.Public(), w.ca.key),
		"last second of validity": w.card(func(c *x509.Certificate) { c.NotAfter = noon }),
	} {
		if _, err := w.check(v, c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfiguration(t *testing.T) {
	w := newWorld(t)
	other := w.newCA("Other Root", authority{}, nil)
	for name, cfg := range map[string]Config{
		"no root":                 {},
		"an intermediate as root": {Roots: []*x509.Certificate{w.ca.cert}},
		"an intermediate of another root": {
			Roots: []*x509.Certificate{other.cert}, Intermediates: []*x509.Certificate{w.ca.cert}},
		"a card as intermediate": {
			Roots: []*x509.Certificate{w.root.cert}, Intermediates: []*x509.Certificate{w.card(nil)}},
		"an address as host": {Roots: []*x509.Certificate{w.root.cert}, Hosts: []string{"http://ocsp.example"}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	v, err := New(Config{Roots: []*x509.Certificate{w.root.cert}})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"http://ocsp.eidpki.belgium.be/eid/0":       true,
		"http://OCSP.eidpki.belgium.be:80/":         true,
		"https://crl.eid.belgium.be/x":              true,
		"http://ocsp.eidpki.belgium.be:8080/":       false,
		"ftp://ocsp.eidpki.belgium.be/":             false,
		"http://user@ocsp.eidpki.belgium.be/":       false,
		"http://ocsp.eidpki.belgium.be@evil.test/":  false,
		"http://ocsp.eidpki.belgium.be.evil.test/":  false,
		"http://127.0.0.1/":                         false,
		"http://169.254.169.254/latest/meta-data":   false,
		"ldap://ocsp.eidpki.belgium.be/cn=x":        false,
		"//ocsp.eidpki.belgium.be/":                 false,
		"http:ocsp.eidpki.belgium.be":               false,
		"http://ocsp.eidpki.belgium.be\x00/":        false,
		"http://[::1]/":                             false,
		"http://xn--ocsp-eidpki.belgium.be/":        false,
		"http://ocsp.eidpki.belgium.be.:80/":        false,
		"http://ocsp.eidpki.belgium.be%2eevil.test": false,
	} {
		if got := v.fetch.Allows(address); got != want {
			t.Errorf("%q: %v", address, got)
		}
	}
}

// An intermediate that expires, or is revoked, takes its cards with it.
func TestTheIntermediateIsCheckedToo(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(nil)
	w.set(func() {
		w.crl = func(issuer authority) []byte {
			if issuer == w.root {
				return w.list(issuer, nil, w.ca.cert.SerialNumber)
			}
			return w.list(issuer, nil)
		}
	})
	if _, err := w.check(v, w.card(nil)); !errors.Is(err, ErrRevoked) {
		t.Errorf("a card of a revoked CA: %v", err)
	}
	w.set(func() { w.crl = nil })
	if _, err := w.check(w.verifier(nil), w.card(nil)); !errors.Is(err, ErrResponderDown) {
		t.Errorf("a card of a CA for which nobody vouches: %v", err)
	}
	w.set(func() { w.crl = func(issuer authority) []byte { return w.list(issuer, nil) } })
	v = w.verifier(nil)
	w.clock.Add(10 * 366 * 24 * time.Hour)
	late := w.card(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = w.clock.Now(), w.clock.Now().AddDate(1, 0, 0) })
	if _, err := w.check(v, late); !errors.Is(err, ErrUnknownCA) {
		t.Errorf("a card of an expired CA: %v", err)
	}
}

func TestAnswersAreKept(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(nil)
	card := w.card(nil)
	for range 3 {
		if _, err := w.check(v, card); err != nil {
			t.Fatal(err)
		}
		if _, err := w.check(v, w.card(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if w.count("/ocsp") != 4 || w.count("/root.crl") != 1 || w.count("/ca.crl") != 0 {
		t.Errorf("asked: %v; want each card once, the CA once", w.asked)
	}
	// The card is stolen: within Reuse nobody asks, after it everybody knows.
	w.set(func() {
		w.ocsp = func(serial *big.Int, nonce []byte) []byte {
			return w.answer(reply{serial: serial, nonce: nonce, status: 1})
		}
	})
	if _, err := w.check(v, card); err != nil {
		t.Errorf("within Reuse: %v", err)
	}
	w.clock.Add(5 * time.Minute)
	if _, err := w.check(v, card); !errors.Is(err, ErrRevoked) {
		t.Errorf("after Reuse: %v", err)
	}
	// The statement about the CA is asked again after MaxAge.
	w.clock.Add(24 * time.Hour)
	w.check(v, card)
	if w.count("/root.crl") != 2 {
		t.Errorf("the CA's status was asked %d times", w.count("/root.crl"))
	}
}

func TestManyAtOnceAskOnce(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(nil)
	cards := make([]*x509.Certificate, 20)
	for i := range cards {
		cards[i] = w.card(nil)
	}
	var all sync.WaitGroup
	for _, c := range cards {
		all.Go(func() {
			if _, err := w.check(v, c); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if w.count("/root.crl") != 1 {
		t.Errorf("the CA's status was fetched %d times", w.count("/root.crl"))
	}
}

func TestTheMemoryIsBounded(t *testing.T) {
	var r recent[int]
	for i := range 3*recentHalf + 1 {
		var key [32]byte
		big.NewInt(int64(i)).FillBytes(key[:])
		r.put(key, i)
		if got, ok := r.get(key); !ok || got != i {
			t.Fatal("the newest is forgotten")
		}
	}
	if n := len(r.now) + len(r.old); n > 2*recentHalf {
		t.Errorf("%d kept", n)
	}
}

func TestCitizenOf(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(nil)
	names := func(pairs ...any) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.Subject = pkix.Name{}
			for i := 0; i < len(pairs); i += 2 {
				c.Subject.ExtraNames = append(c.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: pairs[i].(asn1.ObjectIdentifier), Value: pairs[i+1]})
			}
		}
	}
	for name, c := range map[string]struct {
		change    func(*x509.Certificate)
		want      string
		foreigner bool
	}{
		"foreigner": {func(c *x509.Certificate) { c.Policies = []x509.OID{policy(2, 16, 56, 10, 1, 1, 7, 2)} },
			"Sofie Maria Peeters", true},
		"no given name":       {names(oidSurname, "Ngo", oidSerial, testNumber, oidCommonName, "Ngo (Authentication)"), "Ngo", false},
		"only a common name":  {names(oidCommonName, "Élodie D’Hoine (Authentication)", oidSerial, testNumber), "Élodie D’Hoine", false},
		"no number":           {names(oidSurname, "Ngo"), "", false},
		"wrong number":        {names(oidSurname, "Ngo", oidSerial, "85073003329"), "", false},
		"a prefix":            {names(oidSurname, "Ngo", oidSerial, "PNOBE-"+testNumber), "", false},
		"two numbers":         {names(oidSurname, "Ngo", oidSerial, testNumber, oidSerial, testNumber), "", false},
		"nobody":              {names(oidSerial, testNumber), "", false},
		"only a purpose":      {names(oidCommonName, " (Authentication)", oidSerial, testNumber), "", false},
		"control character":   {names(oidSurname, "Ngo\x07", oidSerial, testNumber), "", false},
		"text that turns":     {names(oidSurname, "Ngo\u202e", oidSerial, testNumber), "", false},
		"a very long surname": {names(oidSurname, strings.Repeat("n", 257), oidSerial, testNumber), "", false},
	} {
		cert, err := w.check(v, w.card(c.change))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		who, err := CitizenOf(cert)
		if c.want == "" {
			if !errors.Is(err, ErrMalformed) || who.Name() != "" && !who.Number.IsZero() {
				t.Errorf("%s: %v", name, err)
			}
			silent(t, err)
			continue
		}
		if err != nil || who.Name() != c.want || who.Foreigner != c.foreigner {
			t.Errorf("%s: %q foreigner %v, %v", name, who.Name(), who.Foreigner, err)
		}
	}
	if _, err := CitizenOf(Certificate{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("no certificate: %v", err)
	}
}
