package main

import (
	"strings"
	"testing"
)

// In Chromium: the last way on this computer comes first, what is not enough is explained,
// and the form is there again; by pages of four languages, narrow and by keyboard.
func TestBrowserStepUp(t *testing.T) {
	b := browse(t)
	w := startWorld(t)
	b.open(w.origin("beaumarais") + "/fr/documents/residence/form")
	b.waitFor(`main a[href$="/fas"]`)
	b.click(`main a[href$="/fas"]`)
	b.click(`main a[href*="csam.localhost"]`)
	b.at("/sso")
	b.choosePerson("luc", totp)
	b.click(`button[value=go]`)
	b.at("/answer")
	b.click("button")
	b.at("/form")
	b.fill("input[name=email]", "kept@example.org")
	b.click(`form[action$="/form"] button`)
	b.at("/login/")
	b.sees("plus sûr de votre identité")
	b.until("show the last way first", `document.querySelector("main ul a").href.endsWith("/fas")`)
	b.walkable("persons-01-too-low")
	b.accessible("persons-01-too-low")
	b.click(`main a[href$="/fas"]`)
	b.click(`main a[href*="csam.localhost"]`)
	b.at("/sso")
	b.choosePerson("luc", itsme)
	b.click(`button[value=go]`)
	b.at("/answer")
	b.click("button")
	b.at("/check")
	b.sees("kept@example.org")
	b.click(`form[action$="/send"] button`)
	b.at("/sent")
}

// The pages about merging, and what the person reads afterwards, in Chromium: held to axe,
// to the keyboard and to 320 px.
func TestBrowserMerge(t *testing.T) {
	b, amina := browse(t), browse(t)
	w := startWorld(t)
	for _, name := range []string{"luc", "amina"} {
		p := newPerson(t)
		p.get(w.origin("beaumarais") + "/fr/orders")
		p.signIn(w, w.card(name))
		p.want(200)
	}
	wim := w.administrator("beaumarais", "wim")
	invitation := strings.TrimSpace(w.command(0, "staff", "invite", "--config", w.Belfry.Config, "--role", "administrator", "--delegate", "mayor", "--decision", "essai", "beaumarais", "claire"))
	b.open(invitation)
	b.click(`main a[href*="/sign-in"]`)
	b.click(`main a[href$="/card"]`)
	b.withCard(w.card("claire"), w.card("claire").PIN)
	b.waitFor(`form[action$="/join"]`)
	b.click(`form[action$="/join"] button`)
	b.until("be at the desk", `location.pathname.endsWith("/desk") && document.readyState === "complete"`)
	b.open(w.origin("beaumarais") + "/fr/desk/staff")
	b.writesAQuestion()
	b.open(w.origin("beaumarais") + "/fr/desk/staff")
	b.click(`main a[href*="/persons/beaumarais"]`)
	b.at("/persons/beaumarais")
	b.accessible("persons-02-empty")
	b.click(`form[action$="/propose"] button`)
	b.waitFor(".govuk-error-summary")
	b.accessible("persons-03-mistaken")
	b.fill("#one", w.card("luc").NationalNumber)
	b.fill("#other", w.card("amina").NationalNumber)
	b.fill("#reason", "vus au guichet")
	b.click(`form[action$="/propose"] button`)
	b.waitFor(`form[action$="/undo"]`)
	b.accessible("persons-04-proposed")
	wim.get(w.Provider.Issuers[0] + "/persons/beaumarais")
	wim.send("/confirm")
	wim.want(200)
	b.open(w.Provider.Issuers[0] + "/persons/beaumarais")
	b.sees("Séparer")
	b.accessible("persons-05-joined")

	amina.open(w.origin("beaumarais") + "/fr/orders")
	amina.click(`main a[href$="/card"]`)
	amina.waitFor("form[data-card]")
	amina.withCard(w.card("amina"), w.card("amina").PIN)
	amina.waitFor(`form[action$="/read"]`)
	amina.accessible("persons-06-notice")
	amina.click(`form[action$="/read"] button`)
	amina.at("/fr/orders")
}

// writesAQuestion adds a text of the commune's own, from the page of its staff.
func (b *tab) writesAQuestion() {
	b.t.Helper()
	b.click(`main a[href$="/desk/questions"]`)
	b.at("/desk/questions")
	b.click(`form[action$="/desk/questions"] button`)
	b.waitFor(".govuk-error-summary")
	b.accessible("persons-06-question-error")
	b.fill("#label-fr", "Bail")
	b.fill("#text-fr", "Pour votre demande {reference}, pouvez-vous nous envoyer votre bail ?")
	b.click(`form[action$="/desk/questions"] button`)
	b.waitFor("main table")
	b.accessible("persons-07-questions")
	b.click("main table a")
	b.waitFor(`form[action$="/drop"]`)
	b.accessible("persons-08-question")
	b.click(`form[action$="/drop"] button`)
	b.until("see it gone", `location.pathname.endsWith("/desk/questions") && !document.querySelector("main table")`)
}
