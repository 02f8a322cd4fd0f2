package idp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/card"
	"github.com/belfry-eid/belfry/internal/eid/trust"
)

// TestServe is no test: it makes this program the provider that tools/bench loads, on
// a durable SQLite file with the audit chain written. With BELFRY_BENCH_SERVE=session
// somebody is signed in; with =card there are cards, and what checks them keeps a
// statement about each for five minutes, as in production. It prints one line of JSON
// and ends with its standard input.
func TestServe(t *testing.T) {
	said := map[string]any{}
	var w *world
	switch os.Getenv("BELFRY_BENCH_SERVE") {
	case "":
		t.Skip("for tools/bench")
	case "session":
		w = newWorld(t, bare)
		known := w.browser()
		known.say(w.parties[library], invented(1))
		said["cookie"] = "belfry-id=" + known.cookie("belfry-id")
	case "card":
		w = newWorld(t, func(o *options) {
			o.methods = func(w *world) []method.Method {
				verifier, err := trust.New(trust.Config{Roots: w.certs.Roots(), Intermediates: w.certs.Intermediates(), Hosts: w.certs.Hosts(), Client: http.DefaultClient})
				w.must(err)
				return []method.Method{card.New(card.Config{Store: w.store, Authority: verifier, Clock: w.hand.Now})}
			}
		})
		key, cards := w.cardsOfOneKey(1200)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		w.must(err)
		said["key"], said["cards"] = der, cards
	}
	p := w.parties[library]
	said["address"], said["host"] = w.address, strings.TrimPrefix(w.issuer, "http://")
	said["client"], said["secret"], said["redirect"] = p.id, p.secret, p.redirect
	w.must(json.NewEncoder(os.Stdout).Encode(said))
	io.Copy(io.Discard, os.Stdin)
}

// cardsOfOneKey makes cards of n people, all with the same P-384 key: what it costs
// to check them is the same, and making them is quick.
func (w *world) cardsOfOneKey(n int) (*ecdsa.PrivateKey, [][]byte) {
	var cards [][]byte
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	w.must(err)
	serialNumber := asn1.ObjectIdentifier{2, 5, 4, 5}
	like := w.certs.Citizen("luc").Authentication
	for i := range n {
		subject := pkix.Name{}
		for _, a := range like.Subject.Names {
			if a.Type.Equal(serialNumber) {
				a.Value = invented(i + 1)
			}
			subject.ExtraNames = append(subject.ExtraNames, a)
		}
		cert, err := w.certs.CitizenCA.Issue(&x509.Certificate{
			Subject: subject, NotBefore: like.NotBefore, NotAfter: like.NotAfter, KeyUsage: like.KeyUsage, ExtKeyUsage: like.ExtKeyUsage, Policies: like.Policies,
		}, key.Public())
		w.must(err)
		cards = append(cards, cert.Raw)
	}
	return key, cards
}
