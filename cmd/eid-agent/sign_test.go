package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha512"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/testcerts"
)

func body(t *testing.T, r signRequest) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// want asks for a certificate in JSON that names no more than it may.
const want = `{"commune":"Zandvoorde","documents":3,"lang":"nl"}`

// asked begins an operation and returns how it ended.
func (a *testAgent) asked(t *testing.T, path, body string) answer {
	t.Helper()
	status, out, _ := a.call(t, "POST", path, body, nil)
	if status != http.StatusAccepted {
		t.Fatalf("%s: %d %+v", path, status, out.Error)
	}
	return a.outcomeOf(t, out.ID)
}

// A page reads the certificate and has documents signed, each confirmed in words that
// name site, commune, which document and its hash.
func TestDocumentsAreSigned(t *testing.T) {
	cards, held := cardOf(t, "Ondertekenaar", testcerts.CardSpec{PIN: "2468"})
	seen := withPinentry(t, "ok")
	a := pinentryAgent(t, cards)
	out := a.asked(t, "/certificate", want)
	if !bytes.Equal(out.Certificate, held.Signature.Raw) {
		t.Fatalf("another certificate: %+v", out.Error)
	}
	if told := seen(); !strings.Contains(told, i18n.T(i18n.Dutch, "agent.purpose_certificate", "Count", 3)+"\n\n"+site+"\n\nGemeente: Zandvoorde") || strings.Contains(told, "GETPIN") {
		t.Errorf("pinentry was told\n%s", told)
	}
	digest := sha512.Sum384([]byte("a document"))
	req := signRequest{Commune: "Zandvoorde", Documents: 3, Number: 2, Certificate: held.Signature.Raw, Hash: digest[:], HashFunction: "SHA-384", Lang: "nl"}
	seen = withPinentry(t, "1111 2468")
	out = a.asked(t, "/sign", body(t, req))
	if out.Signature == nil || out.Signature.Algorithm != (signatureFormat{"ECC", "SHA-384", "NONE"}) {
		t.Fatalf("%+v", out.Error)
	}
	r, s := new(big.Int).SetBytes(out.Signature.Value[:48]), new(big.Int).SetBytes(out.Signature.Value[48:])
	if !ecdsa.Verify(held.Signature.PublicKey.(*ecdsa.PublicKey), digest[:], r, s) {
		t.Error("the signature is not of this hash")
	}
	told := seen()
	for _, line := range []string{"Document 2 van 3 ondertekenen\n\n" + site + "\n\nGemeente: Zandvoorde\nVingerafdruk: ", "\n\nKaart van Maria Ondertekenaar", "SETERROR " + i18n.T(i18n.Dutch, "card.pin_wrong")} {
		if !strings.Contains(told, line) {
			t.Errorf("pinentry was not told %q but\n%s", line, told)
		}
	}
	withPinentry(t, "cancel")
	if out := a.asked(t, "/sign", body(t, req)); out.Error == nil || out.Error.Code != "cancelled" {
		t.Errorf("cancelled: %+v", out)
	}
	for _, secret := range []string{held.PIN, held.Number} {
		if strings.Contains(a.log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}

// Only the origin that was agreed to may ask, and for the card that was agreed to.
func TestNobodyElseHasDocumentsSigned(t *testing.T) {
	cards, held := cardOf(t, "Gevraagd", testcerts.CardSpec{PIN: "2468"})
	_, other := cardOf(t, "Ander", testcerts.CardSpec{PIN: "2468"})
	withPinentry(t, "ok")
	a := pinentryAgent(t, cards)
	digest := sha512.Sum384([]byte("a document"))
	req := signRequest{Commune: "Zandvoorde", Documents: 1, Number: 1, Certificate: held.Signature.Raw, Hash: digest[:], HashFunction: "SHA-384"}
	refused := func(name, origin string, r signRequest) {
		t.Helper()
		if status, out, _ := a.call(t, "POST", "/sign", body(t, r), from(origin)); status != http.StatusForbidden || out.Error.Code != "origin_refused" {
			t.Errorf("%s: %d %+v", name, status, out.Error)
		}
	}
	refused("before the person agreed", site, req)
	a.asked(t, "/certificate", want)
	refused("another origin", "https://evil.example", req)
	elsewhere := req
	elsewhere.Certificate = other.Signature.Raw
	refused("another certificate", site, elsewhere)
	elsewhere.Certificate = nil
	refused("no certificate", site, elsewhere)
	a.mu.Lock()
	s := a.signers[site]
	s.until = s.until.Add(-trusted)
	a.signers[site] = s
	a.mu.Unlock()
	refused("half an hour later", site, req)
}

func TestAnotherCardInTheReader(t *testing.T) {
	cards, _ := cardOf(t, "Verwisseld", testcerts.CardSpec{PIN: "2468"})
	_, other := cardOf(t, "Oorspronkelijk", testcerts.CardSpec{PIN: "2468"})
	seen := withPinentry(t, "2468")
	a := pinentryAgent(t, cards)
	a.agreed(site, other.Signature.Raw)
	digest := sha512.Sum384([]byte("a document"))
	out := a.asked(t, "/sign", body(t, signRequest{Commune: "Z", Documents: 1, Number: 1, Certificate: other.Signature.Raw, Hash: digest[:], HashFunction: "SHA-384"}))
	if out.Error == nil || out.Error.Code != "other_card" || strings.Contains(seen(), "GETPIN") {
		t.Errorf("%+v", out)
	}
}

func TestSignRequestsThatAreRefused(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	a.agreed(site, []byte("x"))
	digest := sha512.Sum384(nil)
	good := signRequest{Commune: "Z", Documents: 2, Number: 1, Certificate: []byte("x"), Hash: digest[:], HashFunction: "SHA-384"}
	if status, _, _ := a.call(t, "POST", "/sign", body(t, good), nil); status != http.StatusAccepted {
		t.Fatalf("a good one: %d", status)
	}
	for name, change := range map[string]func(*signRequest){
		"no commune":          func(r *signRequest) { r.Commune = "" },
		"a commune of lines":  func(r *signRequest) { r.Commune = "Z\nhttps://bank.example" },
		"one of hidden signs": func(r *signRequest) { r.Commune = "Z\u202e" },
		"a long one":          func(r *signRequest) { r.Commune = strings.Repeat("Z", 61) },
		"no documents":        func(r *signRequest) { r.Documents = 0 },
		"the third of two":    func(r *signRequest) { r.Number = 3 },
		"no number":           func(r *signRequest) { r.Number = 0 },
		"a short hash":        func(r *signRequest) { r.Hash = r.Hash[1:] },
		"another hash's":      func(r *signRequest) { r.HashFunction = "SHA-256" },
		"SHA-1":               func(r *signRequest) { r.HashFunction = "SHA-1" },
	} {
		r := good
		change(&r)
		if status, _, _ := a.call(t, "POST", "/sign", body(t, r), nil); status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status, _, _ := a.call(t, "POST", "/certificate", body(t, good), nil); status != http.StatusBadRequest {
		t.Errorf("a hash while the certificate is asked for: %d", status)
	}
	for _, path := range []string{"/certificate", "/sign"} {
		for _, origin := range []string{"null", "", a.base} {
			if status, _, _ := a.call(t, "POST", path, body(t, good), from(origin)); status != http.StatusForbidden {
				t.Errorf("%s from %q: %d", path, origin, status)
			}
		}
	}
}
