package rp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/portal/rp"
	"github.com/belfry-eid/belfry/portal/rp/rptest"
)

const (
	issuer = "https://id.example"
	origin = "https://guichet.example"
)

var (
	noon = time.Date(2026, 2, 3, 11, 0, 0, 0, time.UTC)
	site = rp.Site{Commune: "beaumarais", Origin: origin}
	luc  = rptest.Person{Subject: "s-luc", GivenNames: "Luc Marie", Surname: "Lambert", Number: number(1)}
)

// number is an invented national number: the checksum fits, the month does not exist.
func number(n int) string {
	head := 857300000 + n
	return fmt.Sprintf("%09d%02d", head, 97-head%97)
}

type world struct {
	*rp.RP
	provider *rptest.Provider
	clock    *clock.Hand
}

func newWorld(t *testing.T, change ...func(*rp.Client)) world {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hand := clock.NewHand(noon)
	provider := rptest.New(issuer, hand.Now, rptest.Client{ID: "portal-beaumarais", Key: &key.PublicKey, Redirects: []string{origin + rp.CallbackPath}})
	store, err := kv.NewSQL(sqldbtest.SQLite(t), hand.Now)
	if err != nil {
		t.Fatal(err)
	}
	client := rp.Client{ID: "portal-beaumarais", Key: key, KeyID: "p1"}
	for _, f := range change {
		f(&client)
	}
	made, err := rp.New(rp.Config{
		Issuers: map[string]string{origin: issuer}, Clients: map[commune.ID]rp.Client{"beaumarais": client},
		KV: store, Clock: hand.Now, Transport: provider,
	})
	if err != nil {
		t.Fatal(err)
	}
	return world{made, provider, hand}
}

func (w world) begin(t *testing.T, secret string, o rp.Options) string {
	t.Helper()
	to, err := w.Begin(context.Background(), site, secret, o)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// answer is the provider's answer to a sign-in of luc.
func (w world) answer(t *testing.T, to string, who rptest.Person) url.Values {
	t.Helper()
	back, err := w.provider.SignIn(to, who)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func TestASignIn(t *testing.T) {
	w := newWorld(t)
	to := w.begin(t, "secret", rp.Options{Return: "/fr/orders?x=1", Language: i18n.Dutch, MaxAge: 15 * time.Minute})
	if u, _ := url.Parse(to); len(u.Query()) != 2 {
		t.Errorf("more than client_id and request_uri travels through the browser: %s", to)
	}
	asked := w.provider.Asked[0]
	if asked.Get("ui_locales") != "nl" || asked.Get("max_age") != "900" || !strings.Contains(asked.Get("scope"), rp.NumberScope) {
		t.Errorf("asked %v", asked)
	}
	login, err := w.Finish(context.Background(), site, "secret", w.answer(t, to, luc))
	if err != nil {
		t.Fatal(err)
	}
	if login.Subject != "s-luc" || login.Surname != "Lambert" || login.GivenNames != "Luc Marie" || login.Number.Reveal() != luc.Number ||
		login.ACR != rp.High || login.SessionID != "sid-s-luc" || !login.AuthTime.Equal(noon) || login.Return != "/fr/orders?x=1" {
		t.Errorf("login is not what the provider said (returns to %s, acr %s)", login.Return, login.ACR)
	}
}

// A commune says the lowest level that will do; what is below it, or no level, signs
// nobody in. One whose people have no national number does not ask for it.
func TestLevels(t *testing.T) {
	for lowest, want := range map[string]struct {
		asked string
		pass  []string
	}{
		"":             {rp.High + " " + rp.Substantial, []string{rp.High, rp.Substantial}},
		rp.Low:         {rp.High + " " + rp.Substantial + " " + rp.Low, []string{rp.High, rp.Substantial, rp.Low}},
		rp.Substantial: {rp.High + " " + rp.Substantial, []string{rp.High, rp.Substantial}},
		rp.High:        {rp.High, []string{rp.High}},
	} {
		w := newWorld(t, func(c *rp.Client) { c.Lowest, c.Numberless = lowest, true })
		w.provider.UserInfo = func(c map[string]any) { c["birthdate"] = "1951-04-12" }
		for _, acr := range []string{rp.High, rp.Substantial, rp.Low, "gold"} {
			who := luc
			who.ACR = acr
			login, err := w.Finish(context.Background(), site, "mine", w.answer(t, w.begin(t, "mine", rp.Options{}), who))
			if pass := slices.Contains(want.pass, acr); pass != (err == nil) || !pass && fault.KeyOf(err) != "portal.signin_level" || pass && login.BirthDate != "1951-04-12" {
				t.Errorf("lowest %q, %s: %v", lowest, acr, err)
			}
		}
		if asked := w.provider.Asked[0]; asked.Get("acr_values") != want.asked || strings.Contains(asked.Get("scope"), rp.NumberScope) {
			t.Errorf("lowest %q asked %v", lowest, asked)
		}
	}
	if _, err := rp.New(rp.Config{KV: struct{ kv.Store }{}, Clock: clock.System, Clients: map[commune.ID]rp.Client{"a": {Lowest: "gold"}}}); err == nil {
		t.Error("a level that is none is taken")
	}
}

func TestAnAnswerCountsOnceAndInItsBrowserOnly(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	q := w.answer(t, w.begin(t, "mine", rp.Options{}), luc)
	stranger := w.answer(t, w.begin(t, "mine", rp.Options{}), luc)
	if _, err := w.Finish(ctx, site, "another", stranger); fault.KeyOf(err) != "portal.signin_stale" {
		t.Errorf("another browser finished it: %v", err)
	}
	if _, err := w.Finish(ctx, rp.Site{Commune: "zandvoorde", Origin: origin}, "mine", w.answer(t, w.begin(t, "mine", rp.Options{}), luc)); fault.KeyOf(err) != "portal.signin_stale" {
		t.Errorf("another commune finished it: %v", err)
	}
	if _, err := w.Finish(ctx, site, "mine", q); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(ctx, site, "mine", q); fault.KeyOf(err) != "portal.signin_stale" {
		t.Errorf("the answer counted twice: %v", err)
	}
	late := w.answer(t, w.begin(t, "mine", rp.Options{}), luc)
	w.clock.Add(16 * time.Minute)
	if _, err := w.Finish(ctx, site, "mine", late); fault.KeyOf(err) != "portal.signin_stale" {
		t.Errorf("a late answer counted: %v", err)
	}
}

func TestTwoTabsSignInAtOnce(t *testing.T) {
	w := newWorld(t)
	one, two := w.begin(t, "mine", rp.Options{Return: "/one"}), w.begin(t, "mine", rp.Options{Return: "/two"})
	for to, want := range map[string]string{two: "/two", one: "/one"} {
		if login, err := w.Finish(context.Background(), site, "mine", w.answer(t, to, luc)); err != nil || login.Return != want {
			t.Errorf("%v %v", login.Return, err)
		}
	}
}

func TestLiesAreNotBelieved(t *testing.T) {
	lie := func(name string, value any) func(*world, url.Values) {
		return func(w *world, _ url.Values) {
			w.provider.Lie = func(c map[string]any) {
				if value == nil {
					delete(c, name)
				} else {
					c[name] = value
				}
			}
		}
	}
	query := func(name string, values ...string) func(*world, url.Values) {
		return func(_ *world, q url.Values) { q[name] = values }
	}
	for name, c := range map[string]struct {
		do  func(*world, url.Values)
		key string
	}{
		"another issuer answers":       {query("iss", "https://evil.example"), "portal.signin_stale"},
		"no issuer in the answer":      {query("iss"), "portal.signin_stale"},
		"two issuers":                  {query("iss", issuer, issuer), "portal.signin_stale"},
		"another code":                 {query("code", "guessed"), "portal.signin_stale"},
		"no code":                      {query("code"), "portal.signin_stale"},
		"another state":                {query("state", "guessed"), "portal.signin_stale"},
		"ID token of another issuer":   {lie("iss", "https://evil.example"), "portal.signin_stale"},
		"ID token for another client":  {lie("aud", "portal-zandvoorde"), "portal.signin_stale"},
		"ID token for two clients":     {lie("aud", []string{"portal-beaumarais", "other"}), "portal.signin_stale"},
		"another nonce":                {lie("nonce", "other"), "portal.signin_stale"},
		"no nonce":                     {lie("nonce", nil), "portal.signin_stale"},
		"expired":                      {lie("exp", noon.Add(-time.Second).Unix()), "portal.signin_stale"},
		"issued long ago":              {lie("iat", noon.Add(-time.Hour).Unix()), "portal.signin_stale"},
		"issued in the future":         {lie("iat", noon.Add(time.Hour).Unix()), "portal.signin_stale"},
		"no subject":                   {lie("sub", ""), "portal.signin_stale"},
		"another access token":         {lie("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), "portal.signin_stale"},
		"no time of authentication":    {lie("auth_time", nil), "portal.signin_stale"},
		"authenticated before max_age": {lie("auth_time", noon.Add(-time.Hour).Unix()), "portal.signin_stale"},
		"authenticated in the future":  {lie("auth_time", noon.Add(time.Hour).Unix()), "portal.signin_stale"},
		"a low level":                  {lie("acr", "http://eidas.europa.eu/LoA/low"), "portal.signin_level"},
		"no level":                     {lie("acr", nil), "portal.signin_level"},
		"signed with another key":      {func(w *world, _ url.Values) { w.provider.Forge = true }, "portal.signin_stale"},
		"userinfo about somebody else": {func(w *world, _ url.Values) { w.provider.UserInfo = func(c map[string]any) { c["sub"] = "s-sofie" } }, "portal.signin_stale"},
		"a number that is none": {func(w *world, _ url.Values) {
			w.provider.UserInfo = func(c map[string]any) { c[rp.NumberClaim] = "12345678901" }
		}, "portal.signin_stale"},
		"the provider is down meanwhile": {func(w *world, _ url.Values) { w.provider.Down = true }, "portal.signin_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			q := w.answer(t, w.begin(t, "mine", rp.Options{MaxAge: 15 * time.Minute}), luc)
			c.do(&w, q)
			login, err := w.Finish(context.Background(), site, "mine", q)
			if fault.KeyOf(err) != c.key {
				t.Errorf("got %v, want %s", err, c.key)
			}
			if err != nil && strings.Contains(err.Error(), luc.Number) {
				t.Error("the error holds the national number")
			}
			if login.Subject != "" || !login.Number.IsZero() {
				t.Error("a refused login names somebody")
			}
		})
	}
}

func TestRefusalsAreTold(t *testing.T) {
	for code, key := range map[string]string{
		"access_denied": "portal.signin_cancelled", "unmet_authentication_requirements": "portal.signin_level",
		"server_error": "portal.signin_unavailable", "login_required": "portal.signin_stale",
	} {
		w := newWorld(t)
		back, err := w.provider.Refuse(w.begin(t, "mine", rp.Options{Return: "/fr/orders"}), code)
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(back)
		login, err := w.Finish(context.Background(), site, "mine", u.Query())
		if fault.KeyOf(err) != key || login.Return != "/fr/orders" {
			t.Errorf("%s: %v, returns to %q", code, err, login.Return)
		}
	}
}

func TestAnOriginWithoutAnIssuerSignsNobodyIn(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Begin(context.Background(), rp.Site{Commune: "beaumarais", Origin: "https://evil.example"}, "mine", rp.Options{}); err == nil {
		t.Error("an origin that is not listed began a sign-in")
	}
}

func TestAProviderThatIsDownIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	w.provider.Down = true
	if _, err := w.Begin(context.Background(), site, "mine", rp.Options{}); fault.KindOf(err) != fault.Unreachable {
		t.Errorf("%v", err)
	}
	w.provider.Down = false
	w.begin(t, "mine", rp.Options{})
}

func TestLocalPath(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/fr/orders?x=1&y=2": "/fr/orders?x=1&y=2", "/fr/x#part": "/fr/x#part",
		"": "/", "orders": "/", "//evil.example": "/", "///evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/",
		"https://evil.example/": "/", "http:/evil": "/", "javascript:alert(1)": "/", "/\t/evil.example": "/", "/x\nSet-Cookie: a": "/",
		"/" + strings.Repeat("x", 3000): "/",
	} {
		if got := rp.LocalPath(path); got != want {
			t.Errorf("%q became %q", path, got)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	f.Add("/fr/orders?x=1")
	f.Add("//evil.example")
	f.Add(`/\evil`)
	base, _ := url.Parse("https://guichet.example/fr/sign-in")
	f.Fuzz(func(t *testing.T, path string) {
		to, err := base.Parse(rp.LocalPath(path))
		if err != nil || to.Host != "guichet.example" || to.Scheme != "https" {
			t.Errorf("%q leads to %v (%v)", path, to, err)
		}
	})
}

func TestTheSignOutNamesClientSessionAndReturn(t *testing.T) {
	w := newWorld(t)
	to, err := w.SignOut(context.Background(), site, "the.id.token", i18n.French)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(to)
	q := u.Query()
	if !strings.HasPrefix(to, issuer+"/logout?") || q.Get("id_token_hint") != "the.id.token" || q.Get("post_logout_redirect_uri") != origin+rp.SignedOutPath || q.Get("client_id") != "portal-beaumarais" {
		t.Error(u.Path, q)
	}
}
