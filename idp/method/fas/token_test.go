package fas_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp/method/fas"
	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

// tokenKey is an RSA key that never leaves its token.
func tokenKey(t testing.TB, token *p11.Token, label string, opts ...p11.KeyOption) fas.Key {
	t.Helper()
	public, err := token.GenerateKey(label, p11.RSA2048, opts...)
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.Signer(label)
	if err != nil {
		t.Fatal(err)
	}
	issuer, _ := keys()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: label}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}, issuer.Certificate, public, issuer.Signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return fas.Key{Signer: key, Certificate: certificate}
}

// A commune whose keys lie in a token signs its requests and opens its answers there,
// whatever hash OAEP was made with; and so with two keys during a roll-over.
func TestKeysInAToken(t *testing.T) {
	module, err := p11.Load(softcard.Test(t))
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close()
	pin := p11.ParsePIN("1357")
	info, err := module.InitToken("saml", p11.ParsePIN("87654321"), p11.ParsePIN("1357"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := module.Open(p11.Selector{Label: "saml", Serial: info.Serial}, pin)
	if err != nil {
		t.Fatal(err)
	}
	defer token.Close()
	signing := tokenKey(t, token, "signing")
	old, fresh := tokenKey(t, token, "old", p11.Decrypting()), tokenKey(t, token, "fresh", p11.Decrypting())
	w := newWorld(t, func(a *fas.Agreement) { a.Signing, a.Encryption = []fas.Key{signing}, []fas.Key{fresh, old} })
	for _, to := range []fas.Key{old, fresh} {
		for _, how := range []string{"gcm", "oaep256"} {
			u := w.ask(step("beaumarais"))
			a := w.honest(u)
			a.EncryptTo, a.Encryption = to.Certificate, how
			if _, err := w.answer(step("beaumarais"), u, w.respond(a)); err != nil {
				t.Errorf("%s, %s: %v", to.Certificate.Subject.CommonName, how, err)
			}
		}
	}
	exit, err := w.fas.SignOut(t.Context(), "beaumarais", "login", "", "handle", "fr")
	if err != nil || exit.Address == "" {
		t.Errorf("signing out: %+v, %v", exit, err)
	}
	if link, _ := url.Parse(exit.Address); link.Query().Get("Signature") == "" {
		t.Error("it is not signed")
	}
	if h, err := w.fas.Check(t.Context(), "beaumarais", "fas"); err != nil || len(h.Ours) != 3 || len(h.Theirs) != 1 {
		t.Errorf("%+v, %v", h, err)
	}
}
