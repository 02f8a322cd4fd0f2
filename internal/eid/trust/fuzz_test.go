package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"math/big"
	"net/http"
	"testing"
)

// A stranger's bytes never panic, and are believed only where they are a
// certificate that the world issued, byte for byte.
func FuzzCertificate(f *testing.F) {
	w := newWorld(f)
	v := w.verifier(nil)
	good := w.card(nil)
	if _, err := w.check(v, good); err != nil { // and its status is kept: fuzzing asks nobody
		f.Fatal(err)
	}
	f.Add(good.Raw)
	f.Add(w.card(func(c *x509.Certificate) { c.Policies = nil }).Raw)
	f.Add(w.ca.cert.Raw)
	f.Add(w.root.cert.Raw)
	f.Add([]byte{})
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := v.Authentication(context.Background(), der)
		if err != nil {
			return
		}
		if !bytes.Equal(der, good.Raw) {
			t.Error("bytes that nobody issued are believed")
		}
		if _, err := CitizenOf(c); err != nil {
			t.Error(err)
		}
	})
}

// A responder's bytes never panic, and never say "good" unless they are the signed ones.
func FuzzOCSP(f *testing.F) {
	w := newWorld(f)
	v := w.verifier(nil)
	card := w.card(nil)
	delegate := w.responder(w.ca, nil)
	nonce := []byte{4, 2, 1, 2}
	good := w.answer(reply{serial: card.SerialNumber, nonce: nonce})
	delegated := w.answer(reply{serial: card.SerialNumber, nonce: nonce, signer: delegate, certs: []*x509.Certificate{delegate.cert}})
	f.Add(good)
	f.Add(delegated)
	f.Add(w.answer(reply{serial: big.NewInt(7), byKey: true}))
	f.Add([]byte{0x30, 0x03, 0x0a, 0x01, 0x03})
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := v.readOCSP(raw, nonce, card, w.ca.cert, noon)
		if err != nil || s.revoked {
			return
		}
		// The signature does not cover the wrapping; what it covers must be ours.
		for _, ours := range [][]byte{good, delegated} {
			if bytes.Contains(raw, signedPart(ours)) {
				return
			}
		}
		t.Error("an answer that nobody signed is believed")
	})
}

func signedPart(raw []byte) []byte {
	var answer ocspAnswer
	var basic ocspBasic
	if exactly(raw, &answer) != nil || exactly(answer.Body.DER, &basic) != nil {
		panic("not an answer")
	}
	return basic.Data.Raw
}

// A list's bytes never panic.
func FuzzCRL(f *testing.F) {
	w := newWorld(f)
	card := w.card(nil)
	f.Add(w.list(w.ca, nil))
	f.Add(w.list(w.ca, nil, card.SerialNumber))
	f.Add([]byte{0x30, 0x00})
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := New(Config{
			Roots: []*x509.Certificate{w.root.cert}, Hosts: []string{w.host}, Clock: w.clock.Now,
			Client: &http.Client{Transport: says(raw)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.lookUpAt(context.Background(), w.server.URL+"/ca.crl", card, w.ca.cert, noon); err != nil {
			return
		}
		list, err := x509.ParseRevocationList(raw)
		if err != nil || list.CheckSignatureFrom(w.ca.cert) != nil {
			t.Error("a list that the issuer did not sign is believed")
		}
	})
}

type says []byte

func (s says) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(s))}, nil
}
