package idp_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"html"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/fas"
	"github.com/belfry-eid/belfry/testcerts/fakefas"
)

// federation is a provider whose commune beaumarais has an agreement with a federal
// service, and whose people may also be taken at their word.
type federation struct {
	*world
	idp *fakefas.Provider
}

const elsewhere = "https://csam.example"

func newFederation(t testing.TB) *federation {
	t.Helper()
	f := &federation{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(f.log.String())
		}
	})
	f.world = newWorld(t, bare, func(o *options) {
		o.methods = func(w *world) []method.Method {
			idp, err := fakefas.New(elsewhere, nil)
			w.must(err)
			f.idp = idp
			key, cert, err := fakefas.NewKey("beaumarais")
			w.must(err)
			file := filepath.Join(t.TempDir(), "fas.xml")
			w.must(os.WriteFile(file, idp.Metadata(), 0o600))
			far, err := fas.New(fas.Config{Store: w.store, KV: w.values, Secret: w.master, Clock: w.hand.Now, Issuers: []string{w.issuer, w.secure}, Agreements: []fas.Agreement{{
				Commune: "beaumarais", Provider: &fas.Provider{Name: "fas", Metadata: file}, Signing: []fas.Key{{Signer: key, Certificate: cert}},
				Levels: []fas.Level{{Value: "urn:high", Level: method.High, AMR: []string{"mfa"}}, {Value: "urn:low", Level: method.Low}},
			}}})
			w.must(err)
			return []method.Method{word{}, far}
		}
	})
	return f
}

var (
	farLink = regexp.MustCompile(`href="(https://csam\.example/sso[^"]*)"`)
	idOf    = regexp.MustCompile(` ID="([^"]*)"`)
)

// request is what the page would take to the federal service.
func (f *federation) request(at place) (id, relay string) {
	f.t.Helper()
	link := farLink.FindStringSubmatch(at.body)
	if link == nil {
		f.t.Fatalf("no way to the federal service at %v (%d): %s", at.url, at.status, at.body)
	}
	u, err := url.Parse(html.UnescapeString(link[1]))
	f.must(err)
	return idOf.FindStringSubmatch(inflated(f.t, u.Query().Get("SAMLRequest")))[1], u.Query().Get("RelayState")
}

func (f *federation) consumer(c string) string { return f.issuer + "/saml/" + c + "/acs" }

// form is an honest answer, bent.
func (f *federation) form(id, relay, number, level string, bend ...func(*fakefas.Answer)) url.Values {
	f.t.Helper()
	a := f.idp.Honest(id, f.consumer("beaumarais"), f.issuer+"/saml/beaumarais/metadata", fakefas.Person{Number: number, GivenNames: "Luc", Surname: "Lambert"}, level, f.hand.Now())
	for _, b := range bend {
		b(&a)
	}
	text, err := f.idp.Respond(a)
	f.must(err)
	return url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString(text)}, "RelayState": {relay}}
}

// begin goes to the federal step.
func (b *browser) begin(p *party, change ...func(url.Values)) (flow, place) {
	b.w.t.Helper()
	fl := p.flow(change...)
	at := b.open(p.ask(fl))
	if strings.HasSuffix(at.url.Path, "/fas") { // the only way that will do
		return fl, at
	}
	return fl, b.open(at.url.String() + "/fas")
}

func TestFederalSignIn(t *testing.T) {
	f := newFederation(t)
	p, number := f.parties[portal], invented(1)
	b := f.browser()
	fl := p.flow()
	at := b.open(p.ask(fl))
	word, far := strings.Index(at.body, "/word"), strings.Index(at.body, "/fas")
	if word < 0 || far < word {
		t.Fatalf("the choice is not offered in order: %s", at.body)
	}
	at = b.open(at.url.String() + "/fas")
	id, relay := f.request(at)
	at = b.post(f.consumer("beaumarais"), elsewhere, f.form(id, relay, number, "urn:high"))
	claims := p.claims(fl, p.exchange(fl, at.code(fl)))
	if amr, _ := claims["amr"].([]any); claims["acr"] != method.High || !slices.Contains(amr, any("mfa")) {
		t.Errorf("acr %v, amr %v", claims["acr"], claims["amr"])
	}
	for _, a := range b.visited {
		if strings.Contains(a, "SAMLResponse") || strings.Contains(a, relay) {
			t.Error("an address holds what was posted")
		}
	}

	// The same computer is offered the same way first.
	fl = p.flow(with("prompt", "login"))
	at = b.open(p.ask(fl))
	if word, far := strings.Index(at.body, "/word"), strings.Index(at.body, "/fas"); far < 0 || word < far {
		t.Error("the last way is not the first")
	}

	// Another way, another browser: the same subject.
	other := f.browser()
	fl = p.flow()
	at = other.open(p.ask(fl))
	at = other.open(at.url.String() + "/word")
	at = other.post(at.url.String(), at.origin(), url.Values{"number": {number}})
	if again := p.claims(fl, p.exchange(fl, at.code(fl))); again["sub"] != claims["sub"] {
		t.Error("one person is two subjects")
	}

	// The federal session is worth nothing to a commune without an agreement, which
	// does not offer it either.
	q := f.parties[seaside]
	if at = b.open(q.ask(q.flow())); at.url == nil || !strings.HasSuffix(at.url.Path, "/word") {
		t.Errorf("at zandvoorde: %v %v", at.url, at.away)
	}
	if at = b.open(strings.TrimSuffix(at.url.String(), "/word") + "/fas"); at.status != 404 {
		t.Errorf("zandvoorde shows the federal step: %d", at.status)
	}
}

func TestFederalRefusals(t *testing.T) {
	f := newFederation(t)
	p, number := f.parties[portal], invented(2)
	fresh := func() (*browser, string, string) {
		b := f.browser()
		_, at := b.begin(p)
		id, relay := f.request(at)
		return b, id, relay
	}
	signedIn := func(b *browser) bool {
		at := b.open(p.ask(p.flow(with("prompt", "none"))))
		return at.away == nil || at.away.Query().Get("error") != "login_required"
	}
	reasons := func() string {
		entries, err := f.audit.List(t.Context(), "beaumarais", "")
		f.must(err)
		return entries[len(entries)-1].Detail["reason"]
	}
	for name, c := range map[string]struct {
		cause string
		bend  func(*fakefas.Answer)
	}{
		"unsigned":      {"fas.unsigned", func(a *fakefas.Answer) { a.SignResponse, a.SignAssertion = false, false }},
		"late":          {"fas.subject", func(a *fakefas.Answer) { a.Until = "2020-01-01T00:00:00Z" }},
		"unknown level": {"fas.level", func(a *fakefas.Answer) { a.Level = "urn:best" }},
		"gave up":       {"fas.status", func(a *fakefas.Answer) { a.Status = "urn:oasis:names:tc:SAML:2.0:status:Responder" }},
	} {
		b, id, relay := fresh()
		at := b.post(f.consumer("beaumarais"), elsewhere, f.form(id, relay, number, "urn:high", c.bend))
		if at.away != nil || at.status < 400 || signedIn(b) {
			t.Errorf("%s: %d at %v, away %v", name, at.status, at.url, at.away)
		}
		if got := reasons(); got != c.cause {
			t.Errorf("%s is recorded as %s", name, got)
		}
		if strings.Contains(f.log.String(), number) {
			t.Fatal("the log holds the number")
		}
	}

	// Another browser, another commune, nobody's.
	_, id, relay := fresh()
	thief, _, _ := fresh()
	if at := thief.post(f.consumer("beaumarais"), elsewhere, f.form(id, relay, number, "urn:high")); at.away != nil || at.status < 400 || signedIn(thief) {
		t.Error("another browser is signed in")
	}
	for name, c := range map[string]struct{ commune, relay string }{
		"another commune": {"zandvoorde", relay}, "unasked": {"beaumarais", "x"}, "no commune": {"lindenberg", relay},
	} {
		b := f.browser()
		at := b.post(f.consumer(c.commune), elsewhere, f.form(id, c.relay, number, "urn:high"))
		if at.status < 400 || strings.Contains(at.url.RawQuery, "parked") {
			t.Errorf("%s: %d at %v", name, at.status, at.url)
		}
	}
	large := f.form(id, relay, number, "urn:high")
	large.Set("more", strings.Repeat("x", 300<<10))
	if at := f.browser().post(f.consumer("beaumarais"), elsewhere, large); at.status < 400 || strings.Contains(at.url.RawQuery, "parked") {
		t.Errorf("a large body: %d at %v", at.status, at.url)
	}

	// An essential level: a lower one is refused there, and a higher one is still good.
	b := f.browser()
	fl, at := b.begin(p, with("claims", `{"id_token":{"acr":{"essential":true,"value":"`+method.High+`"}}}`))
	id, relay = f.request(at)
	if at = b.post(f.consumer("beaumarais"), elsewhere, f.form(id, relay, number, "urn:low")); at.away != nil {
		t.Errorf("too low, and away to %v", at.away)
	}
	id, relay = f.request(at)
	if at = b.post(f.consumer("beaumarais"), elsewhere, f.form(id, relay, number, "urn:high")); at.code(fl) == "" {
		t.Error("high is not enough")
	}
}

// inflated is a message of the redirect binding.
func inflated(t testing.TB, encoded string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
