package portal_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/orders/orderstest"
)

// In Brussels nobody knows which of two equal languages a person wants until they say so.
func TestTheEntryOfBrusselsIsInBothLanguages(t *testing.T) {
	w := newWorld(t, "brussels")
	b := w.browser(orderstest.A)
	for path, links := range map[string][]string{
		"/":             {"/fr/", "/nl/", "/en/"},
		"/verify/token": {"/fr/verify/token", "/nl/verify/token", "/en/verify/token"},
		"/orders/1":     {"/fr/orders/1", "/nl/orders/1", "/en/orders/1"},
	} {
		a := b.get(path)
		var got, equal []string
		for _, link := range all(a.doc, "a") {
			if attr(link, "hreflang") != "" {
				got = append(got, attr(link, "href"))
			}
			if attr(link, "class") == "govuk-button" {
				equal = append(equal, attr(link, "href"))
			}
		}
		if a.status != http.StatusOK || !slices.Equal(got, links) || !slices.Equal(equal, links[:2]) {
			t.Errorf("%s: %d, leads to %q, alike to %q", path, a.status, got, equal)
		}
		for _, words := range []string{"Aller au contenu", "Naar de inhoud", "Continuer en français", "Verder in het Nederlands"} {
			if !strings.Contains(text(a.doc), words) {
				t.Errorf("%s does not say %q", path, words)
			}
		}
		inspect(t, path, "fr", a)
	}
	if to := b.get("/desk").to(t); to != "/fr/desk" {
		t.Errorf("the desk begins at %s", to)
	}
}

// A facility is asked for at each visit: whoever read, ordered and signed in in French
// finds Dutch at an address that names no language, and no cookie of ours names one.
func TestALanguageOnRequestIsNotRemembered(t *testing.T) {
	w := newWorld(t, "nl-fr")
	b, p := w.citizen(orderstest.A, 1)
	b.signIn("/fr/orders", card(p))
	for _, path := range []string{"/fr/", "/fr/orders", "/fr/documents/residence"} {
		if a := b.get(path); a.status != http.StatusOK || attr(all(a.doc, "html")[0], "lang") != "fr" {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	r, _ := http.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Language", "fr")
	if to := b.do(r).to(t); to != "/nl/" {
		t.Errorf("the next visit begins at %s", to)
	}
	for name, value := range b.cookies {
		if strings.Contains(name, "lang") || value == "fr" {
			t.Errorf("a cookie remembers: %s=%s", name, value)
		}
	}
	var order []string
	for _, link := range all(b.get("/nl/").doc, "a") {
		if attr(link, "hreflang") != "" {
			order = append(order, attr(link, "hreflang"))
		}
	}
	if !slices.Equal(order, []string{"fr", "en"}) { // the current one is no link, and comes first
		t.Errorf("the switch offers %q", order)
	}
	for _, path := range []string{"/de/", "/fr/desk", "/en/desk"} {
		if a := b.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}
