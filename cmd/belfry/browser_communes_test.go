package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// looks are what tells one commune's page from another's.
type looks struct {
	Lang, Site, Header, Link, Contact string
	Languages                         []string // of the switch, the current one too
}

func (b *tab) looks() looks {
	b.t.Helper()
	seen, err := see(b, chromedp.Evaluate[looks](`({
		Lang: document.documentElement.lang, Site: document.querySelector(".b-header__site").innerText.trim(),
		Header: getComputedStyle(document.querySelector(".b-header")).backgroundColor,
		Link: getComputedStyle(document.querySelector("main a")).color,
		Contact: (document.querySelector("footer address") || {innerText: ""}).innerText,
		Languages: [...document.querySelectorAll(".b-languages [lang]")].map(e => e.lang),
	})`))
	if err != nil {
		b.t.Fatal(err)
	}
	return seen
}

// J12: one install, several communes, one browser on all of them. Looks, languages and
// lists of orders never mix, and what is one commune's does not exist at another.
func TestBrowserCommunes(t *testing.T) {
	b := browse(t)
	w := startWorld(t)

	b.open(w.origin("montclair"))
	b.until("offer two languages alike", `document.querySelectorAll(".b-doors .govuk-button").length === 2`)
	b.accessible("communes-01-entry")
	b.click(`.b-doors a[hreflang=nl]`)
	b.at("/nl/")
	homes := map[string]looks{"montclair": b.looks()}
	b.accessible("communes-02-montclair")
	for commune, first := range map[string]string{"beaumarais": "fr", "zandvoorde": "nl", "ahornfeld": "de", "wilgenrode": "nl", mairie: "fr"} {
		b.open(w.origin(commune))
		b.at("/" + first + "/")
		homes[commune] = b.looks()
		b.accessible("communes-03-" + commune)
	}
	for commune, languages := range map[string]string{
		"beaumarais": "fr en", "zandvoorde": "nl en", "montclair": "fr nl en", "ahornfeld": "de fr", "wilgenrode": "nl fr", mairie: "",
	} {
		home := homes[commune]
		if got := strings.Join(home.Languages, " "); got != languages {
			t.Errorf("%s offers the languages %q", commune, got)
		}
		for other, seen := range homes {
			if other != commune && (seen.Header == home.Header || seen.Site == home.Site || seen.Contact == home.Contact) {
				t.Errorf("%s looks like %s: %+v", commune, other, seen)
			}
		}
	}

	// A facility is chosen at each visit, whatever was read before.
	b.open(w.origin("wilgenrode"))
	b.click(`.b-languages a[hreflang=fr]`)
	b.at("/fr/")
	b.keepsLanguage("fr")
	b.click(`main a[href$="/documents/household"]`)
	b.accessible("communes-04-product-on-request")
	b.open(w.origin("wilgenrode"))
	b.at("/nl/")

	// Luc orders at home, and has nothing elsewhere, signed in as he is.
	b.open(w.origin("beaumarais") + "/fr/documents/household/form")
	b.waitFor(`main a[href$="/card"]`)
	b.click(`main a[href$="/card"]`)
	b.withCard(w.card("luc"), w.card("luc").PIN)
	b.at("/form")
	b.sees("Luc, Nathalie, Hugo, Emma")
	b.accessible("communes-05-household-form")
	b.click("label[for=contact-none]")
	b.click(`form[action$="/form"] button`)
	b.at("/check")
	b.click(`form[action$="/send"] button`)
	b.at("/sent")
	order, err := url.Parse(strings.TrimSuffix(b.location(), "/sent"))
	if err != nil {
		t.Fatal(err)
	}
	b.open(w.origin("beaumarais") + "/fr/orders")
	b.sees("Composition de ménage")
	b.open(w.origin("montclair") + "/fr/orders")
	b.at("/fr/orders")
	if at := b.looks(); at.Site != "Montclair" || strings.Contains(b.text("main"), "Composition de ménage") {
		t.Errorf("Luc's order shows at %s:\n%s", at.Site, b.text("main"))
	}
	b.open(w.origin("montclair") + order.Path)
	b.sees("Page introuvable")
	b.open(w.origin("montclair") + "/fr/documents/household/form")
	b.sees("Beaumarais")
	b.accessible("communes-06-lives-elsewhere")

	// A clerk of one commune finds nothing of another, here or there.
	claire, samira, leila := w.clerk("beaumarais", "claire"), newPerson(t), w.clerk("montclair", "leila")
	theirs := samira.orderOf(w, "montclair", w.card("samira"), "residence", "fr", "nl")
	path := deskOf(theirs, "fr")[len(w.origin("montclair")):]
	claire.get(w.origin("beaumarais") + path)
	claire.want(http.StatusNotFound)
	claire.get(w.origin("montclair") + path)
	claire.want(http.StatusForbidden)
	leila.get(w.origin("montclair") + path)
	leila.want(http.StatusOK, "Vanden Eynde")
	leila.get(w.origin("montclair") + deskOf(order.String(), "fr")[len(w.origin("beaumarais")):])
	leila.want(http.StatusNotFound)
	w.noNumberLeaks()
}
