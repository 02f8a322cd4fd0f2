package trust

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/belfry-eid/belfry/internal/revocation"
)

// What the responder may answer, and whether the card is believed on that alone
// (its revocation list is away).
func TestOCSPAnswers(t *testing.T) {
	w := newWorld(t)
	stranger := w.newCA("Stranger", authority{}, nil)
	sibling := w.newCA("Citizen CA 2", w.root, nil)
	delegate := w.responder(w.ca, nil)
	noUse := w.responder(w.ca, func(c *x509.Certificate) { c.ExtKeyUsage = nil })
	late := w.responder(w.ca, func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Minute) })
	foreign := w.responder(stranger, nil)
	sisters := w.responder(sibling, nil)
	cardKey := authority{w.card(nil), leafKey()}

	answers := map[string]struct {
		change func(*reply)
		want   error
	}{
		"good":                      {func(*reply) {}, nil},
		"good, named by key":        {func(r *reply) { r.byKey = true }, nil},
		"good, without nonce":       {func(r *reply) { r.nonce = nil }, nil},
		"good, other hash":          {func(r *reply) { r.hash = crypto.SHA256 }, nil},
		"good, without next update": {func(r *reply) { r.noNext, r.next = true, time.Time{} }, nil},
		"delegate":                  {func(r *reply) { r.signer, r.certs = delegate, []*x509.Certificate{delegate.cert} }, nil},
		"delegate, named by key":    {func(r *reply) { r.signer, r.byKey, r.certs = delegate, true, []*x509.Certificate{delegate.cert} }, nil},
		"delegate behind others": {func(r *reply) {
			r.signer, r.certs = delegate, []*x509.Certificate{w.root.cert, w.ca.cert, delegate.cert}
		}, nil},
		"clock a little ahead":       {func(r *reply) { r.from = noon.Add(4 * time.Minute) }, nil},
		"revoked":                    {func(r *reply) { r.status = 1 }, ErrRevoked},
		"unknown":                    {func(r *reply) { r.status = 2 }, ErrRevoked},
		"revoked, said by stranger":  {func(r *reply) { r.status, r.signer, r.certs = 1, foreign, []*x509.Certificate{foreign.cert} }, ErrResponderDown},
		"made tomorrow":              {func(r *reply) { r.from = noon.Add(6 * time.Minute) }, ErrResponderDown},
		"next update past":           {func(r *reply) { r.from, r.next = noon.Add(-2*time.Hour), noon }, ErrResponderDown},
		"old, next update far":       {func(r *reply) { r.from, r.next = noon.Add(-25*time.Hour), noon.Add(time.Hour) }, ErrResponderDown},
		"old, without next update":   {func(r *reply) { r.from, r.noNext = noon.Add(-25*time.Hour), true }, ErrResponderDown},
		"another's nonce":            {func(r *reply) { r.nonce = []byte{4, 2, 9, 9} }, ErrResponderDown},
		"another serial":             {func(r *reply) { r.serial = big.NewInt(1) }, ErrResponderDown},
		"another issuer's CertID":    {func(r *reply) { r.issuer = sibling }, ErrResponderDown},
		"two statements":             {func(r *reply) { r.twice = true }, ErrResponderDown},
		"unknown critical extension": {func(r *reply) { r.critical = true }, ErrResponderDown},
		"delegate of a stranger":     {func(r *reply) { r.signer, r.certs = foreign, []*x509.Certificate{foreign.cert} }, ErrResponderDown},
		"delegate of a sibling CA":   {func(r *reply) { r.signer, r.certs = sisters, []*x509.Certificate{sisters.cert} }, ErrResponderDown},
		"delegate without the use":   {func(r *reply) { r.signer, r.certs = noUse, []*x509.Certificate{noUse.cert} }, ErrResponderDown},
		"delegate out of date":       {func(r *reply) { r.signer, r.certs = late, []*x509.Certificate{late.cert} }, ErrResponderDown},
		"delegate's certificate away": {func(r *reply) { r.signer = delegate },
			ErrResponderDown},
		"a card as responder":        {func(r *reply) { r.signer, r.certs = cardKey, []*x509.Certificate{cardKey.cert} }, ErrResponderDown},
		"another key than named":     {func(r *reply) { r.signer, r.named = stranger, w.ca }, ErrResponderDown},
		"the CA's name, not its own": {func(r *reply) { r.signer, r.named, r.certs = foreign, w.ca, []*x509.Certificate{foreign.cert} }, ErrResponderDown},
		"another algorithm":          {func(r *reply) { r.algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3} }, ErrResponderDown},
		"no algorithm":               {func(r *reply) { r.algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1} }, ErrResponderDown},
		"too many certificates": {func(r *reply) {
			r.signer = delegate
			for range 10 {
				r.certs = append(r.certs, w.ca.cert)
			}
			r.certs = append(r.certs, delegate.cert)
		}, ErrResponderDown},
	}
	refused := 0
	for name, c := range answers {
		if c.want != nil {
			refused++
		}
		w.set(func() {
			w.crl = func(issuer authority) []byte {
				if issuer == w.ca {
					return nil
				}
				return w.list(issuer, nil)
			}
			w.ocsp = func(serial *big.Int, nonce []byte) []byte {
				r := reply{serial: serial, nonce: nonce}
				c.change(&r)
				return w.answer(r)
			}
		})
		_, err := w.check(w.verifier(nil), w.card(nil))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		silent(t, err)
	}
	for name, raw := range map[string][]byte{
		"tryLater": ocsp.TryLaterErrorResponse, "unauthorized": ocsp.UnauthorizedErrorResponse,
		"internal error": ocsp.InternalErrorErrorResponse, "a page": []byte("<html>maintenance</html>"), "nothing": {},
	} {
		w.set(func() { w.ocsp = func(*big.Int, []byte) []byte { return raw } })
		if _, err := w.check(w.verifier(nil), w.card(nil)); !errors.Is(err, ErrResponderDown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("%d answers believed, %d and 5 that are no answers refused", len(answers)-refused, refused)
}

// A good answer of yesterday, kept by somebody and played again.
func TestReplayedAnswer(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(nil)
	card := w.card(nil)
	var kept []byte
	w.set(func() {
		w.ocsp = func(serial *big.Int, nonce []byte) []byte {
			kept = w.answer(reply{serial: serial, nonce: nonce, next: noon.AddDate(0, 0, 7)})
			return kept
		}
	})
	if _, err := w.check(v, card); err != nil {
		t.Fatal(err)
	}
	w.set(func() {
		w.crl = nil
		w.ocsp = func(*big.Int, []byte) []byte { return kept }
	})
	w.clock.Add(10 * time.Minute)
	if _, err := w.check(v, card); !errors.Is(err, ErrResponderDown) {
		t.Errorf("a replayed answer is believed: %v", err)
	}
}

func TestRevocationListWhereTheResponderIsAway(t *testing.T) {
	w := newWorld(t)
	stranger := w.newCA("Citizen CA", authority{}, nil)
	w.ocsp = nil
	card := w.card(nil)
	mine := func(change func(*x509.RevocationList), serials ...*big.Int) func(authority) []byte {
		return func(issuer authority) []byte {
			if issuer == w.ca {
				return w.list(issuer, change, serials...)
			}
			return w.list(issuer, nil)
		}
	}
	for name, c := range map[string]struct {
		crl  func(authority) []byte
		want error
	}{
		"good":    {mine(nil), nil},
		"others":  {mine(nil, big.NewInt(1), big.NewInt(2)), nil},
		"revoked": {mine(nil, card.SerialNumber), ErrRevoked},
		"next update past": {mine(func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = noon.Add(-2*time.Hour), noon.Add(-time.Second)
		}), ErrResponderDown},
		"made tomorrow": {mine(func(l *x509.RevocationList) { l.ThisUpdate = noon.Add(time.Hour) }), ErrResponderDown},
		"days old, still valid by itself": {mine(func(l *x509.RevocationList) { l.ThisUpdate = noon.Add(-25 * time.Hour) }),
			ErrResponderDown},
		"partial": {mine(func(l *x509.RevocationList) {
			l.ExtraExtensions = append(l.ExtraExtensions, criticalExtension())
		}), ErrResponderDown},
		"signed by another of the same name": {func(issuer authority) []byte {
			if issuer == w.ca {
				return w.list(stranger, nil)
			}
			return w.list(issuer, nil)
		}, ErrResponderDown},
		"another issuer's": {func(authority) []byte { return w.list(w.root, nil) }, ErrResponderDown},
		"noise": {func(issuer authority) []byte {
			if issuer == w.ca {
				return []byte("-----BEGIN X509 CRL-----")
			}
			return w.list(issuer, nil)
		}, ErrResponderDown},
		"away": {func(issuer authority) []byte {
			if issuer == w.ca {
				return nil
			}
			return w.list(issuer, nil)
		}, ErrResponderDown},
	} {
		w.set(func() { w.crl = c.crl })
		_, err := w.check(w.verifier(nil), card)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		silent(t, err)
	}
}

// A list held already goes on serving while it is fresh, is replaced when a newer
// one can be had, and never by an older one.
func TestAListIsKeptWhileFresh(t *testing.T) {
	w := newWorld(t)
	w.ocsp = nil
	v := w.verifier(nil)
	if _, err := w.check(v, w.card(nil)); err != nil {
		t.Fatal(err)
	}
	old := w.list(w.ca, func(l *x509.RevocationList) { l.ThisUpdate = noon.Add(-3 * time.Hour) })
	stolen := w.card(nil)
	w.clock.Add(6 * time.Minute)
	newer := w.list(w.ca, nil, stolen.SerialNumber)
	w.set(func() { w.crl = func(authority) []byte { return newer } })
	if _, err := w.check(v, stolen); !errors.Is(err, ErrRevoked) {
		t.Errorf("the newer list is not read: %v", err)
	}
	w.set(func() { w.crl = func(authority) []byte { return old } })
	w.clock.Add(6 * time.Minute)
	if _, err := w.check(v, stolen); !errors.Is(err, ErrRevoked) {
		t.Errorf("an older list took back a revocation: %v", err)
	}
	w.set(func() { w.crl = nil })
	if _, err := w.check(v, w.card(nil)); err != nil {
		t.Errorf("a list that is fresh does not serve: %v", err)
	}
	w.clock.Add(24 * time.Hour)
	if _, err := w.check(v, w.card(nil)); !errors.Is(err, ErrResponderDown) {
		t.Errorf("a list of yesterday serves: %v", err)
	}
}

// Answers made by another hand: golang.org/x/crypto/ocsp.
func TestOCSPByAnotherImplementation(t *testing.T) {
	w := newWorld(t)
	delegate := w.responder(w.ca, nil)
	for name, c := range map[string]struct {
		signer authority
		status int
		hash   crypto.Hash
		want   error
	}{
		"issuer":           {w.ca, ocsp.Good, crypto.SHA1, nil},
		"issuer, SHA-256":  {w.ca, ocsp.Good, crypto.SHA256, nil},
		"delegate":         {delegate, ocsp.Good, crypto.SHA384, nil},
		"delegate, revoke": {delegate, ocsp.Revoked, crypto.SHA1, ErrRevoked},
		"issuer, unknown":  {w.ca, ocsp.Unknown, crypto.SHA1, ErrRevoked},
	} {
		w.set(func() {
			w.ocsp = func(serial *big.Int, _ []byte) []byte {
				template := ocsp.Response{
					Status: c.status, SerialNumber: serial, IssuerHash: c.hash,
					ThisUpdate: noon, NextUpdate: noon.Add(time.Hour), RevokedAt: noon,
				}
				if c.signer != w.ca {
					template.Certificate = c.signer.cert
				}
				return must(ocsp.CreateResponse(w.ca.cert, c.signer.cert, template, c.signer.key))
			}
		})
		if _, err := w.check(w.verifier(nil), w.card(nil)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// Our request, read by that implementation.
func TestOCSPRequestIsReadable(t *testing.T) {
	w := newWorld(t)
	card := w.card(nil)
	der, nonce, err := revocation.Request(card, w.ca.cert)
	if err != nil {
		t.Fatal(err)
	}
	req, err := ocsp.ParseRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	want, err := ocsp.CreateRequest(card, w.ca.cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	same, err := ocsp.ParseRequest(want)
	if err != nil {
		t.Fatal(err)
	}
	if req.SerialNumber.Cmp(same.SerialNumber) != 0 || string(req.IssuerKeyHash) != string(same.IssuerKeyHash) || string(req.IssuerNameHash) != string(same.IssuerNameHash) {
		t.Error("the two requests name different certificates")
	}
	_, again, _ := revocation.Request(card, w.ca.cert)
	if len(nonce) != 34 || string(nonce) == string(again) {
		t.Error("the nonce is short or repeats")
	}
}

func TestSlowAndHostileResponders(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/slow", "/redirect", "/huge", "/gone"} {
		card := w.card(func(c *x509.Certificate) {
			c.OCSPServer = []string{w.server.URL + path}
			c.CRLDistributionPoints = []string{w.server.URL + path}
		})
		v := w.verifier(nil)
		if _, err := w.check(v, w.card(nil)); err != nil { // the CA's status is known
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		before := w.count("/ocsp")
		_, err := v.Authentication(ctx, card.Raw)
		cancel()
		if !errors.Is(err, ErrResponderDown) {
			t.Errorf("%s: %v", path, err)
		}
		if w.count("/ocsp") != before {
			t.Errorf("%s: the redirect was followed", path)
		}
	}
}

func TestNoAddressNoService(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*x509.Certificate){
		"no addresses": func(c *x509.Certificate) { c.OCSPServer, c.CRLDistributionPoints = nil, nil },
		"unlisted hosts": func(c *x509.Certificate) {
			elsewhere := strings.Replace(w.server.URL, "127.0.0.1", "localhost", 1)
			c.OCSPServer, c.CRLDistributionPoints = []string{elsewhere + "/ocsp"}, []string{elsewhere + "/ca.crl"}
		},
	} {
		_, err := w.check(w.verifier(nil), w.card(change))
		if !errors.Is(err, ErrResponderDown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.count("/ocsp")+w.count("/ca.crl") > 0 {
		t.Error("an unlisted host was asked")
	}
}
