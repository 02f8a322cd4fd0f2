//go:build dev

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	method "github.com/belfry-eid/belfry/idp/method/card"
	"github.com/belfry-eid/belfry/internal/cardscript"
	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

// loginPage is the card step as a provider shows it: the real script, and the real
// validator behind the form.
type loginPage struct {
	*httptest.Server
	t        *testing.T
	verifier *trust.Verifier
	ports    []string
	ttl      int

	extension string // script that plays the Web eID extension

	mu      sync.Mutex
	nonces  int
	renewed int
	result  string // name of the citizen, or the key of the refusal
}

const loginHTML = `<!DOCTYPE html><html lang="{{.Lang}}"><meta charset="utf-8"><title>login</title>
<script src="/extension.js"></script><script type="module" src="/cardstep.js"></script>
<form method="post" action="/answer" data-card data-nonce="{{.Nonce}}" data-ttl="{{.TTL}}" data-purpose="login"
 data-lang="{{.Lang}}" data-ports="{{.Ports}}" data-renew="/renew" data-texts="{{.Texts}}">
<input type="hidden" name="nonce" value="{{.Nonce}}"><input type="hidden" name="token"><input type="hidden" name="problem"><input name="kept" id="kept">
<button id="go">Go</button><div data-card-status></div></form>`

func newLoginPage(t *testing.T, ports ...string) *loginPage {
	w := testcerts.New(t)
	v, err := trust.New(trust.Config{Roots: w.Roots(), Intermediates: w.Intermediates(), Hosts: w.Hosts()})
	if err != nil {
		t.Fatal(err)
	}
	p := &loginPage{t: t, verifier: v, ports: ports, ttl: 300}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *loginPage) newNonce() string {
	p.nonces++
	return fmt.Sprintf("%043d=", p.nonces)
}

func (p *loginPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Path {
	case "/":
		var connect string
		for _, port := range p.ports {
			connect += " http://127.0.0.1:" + port
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; form-action 'self'; connect-src 'self'"+connect)
		template.Must(template.New("").Parse(loginHTML)).Execute(w, map[string]any{
			"Lang": "fr", "Nonce": p.newNonce(), "TTL": p.ttl, "Ports": strings.Join(p.ports, " "), "Texts": texts(p.t),
		})
	case "/cardstep.js":
		step, err := os.ReadFile("../../idp/method/card/static/cardstep.js")
		if err != nil {
			p.t.Error(err)
		}
		cardscript.New("/cardstep.js", step).ServeHTTP(w, r)
	case "/extension.js":
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, p.extension)
	case "/renew":
		p.renewed++
		json.NewEncoder(w).Encode(map[string]any{"nonce": p.newNonce(), "ttl": 300})
	case "/answer":
		proved, err := method.Validate(context.Background(), p.verifier, r.FormValue("token"), p.URL, r.FormValue("nonce"))
		p.result = proved.Citizen().Name()
		if err != nil {
			p.result = fault.KeyOf(err)
		}
		fmt.Fprintf(w, "<!DOCTYPE html><title>in</title><p>signed in: %s, kept: %s</p>", template.HTMLEscapeString(p.result), template.HTMLEscapeString(r.FormValue("kept")))
	default:
		http.NotFound(w, r)
	}
}

func texts(t *testing.T) string {
	raw, err := fs.ReadFile(i18n.Catalogues(), "locales/card.fr.json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), `"card.`, `"`)
}

// browser starts a Chromium of its own for the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("browsers take their time")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-popup-blocking", false))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	run(t, ctx, chromedp.Navigate("about:blank"))
	return ctx
}

// agentWindow waits for the agent's page, which the login page opened.
func agentWindow(t *testing.T, ctx context.Context) context.Context {
	t.Helper()
	for range 200 {
		infos, err := chromedp.Targets(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			if info.Type == "page" && strings.Contains(info.URL, "/confirm/") {
				window, cancel := chromedp.NewContext(ctx, chromedp.WithTargetID(info.TargetID))
				t.Cleanup(cancel)
				return window
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the card window does not open")
	return nil
}

type step = chromedp.Action[chromedp.Void]

func run(t *testing.T, ctx context.Context, steps ...step) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func read[T any](t *testing.T, ctx context.Context, action chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func click(selector string) step { return patient(chromedp.Click(chromedp.CSS(selector))) }
func write(selector, value string) step {
	return patient(chromedp.SendKeys(chromedp.CSS(selector), value))
}

// patient tries again where the library still held the page before this one.
func patient(s step) step {
	return func(ctx context.Context, on *chromedp.Target) (chromedp.Void, error) {
		for tries := 0; ; tries++ {
			done, err := s(ctx, on)
			if err == nil || tries == 20 || !strings.Contains(err.Error(), "Could not find node") {
				return done, err
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

const shortly = 20 * time.Second

// says waits until the page's text has something. The pages forbid eval, which the
// library's own polling uses.
func says(text string) step {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		var shown string
		for end := time.Now().Add(shortly); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			// A page that is being left has no body; the next one will.
			shown, _ = chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ''`))
			if strings.Contains(shown, text) {
				return nil
			}
		}
		return fmt.Errorf("the page does not say %q but\n%s", text, shown)
	})
}

// program starts this test binary as eid-agent over a reader of its own, with the
// given cards in it, and returns the port.
func program(t *testing.T, cards ...*testcerts.Card) (port, slot string) {
	t.Helper()
	slot = t.TempDir()
	conf, err := softcard.Write(slot)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cards {
		insert(t, slot, c)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "serve", "--port", "0", "--module", testcerts.New(t).ModulePath())
	cmd.Env = append(os.Environ(), "BELFRY_TEST_AGENT=yes", "SOFTHSM2_CONF="+conf)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the agent ends with %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	found := make(chan string, 1)
	go func() {
		for lines.Scan() {
			if m := regexp.MustCompile(`address=127\.0\.0\.1:(\d+)`).FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
			}
		}
	}()
	select {
	case port = <-found:
		return port, slot
	case <-time.After(shortly):
		t.Fatal("the agent does not start")
		return "", ""
	}
}

func insert(t *testing.T, slot string, c *testcerts.Card) {
	t.Helper()
	if err := softcard.Copy(filepath.Dir(os.Getenv("SOFTHSM2_CONF")), slot, c.Serial); err != nil {
		t.Fatal(err)
	}
}

func personsCard(t *testing.T, surname string) *testcerts.Card {
	_, c := cardOf(t, surname, testcerts.CardSpec{PIN: "8642"})
	return c
}

// A citizen signs in: the whole way through a browser, the agent's program, a card
// and the provider's validator; with every slip that is likely on it.
func TestSignInInABrowser(t *testing.T) {
	held := personsCard(t, "Browser")
	port, slot := program(t)
	p := newLoginPage(t, "9", port) // on the first port nobody answers
	ctx := browser(t)

	run(t, ctx, chromedp.Navigate(p.URL), write("#kept", "not lost"), click("#go"), says("fenêtre de la carte"))
	window := agentWindow(t, ctx)
	run(t, window, says(p.URL), says("Il n’y a pas de carte"))
	insert(t, slot, held)
	run(t, window, click("main a.govuk-link"), says("Maria Browser"),
		write("#pin", "1111"), click(`button[value="confirm"]`), says("Le code PIN est incorrect"),
		write("#pin", "8642"), click(`button[value="confirm"]`), says("C’est fait"))
	run(t, ctx, says("signed in: Maria Browser, kept: not lost"))
}

func TestCancelInABrowserAndTryAgain(t *testing.T) {
	held := personsCard(t, "Bedenking")
	port, slot := program(t, held)
	p := newLoginPage(t, port)
	p.ttl = 100 // about to expire: a card program needs more
	ctx := browser(t)
	run(t, ctx, chromedp.Navigate(p.URL), click("#go"), says("fenêtre de la carte"))
	window := agentWindow(t, ctx)
	run(t, window, says("Maria Bedenking"), click(`button[value="cancel"]`), says("n’a pas été utilisée"))
	run(t, ctx, says("Vous avez arrêté"))
	if focused := read(t, ctx, chromedp.Evaluate[string](`document.activeElement.id`)); focused != "go" {
		t.Errorf("the focus is on %q", focused)
	}
	chromedp.Cancel(window)
	// The card is taken out between the page and the PIN.
	run(t, ctx, click("#go"))
	window = agentWindow(t, ctx)
	run(t, window, says("Maria Bedenking"))
	if err := softcard.Remove(slot, held.Serial); err != nil {
		t.Fatal(err)
	}
	run(t, window, write("#pin", "8642"), click(`button[value="confirm"]`), says("n’a pas été utilisée"))
	run(t, ctx, says("La carte a été retirée trop tôt"))
	chromedp.Cancel(window)
	insert(t, slot, held)
	run(t, ctx, click("#go"))
	window = agentWindow(t, ctx)
	run(t, window, says("Maria Bedenking"), write("#pin", "8642"), click(`button[value="confirm"]`), says("C’est fait"))
	run(t, ctx, says("signed in: Maria Bedenking"))
	if p.renewed != 1 {
		t.Errorf("the challenge was renewed %d times", p.renewed)
	}
}

func TestNoAgentInABrowser(t *testing.T) {
	p := newLoginPage(t, "9", "10")
	ctx := browser(t)
	run(t, ctx, chromedp.Navigate(p.URL), click("#go"), says("Aucun programme de lecture de carte"))
	// Something else answers on the port.
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "*")
		w.Write([]byte(`{"id":"x","confirm":"javascript:alert(1)"}`))
	}))
	defer other.Close()
	p.mu.Lock()
	p.ports = []string{other.URL[strings.LastIndex(other.URL, ":")+1:]}
	p.mu.Unlock()
	run(t, ctx, chromedp.Navigate(p.URL), click("#go"), says("Aucun programme de lecture de carte"))
}

// The Web eID extension is asked first; here a script of the page plays it.
func TestWebEIDExtensionInABrowser(t *testing.T) {
	held := personsCard(t, "Extensie")
	m := testcerts.New(t).ModulePath()
	p := newLoginPage(t, "9")
	ctx := browser(t)
	var token []byte
	err := (&reader{module: m, only: "Extensie"}).use(held.Serial, func(c *card.Card) error {
		made, err := c.Authenticate(p.URL, fmt.Sprintf("%043d=", 1), held.Secret())
		if err != nil {
			return err
		}
		token, err = json.Marshal(made)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.extension = `window.addEventListener('message', (e) => {
		const say = (action, more) => window.postMessage({action, ...more}, location.origin);
		if (e.data.action === 'web-eid:status') { say('web-eid:status-ack'); say('web-eid:status-success', {extension: '2.2.0'}); }
		if (e.data.action === 'web-eid:authenticate') {
			say('web-eid:authenticate-ack');
			if (e.data.challengeNonce.length !== 44 || e.data.options.lang !== 'fr') return;
			window.tried = (window.tried || 0) + 1;
			if (window.tried === 1) say('web-eid:authenticate-failure', {error: {code: 'ERR_WEBEID_USER_CANCELLED', message: 'x'}});
			else say('web-eid:authenticate-success', ` + string(token) + `);
		}
	});`
	run(t, ctx, chromedp.Navigate(p.URL), click("#go"), says("Vous avez arrêté"), click("#go"))
	run(t, ctx, says("signed in: Maria Extensie"))
}
