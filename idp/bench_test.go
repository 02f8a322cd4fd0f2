package idp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/card"
	"github.com/belfry-eid/belfry/internal/benchtest"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/eid/trust"
)

// measure runs f b.N times from several goroutines, as browsers do, and reports the
// rate per CPU second: of the provider and of the requests, so that it is a lower bound.
func measure(b *testing.B, f func()) {
	b.SetParallelism(8)
	report := benchtest.CPU(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			f()
		}
	})
	b.StopTimer()
	report()
}

// handle gives a request to the provider without a network between.
func (w *world) handle(r *http.Request) *httptest.ResponseRecorder {
	r.Host = strings.TrimPrefix(w.issuer, "http://")
	a := httptest.NewRecorder()
	w.provider.ServeHTTP(a, r)
	return a
}

func (w *world) postForm(path string, v url.Values, p *party) *httptest.ResponseRecorder {
	if p.key != nil {
		v.Set("client_assertion_type", client.AssertionType)
		v.Set("client_assertion", p.sign(p.assertion(w.issuer)))
	}
	r := httptest.NewRequest("POST", path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if p.key == nil {
		r.SetBasicAuth(url.QueryEscape(p.id), url.QueryEscape(p.secret))
	}
	return w.handle(r)
}

// once is one sign-in with a known session: authorize, token, userinfo; pushed
// first where the client is of profile high.
func (w *world) once(p *party, session string) {
	f := p.flow()
	query := f.values
	if p.key != nil {
		var pushed struct {
			RequestURI string `json:"request_uri"`
		}
		if err := json.Unmarshal(w.postForm("/par", f.values, p).Body.Bytes(), &pushed); err != nil {
			w.t.Error(err)
			return
		}
		query = url.Values{"client_id": {p.id}, "request_uri": {pushed.RequestURI}}
	}
	r := httptest.NewRequest("GET", "/authorize?"+query.Encode(), nil)
	r.AddCookie(&http.Cookie{Name: "belfry-id", Value: session})
	to, err := url.Parse(w.handle(r).Header().Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		w.t.Errorf("no code: %v", to)
		return
	}
	var tokens struct {
		AccessToken string `json:"access_token"`
		IDToken     string `json:"id_token"`
	}
	v := url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {p.redirect}, "code_verifier": {f.verifier}}
	if err := json.Unmarshal(w.postForm("/token", v, p).Body.Bytes(), &tokens); err != nil || tokens.IDToken == "" {
		w.t.Errorf("no tokens: %v", err)
		return
	}
	r = httptest.NewRequest("GET", "/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
	if a := w.handle(r); a.Code != http.StatusOK {
		w.t.Errorf("userinfo: %d", a.Code)
	}
}

// BenchmarkKnownSession: ES256, durable SQLite, the audit chain written.
func BenchmarkKnownSession(b *testing.B) {
	w := newWorld(b, bare)
	known := w.browser()
	known.say(w.parties[library], invented(1))
	session := known.cookie("belfry-id")
	b.Run("ordinary", func(b *testing.B) { measure(b, func() { w.once(w.parties[library], session) }) })
	b.Run("high", func(b *testing.B) { measure(b, func() { w.once(w.parties[portal], session) }) })
}

func BenchmarkUserinfo(b *testing.B) {
	w := newWorld(b, bare)
	p := w.parties[library]
	known := w.browser()
	known.say(p, invented(1))
	f := p.flow()
	token := p.exchange(f, known.open(p.ask(f)).code(f)).str("access_token")
	measure(b, func() {
		r := httptest.NewRequest("GET", "/userinfo", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		if a := w.handle(r); a.Code != http.StatusOK {
			b.Errorf("%d", a.Code)
		}
	})
}

func BenchmarkDocuments(b *testing.B) {
	w := newWorld(b, bare)
	for _, path := range []string{"/.well-known/openid-configuration", "/jwks"} {
		b.Run(path[1:5], func(b *testing.B) {
			measure(b, func() {
				if a := w.handle(httptest.NewRequest("GET", path, nil)); a.Code != http.StatusOK {
					b.Errorf("%d", a.Code)
				}
			})
		})
	}
}

// BenchmarkCard: the whole way with a card of P-384, from the request to userinfo. The
// card is a key in memory, whose signature is counted too; its status is known from a
// moment ago.
func BenchmarkCard(b *testing.B) {
	w := newWorld(b, func(o *options) {
		o.methods = func(w *world) []method.Method {
			verifier, err := trust.New(trust.Config{Roots: w.certs.Roots(), Intermediates: w.certs.Intermediates(), Hosts: w.certs.Hosts(), Client: http.DefaultClient})
			w.must(err)
			return []method.Method{card.New(card.Config{Store: w.store, Authority: verifier, Clock: clock.Clock(w.hand.Now)})}
		}
	})
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	w.must(err)
	like := w.certs.Citizen("luc").Authentication
	cert, err := w.certs.CitizenCA.Issue(&x509.Certificate{
		RawSubject: like.RawSubject, NotBefore: like.NotBefore, NotAfter: like.NotAfter, KeyUsage: like.KeyUsage, ExtKeyUsage: like.ExtKeyUsage, Policies: like.Policies,
	}, key.Public())
	w.must(err)
	p := w.parties[library]
	var done atomic.Int64
	measure(b, func() {
		f := p.flow()
		br := w.browser()
		at := br.open(p.ask(f))
		action, v := at.card()
		v.Set("token", webEID(b, key, cert, at.origin(), v.Get("nonce")))
		a := p.exchange(f, br.post(action, at.origin(), v).code(f))
		if w.userinfo(a.str("access_token")).status == http.StatusOK {
			done.Add(1)
		}
	})
	if done.Load() != int64(b.N) {
		b.Errorf("%d of %d", done.Load(), b.N)
	}
}

// BenchmarkCardCheck: what 1,200 cards have signed, checked, with the chain; their
// status is known from a moment ago. Two signatures of P-384 are verified for each;
// "raw" is one.
func BenchmarkCardCheck(b *testing.B) {
	w := newWorld(b)
	verifier, err := trust.New(trust.Config{Roots: w.certs.Roots(), Intermediates: w.certs.Intermediates(), Hosts: w.certs.Hosts(), Client: http.DefaultClient})
	w.must(err)
	key, cards := w.cardsOfOneKey(1200)
	var tokens []string
	for _, der := range cards {
		cert, err := x509.ParseCertificate(der)
		w.must(err)
		tokens = append(tokens, webEID(b, key, cert, w.issuer, "a challenge of more than forty-four characters"))
	}
	check := func(i int) {
		if _, err := card.Validate(b.Context(), verifier, tokens[i%len(tokens)], w.issuer, "a challenge of more than forty-four characters"); err != nil {
			b.Fatal(err)
		}
	}
	for i := range tokens {
		check(i)
	}
	b.Run("check", func(b *testing.B) {
		defer benchtest.CPU(b)()
		for i := 0; b.Loop(); i++ {
			check(i)
		}
	})
	b.Run("raw", func(b *testing.B) {
		digest := make([]byte, 48)
		signature, err := ecdsa.SignASN1(rand.Reader, key, digest)
		w.must(err)
		defer benchtest.CPU(b)()
		for b.Loop() {
			if !ecdsa.VerifyASN1(&key.PublicKey, digest, signature) {
				b.Fatal("a signature does not verify")
			}
		}
	})
}
