package idp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp"
)

// listener is the server of a client that is told of sessions' ends.
type listener struct {
	*httptest.Server
	mu     sync.Mutex
	status int // of the answer
	tokens []string
}

func listen(t *testing.T) *listener {
	l := &listener{status: http.StatusOK}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if r.Method == http.MethodPost && r.URL.RawQuery == "" {
			l.tokens = append(l.tokens, r.PostFormValue("logout_token"))
		}
		w.WriteHeader(l.status)
	}))
	t.Cleanup(l.Close)
	return l
}

// answers sets the answer from now on and returns what came before.
func (l *listener) answers(status int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	came := l.tokens
	l.status, l.tokens = status, nil
	return came
}

// heard waits until a number of tokens have come.
func (l *listener) heard(t *testing.T, n int) []string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		l.mu.Lock()
		came := slices.Clone(l.tokens)
		l.mu.Unlock()
		if len(came) >= n {
			return came
		}
	}
	t.Fatalf("the client did not hear %d notices", n)
	return nil
}

func (w *world) work() {
	w.t.Helper()
	w.must(w.jobs.Start(context.Background()))
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		w.jobs.Stop(ctx)
	})
}

// By whatever client a session is ended, the others that took part in it are told; as the
// standard has it, and until they have taken it.
func TestClientsAreToldOfASessionsEnd(t *testing.T) {
	at := map[string]*listener{portal: listen(t), library: listen(t), seaside: listen(t)}
	w := newWorld(t, func(o *options) {
		o.told = map[string]string{}
		for id, l := range at {
			o.told[id] = l.URL + "/notice"
		}
	})
	w.work()
	a, b := w.parties[portal], w.parties[library]
	browser := w.browser()
	f, code := a.signIn(browser, w.certs.Citizen("luc"))
	said := a.claims(f, a.exchange(f, code))
	g := b.flow()
	hint := b.exchange(g, browser.open(b.ask(g)).code(g)).str("id_token")

	at[portal].answers(http.StatusServiceUnavailable)
	browser.open(w.logout(url.Values{"id_token_hint": {hint}}))
	at[portal].heard(t, 1)
	at[portal].answers(http.StatusOK)
	token := at[portal].heard(t, 1)[0]

	var keys jose.JSONWebKeySet
	text, err := json.Marshal(w.get("/jwks").body)
	w.must(err)
	w.must(json.Unmarshal(text, &keys))
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	w.must(err)
	payload, err := signed.Verify(keys)
	w.must(err)
	var got struct {
		Iss, Sub, Aud, JTI, SID string
		Iat, Exp                int64
		Nonce                   *string
		Events                  map[string]map[string]any
	}
	w.must(json.Unmarshal(payload, &got))
	now := w.hand.Now().Unix()
	_, logout := got.Events["http://schemas.openid.net/event/backchannel-logout"]
	if got.Iss != w.issuer || got.Aud != portal || got.Sub != said["sub"] || got.SID != said["sid"] || got.JTI == "" || got.Nonce != nil ||
		got.Iat != now || got.Exp != now+120 || !logout || signed.Signatures[0].Header.ExtraHeaders["typ"] != "logout+jwt" {
		t.Errorf("the logout token says %s", payload)
	}
	time.Sleep(300 * time.Millisecond)
	for id, l := range at {
		if came := l.answers(http.StatusOK); (id == portal) != (len(came) == 1) {
			t.Errorf("%s was told %d times", id, len(came))
		}
	}
}

// A notice waits in the transaction that ends the session: a provider that dies before
// it could tell anybody tells them when it comes back.
func TestANoticeOutlivesTheProcess(t *testing.T) {
	l := listen(t)
	w := newWorld(t, bare, func(o *options) { o.told = map[string]string{library: l.URL} })
	browser := w.browser()
	browser.say(w.parties[library], invented(1))
	at := browser.open(w.logout(nil))
	browser.post(w.issuer+"/logout/confirm", at.origin(), nil)
	if came := l.answers(http.StatusNoContent); len(came) != 0 {
		t.Fatal("told while no job ran")
	}
	w.work() // as the next process does
	l.heard(t, 1)
	w.must(w.provider.Purge(context.Background()))
}

func TestDiscoveryNamesTheBackChannel(t *testing.T) {
	for _, told := range []map[string]string{nil, {library: "https://library.example/notice"}} {
		w := newWorld(t, bare, func(o *options) { o.told = told })
		found := w.get("/.well-known/openid-configuration").body
		for _, name := range []string{"backchannel_logout_supported", "backchannel_logout_session_supported"} {
			if found[name] != (told != nil) {
				t.Errorf("%s is %v", name, found[name])
			}
		}
	}
}

func TestAClientToBeToldNeedsAQueue(t *testing.T) {
	w := newWorld(t, bare, func(o *options) { o.told = map[string]string{library: "https://library.example/notice"} })
	cfg := w.provider.Config
	cfg.Jobs = nil
	if _, err := idp.New(context.Background(), cfg); err == nil {
		t.Error("a provider that can tell nobody was made")
	}
}
