package idp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// signedIn is a browser with a session, the ID token it gave and an access token.
func (p *party) signedIn(name string) (b *browser, idToken, accessToken string) {
	p.w.t.Helper()
	b = p.w.browser()
	f, code := p.signIn(b, p.w.certs.Citizen(name))
	a := p.exchange(f, code)
	return b, a.str("id_token"), a.str("access_token")
}

// in says whether somebody is signed in at the browser.
func (p *party) in(b *browser) bool {
	p.w.t.Helper()
	f := p.flow(with("prompt", "none"))
	return b.open(p.ask(f)).away.Query().Get("error") == ""
}

func (w *world) logout(v url.Values) string { return w.issuer + "/logout?" + v.Encode() }

func TestAClientSignsItsCitizenOut(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	bye := "https://library.example/bye"
	b, hint, access := p.signedIn("luc")
	at := b.open(w.logout(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}, "state": {"s 1"}}))
	if at.away == nil || at.away.String() != bye+"?state=s+1" {
		t.Fatalf("%d, away %v", at.status, at.away)
	}
	if !strings.Contains(at.header.Get("Clear-Site-Data"), "cache") {
		t.Error("the browser is not told to forget")
	}
	if p.in(b) {
		t.Error("the session lives on")
	}
	if info := w.userinfo(access); info.status != http.StatusUnauthorized {
		t.Errorf("the access token lives on: %d", info.status)
	}
	// Again, with nobody signed in: the client gets its citizen back all the same.
	if at := b.open(w.logout(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}})); at.away == nil {
		t.Errorf("a second time: %d", at.status)
	}
	// By a form on the client's page, which comes without our cookies.
	b, hint, _ = p.signedIn("luc")
	at = b.post(w.issuer+"/logout", "https://library.example", url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}})
	if at.away == nil || p.in(b) {
		t.Errorf("by POST: %d, away %v", at.status, at.away)
	}
	for _, v := range b.visited {
		if strings.Contains(v, hint) {
			t.Error("the hint that was posted is in an address")
		}
	}
	// An ID token that has expired still says which session is meant.
	b, hint, _ = p.signedIn("luc")
	w.hand.Add(14 * 60 * 1e9)
	b.open(w.logout(url.Values{"id_token_hint": {hint}}))
	if p.in(b) {
		t.Error("an expired hint signs nobody out")
	}
}

func TestOnlyTheSessionsTokenOrAClickSignsOut(t *testing.T) {
	w := newWorld(t)
	p, q := w.parties[library], w.parties[seaside]
	b, hint, _ := p.signedIn("luc")
	_, strangers, _ := p.signedIn("amina") // another session's token
	for name, v := range map[string]url.Values{
		"nothing":                   {},
		"a client's name":           {"client_id": {p.id}, "post_logout_redirect_uri": {"https://library.example/bye"}},
		"another session's hint":    {"id_token_hint": {strangers}},
		"a language, and no client": {"ui_locales": {"nl"}},
	} {
		at := b.open(w.logout(v))
		if at.away != nil || at.status != http.StatusOK {
			t.Errorf("%s: %d, away %v", name, at.status, at.away)
		}
		at.says(i18n.French, "idp.logout_title")
		if !p.in(b) {
			t.Fatalf("%s signed the citizen out", name)
		}
	}
	for name, v := range map[string]url.Values{
		"unregistered address":      {"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://evil.example/"}},
		"registered with more":      {"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://library.example/bye?x=1"}},
		"address and no client":     {"post_logout_redirect_uri": {"https://library.example/bye"}},
		"another client's address":  {"id_token_hint": {hint}, "post_logout_redirect_uri": {"http://zandvoorde.localhost:8080/bye"}},
		"hint and another client":   {"id_token_hint": {hint}, "client_id": {q.id}},
		"hint of a stranger":        {"id_token_hint": {"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."}},
		"unknown client":            {"client_id": {"nobody"}},
		"two hints":                 {"id_token_hint": {hint, strangers}},
		"two addresses":             {"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://library.example/bye", "https://evil.example/"}},
		"redirect address of login": {"id_token_hint": {hint}, "post_logout_redirect_uri": {p.redirect}},
	} {
		at := b.open(w.logout(v))
		if at.away != nil || at.status != http.StatusBadRequest {
			t.Errorf("%s: %d, away %v", name, at.status, at.away)
		}
		at.says(i18n.French, "idp.error_logout")
		if !p.in(b) {
			t.Fatalf("%s signed the citizen out", name)
		}
	}

	// The click: refused from another site, good from the page.
	at := b.open(w.logout(url.Values{"client_id": {p.id}, "post_logout_redirect_uri": {"https://library.example/bye"}, "state": {"z"}}))
	if csp := at.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://library.example") {
		t.Errorf("policy %q", csp)
	}
	form := url.Values{}
	for _, in := range inputTag.FindAllStringSubmatch(at.body, -1) {
		form.Set(in[1], in[2])
	}
	if forged := b.post(w.issuer+"/logout/confirm", "https://evil.example", form); forged.status != http.StatusForbidden || !p.in(b) {
		t.Errorf("a cross-site click: %d", forged.status)
	}
	out := b.post(w.issuer+"/logout/confirm", w.issuer, form)
	if out.away == nil || out.away.String() != "https://library.example/bye?state=z" || p.in(b) {
		t.Errorf("the click: %d, away %v", out.status, out.away)
	}

	// Without a client nobody is sent anywhere.
	b, _, _ = p.signedIn("luc")
	b.open(w.logout(url.Values{}))
	out = b.post(w.issuer+"/logout/confirm", w.issuer, url.Values{})
	out.says(i18n.French, "idp.signed_out_title")
	if p.in(b) {
		t.Error("still signed in")
	}
}
