package card_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/idp/method/card"
	reader "github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/testcerts"
)

// held is the token of a real card of the test world, and who vouches for it.
func held(t *testing.T, w *testcerts.World, name string) (*trust.Verifier, map[string]any) {
	t.Helper()
	v, err := trust.New(trust.Config{Roots: w.Roots(), Intermediates: w.Intermediates(), Hosts: w.Hosts()})
	if err != nil {
		t.Fatal(err)
	}
	c := w.Citizen(name)
	inserted, err := reader.Find(w.Module(), c.Serial)
	if err != nil {
		t.Fatal(err)
	}
	made, err := inserted.Authenticate(origin, nonce, c.Secret())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	var token map[string]any
	if err := json.Unmarshal(raw, &token); err != nil {
		t.Fatal(err)
	}
	return v, token
}

// later makes a token of 1.1 of one of 1.0: the signature covers none of it.
func later(token map[string]any, der []byte, algorithms ...map[string]string) {
	token["format"] = "web-eid:1.1"
	token["unverifiedSigningCertificates"] = []map[string]any{{"certificate": base64.StdEncoding.EncodeToString(der), "supportedSignatureAlgorithms": algorithms}}
}

var (
	ecc = map[string]string{"cryptoAlgorithm": "ECC", "hashFunction": "SHA-384", "paddingScheme": "NONE"}
	rs  = map[string]string{"cryptoAlgorithm": "RSA", "hashFunction": "SHA-256", "paddingScheme": "PKCS1.5"}
)

// Cards of both generations, citizens and foreigners, people with a bis number and people
// born after 2000, in both formats.
func TestEveryCardSignsInInBothFormats(t *testing.T) {
	w := testcerts.New(t)
	for name, algorithm := range map[string]map[string]string{"sofie": ecc, "henri": rs, "amina": ecc, "olena": ecc, "yara": ecc} {
		v, token := held(t, w, name)
		c := w.Citizen(name)
		for _, format := range []string{"web-eid:1", "web-eid:1.0", "web-eid:1.1", "web-eid:1.2"} {
			delete(token, "unverifiedSigningCertificates")
			if format > "web-eid:1.0" {
				later(token, c.Signature.Raw, algorithm)
			}
			token["format"] = format
			proved, err := card.Validate(t.Context(), v, wire(t, token), origin, nonce)
			if err != nil {
				t.Errorf("%s, %s: %v", name, format, err)
				continue
			}
			if who := proved.Citizen(); who.Number.Reveal() != c.Number || who.Foreigner != c.Foreigner || who.Number.Bis() != (name == "olena") {
				t.Errorf("%s, %s: another citizen", name, format)
			}
		}
	}
}

// Tokens with a right signature in a wrong envelope.
func TestHostileFormats(t *testing.T) {
	w := testcerts.New(t)
	sofie, henri := w.Citizen("sofie"), w.Citizen("henri")
	twin, err := w.MakeCard(testcerts.CardSpec{Person: sofie.Person, Edit: nil, PIN: "9999"})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := w.MakeCard(testcerts.CardSpec{Person: sofie.Person, Status: testcerts.UnknownCA, PIN: "8888"})
	if err != nil {
		t.Fatal(err)
	}
	expired, err := w.MakeCard(testcerts.CardSpec{Person: sofie.Person, Status: testcerts.Expired, PIN: "7777"})
	if err != nil {
		t.Fatal(err)
	}
	entry := func(token map[string]any) map[string]any {
		return token["unverifiedSigningCertificates"].([]map[string]any)[0]
	}
	with := func(member, value string) map[string]string {
		changed := map[string]string{"cryptoAlgorithm": "ECC", "hashFunction": "SHA-384", "paddingScheme": "NONE"}
		changed[member] = value
		return changed
	}
	v, right := held(t, w, "sofie")
	for name, change := range map[string]func(map[string]any){
		"1.1 taken down to 1.0": func(m map[string]any) { m["format"] = "web-eid:1.0" },
		"1.1 taken down to 1":   func(m map[string]any) { m["format"] = "web-eid:1" },
		"1.0 with intermediates": func(m map[string]any) {
			delete(m, "unverifiedSigningCertificates")
			m["format"] = "web-eid:1.0"
			m["unverifiedIntermediateCertificates"] = []string{}
		},
		"1.0 called 1.1":        func(m map[string]any) { delete(m, "unverifiedSigningCertificates") },
		"no entry":              func(m map[string]any) { m["unverifiedSigningCertificates"] = []any{} },
		"null for entries":      func(m map[string]any) { m["unverifiedSigningCertificates"] = nil },
		"an entry that is null": func(m map[string]any) { m["unverifiedSigningCertificates"] = []any{nil} },
		"a text for entries":    func(m map[string]any) { m["unverifiedSigningCertificates"] = "x" },
		"the draft's member": func(m map[string]any) {
			delete(m, "unverifiedSigningCertificates")
			m["unverifiedSigningCertificate"] = base64.StdEncoding.EncodeToString(sofie.Signature.Raw)
			m["supportedSignatureAlgorithms"] = []any{ecc}
		},
		"five entries":            func(m map[string]any) { m["unverifiedSigningCertificates"] = []any{1, 2, 3, 4, 5} },
		"format 1.01":             func(m map[string]any) { m["format"] = "web-eid:1.01" },
		"format 1.":               func(m map[string]any) { m["format"] = "web-eid:1." },
		"format 1.1.0":            func(m map[string]any) { m["format"] = "web-eid:1.1.0" },
		"format 1.1 and more":     func(m map[string]any) { m["format"] = "web-eid:1.1\n" },
		"format 10.1":             func(m map[string]any) { m["format"] = "web-eid:10.1" },
		"format 2.1":              func(m map[string]any) { m["format"] = "web-eid:2.1" },
		"format 1.9999":           func(m map[string]any) { m["format"] = "web-eid:1.9999" },
		"format in capitals":      func(m map[string]any) { m["format"] = "WEB-EID:1.1" },
		"format as a number":      func(m map[string]any) { m["format"] = 1.1 },
		"appVersion as a number":  func(m map[string]any) { m["appVersion"] = 2 },
		"appVersion as an object": func(m map[string]any) { m["appVersion"] = map[string]string{} },
		"appVersion of a book":    func(m map[string]any) { m["appVersion"] = strings.Repeat("v", 301) },
		"issuerApp as a list":     func(m map[string]any) { m["issuerApp"] = []string{"x"} },
		"issuerApp of a book":     func(m map[string]any) { m["issuerApp"] = strings.Repeat("v", 301) },
		"the certificate for signing in": func(m map[string]any) {
			entry(m)["certificate"] = base64.StdEncoding.EncodeToString(sofie.Authentication.Raw)
		},
		"another person's certificate": func(m map[string]any) {
			entry(m)["certificate"] = base64.StdEncoding.EncodeToString(w.Citizen("luc").Signature.Raw)
		},
		"another generation's":        func(m map[string]any) { later(m, henri.Signature.Raw, rs) },
		"the CA's certificate":        func(m map[string]any) { entry(m)["certificate"] = base64.StdEncoding.EncodeToString(sofie.CA.Raw) },
		"one from an unknown CA":      func(m map[string]any) { later(m, stranger.Signature.Raw, ecc) },
		"one that has ended":          func(m map[string]any) { later(m, expired.Signature.Raw, ecc) },
		"one with a bit turned":       func(m map[string]any) { entry(m)["certificate"] = flipped(sofie.Signature.Raw) },
		"no certificate":              func(m map[string]any) { entry(m)["certificate"] = "" },
		"a certificate in lines":      func(m map[string]any) { entry(m)["certificate"] = "MIIB\nAAAA" },
		"no algorithms":               func(m map[string]any) { later(m, sofie.Signature.Raw) },
		"an algorithm of another key": func(m map[string]any) { later(m, sofie.Signature.Raw, rs) },
		"one right and one wrong":     func(m map[string]any) { later(m, sofie.Signature.Raw, ecc, rs) },
		"an unknown kind of key":      func(m map[string]any) { later(m, sofie.Signature.Raw, with("cryptoAlgorithm", "DSA")) },
		"SHA-1":                       func(m map[string]any) { later(m, sofie.Signature.Raw, with("hashFunction", "SHA-1")) },
		"a padding for an EC key":     func(m map[string]any) { later(m, sofie.Signature.Raw, with("paddingScheme", "PSS")) },
		"certificates swapped": func(m map[string]any) {
			m["unverifiedCertificate"] = base64.StdEncoding.EncodeToString(sofie.Signature.Raw)
			entry(m)["certificate"] = base64.StdEncoding.EncodeToString(sofie.Authentication.Raw)
		},
	} {
		token := maps.Clone(right)
		later(token, sofie.Signature.Raw, ecc)
		change(token)
		if proved, err := card.Validate(t.Context(), v, wire(t, token), origin, nonce); err == nil || fault.KeyOf(err) == "" || proved.Citizen().Name() != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The person's own other card, of the same issuer, is not told apart: it is theirs.
	token := maps.Clone(right)
	later(token, twin.Signature.Raw, ecc)
	if _, err := card.Validate(t.Context(), v, wire(t, token), origin, nonce); err != nil {
		t.Errorf("the holder's other card: %v", err)
	}
	// An RSA card's signature passes as nothing but PKCS #1 v1.5 with SHA-256.
	v, token = held(t, w, "henri")
	for _, alg := range []string{"PS256", "RS384", "RS512", "ES256", "ES384"} {
		token["algorithm"] = alg
		if _, err := card.Validate(t.Context(), v, wire(t, token), origin, nonce); err == nil {
			t.Errorf("a signature of RS256 is taken for %s", alg)
		}
	}
	henri.Revoke()
	token["algorithm"] = "RS256"
	fresh, _ := trust.New(trust.Config{Roots: w.Roots(), Intermediates: w.Intermediates(), Hosts: w.Hosts()})
	if _, err := card.Validate(t.Context(), fresh, wire(t, token), origin, nonce); !errors.Is(err, trust.ErrRevoked) {
		t.Errorf("a revoked RSA card: %v", err)
	}
}

// flipped is a certificate whose signature is another.
func flipped(der []byte) string {
	changed := append([]byte(nil), der...)
	changed[len(changed)-1] ^= 1
	return base64.StdEncoding.EncodeToString(changed)
}
