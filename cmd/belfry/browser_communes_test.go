package main

import (
	"bytes"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// looks are what tells one commune's page from another's.
type looks struct {
	Lang, Site, Header, Link, Contact string
	Logo                              string   // what the header's picture says and where it comes from; "" where it has none
	Drawn                             int      // pixels of that picture's width, as it came
	Languages                         []string // of the switch, the current one too
}

func (b *tab) looks() looks {
	b.t.Helper()
	seen, err := see(b, chromedp.Evaluate[looks](`({
		Lang: document.documentElement.lang, Site: document.querySelector(".b-header__site").innerText.trim(),
		Header: getComputedStyle(document.querySelector(".b-header")).backgroundColor,
		Link: getComputedStyle(document.querySelector("main a")).color,
		Contact: (document.querySelector("footer address") || {innerText: ""}).innerText,
		Logo: [...document.querySelectorAll(".b-header__logo")].map(i => i.alt + " " + new URL(i.src).pathname + new URL(i.src).search).join(),
		Drawn: (document.querySelector(".b-header__logo") || {naturalWidth: 0}).naturalWidth,
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
		if logo := commune != mairie; strings.Contains(home.Logo, ": "+home.Site+" /logo.png?v=") != logo || (home.Drawn > 0) != logo {
			t.Errorf("%s has the logo %q, drawn %d wide", commune, home.Logo, home.Drawn)
		}
		for other, seen := range homes {
			if other != commune && (seen.Header == home.Header || seen.Site == home.Site || seen.Contact == home.Contact || seen.Logo == home.Logo) {
				t.Errorf("%s looks like %s: %+v", commune, other, seen)
			}
		}
	}

	// The same paper has each commune's own price.
	for at, price := range map[string]string{"beaumarais/fr": "Gratuit, ou jusqu’à 3,00 €", "montclair/fr": "Gratuit", "wilgenrode/nl": "Gratis"} {
		commune, language, _ := strings.Cut(at, "/")
		b.open(w.origin(commune) + "/" + language + "/documents/residence_history")
		if said := b.text(".b-glance"); !strings.Contains(said, price) {
			t.Errorf("%s: the price is %s", at, said)
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
	// Each desk lists its own orders, whoever searches.
	for _, k := range []struct {
		desk           *person
		commune        string
		theirs, others string
	}{{claire, "beaumarais", w.card("luc").Surname, "Vanden Eynde"}, {leila, "montclair", "Vanden Eynde", w.card("luc").Surname}} {
		for _, query := range []string{"", "&q=" + url.QueryEscape(k.others)} {
			k.desk.get(w.origin(k.commune) + "/fr/desk?show=open" + query)
			k.desk.want(http.StatusOK)
			if said := k.desk.text(); strings.Contains(said, k.theirs) != (query == "") || strings.Contains(said, k.others) {
				t.Errorf("the desk of %s, %q, lists\n%s", k.commune, query, said)
			}
		}
	}

	// Mails come in the commune's name, and are answered to it.
	newPerson(t).order(w, "beaumarais", w.card("thomas"))
	newPerson(t).order(w, "zandvoorde", w.card("sofie"))
	for to, want := range map[string][2]string{
		"thomas@example.org": {"Beaumarais", "population@beaumarais.example"}, "sofie@example.org": {"Zandvoorde", "burgerzaken@zandvoorde.example"},
	} {
		if name, answer := w.sender(to); name != want[0] || answer != want[1] {
			t.Errorf("the mail to %s is from %q and answered to %q", to, name, answer)
		}
	}
	w.noNumberLeaks()
}

// sender is in whose name the first mail to somebody came, and where an answer goes.
func (w *world) sender(to string) (name, answer string) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(w.dir, "mail", "*.eml"))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				w.t.Fatal(err)
			}
			m, err := mail.ReadMessage(bytes.NewReader(raw))
			if err != nil || !strings.Contains(m.Header.Get("To"), to) {
				continue // half written, or for somebody else
			}
			from, err1 := m.Header.AddressList("From")
			reply, err2 := m.Header.AddressList("Reply-To")
			if err1 != nil || err2 != nil || len(from) != 1 || len(reply) != 1 {
				w.t.Fatalf("%v %v: %v", err1, err2, m.Header)
			}
			return from[0].Name, reply[0].Address
		}
	}
	w.t.Fatalf("no mail to %s", to)
	return "", ""
}
