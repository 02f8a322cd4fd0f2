package web_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/web"
)

// site is a room with one route for each way to end; its log goes to log.
func site(log io.Writer) (*web.Site, http.Handler) {
	s := &web.Site{
		Log:   slog.New(slog.NewJSONHandler(log, nil)),
		Clock: clock.System,
		Failed: func(w http.ResponseWriter, _ *http.Request, f web.Failure) {
			w.WriteHeader(f.Status)
			io.WriteString(w, f.Key+" "+f.Reference)
		},
		Parks:   []string{"POST /park"},
		Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
	}
	mux := http.NewServeMux()
	mux.Handle("GET /v/{token}", s.Page(func(w http.ResponseWriter, r *http.Request) error {
		web.SetCookie(w, r, "belfry", "x", 0)
		_, err := io.WriteString(w, web.Origin(r)+" "+web.Remote(r).String())
		return err
	}))
	mux.Handle("GET /boom", s.Page(func(http.ResponseWriter, *http.Request) error { panic("boom") }))
	mux.Handle("GET /gone", s.Page(func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.Unreachable, "register.down", errors.New("dial tcp: refused"))
	}))
	mux.Handle("POST /form", s.Page(func(w http.ResponseWriter, r *http.Request) error { return r.ParseForm() }))
	mux.Handle("POST /park", s.Page(func(w http.ResponseWriter, r *http.Request) error { return web.See(w, r, "/") }))
	mux.Handle("/", s.Page(web.NotFound))
	return s, s.Wrap(mux)
}

func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEveryKindHasItsStatus(t *testing.T) {
	seen := map[int]fault.Kind{}
	for _, k := range fault.Kinds {
		s := web.Status(k)
		if other, twice := seen[s]; twice {
			t.Errorf("%v and %v share status %d", k, other, s)
		}
		seen[s] = k
	}
}

func TestFailuresBecomePages(t *testing.T) {
	for path, want := range map[string]struct {
		status int
		key    string
	}{
		"/gone":    {503, "register.down"},
		"/boom":    {500, "fault.internal"},
		"/nothing": {404, "fault.not_found"},
	} {
		var log bytes.Buffer
		_, h := site(&log)
		w := do(h, httptest.NewRequest("GET", path, nil))
		key, ref, _ := strings.Cut(w.Body.String(), " ")
		if w.Code != want.status || key != want.key {
			t.Errorf("%s: %d %s", path, w.Code, key)
		}
		if len(ref) != 9 || !strings.Contains(log.String(), ref) {
			t.Errorf("%s: the reference %q is not in the log", path, ref)
		}
	}
}

func TestTheLineHoldsTheRouteNotThePath(t *testing.T) {
	var log bytes.Buffer
	_, h := site(&log)
	do(h, httptest.NewRequest("GET", "/v/SECRETTOKEN?code=SECRETCODE", nil))
	if line := log.String(); strings.Contains(line, "SECRET") || !strings.Contains(line, "/v/{token}") {
		t.Errorf("line: %s", line)
	}
}

func TestCrossSitePostsAreRefusedButAtTheListedDoors(t *testing.T) {
	for _, c := range []struct {
		path, site, origin string
		want               int
	}{
		{"/form", "cross-site", "https://evil.example", 403},
		{"/form", "same-site", "http://other.example.com", 403},
		{"/form", "same-origin", "http://example.com", 200},
		{"/form", "", "https://evil.example", 403},
		{"/form", "", "null", 403},
		{"/park", "cross-site", "https://evil.example", 303},
	} {
		_, h := site(io.Discard)
		r := httptest.NewRequest("POST", c.path, strings.NewReader("a=b"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", c.origin)
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		if w := do(h, r); w.Code != c.want {
			t.Errorf("POST %s from %s (%s): %d, want %d", c.path, c.origin, c.site, w.Code, c.want)
		}
	}
}

func TestAForwardedHeaderCountsOnlyFromAListedProxy(t *testing.T) {
	for _, c := range []struct{ peer, want, cookie string }{
		{"192.0.2.1:9", "https://example.com 198.51.100.7", "__Host-belfry="},
		{"203.0.113.9:9", "http://example.com 203.0.113.9", "belfry="},
	} {
		_, h := site(io.Discard)
		r := httptest.NewRequest("GET", "/v/x", nil)
		r.RemoteAddr = c.peer
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("X-Forwarded-For", "10.0.0.1, 198.51.100.7")
		w := do(h, r)
		if got := w.Body.String(); got != c.want {
			t.Errorf("from %s: %q", c.peer, got)
		}
		if set := w.Header().Get("Set-Cookie"); !strings.HasPrefix(set, c.cookie) || !strings.Contains(set, "HttpOnly") {
			t.Errorf("from %s: cookie %q", c.peer, set)
		}
	}
}

func TestTheLastForwardedHeaderIsOurProxys(t *testing.T) {
	_, h := site(io.Discard)
	r := httptest.NewRequest("GET", "/v/x", nil)
	r.RemoteAddr = "192.0.2.1:9"
	r.Header.Add("X-Forwarded-For", "10.0.0.1")
	r.Header.Add("X-Forwarded-For", "198.51.100.7")
	if got := do(h, r).Body.String(); !strings.HasSuffix(got, " 198.51.100.7") {
		t.Errorf("the caller chose its own address: %q", got)
	}
}

func TestALargeFormIsRefusedInWords(t *testing.T) {
	_, h := site(io.Discard)
	r := httptest.NewRequest("POST", "/form", strings.NewReader("a="+strings.Repeat("x", web.BodyLimit)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if w := do(h, r); w.Code != http.StatusRequestEntityTooLarge || !strings.HasPrefix(w.Body.String(), "fault.too_large") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAllowAddsToOneDirective(t *testing.T) {
	s, _ := site(io.Discard)
	h := s.Wrap(s.Page(func(w http.ResponseWriter, r *http.Request) error {
		web.Allow(w, "connect-src", "http://127.0.0.1:6547")
		web.Allow(w, "frame-src", "'self'")
		return nil
	}))
	csp := do(h, httptest.NewRequest("GET", "/", nil)).Header().Get("Content-Security-Policy")
	for _, want := range []string{"connect-src 'self' http://127.0.0.1:6547;", "frame-src 'self';", "default-src 'none';"} {
		if !strings.Contains(csp, want) {
			t.Errorf("%q lacks %q", csp, want)
		}
	}
}

func TestNeighbourhood(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::9": "2001:db8:1:2::/64",
	} {
		if got := web.Neighbourhood(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}
