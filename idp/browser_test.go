package idp_test

import (
	"context"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
)

// A real browser, across two sites: a form that the commune's site posts reaches the
// provider without its cookies and goes on with them, the redirects after the card
// step pass the form-action policy, and another site's form gets nowhere.
func TestTwoSitesInARealBrowser(t *testing.T) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed")
	}
	shop := newShop(t)
	w := newWorld(t, func(o *options) { o.library = shop.origin })
	p := w.parties[library]
	f := p.flow()
	shop.forms.Store("/start", form{w.issuer + "/authorize", f.values})

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox)
	alloc, stop := chromedp.NewExecAllocator(t.Context(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(alloc)
	defer cancel()
	ctx, late := context.WithTimeout(ctx, time.Minute)
	defer late()
	var mu sync.Mutex
	var complaints []string
	err = chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*log.EventEntryAdded); ok && e.Entry.Source == log.EntrySourceSecurity {
			mu.Lock()
			complaints = append(complaints, e.Entry.Text)
			mu.Unlock()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	failed := func(what string, err error) {
		t.Helper()
		if err != nil {
			at, _ := chromedp.Run(ctx, chromedp.Location())
			body, _ := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
			t.Fatalf("%s: %v at %s: %s", what, err, at, body)
		}
	}
	do := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		failed(what, chromedp.Do(ctx, steps...))
	}
	ask := func(what string, a chromedp.Action[string]) string {
		t.Helper()
		answer, err := chromedp.Run(ctx, a)
		for try := 0; err != nil && strings.Contains(err.Error(), "node with given id") && try < 5; try++ {
			answer, err = chromedp.Run(ctx, a) // the page it was looked up in has just gone
		}
		failed(what, err)
		return answer
	}
	button, back := chromedp.CSS("button"), chromedp.CSS("#query")

	do("to the card step", chromedp.Navigate(shop.origin+"/start"), chromedp.Click(button), chromedp.WaitVisible(chromedp.CSS("form[data-card]")))
	origin := ask("origin", chromedp.Evaluate[string](`location.origin`))
	nonce := ask("challenge", chromedp.Evaluate[string](`document.querySelector('form[data-card]').dataset.nonce`))
	if origin != w.issuer {
		t.Fatalf("the card step is at %s", origin)
	}
	// What the script does when a card program has answered.
	ask("card", chromedp.Evaluate[string](fmt.Sprintf(`(() => { const f = document.querySelector('form[data-card]'); f.elements.token.value = %q; f.requestSubmit(); return ''; })()`,
		w.token(w.certs.Citizen("luc"), origin, nonce))))
	do("back to the commune", chromedp.WaitVisible(back))
	text := ask("answer", chromedp.Text(back))
	q, err := url.ParseQuery(strings.TrimSpace(text))
	if err != nil || q.Get("state") != f.state {
		t.Fatalf("came back with %q", text)
	}
	tokens := p.exchange(f, q.Get("code"))
	p.claims(f, tokens)

	// The session is found again although the form comes from another site.
	f = p.flow(with("prompt", "none"))
	shop.forms.Store("/silent", form{w.issuer + "/authorize", f.values})
	do("silently", chromedp.Navigate(shop.origin+"/silent"), chromedp.Click(button), chromedp.WaitVisible(chromedp.CSS("#query.callback")))
	text = ask("answer", chromedp.Text(back))
	if q, _ := url.ParseQuery(strings.TrimSpace(text)); q.Get("code") == "" || q.Get("state") != f.state {
		t.Errorf("a silent question from another site: %q", text)
	}

	// Another site's form to a step, or to the sign-out button, is refused.
	for _, path := range []string{"/login/x/card", "/logout/confirm"} {
		shop.forms.Store("/evil", form{w.issuer + path, url.Values{"token": {"x"}}})
		do("a forged form", chromedp.Navigate(shop.origin+"/evil"), chromedp.Click(button), chromedp.WaitVisible(chromedp.CSS("#main")))
		if text = ask("answer", chromedp.Text(chromedp.CSS("#main"))); !strings.Contains(text, "autre site") && !strings.Contains(text, "another site") {
			t.Errorf("a forged form to %s: %s", path, text)
		}
	}

	// Signing out, by a form of the commune's, ends in the commune.
	shop.forms.Store("/leave", form{w.issuer + "/logout", url.Values{"id_token_hint": {tokens.str("id_token")}, "post_logout_redirect_uri": {shop.origin + "/bye"}}})
	do("signing out", chromedp.Navigate(shop.origin+"/leave"), chromedp.Click(button), chromedp.WaitVisible(chromedp.CSS("#query.bye")))
	f = p.flow(with("prompt", "none"))
	shop.forms.Store("/silent", form{w.issuer + "/authorize", f.values})
	do("silently", chromedp.Navigate(shop.origin+"/silent"), chromedp.Click(button), chromedp.WaitVisible(chromedp.CSS("#query.callback")))
	if text = ask("answer", chromedp.Text(back)); !strings.Contains(text, "login_required") {
		t.Errorf("after signing out: %q", text)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, c := range complaints {
		t.Errorf("the browser complains: %s", c)
	}
}

// shop is the commune's site on another site than the provider's: pages with one form.
type shop struct {
	origin string
	forms  sync.Map // path to form
}

type form struct {
	Action string
	Values url.Values
}

var shopPage = template.Must(template.New("").Parse(`<!DOCTYPE html><title>commune</title>{{with .Form}}<form method="post" action="{{.Action}}">
{{range $name, $all := .Values}}{{range $all}}<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}<button>go</button></form>{{end}}<p id="query" class="{{.Name}}">{{.Query}}&nbsp;</p>`))

func newShop(t *testing.T) *shop {
	s := &shop{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var f *form
		if v, ok := s.forms.Load(r.URL.Path); ok {
			known := v.(form)
			f = &known
		}
		shopPage.Execute(w, struct {
			Form        *form
			Name, Query string
		}{f, strings.TrimPrefix(r.URL.Path, "/"), r.URL.RawQuery})
	}))
	t.Cleanup(srv.Close)
	s.origin = fmt.Sprintf("http://zandvoorde.localhost:%d", srv.Listener.Addr().(*net.TCPAddr).Port)
	return s
}
