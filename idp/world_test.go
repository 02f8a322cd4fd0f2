package idp_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/belfry-eid/belfry/idp"
	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/card"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/testcerts"
)

// world is a provider on loopback, with everything that a relying party, a browser
// and a card may do to it.
type world struct {
	t        testing.TB
	issuer   string // http://id.belfry.localhost:PORT
	secure   string // the same over https, as a listed proxy says
	hand     *clock.Hand
	certs    *testcerts.World
	db       *sqldb.DB
	store    *idpsql.Store
	audit    *audit.Log
	communes *commune.Communes
	clients  *client.Registry
	provider *idp.Provider
	address  string // of the listener
	log      *buffer
	parties  map[string]*party
	direct   *http.Client // of programs: no cookies, no redirects
	values   kv.Store
	master   *secret.Master
	told     map[string]string // where clients are told of a session's end
	jobs     *jobs.Queue       // not started; nil where none is told
}

// buffer is a log that several goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// party is a relying party.
type party struct {
	w        *world
	id       string
	redirect string
	key      *ecdsa.PrivateKey // nil where it has a secret
	secret   string
	alg      jose.SignatureAlgorithm
}

const (
	portal  = "portal-beaumarais" // high, with an authorisation for the number
	library = "library"           // ordinary, with a secret, of the same commune
	seaside = "portal-zandvoorde" // high, of another commune
	ancient = "ancient"           // ordinary, without PKCE, RS256
)

type option func(*options)

type options struct {
	methods func(*world) []method.Method
	bare    bool // no cards, no PKI
	kv      func(kv.Store) kv.Store
	library string // the library's origin
	db      func(testing.TB) *sqldb.DB
	now     time.Time
	staff   func(*world) idp.Staff
	told    map[string]string // where a client is told of a session's end
	regime  commune.Regime    // of beaumarais, "fr" where empty
}

// bare is a world without cards, where people are taken at their word.
func bare(o *options) {
	o.bare = true
	o.methods = func(*world) []method.Method { return []method.Method{word{}} }
}

func newWorld(t testing.TB, opts ...option) *world {
	t.Helper()
	o := options{library: "https://library.example", db: sqldbtest.SQLite, now: time.Now().UTC().Truncate(time.Second), methods: func(w *world) []method.Method { return []method.Method{w.card()} }}
	for _, f := range opts {
		f(&o)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	w := &world{
		t: t, issuer: fmt.Sprintf("http://id.belfry.localhost:%d", port), secure: fmt.Sprintf("https://id.belfry.localhost:%d", port),
		hand: clock.NewHand(o.now), db: o.db(t), log: &buffer{}, told: o.told, parties: map[string]*party{}, address: l.Addr().String(),
	}
	if !o.bare {
		w.certs = testcerts.New(t)
	}
	w.direct = &http.Client{Transport: w.transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	w.settle(o)
	ctx := context.Background()
	w.store, err = idpsql.New(ctx, w.db, w.hand.Now)
	w.must(err)
	w.audit, err = audit.New(w.db, t.TempDir())
	w.must(err)
	store, err := kv.NewSQL(w.db, w.hand.Now)
	w.must(err)
	w.values = store
	if o.kv != nil {
		store = o.kv(store)
	}
	master, err := secret.New(bytes.Repeat([]byte{42}, 32))
	w.must(err)
	w.master = master
	cfg := idp.Config{
		Issuers: []string{w.issuer, w.secure}, Communes: w.communes, Clients: w.clients, Methods: o.methods(w), Store: w.store, KV: store,
		Secret: master, Clock: w.hand.Now, Log: slog.New(slog.NewJSONHandler(w.log, nil)), Audit: w.audit,
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	if o.staff != nil {
		cfg.Staff = o.staff(w)
	}
	if o.told != nil {
		w.jobs, err = jobs.New(w.db, cfg.Log)
		w.must(err)
		cfg.Jobs = w.jobs
	}
	w.provider, err = idp.New(ctx, cfg)
	w.must(err)
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: w.provider}}
	srv.Start()
	t.Cleanup(srv.Close)
	return w
}

// staffLevel is the one of a world where people are taken at their word.
func (o options) staffLevel() string {
	if o.bare {
		return "low"
	}
	return ""
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// transport dials every name to the provider; the provider sees https where the
// address says so, as behind the front's TLS.
func (w *world) transport() http.RoundTripper {
	dial := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, w.address)
	}, MaxIdleConnsPerHost: 64}
	w.t.Cleanup(dial.CloseIdleConnections)
	return front{dial}
}

// front is the proxy with TLS, as far as the provider can tell.
type front struct{ next http.RoundTripper }

func (f front) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return f.next.RoundTrip(r)
	}
	plain := r.Clone(r.Context())
	plain.URL.Scheme = "http"
	plain.Header.Set("X-Forwarded-Proto", "https")
	res, err := f.next.RoundTrip(plain)
	if res != nil {
		res.Request = r
	}
	return res, err
}

func (w *world) settle(o options) {
	var err error
	w.communes, err = commune.NewCommunes([]*commune.Commune{
		{ID: "beaumarais", NIS: "99001", Name: map[i18n.Language]string{"fr": "Beaumarais", "nl": "Beaumarais", "de": "Beaumarais"}, Origins: []string{"http://beaumarais.belfry.localhost:8080"},
			LanguageRegime: cmp.Or(o.regime, "fr"), EnglishPages: true, StaffLevel: o.staffLevel(), Theme: commune.Theme{Brand: "#114477"}},
		{ID: "zandvoorde", NIS: "99002", Name: map[i18n.Language]string{"nl": "Zandvoorde"}, Origins: []string{"http://zandvoorde.localhost:8080"},
			LanguageRegime: "nl"},
	})
	w.must(err)
	allowed := &client.Authorisation{LegalBasis: "arrêté inventé du 1er janvier 2026", Until: w.hand.Now().Add(365 * 24 * time.Hour)}
	w.clients, err = client.New([]client.Settings{
		w.party(portal, "http://beaumarais.belfry.localhost:8080", jose.ES256, client.Settings{Commune: "beaumarais", Scopes: []string{"profile", "address", "national_number"}, NationalNumber: allowed}),
		w.party(seaside, "http://zandvoorde.localhost:8080", jose.ES256, client.Settings{Commune: "zandvoorde", Scopes: []string{"profile"}}),
		w.party(library, o.library, jose.ES256, client.Settings{Commune: "beaumarais", Profile: client.Ordinary, Method: client.SecretBasic, Scopes: []string{"profile", "address"},
			Name: map[i18n.Language]string{"fr": "Bibliothèque de Beaumarais"}}),
		w.party(ancient, "https://ancient.example", "", client.Settings{Commune: "beaumarais", Profile: client.Ordinary, Method: client.SecretBasic, PKCEOptional: true}),
	}, w.communes)
	w.must(err)
}

func (w *world) party(id, origin string, alg jose.SignatureAlgorithm, s client.Settings) client.Settings {
	p := &party{w: w, id: id, redirect: origin + "/callback", alg: alg}
	w.parties[id] = p
	s.ID, s.RedirectURIs, s.IDTokenAlg = id, []string{p.redirect, origin + "/callback?tab=2"}, alg
	s.PostLogoutRedirectURIs, s.BackchannelLogoutURI = []string{origin + "/bye"}, w.told[id]
	if alg == "" {
		p.alg = jose.RS256
	}
	if s.Method == client.SecretBasic {
		p.secret = rand.Text() + "+/%é" // characters that form encoding must carry
		sum := sha256.Sum256([]byte(p.secret))
		s.SecretSHA256 = hex.EncodeToString(sum[:])
		return s
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	p.key = key
	s.JWKS = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: id, Algorithm: "ES256", Use: "sig"}}}
	return s
}

func (w *world) card() *card.Card {
	verifier, err := trust.New(trust.Config{Roots: w.certs.Roots(), Intermediates: w.certs.Intermediates(), Hosts: w.certs.Hosts(), Client: http.DefaultClient, Reuse: time.Nanosecond})
	w.must(err)
	return card.New(card.Config{Store: w.store, Authority: verifier, Clock: w.hand.Now, AgentPorts: []int{17394},
		Files: &idfile.Verifier{Authority: verifier, Clock: w.hand.Now}})
}

// ---- The relying party.

// flow is one sign-in as the relying party remembers it.
type flow struct {
	state, nonce, verifier string
	values                 url.Values
}

func (p *party) flow(change ...func(url.Values)) flow {
	f := flow{state: rand.Text(), nonce: rand.Text(), verifier: rand.Text() + rand.Text()}
	sum := sha256.Sum256([]byte(f.verifier))
	f.values = url.Values{
		"client_id": {p.id}, "response_type": {"code"}, "redirect_uri": {p.redirect}, "scope": {"openid profile"}, "state": {f.state}, "nonce": {f.nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for _, c := range change {
		c(f.values)
	}
	return f
}

func with(name, value string) func(url.Values) { return func(v url.Values) { v.Set(name, value) } }
func without(name string) func(url.Values)     { return func(v url.Values) { v.Del(name) } }

// assertion is the claims of a private_key_jwt.
func (p *party) assertion(audience string) jwt.Claims {
	now := p.w.hand.Now()
	return jwt.Claims{Issuer: p.id, Subject: p.id, Audience: jwt.Audience{audience}, ID: rand.Text(), IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Minute))}
}

func (p *party) sign(claims any) string {
	p.w.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: p.id}}, nil)
	p.w.must(err)
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	p.w.must(err)
	return text
}

// answer is what a program gets.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) str(name string) string { s, _ := a.body[name].(string); return s }

// call posts a form as the party, proving itself.
func (p *party) call(path string, v url.Values) answer {
	p.w.t.Helper()
	form := url.Values{}
	for k, all := range v {
		form[k] = all
	}
	if p.key != nil {
		form.Set("client_assertion_type", client.AssertionType)
		form.Set("client_assertion", p.sign(p.assertion(p.w.issuer)))
	}
	r, err := http.NewRequest("POST", p.w.issuer+path, strings.NewReader(form.Encode()))
	p.w.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if p.key == nil {
		r.SetBasicAuth(url.QueryEscape(p.id), url.QueryEscape(p.secret))
	}
	return p.w.do(r)
}

func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	res, err := w.direct.Do(r)
	w.must(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	w.must(err)
	a := answer{status: res.StatusCode, header: res.Header}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		w.must(json.Unmarshal(text, &a.body))
	}
	return a
}

// ask is the address to which the party sends the browser: pushed where it is high.
func (p *party) ask(f flow) string {
	p.w.t.Helper()
	if p.key == nil {
		return p.w.issuer + "/authorize?" + f.values.Encode()
	}
	a := p.call("/par", f.values)
	if a.status != http.StatusCreated {
		p.w.t.Fatalf("push: %d %v", a.status, a.body)
	}
	return p.w.issuer + "/authorize?" + url.Values{"client_id": {p.id}, "request_uri": {a.str("request_uri")}}.Encode()
}

func (p *party) exchange(f flow, code string) answer {
	p.w.t.Helper()
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {f.values.Get("redirect_uri")}}
	if f.values.Get("code_challenge") != "" {
		v.Set("code_verifier", f.verifier)
	}
	return p.call("/token", v)
}

// claims checks an ID token as a relying party must and returns what it says.
func (p *party) claims(f flow, a answer) map[string]any {
	p.w.t.Helper()
	if a.status != http.StatusOK {
		p.w.t.Fatalf("token: %d %v", a.status, a.body)
	}
	keys := p.w.get("/jwks")
	text, err := json.Marshal(keys.body)
	p.w.must(err)
	var set jose.JSONWebKeySet
	p.w.must(json.Unmarshal(text, &set))
	token, err := jwt.ParseSigned(a.str("id_token"), []jose.SignatureAlgorithm{p.alg})
	p.w.must(err)
	var claims map[string]any
	p.w.must(token.Claims(&set, &claims))
	if claims["iss"] != p.w.issuer || claims["aud"] != p.id || claims["nonce"] != f.nonce {
		p.w.t.Errorf("iss %v aud %v nonce %v", claims["iss"], claims["aud"], claims["nonce"])
	}
	sum := sha256.Sum256([]byte(a.str("access_token")))
	if claims["at_hash"] != base64.RawURLEncoding.EncodeToString(sum[:16]) {
		p.w.t.Error("at_hash is not that of the access token")
	}
	now := float64(p.w.hand.Now().Unix())
	if exp, _ := claims["exp"].(float64); exp <= now || exp > now+3600 {
		p.w.t.Errorf("exp %v at %v", claims["exp"], now)
	}
	return claims
}

func (w *world) get(path string) answer {
	w.t.Helper()
	r, err := http.NewRequest("GET", w.issuer+path, nil)
	w.must(err)
	return w.do(r)
}

func (w *world) userinfo(token string) answer {
	w.t.Helper()
	r, err := http.NewRequest("GET", w.issuer+"/userinfo", nil)
	w.must(err)
	r.Header.Set("Authorization", "Bearer "+token)
	return w.do(r)
}

// ---- The browser.

// browser keeps cookies and follows redirects as far as they stay with the provider.
type browser struct {
	w       *world
	client  *http.Client
	visited []string // every address
}

var errElsewhere = errors.New("the next address is not the provider's")

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	w.must(err)
	b := &browser{w: w}
	b.client = &http.Client{Transport: w.transport(), Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		b.visited = append(b.visited, r.URL.String())
		if !strings.HasPrefix(r.URL.Host, "id.belfry.localhost:") || len(via) > 10 {
			return errElsewhere
		}
		return nil
	}}
	return b
}

// place is where the browser has come to: a page of the provider, or another site.
type place struct {
	b      *browser
	status int
	header http.Header
	url    *url.URL
	body   string
	away   *url.URL // where another site was reached
}

func (b *browser) open(address string) place {
	b.w.t.Helper()
	r, err := http.NewRequest("GET", address, nil)
	b.w.must(err)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	return b.send(r)
}

// post sends a form as a page of origin would.
func (b *browser) post(address, origin string, v url.Values) place {
	b.w.t.Helper()
	r, err := http.NewRequest("POST", address, strings.NewReader(v.Encode()))
	b.w.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", origin)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if u := r.URL.Scheme + "://" + r.URL.Host; u == origin {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return b.send(r)
}

func (b *browser) send(r *http.Request) place {
	b.w.t.Helper()
	b.visited = append(b.visited, r.URL.String())
	res, err := b.client.Do(r)
	if e, ok := errors.AsType[*url.Error](err); ok && errors.Is(e.Err, errElsewhere) {
		away, err := url.Parse(e.URL)
		b.w.must(err)
		return place{b: b, status: res.StatusCode, header: res.Header, away: away}
	}
	b.w.must(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	b.w.must(err)
	return place{b: b, status: res.StatusCode, header: res.Header, url: res.Request.URL, body: string(text)}
}

var (
	formTag  = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)"[^>]*data-card.*?</form>`)
	inputTag = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// card reads the card step's form: where it posts and what it holds.
func (pl place) card() (string, url.Values) {
	pl.b.w.t.Helper()
	form := formTag.FindStringSubmatch(pl.body)
	if form == nil {
		pl.b.w.t.Fatalf("no card step at %v (%d, away %v): %s", pl.url, pl.status, pl.away, pl.body)
	}
	v := url.Values{}
	for _, in := range inputTag.FindAllStringSubmatch(form[0], -1) {
		v.Set(html.UnescapeString(in[1]), html.UnescapeString(in[2]))
	}
	return pl.url.ResolveReference(&url.URL{Path: form[1]}).String(), v
}

// origin is the page's own.
func (pl place) origin() string { return pl.url.Scheme + "://" + pl.url.Host }

// prove answers the card step with the card.
func (pl place) prove(c *testcerts.Card) place {
	pl.b.w.t.Helper()
	action, v := pl.card()
	v.Set("token", pl.b.w.token(c, pl.origin(), v.Get("nonce")))
	return pl.b.post(action, pl.origin(), v)
}

// code is what came back to the client, which must be a code.
func (pl place) code(f flow) string {
	pl.b.w.t.Helper()
	if pl.away == nil {
		pl.b.w.t.Fatalf("not back at the client but at %v: %d %s", pl.url, pl.status, pl.body)
	}
	q := pl.away.Query()
	if q.Get("error") != "" || q.Get("code") == "" || q.Get("state") != f.state || q.Get("iss") != pl.b.w.issuer {
		pl.b.w.t.Fatalf("came back with %v", pl.away)
	}
	return q.Get("code")
}

// failure is the error that came back to the client.
func (pl place) failure(f flow) string {
	pl.b.w.t.Helper()
	if pl.away == nil {
		pl.b.w.t.Fatalf("not back at the client but at %v: %d %s", pl.url, pl.status, pl.body)
	}
	q := pl.away.Query()
	if q.Get("code") != "" || q.Get("state") != f.state || q.Get("iss") != pl.b.w.issuer {
		pl.b.w.t.Errorf("came back with %v", pl.away)
	}
	return q.Get("error")
}

// says checks that the page shows a text of the catalogue, up to its first value.
func (pl place) says(l i18n.Language, key string) {
	pl.b.w.t.Helper()
	want, _, _ := strings.Cut(i18n.Message(l, key, map[string]any{"Host": "\x00", "Client": "\x00", "Name": "\x00"}), "\x00")
	if !strings.Contains(html.UnescapeString(pl.body), want) {
		pl.b.w.t.Errorf("the page at %v (%d, away %v) does not say %s", pl.url, pl.status, pl.away, key)
	}
}

// signIn goes the whole way and returns the flow and the code.
func (p *party) signIn(b *browser, c *testcerts.Card, change ...func(url.Values)) (flow, string) {
	p.w.t.Helper()
	f := p.flow(change...)
	return f, b.open(p.ask(f)).prove(c).code(f)
}

// ---- The card, as any program that reads one.

// token makes a web-eid:1.0 authentication token with the card's key.
func (w *world) token(c *testcerts.Card, origin, nonce string) string {
	w.t.Helper()
	open, err := c.Open()
	w.must(err)
	defer open.Close()
	key, err := open.Signer("Authentication")
	w.must(err)
	return webEID(w.t, key, c.Authentication, origin, nonce)
}

func webEID(t testing.TB, key crypto.Signer, cert *x509.Certificate, origin, nonce string) string {
	t.Helper()
	name, h := "RS256", crypto.SHA256
	ec, isEC := cert.PublicKey.(*ecdsa.PublicKey)
	if isEC {
		name, h = map[int]string{256: "ES256", 384: "ES384"}[ec.Params().BitSize], map[int]crypto.Hash{256: crypto.SHA256, 384: crypto.SHA384}[ec.Params().BitSize]
	} else if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok {
		t.Fatal("a key of another kind")
	}
	outer := h.New()
	for _, part := range []string{origin, nonce} {
		inner := h.New()
		io.WriteString(inner, part)
		outer.Write(inner.Sum(nil))
	}
	signature, err := key.Sign(rand.Reader, outer.Sum(nil), h)
	if err != nil {
		t.Fatal(err)
	}
	if isEC {
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(signature, &rs); err != nil {
			t.Fatal(err)
		}
		size := ec.Params().BitSize / 8
		signature = append(rs.R.FillBytes(make([]byte, size)), rs.S.FillBytes(make([]byte, size))...)
	}
	text, err := json.Marshal(map[string]any{
		"unverifiedCertificate": base64.StdEncoding.EncodeToString(cert.Raw), "algorithm": name,
		"signature": base64.StdEncoding.EncodeToString(signature), "format": "web-eid:1.0", "appVersion": "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func regexpFind(t testing.TB, pattern, text string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in %s", pattern, text)
	}
	return html.UnescapeString(m[1])
}

// ---- A method for tests that are not about cards: people say who they are.

type word struct{}

func (word) Name() string                            { return "word" }
func (word) Label() string                           { return "idp.card_label" }
func (word) Hint() string                            { return "idp.card_hint" }
func (word) Level(commune.ID, string) (string, bool) { return method.Low, true }

func (word) Show(_ context.Context, s method.Step) (method.View, error) {
	pages := page.Parse(fstest.MapFS{"templates/word.html": {Data: []byte(`<form method="post" action="{{.Action}}"></form>`)}})
	return method.View{Templates: pages, Name: "word", Title: "word", Content: s}, nil
}

func (word) Answer(_ context.Context, _ method.Step, form url.Values) (method.Proof, error) {
	number, err := eid.ParseNationalNumber(form.Get("number"))
	if err != nil {
		return method.Proof{}, fault.New(fault.Invalid, "idp.card_no_answer", nil)
	}
	return method.Proof{Citizen: eid.Citizen{Number: number, GivenNames: "Luc", Surname: "Lambert"}, AMR: []string{"word"}}, nil
}

// invented is a number whose checksum is right and whose month no calendar has.
func invented(n int) string {
	head := 509900000 + n
	return fmt.Sprintf("%09d%02d", head, 97-head%97)
}

// say signs somebody in by their word.
func (b *browser) say(p *party, number string) {
	b.w.t.Helper()
	at := b.open(p.ask(p.flow()))
	if at.url == nil || !strings.HasSuffix(at.url.Path, "/word") {
		b.w.t.Fatalf("%d at %v: %s", at.status, at.url, at.body)
	}
	if at = b.post(at.url.String(), at.origin(), url.Values{"number": {number}}); at.away == nil {
		b.w.t.Fatalf("%d: %s", at.status, at.body)
	}
}
