package portal_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/portal/rp"
)

const residence = "/fr/documents/residence/"

// A product may ask for more than whoever signed in has shown: they are sent on once the
// form is filled in, and find it as it was. Nobody else does.
func TestMoreIsAskedWithoutLosingTheForm(t *testing.T) {
	w := newWorld(t)
	home, _ := w.cfg.Communes.ByID("beaumarais")
	home.Products = map[string]commune.Product{"residence": {Demand: commune.Demand{Level: "high", MaxAge: "10m"}}}
	person := w.Person("beaumarais", 1)
	low, high := card(person), card(person)
	low.ACR = rp.Substantial
	begin := func() *browser {
		t.Helper()
		b := w.browser("beaumarais")
		if a := b.signIn(residence+"form", low); a.status != 200 {
			t.Fatalf("the form: %d", a.status)
		}
		if to := b.post(residence+"form", url.Values{"email": {"kept@example.be"}}).to(t); to != residence+"check" {
			t.Fatalf("to %s", to)
		}
		return b
	}
	kept := func(a *answer) bool { return a.status == 200 && strings.Contains(a.body, "kept@example.be") }

	b := begin()
	old := b.cookies["__Host-session"]
	a := b.signIn(residence+"check", high)
	if !kept(a) {
		t.Fatalf("after the step: %d %s", a.status, text(a.doc))
	}
	if b.cookies["__Host-session"] == old {
		t.Error("the session has its old secret")
	}
	asked := w.provider.Asked[len(w.provider.Asked)-1]
	if asked.Get("claims") != `{"id_token":{"acr":{"essential":true,"values":["`+rp.High+`"]}}}` || asked.Get("max_age") != "600" {
		t.Errorf("asked %v", asked)
	}
	// Later than the product allows, sending asks again, and still nothing is lost.
	key := a.value("key")
	w.Clock.Add(11 * time.Minute)
	if to := b.post(residence+"send", url.Values{"key": {key}}).to(t); !strings.Contains(to, "for=residence") {
		t.Errorf("an old sign-in sends: to %s", to)
	}
	if a = b.signIn(residence+"check", high); !kept(a) || a.value("key") != key {
		t.Fatalf("after the second step: %d", a.status)
	}
	if sent := b.post(residence+"send", url.Values{"key": {key}}).to(t); !strings.HasSuffix(sent, "/sent") {
		t.Errorf("to %s", sent)
	}

	// Who does not reach it is told so, and has lost nothing.
	b = begin()
	if a = b.signIn(residence+"check", low); a.status != 403 || !strings.Contains(a.body, "for=residence") && !strings.Contains(a.body, "sign-in") {
		t.Errorf("too low: %d %s", a.status, text(a.doc))
	}
	if to := b.post(residence+"send", url.Values{"key": {key}}).to(t); strings.HasSuffix(to, "/sent") {
		t.Error("sent without the level")
	}
	if a = b.signIn(residence+"check", high); !kept(a) {
		t.Errorf("after a failed step: %d", a.status)
	}

	// Somebody else who takes the step finds an empty form.
	b = begin()
	if a = b.signIn(residence+"check", card(w.Person("beaumarais", 2))); a.status != 200 || strings.Contains(a.body, "kept@") {
		t.Errorf("somebody else finds what was filled in: %d", a.status)
	}

	// Another commune asks nothing of the kind.
	other := w.browser("zandvoorde")
	theirs := card(w.Person("zandvoorde", 3))
	theirs.ACR = rp.Substantial
	other.signIn("/nl/documents/residence/form", theirs)
	other.post("/nl/documents/residence/form", url.Values{"document_language": {"nl"}, "contact": {"none"}})
	if a = other.get("/nl/documents/residence/check"); a.status != 200 {
		t.Errorf("at zandvoorde: %d", a.status)
	}
}

// The desk says that it is staff who are to sign in.
func TestTheDeskAsksForStaff(t *testing.T) {
	w := newWorld(t)
	b := w.browser("beaumarais")
	b.signIn("/fr/sign-in?desk=1&return=/fr/desk", clerkCard(1))
	if asked := w.provider.Asked[0]; asked.Get("belfry_staff") != "1" {
		t.Errorf("asked %v", asked)
	}
	b = w.browser("beaumarais")
	b.signIn("/fr/orders", clerkCard(1))
	if asked := w.provider.Asked[1]; asked.Has("belfry_staff") || asked.Has("claims") {
		t.Errorf("asked of citizens %v", asked)
	}
}
