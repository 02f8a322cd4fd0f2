package portal_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/code"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

// from is a check from an address of the net.
func (b *browser) from(address, method, path string, form url.Values) *answer {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.RemoteAddr = address + ":1234"
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return b.do(r)
}

// Whoever guesses, from one address or from many, is stopped and told until when; the
// paper can still be checked in the ways that cannot be guessed.
func TestGuessingIsStopped(t *testing.T) {
	w := newWorld(t)
	o := w.Issued(t, orderstest.A, 1)
	d := w.Renderer.Last()
	token := d.Verify.URL[strings.LastIndex(d.Verify.URL, "/")+1:]
	s := w.browser(orderstest.A)
	w.Clock.Add(20 * time.Minute)
	heard := map[int]int{}
	guess := func(address string) *answer {
		a := s.from(address, "POST", "/fr/verify", url.Values{"number": {string(o.Paper.Number)}, "code": {code.New(10)}})
		heard[a.status]++
		return a
	}
	for range 300 {
		guess("192.0.2.1")
	}
	if heard[404] != 10 || heard[429] != 290 {
		t.Errorf("one address hears %v", heard)
	}
	last := guess("192.0.2.1")
	if said := text(last.doc); !strings.Contains(said, "Réessayez après 13:00") || last.header.Get("Retry-After") != "2400" {
		t.Errorf("it is told %q, Retry-After %q", said, last.header.Get("Retry-After"))
	}
	for n := range 1500 {
		guess(fmt.Sprintf("10.1.%d.%d", n/250, n%250+1))
	}
	if heard[404] != 200 {
		t.Errorf("many addresses hear %v", heard)
	}
	right := url.Values{"number": {string(o.Paper.Number)}, "code": {o.Paper.Code}}
	if a := s.from("203.0.113.9", "POST", "/fr/verify", right); a.status != http.StatusTooManyRequests || strings.Contains(a.body, o.Paper.Holder) {
		t.Errorf("the right code after the tries of its number: %d", a.status)
	}
	if a := s.from("203.0.113.9", "GET", "/fr/verify/"+token, nil); a.status != 200 {
		t.Errorf("its QR code: %d", a.status)
	}
	tokens := map[int]int{}
	for range 1000 {
		tokens[s.from("198.51.100.7", "GET", "/fr/verify/"+strings.Repeat(code.New(2), 11), nil).status]++
	}
	if tokens[404] != 120 || tokens[429] != 880 {
		t.Errorf("tokens tried from one address: %v", tokens)
	}
	w.Clock.Add(40 * time.Minute)
	if a := s.from("203.0.113.9", "POST", "/fr/verify", right); a.status != 200 {
		t.Errorf("at the time that was said: %d", a.status)
	}
}
