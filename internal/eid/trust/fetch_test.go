package trust

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"
)

func TestUnknownIntermediateIsFetched(t *testing.T) {
	w := newWorld(t)
	none := func(cfg *Config) { cfg.Intermediates = nil }
	stranger := w.newCA("Citizen CA", authority{}, nil)
	strangers := func() *x509.Certificate {
		template := *w.card(nil)
		template.Raw, template.AuthorityKeyId = nil, nil
		return w.sign(&template, stranger.cert, leafKey().Public(), stranger.key)
	}()
	for name, c := range map[string]struct {
		aia  func() []byte
		card *x509.Certificate
		want error
	}{
		"DER":  {func() []byte { return w.ca.cert.Raw }, w.card(nil), nil},
		"PEM":  {func() []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.ca.cert.Raw}) }, w.card(nil), nil},
		"away": {nil, w.card(nil), ErrResponderDown},
		"another CA": {func() []byte { return w.root.cert.Raw }, w.card(nil),
			ErrUnknownCA},
		"noise":            {func() []byte { return []byte("<html>") }, w.card(nil), ErrUnknownCA},
		"below no root":    {func() []byte { return stranger.cert.Raw }, strangers, ErrUnknownCA},
		"same name, ours":  {func() []byte { return w.ca.cert.Raw }, strangers, ErrUnknownCA},
		"no address":       {nil, w.card(func(c *x509.Certificate) { c.IssuingCertificateURL = nil }), ErrUnknownCA},
		"unlisted address": {nil, w.card(func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://169.254.169.254/ca.crt"} }), ErrUnknownCA},
	} {
		w.set(func() { w.aia = c.aia })
		_, err := w.check(w.verifier(none), c.card)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		silent(t, err)
	}
	// Once verified it is kept.
	w.set(func() { w.aia = func() []byte { return w.ca.cert.Raw } })
	v := w.verifier(none)
	before := w.count("/ca.crt")
	for range 3 {
		if _, err := w.check(v, w.card(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.count("/ca.crt") - before; n != 1 {
		t.Errorf("the issuer was fetched %d times", n)
	}
}
