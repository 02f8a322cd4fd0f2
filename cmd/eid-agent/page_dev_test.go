//go:build dev

package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/testcerts"
)

// person uses the page as a browser does.
type person struct {
	t      *testing.T
	a      *testAgent
	path   string
	client *http.Client
}

func (a *testAgent) person(t *testing.T, lang string) (*person, string) {
	t.Helper()
	status, out, _ := a.call(t, "POST", "/authenticate", strings.Replace(asking, `"nl"`, `"`+lang+`"`, 1), nil)
	if status != http.StatusAccepted || !strings.HasPrefix(out.Confirm, a.base+"/confirm/") {
		t.Fatalf("%d, page at %q", status, out.Confirm)
	}
	jar, _ := cookiejar.New(nil)
	return &person{t, a, strings.TrimPrefix(out.Confirm, a.base), &http.Client{Jar: jar}}, out.ID
}

func (p *person) send(method string, form url.Values, change func(*http.Request)) (int, string, http.Header) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.a.base+p.path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", p.a.base)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if change != nil {
		change(req)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), resp.Header
}

var formToken = regexp.MustCompile(`name="form" value="([^"]+)"`)

func (p *person) form() string {
	p.t.Helper()
	_, html, _ := p.send("GET", nil, nil)
	found := formToken.FindStringSubmatch(html)
	if found == nil {
		p.t.Fatalf("no form:\n%s", html)
	}
	return found[1]
}

func confirmation(token, serial, pin string) url.Values {
	return url.Values{"form": {token}, "card": {serial}, "pin": {pin}, "do": {"confirm"}}
}

func TestThePageSaysWhoAsks(t *testing.T) {
	cards, held := cardOf(t, "Pagina", testcerts.CardSpec{})
	a := startAgent(t, cards, func(a *agent) window { return newWindow(a, "") })
	for _, l := range i18n.Languages {
		p, _ := a.person(t, string(l))
		status, html, h := p.send("GET", nil, nil)
		for _, want := range []string{`lang="` + string(l) + `"`, site, i18n.T(l, "agent.purpose_login"), "Maria Pagina", held.Serial, `type="password"`} {
			if !strings.Contains(html, want) {
				t.Errorf("%s: the page lacks %q", l, want)
			}
		}
		if status != http.StatusOK || strings.Contains(html, held.Number) || strings.Contains(html, nonce) || strings.Contains(html, "agent.") {
			t.Errorf("%s: %d, or the page holds too much", l, status)
		}
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("CSP lacks %s: %s", want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "DENY" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" {
			t.Errorf("headers: %v", h)
		}
	}
}

func TestConfirmOnThePage(t *testing.T) {
	cards, held := cardOf(t, "Knopje", testcerts.CardSpec{PIN: "5678"})
	a := startAgent(t, cards, func(a *agent) window { return newWindow(a, "") })
	p, id := a.person(t, "fr")

	// A wrong PIN: the same page, with the reason; nothing has ended.
	status, html, _ := p.send("POST", confirmation(p.form(), held.Serial, "0000"), nil)
	if status != http.StatusUnprocessableEntity || !strings.Contains(html, i18n.T(i18n.French, "card.pin_wrong")) || strings.Contains(html, "0000") {
		t.Errorf("a wrong PIN: %d", status)
	}
	if a.of(id, site).ended() {
		t.Error("a wrong PIN ends it")
	}
	// The right one.
	status, html, _ = p.send("POST", confirmation(p.form(), held.Serial, "5678"), nil)
	if status != http.StatusOK || !strings.Contains(html, i18n.T(i18n.French, "agent.done")) || !strings.Contains(html, i18n.T(i18n.French, "agent.close")) {
		t.Errorf("the right PIN: %d\n%s", status, html)
	}
	if out := a.outcomeOf(t, id); out.Token == nil || out.Token.Algorithm != "ES384" {
		t.Errorf("%+v", out)
	}
	// Its address is over.
	if _, html, _ := p.send("POST", confirmation("x", held.Serial, "5678"), nil); !strings.Contains(html, i18n.T(i18n.French, "agent.done")) {
		t.Error("a finished page takes another PIN")
	}
	if strings.Contains(a.log.String(), "5678") || strings.Contains(a.log.String(), held.Number) {
		t.Error("the log holds a secret")
	}
}

func TestCancelOnThePage(t *testing.T) {
	cards, _ := cardOf(t, "Afblazer", testcerts.CardSpec{})
	a := startAgent(t, cards, func(a *agent) window { return newWindow(a, "") })
	p, id := a.person(t, "nl")
	if _, html, _ := p.send("POST", url.Values{"form": {p.form()}, "do": {"cancel"}}, nil); !strings.Contains(html, i18n.T(i18n.Dutch, "agent.ended")) {
		t.Error(html)
	}
	if out := a.outcomeOf(t, id); out.Error == nil || out.Error.Code != "cancelled" {
		t.Errorf("%+v", out)
	}
}

func TestThePageIsNobodyElses(t *testing.T) {
	cards, held := cardOf(t, "Vreemde", testcerts.CardSpec{})
	a := startAgent(t, cards, func(a *agent) window { return newWindow(a, "") })
	p, id := a.person(t, "nl")
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, change := range map[string]func(*http.Request){
		"another origin":   header("Origin", site),
		"no origin":        func(r *http.Request) { r.Header.Del("Origin") },
		"null":             header("Origin", "null"),
		"another port":     header("Origin", "http://127.0.0.1:1"),
		"localhost":        header("Origin", strings.Replace(a.base, "127.0.0.1", "localhost", 1)),
		"cross-site":       header("Sec-Fetch-Site", "cross-site"),
		"same site":        header("Sec-Fetch-Site", "same-site"),
		"rebinding":        func(r *http.Request) { r.Host = "evil.example" },
		"typed in by hand": header("Sec-Fetch-Site", "none"),
	} {
		if status, _, _ := p.send("POST", confirmation(p.form(), held.Serial, held.PIN), change); status != http.StatusForbidden && status != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
	for _, dest := range []string{"iframe", "image", "script", "empty", "object"} {
		if status, _, _ := p.send("GET", nil, header("Sec-Fetch-Dest", dest)); status != http.StatusForbidden {
			t.Errorf("as %s: %d", dest, status)
		}
	}
	if status, html, _ := p.send("POST", confirmation("forged", held.Serial, held.PIN), nil); status != http.StatusConflict || !strings.Contains(html, `name="form"`) {
		t.Errorf("a forged form: %d", status)
	}
	if a.of(id, site).ended() {
		t.Error("one of them ended the operation")
	}
	p.path = "/confirm/" + id
	if status, _, _ := p.send("GET", nil, nil); status != http.StatusNotFound {
		t.Errorf("the page's id is the window's secret: %d", status)
	}
}

// A form sent several times at once reaches the card once.
func TestAFormIsUsedOnce(t *testing.T) {
	cards, held := cardOf(t, "Dubbelklik", testcerts.CardSpec{})
	a := startAgent(t, cards, func(a *agent) window { return newWindow(a, "") })
	p, _ := a.person(t, "nl")
	form := confirmation(p.form(), held.Serial, "0000")
	var mu sync.Mutex
	counts := map[int]int{}
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			status, _, _ := p.send("POST", form, nil)
			mu.Lock()
			defer mu.Unlock()
			counts[status]++
		})
	}
	all.Wait()
	if counts[http.StatusUnprocessableEntity] != 1 || counts[http.StatusConflict] != 5 {
		t.Errorf("answers %v; one try of the PIN wanted", counts)
	}
}

func TestCardsOnThePage(t *testing.T) {
	var cards *reader
	for want, kind := range map[string]testcerts.Kind{"no_certificate_declined": testcerts.Declined, "no_certificate_child": testcerts.Child} {
		var held *testcerts.Card
		cards, held = cardOf(t, "Kind"+string(kind), testcerts.CardSpec{Kind: kind})
		a := startAgent(t, cards, func(a *agent) window { return newWindow(a, "") })
		p, id := a.person(t, "de")
		if _, html, _ := p.send("GET", nil, nil); !strings.Contains(html, i18n.T(i18n.German, "card."+want)) {
			t.Errorf("the page does not say %s", want)
		}
		p.send("POST", confirmation(p.form(), held.Serial, held.PIN), nil)
		if out := a.outcomeOf(t, id); out.Error == nil || out.Error.Code != want {
			t.Errorf("%s: %+v", want, out)
		}
	}
	for want, r := range map[string]*reader{"card.no_card": {module: cards.module, only: "nobody of this name"}, "card.no_middleware": {}} {
		a := startAgent(t, r, func(a *agent) window { return newWindow(a, "") })
		p, id := a.person(t, "en")
		_, html, _ := p.send("GET", nil, nil)
		if !strings.Contains(html, strings.ReplaceAll(i18n.T(i18n.English, want), "'", "&#39;")) || strings.Contains(html, `value="confirm"`) {
			t.Errorf("%s: %s", want, html)
		}
		if a.of(id, site).ended() {
			t.Errorf("%s: nobody can put a card in any more", want)
		}
	}
}
