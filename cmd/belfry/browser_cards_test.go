package main

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// Every kind of card, in one world: a bis number and somebody born after 2000 order a
// paper; a card of before 2021 and cards without certificates are used in Chromium.
func TestBrowserCards(t *testing.T) {
	henri, b := browse(t), browse(t)
	w := startWorld(t)
	for name, commune := range map[string]string{"olena": "zandvoorde", "yara": "beaumarais"} { // a bis number; born after 2000
		newPerson(t).order(w, commune, w.card(name))
	}
	b.hasNoCertificates(w)
	henri.hasASilentRegister(w)
	w.noNumberLeaks()
}

// hasASilentRegister: on a day on which the National Register does not answer, the holder of
// a card of before 2021 goes on with the address that is written on it, once they agree.
func (henri *tab) hasASilentRegister(w *world) {
	t := henri.t
	w.tell("register", "gone")
	henri.open(w.origin("beaumarais") + "/fr/documents/residence/form")
	henri.click(`main a[href$="/card"]`)
	henri.withCard(w.card("henri"), w.card("henri").PIN)
	henri.sees(i18n.T(i18n.French, "portal.silent.title"))
	henri.accessible("cards-01-register-silent")
	if strings.Contains(henri.text("main"), "Beffroi 71") {
		t.Error("the address is there before its holder agreed")
	}
	henri.click(`main a[href*="address=residence"]`)
	henri.click(`main a[href$="/card"]`)
	henri.waitFor("#address")
	henri.accessible("cards-02-address-agree")
	henri.do("agree", chromedp.Evaluate[chromedp.Void](`document.querySelector("#address").click();0`))
	agent := henri.cardWindow()
	agent.sees(i18n.T(i18n.French, "agent.data_list"))
	agent.accessible("cards-03-agent-lists-data")
	agent.choose(w.card("henri"), w.card("henri").PIN)
	henri.at("/documents/residence/form")
	henri.sees("Rue du Beffroi 71, 7999 Beaumarais")
	henri.sees(i18n.T(i18n.French, "orders.origin.eid"))
	henri.accessible("cards-04-form")
	henri.click("label[for=contact-none]")
	henri.click("main form button")
	henri.at("/check")
	henri.click(`form[action*="/send"] button`)
	henri.at("/sent")
	w.tell("register", "good")
}

// hasNoCertificates: for a card without certificates a page says why, in words, and what else one can
// do; one of those is done.
func (b *tab) hasNoCertificates(w *world) {
	t := b.t
	for name, code := range map[string]string{"emma": "no_certificate_child", "dirk": "no_certificate_declined"} {
		b.open(w.origin("beaumarais") + "/fr/documents/residence/form")
		b.click(`main a[href$="/card"]`)
		b.withCard(w.card(name), w.card(name).PIN)
		b.sees(i18n.T(i18n.French, "card."+code))
		b.sees(i18n.T(i18n.French, "idp.without_counter"))
		if name == "emma" {
			b.accessible("cards-05-without")
		}
		if phone := b.text(`main a[href^="tel:"]`); phone == "" {
			t.Errorf("%s: the commune cannot be called", name)
		}
		for _, l := range []string{"nl", "de", "en"} {
			if text := i18n.T(i18n.Language(l), "card."+code); text == "" || text == "card."+code {
				t.Errorf("%s has no words in %s", code, l)
			}
		}
	}
	// Another card, in the same sign-in.
	b.click(`main a[href$="/card"]`)
	b.withCard(w.card("luc"), w.card("luc").PIN)
	b.at("/documents/residence/form")
	b.sees("Lambert")
	b.forgetSession()
	// Or the federal service.
	b.open(w.origin("beaumarais") + "/fr/documents/residence/form")
	b.click(`main a[href$="/card"]`)
	b.withCard(w.card("dirk"), w.card("dirk").PIN)
	b.waitFor(`main a[href$="/fas"]`)
	b.click(`main a[href$="/fas"]`)
	b.waitFor(`main a[href*="csam.localhost"]`)
}
