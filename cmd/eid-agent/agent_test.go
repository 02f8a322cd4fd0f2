package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/eid/card"
)

const (
	site  = "https://id.example.be"
	nonce = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80="
)

// TestMain lets the test binary play pinentry (pinentry_test.go) and the program itself.
func TestMain(m *testing.M) {
	if os.Getenv("BELFRY_TEST_AGENT") != "" {
		main()
		return
	}
	if script := os.Getenv("BELFRY_TEST_PINENTRY"); script != "" {
		playPinentry(script)
		return
	}
	os.Exit(m.Run())
}

// silentWindow confirms nothing by itself; tests end its operations.
type silentWindow struct {
	mu     sync.Mutex
	opened []*operation
}

func (s *silentWindow) routes(*http.ServeMux) {}
func (s *silentWindow) open(o *operation) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = append(s.opened, o)
	return ""
}

func (s *silentWindow) last() *operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened[len(s.opened)-1]
}

type testAgent struct {
	*agent
	base string
	log  *lockedBuffer
}

// startAgent listens as the program does; makeWindow nil means a silentWindow.
func startAgent(t testing.TB, cards *reader, makeWindow func(*agent) window) *testAgent {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	a := newAgent(slog.New(slog.NewTextHandler(log, nil)), l.Addr().(*net.TCPAddr).Port, cards)
	if makeWindow == nil {
		a.window = &silentWindow{}
	} else {
		a.window = makeWindow(a)
	}
	server := &http.Server{Handler: a.handler()}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return &testAgent{agent: a, base: "http://" + a.host, log: log}
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// call sends a request as a browser's script would; change spoils it.
func (a *testAgent) call(t testing.TB, method, path, body string, change func(*http.Request)) (int, answer, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, a.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", site)
	req.Header.Set("Sec-Fetch-Mode", "cors")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out answer
	_ = json.Unmarshal(raw, &out)
	return resp.StatusCode, out, resp.Header
}

func from(origin string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Origin", origin) }
}

var asking = fmt.Sprintf(`{"nonce":%q,"purpose":"login","lang":"nl"}`, nonce)

func (a *testAgent) begun(t testing.TB, origin string) string {
	t.Helper()
	status, out, _ := a.call(t, "POST", "/authenticate", asking, from(origin))
	if status != http.StatusAccepted || out.ID == "" {
		t.Fatalf("status %d, error %+v", status, out.Error)
	}
	return out.ID
}

func TestWhoMayAsk(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	w := a.window.(*silentWindow)
	_, port, _ := net.SplitHostPort(a.host)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"a page":                               {nil, http.StatusAccepted},
		"a page on a port":                     {from("https://id.example.be:8443"), http.StatusAccepted},
		"JSON with a charset":                  {header("Content-Type", "application/json; charset=utf-8"), http.StatusAccepted},
		"Host evil":                            {host("evil.example"), http.StatusMisdirectedRequest},
		"Host of a rebound name with our port": {host("evil.example:" + port), http.StatusMisdirectedRequest},
		"Host localhost":                       {host("localhost:" + port), http.StatusMisdirectedRequest},
		"Host without port":                    {host("127.0.0.1"), http.StatusMisdirectedRequest},
		"Host another loopback":                {host("127.0.0.2:" + port), http.StatusMisdirectedRequest},
		"Host with a point":                    {host("127.0.0.1.:" + port), http.StatusMisdirectedRequest},
		"no Origin":                            {func(r *http.Request) { r.Header.Del("Origin") }, http.StatusForbidden},
		"two Origins":                          {func(r *http.Request) { r.Header.Add("Origin", site) }, http.StatusForbidden},
		"Origin null":                          {from("null"), http.StatusForbidden},
		"Origin empty":                         {from(""), http.StatusForbidden},
		"Origin of a file":                     {from("file://"), http.StatusForbidden},
		"Origin of an extension":               {from("chrome-extension://abcdefghijklmnop"), http.StatusForbidden},
		"Origin with a path":                   {from(site + "/login"), http.StatusForbidden},
		"Origin with a user":                   {from("https://id.example.be@evil.example"), http.StatusForbidden},
		"Origin in capitals":                   {from("https://ID.example.be"), http.StatusForbidden},
		"our own Origin":                       {from(a.base), http.StatusForbidden},
		"a form":                               {header("Content-Type", "application/x-www-form-urlencoded"), http.StatusBadRequest},
		"text":                                 {header("Content-Type", "text/plain"), http.StatusBadRequest},
		"no content type":                      {func(r *http.Request) { r.Header.Del("Content-Type") }, http.StatusBadRequest},
		"without CORS":                         {header("Sec-Fetch-Mode", "no-cors"), http.StatusForbidden},
		"a navigation":                         {header("Sec-Fetch-Mode", "navigate"), http.StatusForbidden},
		"a WebSocket":                          {header("Sec-Fetch-Mode", "websocket"), http.StatusForbidden},
	} {
		a.limit = limiter{}
		a.mu.Lock()
		a.current = nil
		a.mu.Unlock()
		before := len(w.opened)
		status, _, h := a.call(t, "POST", "/authenticate", asking, c.change)
		if status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
		if opened := len(w.opened) - before; (opened == 1) != (c.want == http.StatusAccepted) {
			t.Errorf("%s: %d windows opened", name, opened)
		}
		if allowed := h.Get("Access-Control-Allow-Origin"); allowed == "*" || status == http.StatusMisdirectedRequest && allowed != "" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: CORS allows %q", name, allowed)
		}
	}
}

func TestPlainHTTPOnlyInDevelopment(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	want := http.StatusForbidden
	if allowPlainHTTP {
		want = http.StatusAccepted
	}
	if status, _, _ := a.call(t, "POST", "/authenticate", asking, from("http://id.belfry.localhost:8080")); status != want {
		t.Errorf("%d, want %d", status, want)
	}
}

func TestPreflight(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	status, _, h := a.call(t, "OPTIONS", "/authenticate", "", func(r *http.Request) {
		r.Header.Set("Access-Control-Request-Private-Network", "true")
	})
	if status != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != site || h.Get("Access-Control-Allow-Methods") != "POST" ||
		h.Get("Access-Control-Allow-Headers") != "Content-Type" || h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Private-Network") != "true" {
		t.Errorf("%d %v", status, h)
	}
	if status, _, h := a.call(t, "OPTIONS", "/authenticate", "", from("null")); status != http.StatusForbidden || h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("Origin null: %d", status)
	}
	if n := len(a.window.(*silentWindow).opened); n > 0 {
		t.Errorf("%d windows opened", n)
	}
}

func TestNoOtherMethodsAndPaths(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	id := a.begun(t, site)
	for _, c := range []struct{ method, path string }{
		{"GET", "/authenticate"}, {"PUT", "/authenticate"}, {"DELETE", "/authenticate"}, {"HEAD", "/authenticate"},
		{"POST", "/authenticate/" + id}, {"PUT", "/authenticate/" + id}, {"PATCH", "/authenticate/" + id},
		{"GET", "/"}, {"GET", "/sign"}, {"POST", "/sign"}, {"GET", "/cards"}, {"GET", "/static/"}, {"GET", "/static/../main.go"},
	} {
		status, out, _ := a.call(t, c.method, c.path, "", nil)
		if status < 400 || out.Token != nil {
			t.Errorf("%s %s: %d", c.method, c.path, status)
		}
	}
	if a.window.(*silentWindow).last().ended() {
		t.Error("one of them ended the operation")
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	for name, body := range map[string]string{
		"nothing": " ", "not JSON": "nonce", "a list": "[]", "no nonce": `{"purpose":"login"}`,
		"short nonce":        `{"nonce":"abc","purpose":"login"}`,
		"a hash to sign":     `{"nonce":"` + nonce + `","purpose":"login","hash":"aGFzaA=="}`,
		"another's origin":   `{"nonce":"` + nonce + `","purpose":"login","origin":"https://bank.example"}`,
		"a purpose of its":   `{"nonce":"` + nonce + `","purpose":"You have won!"}`,
		"no purpose":         `{"nonce":"` + nonce + `"}`,
		"two values":         asking + asking,
		"too large":          `{"nonce":"` + strings.Repeat("A", bodyLimit) + `","purpose":"login"}`,
		"control characters": `{"nonce":"` + nonce[:40] + `\u0000\u0001\n ","purpose":"login"}`,
	} {
		if status, out, _ := a.call(t, "POST", "/authenticate", body, nil); status != http.StatusBadRequest || out.Error == nil {
			t.Errorf("%s: %d", name, status)
		}
	}
}

func TestAnswers(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	w := a.window.(*silentWindow)
	id := a.begun(t, site)
	made := card.Token{Format: "web-eid:1.0", Signature: "c2lnbmF0dXJl"}
	w.last().finish(outcome{token: &made})
	for _, other := range []string{"https://evil.example", "https://id.example.be.evil.example", "https://sub.id.example.be"} {
		if status, out, _ := a.call(t, "GET", "/authenticate/"+id, "", from(other)); status != http.StatusNotFound || out.Token != nil {
			t.Errorf("%s is given another's token: %d", other, status)
		}
		if status, _, _ := a.call(t, "DELETE", "/authenticate/"+id, "", from(other)); status != http.StatusNotFound {
			t.Errorf("%s ends another's operation: %d", other, status)
		}
	}
	if status, _, _ := a.call(t, "GET", "/authenticate/"+w.last().secret, "", nil); status != http.StatusNotFound {
		t.Errorf("the window's secret is an id: %d", status)
	}
	if status, out, h := a.call(t, "GET", "/authenticate/"+id, "", nil); status != http.StatusOK || out.Agent != "belfry" || out.Token == nil || *out.Token != made || h.Get("Cache-Control") != "no-store" {
		t.Errorf("the token: %d %+v", status, out)
	}
	// What came later does not change it.
	w.last().finish(outcome{code: "cancelled"})
	if _, out, _ := a.call(t, "GET", "/authenticate/"+id, "", nil); out.Token == nil {
		t.Error("an outcome was replaced")
	}

	id = a.begun(t, site)
	w.last().fail(card.ErrPINIncorrect.With("Count", 1))
	if _, out, _ := a.call(t, "GET", "/authenticate/"+id, "", nil); out.Error == nil || *out.Error != (answerError{"pin_incorrect", 1}) {
		t.Errorf("a wrong PIN: %+v", out.Error)
	}
	id = a.begun(t, site)
	w.last().fail(fmt.Errorf("something with a secret"))
	if _, out, _ := a.call(t, "GET", "/authenticate/"+id, "", nil); out.Error == nil || *out.Error != (answerError{Code: "failed"}) {
		t.Errorf("an unknown failure: %+v", out.Error)
	}
	id = a.begun(t, site)
	if status, _, _ := a.call(t, "DELETE", "/authenticate/"+id, "", nil); status != http.StatusNoContent || !w.last().ended() {
		t.Errorf("leaving: %d", status)
	}
	for _, unknown := range []string{"x", strings.Repeat("A", 26), id + "x"} {
		if status, _, _ := a.call(t, "GET", "/authenticate/"+unknown, "", nil); status != http.StatusNotFound {
			t.Errorf("an id that nobody was given: %d", status)
		}
	}
}

func TestAPollWaitsForNews(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	id := a.begun(t, site)
	o := a.window.(*silentWindow).last()
	time.AfterFunc(50*time.Millisecond, func() { o.finish(outcome{code: "cancelled"}) })
	began := time.Now()
	_, out, _ := a.call(t, "GET", "/authenticate/"+id, "", nil)
	if out.Error == nil || out.Error.Code != "cancelled" || time.Since(began) > 5*time.Second {
		t.Errorf("%+v after %v", out, time.Since(began))
	}
}

func TestAnOperationEnds(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	a.patience, a.keep = 30*time.Millisecond, 30*time.Millisecond
	id := a.begun(t, site)
	if _, out, _ := a.call(t, "GET", "/authenticate/"+id, "", nil); out.Error == nil || out.Error.Code != "timeout" {
		t.Errorf("%+v", out)
	}
	for range 100 {
		if a.of(id, site) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("it is never forgotten")
}

func TestOneAtATime(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	w := a.window.(*silentWindow)
	first := a.begun(t, site)
	if status, out, _ := a.call(t, "POST", "/authenticate", asking, from("https://evil.example")); status != http.StatusConflict || out.Error.Code != "busy" {
		t.Errorf("another site takes over: %d", status)
	}
	second := a.begun(t, site)
	if _, out, _ := a.call(t, "GET", "/authenticate/"+first, "", nil); out.Error == nil || out.Error.Code != "cancelled" {
		t.Errorf("the page's earlier request goes on: %+v", out)
	}
	if first == second || w.last().ended() || w.last().id != second {
		t.Error("the page's new request does not stand")
	}
	// Many at once: one stands.
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { a.call(t, "POST", "/authenticate", asking, nil) })
	}
	all.Wait()
	open := 0
	for _, o := range w.opened {
		if !o.ended() {
			open++
		}
	}
	if open != 1 {
		t.Errorf("%d operations under way", open)
	}
}

func TestRateLimit(t *testing.T) {
	a := startAgent(t, &reader{}, nil)
	refused := 0
	for range perOrigin + 3 {
		if status, _, h := a.call(t, "POST", "/authenticate", asking, nil); status == http.StatusTooManyRequests {
			refused++
			if h.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
	}
	if refused != 3 {
		t.Errorf("%d refused", refused)
	}
	var l limiter
	now := time.Now()
	allowed := 0
	for i := range 1000 {
		if l.allows(fmt.Sprintf("https://%d.example", i), now) {
			allowed++
		}
	}
	if allowed != perAll {
		t.Errorf("%d of many origins are allowed", allowed)
	}
	if !l.allows(site, now.Add(time.Minute)) {
		t.Error("a minute later nobody may")
	}
}

func TestPeerOfAnotherUser(t *testing.T) {
	if samePerson("127.0.0.1:9", "127.0.0.1:10") == nil && runtime.GOOS == "linux" {
		t.Error("a connection that does not exist is mine")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := samePerson(c.LocalAddr().String(), l.Addr().String()); err != nil {
		t.Errorf("my own connection: %v", err)
	}
}

func TestWithoutModule(t *testing.T) {
	for name, r := range map[string]*reader{"none": {}, "not a library": {module: os.Args[0]}} {
		err := r.with(func([]*card.Card) error { return nil })
		if f := failure(err); f.code != "no_middleware" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if findModule("/given/module.so") != "/given/module.so" {
		t.Error("the configured module is not taken")
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(asking))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"nonce":null,"purpose":"login","lang":1}`))
	f.Add([]byte(`{"nonce":"` + nonce + `","purpose":"step-up","lang":"xx"}{`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := http.NewRequest("POST", "/authenticate", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		req, err := readRequest(r)
		if err != nil {
			return
		}
		if purposes[req.Purpose] == "" || len(req.Nonce) < 44 || len(req.Nonce) > 128 || strings.ContainsAny(req.Nonce, "\n\r\x00 <\"") {
			t.Errorf("%+v is accepted", req)
		}
	})
}
