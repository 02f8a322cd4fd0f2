package card_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp/method/card"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fault"
)

// believer vouches for nobody but remembers that it was asked: whatever reaches it
// had a right signature.
type believer struct{ asked int }

var errAsked = errors.New("the certificate is asked about")

func (b *believer) Authentication(context.Context, []byte) (trust.Certificate, error) {
	b.asked++
	return trust.Certificate{}, errAsked
}

const (
	origin = "https://id.example"
	nonce  = "MTIzNDU2NzgxMjM0NTY3ODEyMzQ1Njc4MTIzNDU2Nzg="
)

// software is a key and its self-made certificate.
type software struct {
	key  crypto.Signer
	cert []byte
}

func certified(t testing.TB, key crypto.Signer) software {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return software{key, der}
}

// token signs as alg says, whatever the key is.
func (s software) token(t testing.TB, alg, origin, nonce string) string {
	t.Helper()
	h := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	outer := h.New()
	for _, part := range []string{origin, nonce} {
		inner := h.New()
		io.WriteString(inner, part)
		outer.Write(inner.Sum(nil))
	}
	digest := outer.Sum(nil)
	var signature []byte
	var err error
	switch key := s.key.(type) {
	case *ecdsa.PrivateKey:
		r, ss, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			t.Fatal(err)
		}
		size := (key.Params().BitSize + 7) / 8
		signature = append(r.FillBytes(make([]byte, size)), ss.FillBytes(make([]byte, size))...)
	case *rsa.PrivateKey:
		if strings.HasPrefix(alg, "PS") {
			signature, err = rsa.SignPSS(rand.Reader, key, h, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(rand.Reader, key, h, digest)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return wire(t, map[string]any{
		"unverifiedCertificate": base64.StdEncoding.EncodeToString(s.cert), "algorithm": alg,
		"signature": base64.StdEncoding.EncodeToString(signature), "format": "web-eid:1.0", "appVersion": "1", "action": "ignored",
	})
}

func wire(t testing.TB, v map[string]any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func ec(t testing.TB, curve elliptic.Curve) software {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return certified(t, key)
}

func rsaKey(t testing.TB, bits int) software {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return certified(t, key)
}

func TestAnAlgorithmGoesWithOneKindOfKey(t *testing.T) {
	cards := map[string]software{"P-256": ec(t, elliptic.P256()), "P-384": ec(t, elliptic.P384()), "P-521": ec(t, elliptic.P521()), "RSA": rsaKey(t, 2048)}
	fits := map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA", "RS256": "RSA", "RS384": "RSA", "RS512": "RSA"}
	for alg, kind := range fits {
		for name, c := range cards {
			b := &believer{}
			_, err := card.Validate(t.Context(), b, c.token(t, alg, origin, nonce), origin, nonce)
			if right := name == kind; (b.asked == 1) != right || errors.Is(err, errAsked) != right {
				t.Errorf("%s with a key of %s: %v", alg, name, err)
			}
		}
	}
}

func TestAShortRSAKeyIsRefused(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	b := &believer{}
	if _, err := card.Validate(t.Context(), b, rsaKey(t, 1024).token(t, "RS256", origin, nonce), origin, nonce); b.asked != 0 || err == nil {
		t.Errorf("a key of 1024 bits is believed: %v", err)
	}
}

// Each field has one spelling, and nothing is asked about a token that is no
// signature of ours.
func TestWhatIsNoToken(t *testing.T) {
	c := ec(t, elliptic.P384())
	right := c.token(t, "ES384", origin, nonce)
	edit := func(name string, f func(string) any) string {
		var v map[string]any
		if err := json.Unmarshal([]byte(right), &v); err != nil {
			t.Fatal(err)
		}
		old, _ := v[name].(string)
		v[name] = f(old)
		return wire(t, v)
	}
	set := func(to any) func(string) any { return func(string) any { return to } }
	for name, c := range map[string]struct{ text, want string }{
		"empty":                     {"", "card.malformed"},
		"short":                     {strings.Repeat("x", 99), "card.malformed"},
		"long":                      {right + strings.Repeat(" ", 10_000), "card.malformed"},
		"two of them":               {right + right, "card.malformed"},
		"an array":                  {"[" + right + "]", "card.malformed"},
		"another format":            {edit("format", set("web-eid:2")), "card.malformed"},
		"a format that begins so":   {edit("format", set("web-eid:10")), "card.malformed"},
		"no format":                 {edit("format", set(nil)), "card.malformed"},
		"algorithm none":            {edit("algorithm", set("none")), "card.malformed"},
		"algorithm in small":        {edit("algorithm", set("es384")), "card.malformed"},
		"HMAC":                      {edit("algorithm", set("HS256")), "card.malformed"},
		"no certificate":            {edit("unverifiedCertificate", set("")), "card.malformed"},
		"a certificate in lines":    {edit("unverifiedCertificate", func(s string) any { return s[:64] + "\n" + s[64:] }), "card.malformed"},
		"a certificate and more":    {edit("unverifiedCertificate", func(s string) any { return more(s) }), "card.malformed"},
		"a number as certificate":   {edit("unverifiedCertificate", set(1)), "card.malformed"},
		"base64 of another kind":    {edit("signature", func(s string) any { return strings.NewReplacer("+", "-", "/", "_").Replace(s) + "-" }), "card.malformed"},
		"a signature and a byte":    {edit("signature", func(s string) any { return more(s) }), "idp.card_signature"},
		"a signature in DER":        {edit("signature", set(base64.StdEncoding.EncodeToString([]byte{48, 6, 2, 1, 1, 2, 1, 1}))), "idp.card_signature"},
		"a signature of noughts":    {edit("signature", set(base64.StdEncoding.EncodeToString(make([]byte, 96)))), "idp.card_signature"},
		"another origin":            {over(t, "https://id.example.evil", nonce), "idp.card_signature"},
		"origin and nonce shifted":  {over(t, origin+"M", nonce[1:]), "idp.card_signature"},
		"the nonce's bytes, not it": {over(t, origin, "12345678123456781234567812345678"), "idp.card_signature"},
	} {
		b := &believer{}
		_, err := card.Validate(t.Context(), b, c.text, origin, nonce)
		if fault.KeyOf(err) != c.want || b.asked != 0 {
			t.Errorf("%s: %v (asked %d times)", name, err, b.asked)
		}
	}
	b := &believer{}
	if _, err := card.Validate(t.Context(), b, right, origin, nonce); !errors.Is(err, errAsked) {
		t.Errorf("the right one: %v", err)
	}
}

func more(s string) string {
	raw, _ := base64.StdEncoding.DecodeString(s)
	return base64.StdEncoding.EncodeToString(append(raw, 0))
}

func over(t testing.TB, origin, nonce string) string {
	t.Helper()
	return ec(t, elliptic.P384()).token(t, "ES384", origin, nonce)
}

// Whatever is sent: no panic, and the authority is asked only about what carries a
// signature over our origin and nonce.
func FuzzValidate(f *testing.F) {
	right := ec(f, elliptic.P256()).token(f, "ES256", origin, nonce)
	f.Add(right)
	f.Add(rsaKey(f, 2048).token(f, "PS256", origin, nonce))
	f.Add(ec(f, elliptic.P256()).token(f, "ES256", "https://evil.example", nonce))
	f.Add(strings.Repeat("{", 500))
	f.Add(strings.Replace(right, "web-eid:1.0", "web-eid:1.1", 1))
	f.Fuzz(func(t *testing.T, text string) {
		b := &believer{}
		_, err := card.Validate(t.Context(), b, text, origin, nonce)
		if err == nil {
			t.Fatal("somebody is proved whom no authority vouches for")
		}
		if b.asked == 0 && fault.KeyOf(err) == "" {
			t.Errorf("no words for %v", err)
		}
	})
}
