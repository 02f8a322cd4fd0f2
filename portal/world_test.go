package portal_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/html"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal"
	"github.com/belfry-eid/belfry/portal/clerk"
	"github.com/belfry-eid/belfry/portal/rp"
	"github.com/belfry-eid/belfry/portal/rp/rptest"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/verify"
)

const issuer = "https://id.example"

// world is a portal upon a real orders.Service, with a provider that lives in memory.
type world struct {
	*orderstest.World
	t        *testing.T
	portal   *portal.Portal
	cfg      portal.Config
	staff    *staff.Register
	provider *rptest.Provider
	checker  *checker
	log      *safeBuffer
}

// checker says what it is told to.
type checker struct {
	report verify.Report
	err    error
}

func (c *checker) Check(context.Context, []byte) (verify.Report, error) { return c.report, c.err }

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// regimeOf is a regime of communes whose pages, also those of the desk, exist in a
// language; there are none whose desk speaks English.
var regimeOf = map[i18n.Language]commune.Regime{"fr": "fr-nl", "nl": "nl-fr", "de": "de", "en": "fr-nl"}

// speaking are the communes of orderstest with a theme, under the regimes fr-nl and nl-fr
// or all under the one that is given.
func speaking(t *testing.T, from *commune.Communes, regime ...commune.Regime) *commune.Communes {
	t.Helper()
	var list []*commune.Commune
	for i, c := range from.All() {
		more := *c
		more.LanguageRegime = []commune.Regime{"fr-nl", "nl-fr"}[i]
		if len(regime) > 0 {
			more.LanguageRegime = regime[0]
		}
		name := c.NameIn(c.Languages()[0])
		more.Name = map[i18n.Language]string{i18n.French: name, i18n.Dutch: name, i18n.German: name}
		more.Theme = commune.Theme{Brand: "#23574a", OnBrand: "#ffffff", Link: "#1f5c4d", Accent: "#d9a441"}
		list = append(list, &more)
	}
	made, err := commune.NewCommunes(list)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func newWorld(t *testing.T, regime ...commune.Regime) *world {
	t.Helper()
	db := sqldbtest.SQLite(t)
	w := &world{World: orderstest.New(t, db), t: t, checker: &checker{}, log: &safeBuffer{}}
	store, err := kv.NewSQL(db, w.Clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	installKey := make([]byte, 32)
	rand.Read(installKey)
	cfg := portal.Config{
		Communes: speaking(t, w.Communes, regime...), DB: db, Journal: w.Audit, KV: store, Orders: w.Service, Checker: w.checker, InstallKey: installKey,
		Issuers: map[string]string{}, Clients: map[commune.ID]rp.Client{}, Clock: w.Clock.Now, Log: slog.New(slog.NewJSONHandler(w.log, nil)),
	}
	w.provider = rptest.New(issuer, w.Clock.Now)
	cfg.Transport = w.provider
	for _, c := range cfg.Communes.All() {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		id := "portal-" + string(c.ID)
		cfg.Issuers[c.Origin()] = issuer
		cfg.Clients[c.ID] = rp.Client{ID: id, Key: key, KeyID: "1"}
		w.provider.Clients = append(w.provider.Clients, rptest.Client{ID: id, Key: &key.PublicKey, Redirects: []string{c.Origin() + rp.CallbackPath}})
	}
	if w.staff, err = staff.New(context.Background(), db, w.Audit, w.Clock.Now); err != nil {
		t.Fatal(err)
	}
	if w.portal, err = portal.New(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	w.cfg = cfg
	t.Cleanup(func() {
		if t.Failed() && testing.Verbose() {
			t.Log(w.log)
		}
	})
	return w
}

// browser keeps cookies for one commune's origin, and follows no redirect by itself.
type browser struct {
	*world
	host    string
	agent   string // User-Agent
	cookies map[string]string
}

func (w *world) browser(c commune.ID) *browser {
	of, ok := w.Communes.ByID(c)
	if !ok {
		w.t.Fatalf("no commune %s", c)
	}
	return &browser{world: w, host: strings.TrimPrefix(of.Origin(), "https://"), cookies: map[string]string{}}
}

// answer is a page, or whatever else came.
type answer struct {
	status int
	header http.Header
	body   string
	doc    *html.Node
}

func (b *browser) do(r *http.Request) *answer {
	b.t.Helper()
	r.Host, r.TLS = b.host, &tls.ConnectionState{}
	if b.agent != "" {
		r.Header.Set("User-Agent", b.agent)
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.portal.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		if !strings.HasPrefix(c.Name, "__Host-") || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode {
			b.t.Errorf("cookie %s is not for this host alone", c.Name)
		}
		b.cookies[c.Name] = c.Value
	}
	a := &answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		var err error
		if a.doc, err = html.Parse(strings.NewReader(a.body)); err != nil {
			b.t.Fatal(err)
		}
	}
	return a
}

func (b *browser) get(path string) *answer {
	b.t.Helper()
	return b.do(httptest.NewRequest("GET", path, nil))
}

func (b *browser) post(path string, form url.Values) *answer {
	b.t.Helper()
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

func (b *browser) upload(path string, file []byte) *answer {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "paper.pdf")
	if err != nil {
		b.t.Fatal(err)
	}
	part.Write(file)
	form.Close()
	r := httptest.NewRequest("POST", path, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

// to is where an answer redirects, which it must.
func (a *answer) to(t *testing.T) string {
	t.Helper()
	if a.status != http.StatusSeeOther {
		t.Fatalf("status %d, want a redirect: %s", a.status, text(a.doc))
	}
	return a.header.Get("Location")
}

// signIn opens a page that wants a sign-in, goes to the provider and comes back to it.
func (b *browser) signIn(path string, p rptest.Person) *answer {
	b.t.Helper()
	a := b.get(path)
	for range 5 {
		if a.status != http.StatusSeeOther {
			return a
		}
		to := a.header.Get("Location")
		if strings.HasPrefix(to, issuer) {
			back, err := b.provider.SignIn(to, p)
			if err != nil {
				b.t.Fatal(err)
			}
			u, err := url.Parse(back)
			if err != nil {
				b.t.Fatal(err)
			}
			to = u.RequestURI()
		}
		a = b.get(to)
	}
	b.t.Fatal("redirects without end")
	return nil
}

// card is an orders person as the provider knows them.
func card(p orders.Person) rptest.Person {
	return rptest.Person{Subject: p.Subject, GivenNames: p.GivenNames, Surname: p.Surname, Number: p.Number.Reveal()}
}

// clerkCard is orderstest.Clerk(n), as the provider knows them.
func clerkCard(n int) rptest.Person {
	c := orderstest.Clerk(n)
	return rptest.Person{Subject: c.Subject, GivenNames: "Claire", Surname: fmt.Sprint(n), Number: c.Number.Reveal()}
}

// invite makes an invitation and returns the address it is sent as.
func (w *world) invite(c commune.ID, name string, role staff.Role) *url.URL {
	w.t.Helper()
	code, err := w.staff.Invite(context.Background(), c, name, role, "operator")
	if err != nil {
		w.t.Fatal(err)
	}
	of, _ := w.cfg.Communes.ByID(c)
	u, err := url.Parse(clerk.JoinAddress(of, code))
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// clerk is a browser in which clerk n of a commune is signed in.
func (w *world) clerk(c commune.ID, n int, role staff.Role) *browser {
	w.t.Helper()
	w.Delegate(w.t, c, orderstest.Clerk(n))
	u := w.invite(c, "Claire", role)
	b := w.browser(c)
	a := b.signIn("/fr/sign-in?desk=1&return="+url.QueryEscape(u.RequestURI()), clerkCard(n))
	if a.status != 200 {
		w.t.Fatalf("join page: %d %s", a.status, text(a.doc))
	}
	if to := b.post(u.Path, url.Values{"code": {u.Query().Get("code")}}).to(w.t); !strings.HasSuffix(to, "/desk") {
		w.t.Fatalf("joining leads to %s", to)
	}
	return b
}

// citizen is a browser in which somebody who lives in the commune is signed in.
func (w *world) citizen(c commune.ID, n int) (*browser, orders.Person) {
	w.t.Helper()
	p := w.Person(c, n)
	b := w.browser(c)
	if a := b.signIn("/fr/orders", card(p)); a.status != 200 {
		w.t.Fatalf("orders page: %d", a.status)
	}
	return b, p
}

// Reading pages.

func walk(n *html.Node, f func(*html.Node)) {
	if n == nil {
		return
	}
	if n.Type == html.ElementNode {
		f(n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c, f)
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

func all(n *html.Node, tag string) []*html.Node {
	var list []*html.Node
	walk(n, func(e *html.Node) {
		if e.Data == tag {
			list = append(list, e)
		}
	})
	return list
}

// text is what a page says, with single spaces.
func text(n *html.Node) string {
	var b strings.Builder
	var add func(*html.Node)
	add = func(n *html.Node) {
		if n == nil {
			return
		}
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			add(c)
		}
	}
	add(n)
	return strings.Join(strings.Fields(b.String()), " ")
}

// value is the value of a form's hidden field.
func (a *answer) value(name string) string {
	for _, in := range all(a.doc, "input") {
		if attr(in, "name") == name {
			return attr(in, "value")
		}
	}
	return ""
}
