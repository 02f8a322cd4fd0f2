package idp_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever the query: an answer, never ours to blame, and never to a stranger's address.
func FuzzAuthorize(f *testing.F) {
	w := newWorld(f, bare)
	p := w.parties[library]
	f.Add(p.flow().values.Encode())
	f.Add(p.flow(with("redirect_uri", "https://evil.example")).values.Encode())
	f.Add(p.flow(with("claims", `{"id_token":{"acr":{"essential":true,"values":["x"]}}}`)).values.Encode())
	f.Add(p.flow(with("max_age", "99999999999999999999")).values.Encode())
	f.Add("parked=x&client_id=" + library)
	f.Add("client_id=%zz;&;=")
	host := strings.TrimPrefix(w.issuer, "http://")
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/authorize", nil)
		r.Host, r.URL.RawQuery = host, query
		a := httptest.NewRecorder()
		w.provider.ServeHTTP(a, r)
		if a.Code >= 500 {
			t.Fatalf("%d for %q", a.Code, query)
		}
		to := a.Header().Get("Location")
		if to == "" {
			return
		}
		if !strings.HasPrefix(to, "/login/") && !strings.HasPrefix(to, "https://library.example/callback?") && !strings.HasPrefix(to, "https://ancient.example/callback?") &&
			!strings.HasPrefix(to, w.parties[portal].redirect+"?") && !strings.HasPrefix(to, w.parties[seaside].redirect+"?") {
			t.Fatalf("sent to %q by %q", to, query)
		}
		if u, err := url.Parse(to); err != nil || strings.ContainsAny(to, "\r\n") || (utf8.ValidString(query) && !utf8.ValidString(u.RawQuery)) {
			t.Fatalf("location %q", to)
		}
	})
}

// Whatever is pushed, or sent to the token endpoint: JSON, and never ours to blame.
func FuzzPushAndToken(f *testing.F) {
	w := newWorld(f, bare)
	p := w.parties[library]
	f.Add(p.flow().values.Encode())
	f.Add("grant_type=authorization_code&code=x&code_verifier=" + strings.Repeat("v", 43))
	f.Add("client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c")
	f.Add("request_uri=urn:ietf:params:oauth:request_uri:x")
	f.Add("%zz=;&&")
	host := strings.TrimPrefix(w.issuer, "http://")
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"/par", "/token"} {
			for _, proved := range []bool{true, false} {
				r := httptest.NewRequest("POST", path, strings.NewReader(body))
				r.Host = host
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				if proved {
					r.SetBasicAuth(url.QueryEscape(p.id), url.QueryEscape(p.secret))
				}
				a := httptest.NewRecorder()
				w.provider.ServeHTTP(a, r)
				if a.Code >= 500 || a.Header().Get("Content-Type") != "application/json" {
					t.Fatalf("%s: %d %s for %q", path, a.Code, a.Header().Get("Content-Type"), body)
				}
				if a.Code < 300 && !proved {
					t.Fatalf("%s: %d without proof for %q", path, a.Code, body)
				}
			}
		}
	})
}
