package portal_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

// A silent register: the page says so, and offers to go on with the address on the card,
// which the form then shows with where it is from. What was typed is still there.
func TestTheAddressOnTheCardStandsInForASilentRegister(t *testing.T) {
	w := newWorld(t)
	b, p := w.citizen(orderstest.A, 1)
	at := "/fr/documents/residence/form"
	b.get(at)
	b.post(at, url.Values{"email": {"luc@example.be"}}).to(t)

	w.Register.Fail(fault.New(fault.Unreachable, "register.down", nil))
	a := b.get(at)
	link := "/sign-in?address=residence&return=" + url.QueryEscape(at)
	if a.status != 503 || !strings.Contains(text(a.doc), i18n.T(i18n.French, "portal.silent.title")) || !strings.Contains(a.body, strings.ReplaceAll(link, "&", "&amp;")) {
		t.Fatalf("%d: %s", a.status, text(a.doc))
	}
	w.provider.UserInfo = func(claims map[string]any) {
		claims["address"] = map[string]string{"formatted": "Rue de la Carte 9, 7999 Beaumarais"}
	}
	a = b.signIn("/fr"+link, card(p))
	page := text(a.doc)
	if a.status != 200 || !strings.Contains(page, "Rue de la Carte 9, 7999 Beaumarais") || !strings.Contains(page, i18n.T(i18n.French, orders.FromCard.Key())) {
		t.Fatalf("%d: %s", a.status, page)
	}
	if !strings.Contains(a.body, i18n.T(i18n.French, "portal.silent.waits")) {
		t.Error("nothing says that the paper waits for the register")
	}
	if strings.Contains(page, i18n.T(i18n.French, orders.FromRegister.Key())) {
		t.Error("something is said to come from the register")
	}
	if a.value("email") != "luc@example.be" {
		t.Error("what was typed is lost")
	}
	asked := w.provider.Asked[len(w.provider.Asked)-1]
	if !slices.Contains(strings.Fields(asked.Get("scope")), "address") || asked.Get("prompt") != "login" {
		t.Errorf("asked for %q, prompt %q", asked.Get("scope"), asked.Get("prompt"))
	}
	for _, q := range w.provider.Asked[:len(w.provider.Asked)-1] {
		if strings.Contains(q.Get("scope"), "address") {
			t.Error("the address was asked for where it is not needed")
		}
	}
	// Who does not agree comes back to the same page, not to an error without a way out.
	w.provider.UserInfo = nil
	if a := b.signIn("/fr"+link, card(p)); a.status != 503 || !strings.Contains(a.body, strings.ReplaceAll(link, "&", "&amp;")) {
		t.Errorf("without agreement: %d", a.status)
	}
	// Once the register answers, its address is the one.
	w.Register.Fail(nil)
	if a := b.get(at); a.status != 200 || !strings.Contains(text(a.doc), i18n.T(i18n.French, orders.FromRegister.Key())) {
		t.Errorf("the register answers again: %d", a.status)
	}
}
