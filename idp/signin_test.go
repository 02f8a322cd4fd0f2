package idp_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/idp"
	"github.com/belfry-eid/belfry/idp/method"
)

func TestACitizenSignsInAndTheClientLearnsWhatItMay(t *testing.T) {
	w := newWorld(t)
	luc := w.certs.Citizen("luc")
	p := w.parties[portal]
	f, code := p.signIn(w.browser(), luc, with("scope", "openid profile national_number"))
	a := p.exchange(f, code)
	claims := p.claims(f, a)
	if claims["acr"] != method.High || claims["auth_time"] != float64(w.hand.Now().Unix()) || claims["sid"] == "" {
		t.Errorf("acr %v, auth_time %v, sid %v", claims["acr"], claims["auth_time"], claims["sid"])
	}
	amr, _ := json.Marshal(claims["amr"])
	if string(amr) != `["eid","sc","pin"]` {
		t.Errorf("amr %s", amr)
	}
	for _, name := range []string{"given_name", "family_name", "name", idp.ClaimNumber} {
		if claims[name] != nil {
			t.Errorf("the ID token, which comes back in addresses, holds %s", name)
		}
	}
	if a.str("scope") != "openid profile national_number" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("scope %q, cache %q", a.str("scope"), a.header.Get("Cache-Control"))
	}
	info := w.userinfo(a.str("access_token"))
	if info.status != 200 || info.str("sub") != claims["sub"] || info.str("given_name") != luc.GivenNames || info.str("family_name") != luc.Surname {
		t.Errorf("userinfo: %d, sub %v, %q %q", info.status, info.str("sub") == claims["sub"], info.str("given_name"), info.str("family_name"))
	}
	if info.str(idp.ClaimNumber) != luc.Number {
		t.Error("the authorised client does not get the number")
	}
	entries, err := w.audit.List(t.Context(), "beaumarais", info.str("sub"))
	if err != nil || len(entries) != 1 || entries[0].Action != "sign_in.passed" || entries[0].Detail["method"] != "card" {
		t.Errorf("audit: %+v %v", entries, err)
	}
}

func TestTheNumberIsForAuthorisedClientsWhoAskAndOnlyWhileTheyAre(t *testing.T) {
	w := newWorld(t)
	sofie := w.certs.Citizen("sofie")
	b := w.browser()
	p := w.parties[seaside]
	f, code := p.signIn(b, sofie, with("scope", "openid profile national_number"))
	a := p.exchange(f, code)
	if scope := a.str("scope"); scope != "openid profile" {
		t.Errorf("an unauthorised client is granted %q", scope)
	}
	if info := w.userinfo(a.str("access_token")); info.body[idp.ClaimNumber] != nil || info.str("family_name") == "" {
		t.Error("an unauthorised client gets the number, or no name")
	}

	p = w.parties[portal]
	f = p.flow(with("scope", "openid profile"))
	a = p.exchange(f, b.open(p.ask(f)).code(f))
	if info := w.userinfo(a.str("access_token")); info.body[idp.ClaimNumber] != nil {
		t.Error("the number comes unasked")
	}
	f = p.flow(with("scope", "openid"))
	a = p.exchange(f, b.open(p.ask(f)).code(f))
	if info := w.userinfo(a.str("access_token")); len(info.body) != 4 || info.body["sub"] == nil || info.body["acr"] == nil || info.body["amr"] == nil || info.body["auth_time"] == nil {
		t.Errorf("openid alone gives %d claims", len(info.body))
	}

	w.hand.Add(365*24*3600*1e9 - 5*60*1e9) // the authorisation ends in five minutes
	p = w.parties[portal]
	f, code = p.signIn(w.browser(), sofie, with("scope", "openid profile national_number"))
	a = p.exchange(f, code)
	if info := w.userinfo(a.str("access_token")); info.body[idp.ClaimNumber] == nil {
		t.Error("the authorisation ended too early")
	}
	w.hand.Add(5 * 60 * 1e9)
	if info := w.userinfo(a.str("access_token")); info.status != 200 || info.body[idp.ClaimNumber] != nil {
		t.Errorf("a token outlives the authorisation: %d", info.status)
	}
	f, code = p.signIn(w.browser(), sofie, with("scope", "openid profile national_number"))
	a = p.exchange(f, code)
	if info := w.userinfo(a.str("access_token")); info.status != 200 || info.body[idp.ClaimNumber] != nil || a.str("scope") != "openid profile" {
		t.Errorf("after the authorisation's end: %d, scope %q", info.status, a.str("scope"))
	}
}

func TestSubjectsAreStableForAClientAndUselessToAnother(t *testing.T) {
	w := newWorld(t)
	luc := w.certs.Citizen("luc")
	subjects, sids := map[string]string{}, map[string]string{}
	b := w.browser()
	for i, id := range []string{portal, library, seaside} {
		p := w.parties[id]
		f := p.flow()
		at := b.open(p.ask(f))
		if i == 0 {
			at = at.prove(luc) // the others are let in by the session
		}
		claims := p.claims(f, p.exchange(f, at.code(f)))
		subjects[id], _ = claims["sub"].(string)
		sids[id], _ = claims["sid"].(string)
	}
	if subjects[portal] == subjects[library] || subjects[portal] == subjects[seaside] || sids[portal] == sids[library] {
		t.Error("two clients know the citizen by one name")
	}
	p := w.parties[portal]
	f, code := p.signIn(w.browser(), luc)
	if again := p.claims(f, p.exchange(f, code)); again["sub"] != subjects[portal] || again["sid"] == sids[portal] {
		t.Error("the subject changed, or the session's name did not")
	}
	f, code = p.signIn(w.browser(), w.certs.Citizen("amina"))
	if other := p.claims(f, p.exchange(f, code)); other["sub"] == subjects[portal] {
		t.Error("two citizens share a subject")
	}
}

func TestAnOldClientWithoutPKCEAndWithRS256(t *testing.T) {
	w := newWorld(t)
	p := w.parties[ancient]
	f, code := p.signIn(w.browser(), w.certs.Citizen("luc"), without("code_challenge"), without("code_challenge_method"))
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.redirect}}
	p.claims(f, p.call("/token", v))

	// Somebody took the challenge out of the request; the client still sends its verifier.
	f, code = p.signIn(w.browser(), w.certs.Citizen("luc"), without("code_challenge"), without("code_challenge_method"))
	v.Set("code", code)
	v.Set("code_verifier", f.verifier)
	if a := p.call("/token", v); a.str("error") != "invalid_grant" {
		t.Errorf("a downgrade of PKCE: %d %v", a.status, a.body)
	}
}

func TestPromptMaxAgeAndLevels(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	luc := w.certs.Citizen("luc")
	b := w.browser()
	f := p.flow(with("prompt", "none"))
	if got := b.open(p.ask(f)).failure(f); got != "login_required" {
		t.Errorf("prompt=none without a session: %q", got)
	}
	f, code := p.signIn(b, luc)
	first := p.claims(f, p.exchange(f, code))
	hint := p.idToken(f, b)
	w.hand.Add(100 * 1e9)

	// Who is let in at once, and with which auth_time.
	for name, change := range map[string]func(url.Values){
		"prompt=none":            with("prompt", "none"),
		"max_age=10000":          with("max_age", "10000"),
		"acr wished":             with("acr_values", method.Substantial+" "+method.High),
		"acr wished, not had":    with("acr_values", "urn:example:gold"),
		"acr essential, had":     with("claims", `{"id_token":{"acr":{"essential":true,"values":["`+method.High+`"]}}}`),
		"hint of the citizen":    with("id_token_hint", hint),
		"unknown scope":          with("scope", "openid profile phone"),
		"registered, with query": with("redirect_uri", "https://library.example/callback?tab=2"),
	} {
		f := p.flow(change)
		at := b.open(p.ask(f))
		claims := p.claims(f, p.exchange(f, at.code(f)))
		if claims["auth_time"] != first["auth_time"] || claims["sub"] != first["sub"] || claims["acr"] != method.High {
			t.Errorf("%s: auth_time %v, acr %v", name, claims["auth_time"], claims["acr"])
		}
	}

	// Who must show the card again; what was shown before does not count.
	for name, change := range map[string]func(url.Values){
		"prompt=login":          with("prompt", "login"),
		"prompt=consent":        with("prompt", "consent"),
		"prompt=select_account": with("prompt", "select_account"),
		"max_age=10":            with("max_age", "10"),
		"max_age=0":             with("max_age", "0"),
	} {
		w.hand.Add(100 * 1e9)
		f := p.flow(change)
		at := b.open(p.ask(f))
		if at.away != nil {
			t.Errorf("%s: let in without a card", name)
			continue
		}
		// Reloading the dispatcher, or the back button, does not help either.
		if again := b.open(strings.TrimSuffix(at.url.String(), "/card")); again.away != nil {
			t.Errorf("%s: let in by a reload", name)
		}
		claims := p.claims(f, p.exchange(f, at.prove(luc).code(f)))
		if claims["auth_time"] != float64(w.hand.Now().Unix()) {
			t.Errorf("%s: auth_time %v, now %v", name, claims["auth_time"], w.hand.Now().Unix())
		}
	}

	for name, c := range map[string]struct {
		change []func(url.Values)
		want   string
	}{
		"none and too old":            {[]func(url.Values){with("prompt", "none"), with("max_age", "0")}, "login_required"},
		"none and login":              {[]func(url.Values){with("prompt", "none login")}, "invalid_request"},
		"essential level nobody has":  {[]func(url.Values){with("claims", `{"id_token":{"acr":{"essential":true,"value":"urn:example:gold"}}}`)}, "unmet_authentication_requirements"},
		"a hint of another's, silent": {[]func(url.Values){with("prompt", "none"), with("id_token_hint", w.hintOf("amina"))}, "login_required"},
	} {
		w.hand.Add(1e9)
		f := p.flow(c.change...)
		if got := b.open(p.ask(f)).failure(f); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}

	// Somebody else than the hint says proves themselves: the client is told.
	f = p.flow(with("id_token_hint", hint))
	fresh := w.browser()
	if got := fresh.open(p.ask(f)).prove(w.certs.Citizen("amina")).failure(f); got != "login_required" {
		t.Errorf("another citizen than hinted: %q", got)
	}
}

// idToken is an ID token of the browser's session.
func (p *party) idToken(_ flow, b *browser) string {
	p.w.t.Helper()
	f := p.flow()
	return p.exchange(f, b.open(p.ask(f)).code(f)).str("id_token")
}

// hintOf is an ID token of the library about a citizen.
func (w *world) hintOf(name string) string {
	w.t.Helper()
	p := w.parties[library]
	f, code := p.signIn(w.browser(), w.certs.Citizen(name))
	return p.exchange(f, code).str("id_token")
}

func TestPagesAreTheCommunes(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	for wish, lang := range map[string]string{"": "fr", "nl": "fr", "nl en fr": "en", "en-GB": "en", "xx": "fr"} {
		at := w.browser().open(p.ask(p.flow(with("ui_locales", wish))))
		if !strings.Contains(at.body, `<html lang="`+lang+`"`) {
			t.Errorf("ui_locales=%q: not in %s", wish, lang)
		}
		for _, want := range []string{"Beaumarais", "/theme/beaumarais.css", "Bibliothèque de Beaumarais", "data-ports=\"17394\"", "<noscript>", "cardstep.js"} {
			if !strings.Contains(at.body, want) {
				t.Errorf("the card step lacks %q", want)
			}
		}
		csp := at.header.Get("Content-Security-Policy")
		for _, want := range []string{"connect-src 'self' http://127.0.0.1:17394", "form-action 'self' https://library.example", "script-src 'self'", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("the policy %q lacks %q", csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || at.header.Get("Cache-Control") != "no-store" {
			t.Errorf("policy %q, cache %q", csp, at.header.Get("Cache-Control"))
		}
	}
	b := w.browser()
	at := b.open(p.ask(p.flow()))
	if at = b.open(strings.TrimSuffix(at.url.String(), "/card") + "?lang=en"); !strings.Contains(at.body, `<html lang="en"`) {
		t.Error("the language switch does not switch")
	}
	if at = b.open(strings.TrimSuffix(at.url.String(), "/card") + "?lang=nl"); !strings.Contains(at.body, `<html lang="en"`) {
		t.Error("a language that the commune does not offer is taken")
	}
	if css := b.open(w.issuer + "/theme/beaumarais.css"); css.status != 200 || !strings.Contains(css.body, "#114477") {
		t.Errorf("theme: %d %s", css.status, css.body)
	}
	script := regexpFind(t, `src="(/method/card/[^"]*)"`, at.body)
	if js := b.open(w.issuer + script); js.status != 200 || !strings.Contains(js.header.Get("Cache-Control"), "immutable") || !strings.Contains(js.body, "data-card") {
		t.Errorf("script: %d %v", js.status, js.header)
	}
}

func TestThePageGetsAnotherChallengeWithoutBeingReloaded(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	f := p.flow()
	b := w.browser()
	at := b.open(p.ask(f))
	action, v := at.card()
	w.hand.Add(20 * 60 * 1e9)
	renewed := b.post(action+"/renew", at.origin(), nil)
	var answer struct {
		Nonce string
		TTL   int
	}
	if err := json.Unmarshal([]byte(renewed.body), &answer); err != nil || answer.TTL != 300 || answer.Nonce == v.Get("nonce") {
		t.Fatalf("%d %s", renewed.status, renewed.body)
	}
	if raw, err := base64.StdEncoding.DecodeString(answer.Nonce); err != nil || len(raw) != 32 || len(answer.Nonce) < 44 {
		t.Errorf("the challenge is %d bytes, %d characters", len(raw), len(answer.Nonce))
	}
	v.Set("nonce", answer.Nonce)
	v.Set("token", w.token(w.certs.Citizen("luc"), at.origin(), answer.Nonce))
	p.claims(f, p.exchange(f, b.post(action, at.origin(), v).code(f)))
	if other := w.browser().post(action+"/renew", at.origin(), nil); other.status == 200 {
		t.Error("another browser gets a challenge")
	}
}

func TestTheCitizenMayGiveUp(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	f := p.flow()
	b := w.browser()
	at := b.open(p.ask(f))
	cancel := regexpFind(t, `action="([^"]*/cancel)"`, at.body)
	if got := b.post(w.issuer+cancel, w.issuer, nil).failure(f); got != "access_denied" {
		t.Errorf("%q", got)
	}
	if again := b.post(w.issuer+cancel, w.issuer, nil); again.away != nil {
		t.Error("a request is finished twice")
	}
}

func TestDiscoveryNamesWhatIsThere(t *testing.T) {
	w := newWorld(t)
	a := w.get("/.well-known/openid-configuration")
	if a.str("issuer") != w.issuer {
		t.Errorf("issuer %q", a.str("issuer"))
	}
	for name, value := range a.body {
		address, ok := value.(string)
		if !ok || name == "issuer" {
			continue
		}
		there := false
		for _, verb := range []string{"GET", "POST"} {
			r, err := http.NewRequest(verb, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			there = there || w.do(r).status != http.StatusNotFound
		}
		if !there {
			t.Errorf("%s: nothing at %s", name, address)
		}
	}
	algs, _ := a.body["id_token_signing_alg_values_supported"].([]any)
	if !slices.Contains(algs, any("ES256")) || !slices.Contains(algs, any("RS256")) {
		t.Errorf("algs %v", algs)
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/jwks"} {
		first := w.get(path)
		r, err := http.NewRequest("GET", w.issuer+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("If-None-Match", first.header.Get("ETag"))
		if second := w.do(r); second.status != http.StatusNotModified {
			t.Errorf("%s: %d with its own tag", path, second.status)
		}
	}
}

func TestTheProviderAnswersOnlyAsItself(t *testing.T) {
	w := newWorld(t)
	port := w.issuer[strings.LastIndex(w.issuer, ":"):]
	for _, address := range []string{"http://evil.example" + port, "http://id.belfry.localhost", "http://127.0.0.1" + port} {
		r, err := http.NewRequest("GET", address+"/.well-known/openid-configuration", nil)
		if err != nil {
			t.Fatal(err)
		}
		if a := w.do(r); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", address, a.status)
		}
	}
	r, err := http.NewRequest("GET", w.secure+"/.well-known/openid-configuration", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := w.do(r); a.str("issuer") != w.secure {
		t.Errorf("over https it is %q", a.str("issuer"))
	}
}
