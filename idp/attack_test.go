package idp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/testcerts/responder"
)

// Whatever cannot be trusted to come from the client stays on our page; whatever
// can goes back to the client, with state and issuer (RFC 6749 §4.1.2.1, RFC 9207).
func TestWhereErrorsOfTheRequestGo(t *testing.T) {
	w := newWorld(t)
	evil := "https://evil.example/callback"
	p := w.parties[library]
	for name, c := range map[string]struct {
		change func(url.Values)
		page   string // message key of our page, or
		code   string // error at the client
	}{
		"unknown client":              {with("client_id", "nobody"), "idp.error_client", ""},
		"no client":                   {without("client_id"), "idp.error_client", ""},
		"two clients":                 {func(v url.Values) { v.Add("client_id", portal) }, "idp.error_form", ""},
		"no redirect":                 {without("redirect_uri"), "idp.error_redirect", ""},
		"foreign redirect":            {with("redirect_uri", evil), "idp.error_redirect", ""},
		"redirect with a slash more":  {with("redirect_uri", p.redirect+"/"), "idp.error_redirect", ""},
		"redirect with a query more":  {with("redirect_uri", p.redirect+"?x=1"), "idp.error_redirect", ""},
		"redirect with dots":          {with("redirect_uri", "https://library.example/x/../callback"), "idp.error_redirect", ""},
		"redirect in capitals":        {with("redirect_uri", "https://LIBRARY.example/callback"), "idp.error_redirect", ""},
		"redirect with a user":        {with("redirect_uri", "https://library.example@evil.example/callback"), "idp.error_redirect", ""},
		"redirect of another client":  {with("redirect_uri", w.parties[portal].redirect), "idp.error_redirect", ""},
		"two redirects":               {func(v url.Values) { v.Add("redirect_uri", evil) }, "idp.error_form", ""},
		"no response type":            {without("response_type"), "", "invalid_request"},
		"implicit":                    {with("response_type", "id_token token"), "", "unsupported_response_type"},
		"hybrid":                      {with("response_type", "code id_token"), "", "unsupported_response_type"},
		"answer in a fragment":        {with("response_mode", "fragment"), "", "invalid_request"},
		"answer in a form":            {with("response_mode", "form_post"), "", "invalid_request"},
		"no scope":                    {without("scope"), "", "invalid_scope"},
		"scope without openid":        {with("scope", "profile"), "", "invalid_scope"},
		"no challenge":                {without("code_challenge"), "", "invalid_request"},
		"plain challenge":             {with("code_challenge_method", "plain"), "", "invalid_request"},
		"no challenge method":         {without("code_challenge_method"), "", "invalid_request"},
		"short challenge":             {with("code_challenge", "abc"), "", "invalid_request"},
		"request object":              {with("request", "eyJhbGciOiJub25lIn0.e30."), "", "request_not_supported"},
		"request by address":          {with("request_uri", "https://evil.example/request.jwt"), "", "request_uri_not_supported"},
		"registration":                {with("registration", "{}"), "", "registration_not_supported"},
		"two states":                  {func(v url.Values) { v["nonce"] = []string{"1", "2"} }, "", "invalid_request"},
		"max_age in words":            {with("max_age", "soon"), "", "invalid_request"},
		"negative max_age":            {with("max_age", "-1"), "", "invalid_request"},
		"unknown prompt":              {with("prompt", "create"), "", "invalid_request"},
		"claims are no JSON":          {with("claims", "{"), "", "invalid_request"},
		"very long nonce":             {with("nonce", strings.Repeat("n", 5000)), "", "invalid_request"},
		"hint without signature":      {with("id_token_hint", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."), "", "invalid_request"},
		"unknown pushed request":      {with("request_uri", "urn:ietf:params:oauth:request_uri:nothing"), "idp.error_pushed", ""},
		"high client, nothing pushed": {func(v url.Values) { v.Set("client_id", portal); v.Set("redirect_uri", w.parties[portal].redirect) }, "", "invalid_request"},
	} {
		f := p.flow(c.change)
		at := w.browser().open(w.issuer + "/authorize?" + f.values.Encode())
		if c.code != "" {
			if got := at.failure(f); got != c.code {
				t.Errorf("%s: %q, want %q", name, got, c.code)
			}
			continue
		}
		if at.away != nil || at.status != http.StatusBadRequest {
			t.Errorf("%s: %d, away %v", name, at.status, at.away)
			continue
		}
		at.says(i18n.French, c.page)
		if strings.Contains(at.body, "evil.example") {
			t.Errorf("%s: the page repeats the stranger's address", name)
		}
	}
}

func TestAHintMustBeOursAndTheClients(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	b := w.browser()
	p.signIn(b, w.certs.Citizen("luc"))
	other := w.parties[portal]
	f := other.flow()
	hint := other.exchange(f, b.open(other.ask(f)).code(f)).str("id_token")
	f = p.flow(with("id_token_hint", hint))
	if got := b.open(p.ask(f)).failure(f); got != "invalid_request" {
		t.Errorf("another client's ID token as hint: %q", got)
	}
}

func TestARequestPostedFromAnotherSite(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	f := p.flow()
	b := w.browser()
	at := b.post(w.issuer+"/authorize", "https://library.example", f.values)
	if at.url == nil || !strings.HasPrefix(at.url.Path, "/login/") {
		t.Fatalf("%d at %v", at.status, at.url)
	}
	p.claims(f, p.exchange(f, at.prove(w.certs.Citizen("luc")).code(f)))
	// With the session, the second POST needs no page.
	f = p.flow(with("prompt", "none"))
	b.post(w.issuer+"/authorize", "https://library.example", f.values).code(f)
	for _, v := range b.visited {
		if strings.Contains(v, f.nonce) {
			t.Error("what was posted is in an address")
		}
	}
	parked := b.visited[len(b.visited)-2]
	if !strings.Contains(parked, "parked=") {
		t.Fatalf("parked at %s", parked)
	}
	if again := b.open(parked); again.away != nil || again.status != http.StatusNotFound {
		t.Errorf("a parked request is used twice: %d %v", again.status, again.away)
	}
}

func TestACodeIsForItsClientItsVerifierItsAddressAndOnce(t *testing.T) {
	w := newWorld(t)
	p, thief := w.parties[library], w.parties[ancient]
	luc := w.certs.Citizen("luc")
	b := w.browser()
	p.signIn(b, luc)
	next := func() (flow, string) {
		f := p.flow()
		return f, b.open(p.ask(f)).code(f)
	}
	token := func(f flow, code string, change ...func(url.Values)) url.Values {
		v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.redirect}, "code_verifier": {f.verifier}}
		for _, c := range change {
			c(v)
		}
		return v
	}
	for name, c := range map[string]struct {
		change func(url.Values)
		want   string
		burns  bool
	}{
		"no verifier":          {without("code_verifier"), "invalid_grant", true},
		"another verifier":     {with("code_verifier", strings.Repeat("v", 43)), "invalid_grant", true},
		"short verifier":       {with("code_verifier", "v"), "invalid_grant", true},
		"another address":      {with("redirect_uri", "https://library.example/callback?tab=2"), "invalid_grant", true},
		"no address":           {without("redirect_uri"), "invalid_grant", true},
		"unknown code":         {with("code", "nothing"), "invalid_grant", false},
		"no code":              {without("code"), "invalid_request", false},
		"no grant type":        {without("grant_type"), "invalid_request", false},
		"password grant":       {with("grant_type", "password"), "unsupported_grant_type", false},
		"two codes":            {func(v url.Values) { v.Add("code", "x") }, "invalid_request", false},
		"secret in the body":   {with("client_secret", "x"), "invalid_client", false},
		"another's client_id":  {with("client_id", portal), "invalid_client", false},
		"two proofs of client": {with("client_assertion", "x"), "invalid_client", false},
	} {
		f, code := next()
		a := p.call("/token", token(f, code, c.change))
		if a.str("error") != c.want || a.body["access_token"] != nil {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
		again := p.exchange(f, code)
		if burnt := again.status != http.StatusOK; burnt != c.burns {
			t.Errorf("%s: then the right way: %d %v", name, again.status, again.body)
		}
	}

	for name, basic := range map[string][2]string{
		"a wrong secret":    {p.id, "wrong"},
		"no secret":         {p.id, ""},
		"another's secret":  {p.id, thief.secret},
		"an unknown client": {"nobody", p.secret},
		"a bad escape":      {p.id, "%zz"},
	} {
		f, code := next()
		r, err := http.NewRequest("POST", w.issuer+"/token", strings.NewReader(token(f, code).Encode()))
		w.must(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(basic[0], url.QueryEscape(basic[1]))
		if name == "a bad escape" {
			r.SetBasicAuth(basic[0], basic[1])
		}
		if a := w.do(r); a.str("error") != "invalid_client" || a.status != http.StatusUnauthorized || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic") {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}

	f, code := next()
	if a := thief.call("/token", token(f, code)); a.str("error") != "invalid_grant" {
		t.Errorf("another client exchanges the code: %v", a.body)
	}
	first := p.exchange(f, code)
	p.claims(f, first)
	if info := w.userinfo(first.str("access_token")); info.status != 200 {
		t.Fatalf("userinfo: %d", info.status)
	}
	if a := p.exchange(f, code); a.str("error") != "invalid_grant" {
		t.Errorf("second use: %v", a.body)
	}
	if info := w.userinfo(first.str("access_token")); info.status != http.StatusUnauthorized || !strings.Contains(info.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("after the second use the token lives: %d %q", info.status, info.header.Get("WWW-Authenticate"))
	}

	f, code = next()
	w.hand.Add(time.Minute)
	if a := p.exchange(f, code); a.str("error") != "invalid_grant" {
		t.Errorf("after a minute: %v", a.body)
	}

	f, code = next() // made for http, tried at https
	r, err := http.NewRequest("POST", w.secure+"/token", strings.NewReader(token(f, code).Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(p.id), url.QueryEscape(p.secret))
	if a := w.do(r); a.str("error") != "invalid_grant" {
		t.Errorf("at another issuer: %v", a.body)
	}
}

func TestSixtyFourExchangesOfOneCode(t *testing.T) {
	for engine, open := range sqldbtest.Engines(t) {
		t.Run(engine, func(t *testing.T) { exchangeMany(t, newWorld(t, func(o *options) { o.db = open })) })
	}
}

func exchangeMany(t *testing.T, w *world) {
	p := w.parties[portal]
	f, code := p.signIn(w.browser(), w.certs.Citizen("luc"))
	var won atomic.Int64
	var mu sync.Mutex
	var tokens []string
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			a := p.exchange(f, code)
			if a.status == http.StatusOK {
				won.Add(1)
				mu.Lock()
				tokens = append(tokens, a.str("access_token"))
				mu.Unlock()
			} else if a.str("error") != "invalid_grant" {
				t.Errorf("%d %v", a.status, a.body)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d exchanges succeeded", won.Load())
	}
	if info := w.userinfo(tokens[0]); info.status != http.StatusUnauthorized {
		t.Errorf("the code was used more than once and its token lives: %d", info.status)
	}
}

func TestUserinfoIsForLivingTokensInTheirPlace(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	f, code := p.signIn(w.browser(), w.certs.Citizen("luc"))
	token := p.exchange(f, code).str("access_token")
	request := func(method, address, header string, form url.Values) answer {
		r, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return w.do(r)
	}
	here := w.issuer + "/userinfo"
	for name, c := range map[string]struct {
		got  answer
		want int
	}{
		"GET, header":        {request("GET", here, "Bearer "+token, nil), 200},
		"POST, header":       {request("POST", here, "bearer "+token, nil), 200},
		"POST, form":         {request("POST", here, "", url.Values{"access_token": {token}}), 200},
		"both":               {request("POST", here, "Bearer "+token, url.Values{"access_token": {token}}), 400},
		"in the address":     {request("GET", here+"?access_token="+token, "", nil), 401},
		"none":               {request("GET", here, "", nil), 401},
		"another scheme":     {request("GET", here, "Basic "+token, nil), 401},
		"unknown":            {request("GET", here, "Bearer x"+token, nil), 401},
		"an ID token":        {request("GET", here, "Bearer "+w.hintOf("luc"), nil), 401},
		"over another issue": {request("GET", w.secure+"/userinfo", "Bearer "+token, nil), 401},
	} {
		if c.got.status != c.want {
			t.Errorf("%s: %d, want %d (%v)", name, c.got.status, c.want, c.got.body)
		}
	}
	w.hand.Add(10 * time.Minute)
	if a := w.userinfo(token); a.status != 401 {
		t.Errorf("after ten minutes: %d", a.status)
	}
}

func TestAHighClientProvesItselfByItsKeyOnceAndToUs(t *testing.T) {
	w := newWorld(t)
	p := w.parties[portal]
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	signed := func(alg jose.SignatureAlgorithm, key any, kid string, c jwt.Claims) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
		w.must(err)
		text, err := jwt.Signed(signer).Claims(c).Serialize()
		w.must(err)
		return text
	}
	edited := func(f func(*jwt.Claims)) string {
		c := p.assertion(w.issuer)
		f(&c)
		return p.sign(c)
	}
	now := w.hand.Now()
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":%q,"sub":%q,"aud":%q,"jti":"1","exp":%d}`, p.id, p.id, w.issuer, now.Add(time.Minute).Unix())) + "."
	push := func(path, assertion string) answer {
		v := p.flow().values
		if path == "/token" {
			v = url.Values{"grant_type": {"authorization_code"}, "code": {"x"}}
		}
		v.Set("client_assertion_type", client.AssertionType)
		v.Set("client_assertion", assertion)
		r, err := http.NewRequest("POST", w.issuer+path, strings.NewReader(v.Encode()))
		w.must(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return w.do(r)
	}
	for name, assertion := range map[string]string{
		"a stranger's key":       signed(jose.ES256, stranger, p.id, p.assertion(w.issuer)),
		"HMAC with the key's id": signed(jose.HS256, []byte(strings.Repeat(p.id, 4)), p.id, p.assertion(w.issuer)),
		"alg none":               none,
		"an unknown kid":         signed(jose.ES256, p.key, "other", p.assertion(w.issuer)),
		"another audience":       edited(func(c *jwt.Claims) { c.Audience = jwt.Audience{"https://other.example"} }),
		"two audiences":          edited(func(c *jwt.Claims) { c.Audience = append(c.Audience, "https://other.example") }),
		"our other issuer":       edited(func(c *jwt.Claims) { c.Audience = jwt.Audience{w.secure} }),
		"no audience":            edited(func(c *jwt.Claims) { c.Audience = nil }),
		"another issuer":         edited(func(c *jwt.Claims) { c.Issuer = seaside }),
		"another subject":        edited(func(c *jwt.Claims) { c.Subject = seaside }),
		"past":                   edited(func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(now) }),
		"no end":                 edited(func(c *jwt.Claims) { c.Expiry = nil }),
		"far ahead":              edited(func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(now.Add(time.Hour)) }),
		"not yet":                edited(func(c *jwt.Claims) { c.NotBefore = jwt.NewNumericDate(now.Add(time.Minute)) }),
		"issued tomorrow":        edited(func(c *jwt.Claims) { c.IssuedAt = jwt.NewNumericDate(now.Add(24 * time.Hour)) }),
		"no jti":                 edited(func(c *jwt.Claims) { c.ID = "" }),
		"huge":                   edited(func(c *jwt.Claims) { c.ID = strings.Repeat("j", 9000) }),
		"empty":                  "",
	} {
		for _, path := range []string{"/par", "/token"} {
			if a := push(path, assertion); a.status != http.StatusUnauthorized || a.str("error") != "invalid_client" {
				t.Errorf("%s at %s: %d %v", name, path, a.status, a.body)
			}
		}
	}
	for _, audience := range []string{w.issuer, w.issuer + "/token", w.issuer + "/par"} {
		assertion := edited(func(c *jwt.Claims) { c.Audience = jwt.Audience{audience} })
		if a := push("/par", assertion); a.status != http.StatusCreated {
			t.Errorf("audience %s: %d %v", audience, a.status, a.body)
		}
		for _, path := range []string{"/par", "/token"} {
			if a := push(path, assertion); a.str("error") != "invalid_client" {
				t.Errorf("a replay at %s: %d %v", path, a.status, a.body)
			}
		}
	}
	// A high client has no other way to prove itself.
	r, err := http.NewRequest("POST", w.issuer+"/par", strings.NewReader(p.flow().values.Encode()))
	w.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(p.id, "")
	if a := w.do(r); a.str("error") != "invalid_client" || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("a secret of a client that has none: %d %v", a.status, a.body)
	}
}

func TestAPushedRequestIsOneClientsAndOneSignIn(t *testing.T) {
	w := newWorld(t)
	p := w.parties[portal]
	for name, c := range map[string]struct {
		change func(url.Values)
		want   string
	}{
		"foreign redirect":       {with("redirect_uri", "https://evil.example"), "invalid_request"},
		"two redirects":          {func(v url.Values) { v.Add("redirect_uri", "https://evil.example") }, "invalid_request"},
		"no challenge":           {without("code_challenge"), "invalid_request"},
		"a request in it":        {with("request", "x"), "request_not_supported"},
		"a request_uri in it":    {with("request_uri", "urn:ietf:params:oauth:request_uri:x"), "invalid_request"},
		"another's client_id":    {with("client_id", seaside), "invalid_client"},
		"implicit":               {with("response_type", "token"), "unsupported_response_type"},
		"no openid in the scope": {with("scope", "profile"), "invalid_scope"},
	} {
		if a := p.call("/par", p.flow(c.change).values); a.str("error") != c.want || a.status == http.StatusCreated {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}

	f := p.flow()
	address := p.ask(f)
	if at := w.browser().open(strings.Replace(address, portal, seaside, 1)); at.away != nil || at.status != http.StatusBadRequest {
		t.Errorf("another client uses the pushed request: %d %v", at.status, at.away)
	} else {
		at.says(i18n.French, "idp.error_pushed")
	}
	// What else is in the address does not count.
	b := w.browser()
	at := b.open(address + "&redirect_uri=https%3A%2F%2Fevil.example&state=other&scope=openid+national_number&prompt=none")
	_, v := at.card()
	if v.Get("nonce") == "" {
		t.Fatal("no card step")
	}
	at.prove(w.certs.Citizen("luc")).code(f)
	if again := b.open(address); again.away != nil || again.status != http.StatusBadRequest {
		t.Errorf("the pushed request is used twice: %d %v", again.status, again.away)
	}
	// With a session it gives one code, however many try at once.
	f = p.flow()
	address = p.ask(f)
	var codes atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if at := b.clone().open(address); at.away != nil {
				codes.Add(1)
			}
		})
	}
	all.Wait()
	if codes.Load() != 1 {
		t.Errorf("%d codes of one pushed request", codes.Load())
	}
	f = p.flow()
	address = p.ask(f)
	w.hand.Add(5 * time.Minute)
	if late := b.open(address); late.away != nil {
		t.Error("a pushed request outlives its time")
	}
}

// clone is the same browser for another goroutine.
func (b *browser) clone() *browser {
	c := b.w.browser()
	c.client.Jar = b.client.Jar
	return c
}

func TestOnlyTheBrowserThatBeganFinishes(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	luc, sofie := w.certs.Citizen("luc"), w.certs.Citizen("sofie")

	// The attacker begins, the victim is to finish (and the reverse).
	attacker, victim := w.browser(), w.browser()
	f := p.flow()
	at := attacker.open(p.ask(f))
	if moved := victim.open(at.url.String()); moved.away != nil || moved.status != http.StatusForbidden {
		t.Errorf("another browser opens the login: %d", moved.status)
	}
	action, v := at.card()
	v.Set("token", w.token(sofie, at.origin(), v.Get("nonce")))
	if moved := victim.post(action, at.origin(), v); moved.away != nil || moved.status != http.StatusForbidden {
		t.Errorf("another browser answers: %d", moved.status)
	}
	victimsOwn := victim.open(p.ask(p.flow())) // now the victim has a pre-login cookie of its own
	if moved := victim.post(action, at.origin(), v); moved.away != nil || moved.status != http.StatusForbidden {
		t.Errorf("another browser, with a login of its own, answers: %d", moved.status)
	}
	// The victim's challenge, sent on to the attacker's login (a swap of two logins).
	_, own := victimsOwn.card()
	own.Set("token", w.token(sofie, at.origin(), own.Get("nonce")))
	swapped := attacker.post(action, at.origin(), own)
	if swapped.away != nil || swapped.status != http.StatusForbidden {
		t.Errorf("the victim's signature finishes the attacker's login: %d", swapped.status)
	}
	swapped.says(i18n.French, "idp.challenge_other_browser")

	// Login CSRF: the attacker's card, posted by the attacker's site in the victim's browser.
	target, form := victimsOwn.card()
	form.Set("token", w.token(luc, at.origin(), form.Get("nonce")))
	if forged := victim.post(target, "https://evil.example", form); forged.status != http.StatusForbidden || forged.away != nil {
		t.Errorf("a cross-site answer: %d", forged.status)
	}

	// Fixation: the session's cookie is new at each sign-in and the old one is dead.
	planted := w.browser()
	origin, err := url.Parse(w.issuer)
	w.must(err)
	planted.client.Jar.SetCookies(origin, []*http.Cookie{{Name: "belfry-id", Value: "chosen-by-the-attacker", Path: "/"}})
	p.signIn(planted, luc)
	for _, c := range planted.client.Jar.Cookies(origin) {
		if c.Name == "belfry-id" && c.Value == "chosen-by-the-attacker" {
			t.Error("the planted session was kept")
		}
	}
	before := planted.cookie("belfry-id")
	f = p.flow(with("prompt", "login"))
	planted.open(p.ask(f)).prove(luc).code(f)
	if before == planted.cookie("belfry-id") {
		t.Error("a second sign-in keeps the session's cookie")
	}
	old := w.browser()
	old.client.Jar.SetCookies(origin, []*http.Cookie{{Name: "belfry-id", Value: before, Path: "/"}})
	f = p.flow(with("prompt", "none"))
	if got := old.open(p.ask(f)).failure(f); got != "login_required" {
		t.Errorf("the old session lives on: %q", got)
	}
}

func (b *browser) cookie(name string) string {
	b.w.t.Helper()
	u, err := url.Parse(b.w.issuer)
	b.w.must(err)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func TestOneLoginFinishedInTwoTabsGivesOneCode(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	b := w.browser()
	f, g := p.flow(), p.flow()
	first, second := b.open(p.ask(f)), b.open(p.ask(g))
	first.prove(w.certs.Citizen("luc")).code(f)
	// The other tab needs no card any more: a reload goes on.
	if at := b.open(second.url.String()); at.away == nil {
		t.Errorf("the second tab is stuck: %d", at.status)
	} else {
		at.code(g)
	}
	if again := b.open(second.url.String()); again.away != nil || again.status != http.StatusNotFound {
		t.Errorf("a finished login is finished again: %d", again.status)
	}
}

// Each way a card's answer may be wrong is a message of its own, nothing of the
// login is lost, and the next try succeeds (threats T1, T2, T20).
func TestWhatMayBeWrongWithACardsAnswer(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	luc := w.certs.Citizen("luc")
	replayed := ""
	for name, c := range map[string]struct {
		want   string
		status int
		spoil  func(at place, v url.Values)
	}{
		"nothing sent": {"idp.card_no_answer", 400, func(_ place, v url.Values) { v.Set("token", "") }},
		"no JSON":      {"card.malformed", 400, func(_ place, v url.Values) { v.Set("token", strings.Repeat("x", 200)) }},
		"too long":     {"card.malformed", 400, func(_ place, v url.Values) { v.Set("token", v.Get("token")+strings.Repeat(" ", 10000)) }},
		"another format": {"card.malformed", 400, func(_ place, v url.Values) {
			v.Set("token", strings.Replace(v.Get("token"), "web-eid:1.0", "web-eid:2.0", 1))
		}},
		"other algorithm":  {"idp.card_signature", 403, func(_ place, v url.Values) { v.Set("token", strings.Replace(v.Get("token"), "ES384", "ES256", 1)) }},
		"no algorithm":     {"card.malformed", 400, func(_ place, v url.Values) { v.Set("token", strings.Replace(v.Get("token"), "ES384", "none", 1)) }},
		"evil origin":      {"idp.card_signature", 403, func(at place, v url.Values) { v.Set("token", w.token(luc, "https://evil.example", v.Get("nonce"))) }},
		"origin and slash": {"idp.card_signature", 403, func(at place, v url.Values) { v.Set("token", w.token(luc, at.origin()+"/", v.Get("nonce"))) }},
		"other issuer":     {"idp.card_signature", 403, func(at place, v url.Values) { v.Set("token", w.token(luc, w.secure, v.Get("nonce"))) }},
		"other nonce":      {"idp.card_signature", 403, func(at place, v url.Values) { v.Set("token", w.token(luc, at.origin(), "AAAA"+v.Get("nonce")[4:])) }},
		"another's key": {"idp.card_signature", 403, func(at place, v url.Values) {
			mine := w.token(w.certs.Citizen("sofie"), at.origin(), v.Get("nonce"))
			his := regexpFind(t, `"unverifiedCertificate":"([^"]*)"`, v.Get("token"))
			her := regexpFind(t, `"unverifiedCertificate":"([^"]*)"`, mine)
			v.Set("token", strings.Replace(mine, her, his, 1))
		}},
		"unknown challenge": {"idp.challenge_unknown", 400, func(at place, v url.Values) {
			made := base64.StdEncoding.EncodeToString(make([]byte, 32))
			v.Set("nonce", made)
			v.Set("token", w.token(luc, at.origin(), made))
		}},
		"late": {"idp.challenge_late", 409, func(place, url.Values) { w.hand.Add(5 * time.Minute) }},
		"used twice": {"idp.challenge_used", 409, func(at place, v url.Values) {
			replayed = v.Get("token")
			bad := url.Values{"nonce": v["nonce"], "token": {strings.Repeat("x", 200)}}
			action, _ := at.card()
			at.b.post(action, at.origin(), bad) // burns the challenge
			v.Set("token", replayed)
		}},
		"revoked": {"card.revoked", 403, func(at place, v url.Values) {
			v.Set("token", w.token(w.certs.Citizen("marc"), at.origin(), v.Get("nonce")))
		}},
		"expired": {"card.expired", 403, func(at place, v url.Values) {
			v.Set("token", w.token(w.certs.Citizen("greta"), at.origin(), v.Get("nonce")))
		}},
		"unknown CA": {"card.unknown_ca", 403, func(at place, v url.Values) {
			v.Set("token", w.token(w.certs.Citizen("nina"), at.origin(), v.Get("nonce")))
		}},
		"responder down": {"card.responder_down", 503, func(place, url.Values) {
			w.certs.Responder.Set(responder.OCSP, responder.Gone)
			w.certs.Responder.Set(responder.CRL, responder.Gone)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.browser()
			f := p.flow()
			at := b.open(p.ask(f))
			action, v := at.card()
			v.Set("token", w.token(luc, at.origin(), v.Get("nonce")))
			c.spoil(at, v)
			failed := b.post(action, at.origin(), v)
			w.certs.Reset()
			if failed.away != nil || failed.status != c.status {
				t.Fatalf("%d, away %v", failed.status, failed.away)
			}
			failed.says(i18n.French, c.want)
			failed.says(i18n.French, "idp.card_again")
			failed.says(i18n.French, "idp.cancel")
			again := failed.prove(luc) // the same page, without going back to the client
			p.claims(f, p.exchange(f, again.code(f)))
		})
	}
}

func TestAChallengeAnsweredManyTimesAtOnceSignsInOnce(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	b := w.browser()
	at := b.open(p.ask(p.flow()))
	action, v := at.card()
	v.Set("token", w.token(w.certs.Citizen("luc"), at.origin(), v.Get("nonce")))
	var signed, refused atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			got := b.clone().postOnly(action, at.origin(), v)
			switch got {
			case http.StatusSeeOther:
				signed.Add(1)
			case http.StatusConflict:
				refused.Add(1)
			default:
				t.Errorf("status %d", got)
			}
		})
	}
	all.Wait()
	if signed.Load() != 1 || refused.Load() != 15 {
		t.Errorf("%d signed in, %d refused", signed.Load(), refused.Load())
	}
}

// postOnly posts without following where it leads.
func (b *browser) postOnly(address, origin string, v url.Values) int {
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b.post(address, origin, v).status
}

func TestCookiesAreForThisHostAlone(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	r, err := http.NewRequest("GET", w.secure+"/authorize?"+p.flow().values.Encode(), nil)
	w.must(err)
	a := w.do(r)
	set := a.header.Get("Set-Cookie")
	for _, want := range []string{"__Host-belfry-login=", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(set, want) {
			t.Errorf("over https %q lacks %q", set, want)
		}
	}
	if strings.Contains(set, "Domain") || a.header.Get("Strict-Transport-Security") == "" {
		t.Errorf("over https %q, HSTS %q", set, a.header.Get("Strict-Transport-Security"))
	}
}

func TestASessionEndsWhenIdleAndWhenOld(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	b := w.browser()
	p.signIn(b, w.certs.Citizen("luc"))
	silent := func() string {
		f := p.flow(with("prompt", "none"))
		return b.open(p.ask(f)).away.Query().Get("error")
	}
	for elapsed := time.Duration(0); elapsed < 8*time.Hour-14*time.Minute; elapsed += 14 * time.Minute {
		if got := silent(); got != "" {
			t.Fatalf("in use, after %v: %q", elapsed, got)
		}
		w.hand.Add(14 * time.Minute)
	}
	w.hand.Add(14 * time.Minute)
	if got := silent(); got != "login_required" {
		t.Errorf("after eight hours of use: %q", got)
	}
	p.signIn(b, w.certs.Citizen("luc"))
	w.hand.Add(15 * time.Minute)
	if got := silent(); got != "login_required" {
		t.Errorf("after fifteen idle minutes: %q", got)
	}
}
