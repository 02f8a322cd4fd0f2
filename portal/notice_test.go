package portal_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/portal/rp"
	"github.com/belfry-eid/belfry/portal/rp/rptest"
)

// tell is the provider's own request, without a browser.
func (w *world) tell(c commune.ID, token string) *answer {
	w.t.Helper()
	r := httptest.NewRequest("POST", rp.NoticePath, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.browser(c).do(r)
}

// A sign-out that begins elsewhere ends the sessions of this commune that were begun in
// it, and no others.
func TestTheProviderSignsPeopleOut(t *testing.T) {
	w := newWorld(t)
	signedIn := func(c commune.ID, who rptest.Person) *browser {
		b := w.browser(c)
		if a := b.signIn("/fr/orders", who); a.status != 200 {
			t.Fatalf("%d at %s", a.status, c)
		}
		return b
	}
	luc, other := rptest.Person{Subject: "luc", GivenNames: "Luc", Surname: "Lambert"}, rptest.Person{Subject: "anna", GivenNames: "Anna", Surname: "Peeters"}
	here, elsewhere, neighbour := signedIn("beaumarais", luc), signedIn("zandvoorde", luc), signedIn("beaumarais", other)

	token, err := w.provider.Notice("portal-beaumarais", "sid-luc", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := w.tell("zandvoorde", token); a.status != 400 || a.header.Get("Content-Type") != "application/json" || !strings.Contains(a.body, `"invalid_request"`) {
		t.Errorf("another commune's notice: %d %s", a.status, a.body)
	}
	if a := here.get("/fr/orders"); a.status != 200 {
		t.Fatalf("signed out by a notice that was refused: %d", a.status)
	}
	if a := w.tell("beaumarais", token); a.status != 200 || a.body != "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %q", a.status, a.body)
	}
	if to := here.get("/fr/orders").to(t); !strings.HasPrefix(to, "/fr/sign-in") {
		t.Errorf("a page led to %s", to)
	}
	for name, b := range map[string]*browser{"another commune": elsewhere, "another person": neighbour} {
		if a := b.get("/fr/orders"); a.status != 200 {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if a := w.tell("beaumarais", token); a.status != 200 {
		t.Errorf("the same notice again: %d", a.status)
	}
	w.provider.Down = true
	if a := w.tell("beaumarais", "x.y.z"); a.status != 400 {
		t.Errorf("what is no token: %d", a.status)
	}
}
