package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// scripts lets pages run their scripts, or not; what the test itself asks still works.
func (b *tab) scripts(on bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		b.t.Fatal(err)
	}
}

// looksGood is accessible of a page whose own scripts have not run: axe needs to wait for itself.
func (b *tab) looksGood(name string) {
	b.t.Helper()
	b.scripts(true)
	b.accessible(name)
	b.scripts(false)
}

// J8 in Chromium, but for its beginning and the card without scripts: Luc leaves a form half-way at one
// machine, goes on with it at another, sends it, and finds it gone. Then the pages about
// himself, one of which ends the first machine's session there.
func TestBrowserDraft(t *testing.T) {
	home, library := browse(t), browse(t)
	w := startWorld(t)
	there := w.origin("beaumarais") + "/fr"
	for _, b := range []*tab{home, library} {
		b.open(there + "/orders")
		b.waitFor(`main a[href$="/card"]`)
		b.click(`main a[href$="/card"]`)
		b.withCard(w.card("luc"), w.card("luc").PIN)
		b.at("/fr/orders")
	}
	home.keepsByItself(library, there)
	home.scripts(false)
	library.scripts(false)

	home.open(there + "/documents/residence/form")
	if home.text("body") == "" || strings.Contains(home.attribute("body", "class"), "js-enabled") {
		t.Error("scripts run")
	}
	home.looksGood("draft-01-form")
	home.fill("#email", "luc@exam")
	home.click(`button[name=later]`)
	home.at("/orders#drafts")
	home.sees(i18n.T(i18n.French, "account.drafts.text"))
	home.looksGood("draft-02-kept")

	library.open(there + "/")
	library.waitFor("#drafts")
	library.looksGood("draft-03-home")
	library.click(`a[href$="/residence/continue"]`)
	library.at("/residence/form#email")
	if typed := library.attribute("#email", "value"); typed != "luc@exam" {
		t.Errorf("the form holds %q", typed)
	}
	library.click("main form button")
	library.waitFor(".govuk-error-summary")
	library.looksGood("draft-04-error")
	library.fill("#email", "luc@example.org")
	library.click("main form button")
	library.at("/check")
	library.looksGood("draft-05-check")
	library.click(`form[action*="/send"] button`)
	library.at("/sent")
	reference := strings.TrimSpace(library.text(".b-result .b-code"))
	library.looksGood("draft-06-sent")
	proof := library.fetchedBy(`fetch(document.querySelector('form[action$="/proof"]').action, {method: "POST"})`, "proof.pdf")
	accepted(t, proof)
	keepAs(t, proof, "proof.pdf")
	library.open(there + "/orders")
	library.waitFor("main table")
	if n := library.count("#drafts"); n != 0 {
		t.Error("the draft outlives its order")
	}

	library.open(there + "/papers")
	library.looksGood("draft-06-papers")
	library.open(there + "/account/contact")
	library.looksGood("draft-07-contact")
	library.open(there + "/account/access")
	library.looksGood("draft-08-access")
	library.open(there + "/account")
	library.looksGood("draft-09-account")
	library.sees("luc@example.org")
	library.click(`form[action$="/sessions"] input[name=others] ~ button`)
	library.at("ended=1")
	library.looksGood("draft-10-ended")
	if n := library.count(`form[action$='/sessions']`); n != 0 {
		t.Errorf("%d forms are left to end other sessions", n)
	}
	home.open(there + "/orders") // the provider remembers it, and that is not enough here any more
	home.waitFor(`main a[href$="/card"]`)
	home.forgetSession()
	home.follows(there, reference)
	w.noNumberLeaks()
}

// keepsByItself types into a form and touches no button: a moment later it is kept, and what
// was typed last is kept when the page is left. Another browser goes on at that question.
func (b *tab) keepsByItself(other *tab, there string) {
	b.open(there + "/documents/residence/form")
	b.fill("#email", "l")
	b.until("hear that it is kept", `document.querySelector('[role=status]').innerText.startsWith("`+i18n.T(i18n.French, "account.drafts.unsent")+`")`)
	b.accessible("draft-00-kept-by-itself")
	b.fill("#email", "luc@ex")
	b.open(there + "/orders")
	b.waitFor("#drafts")
	other.open(there + "/documents/residence/continue")
	other.at("/residence/form#email")
	other.until("stand at the question", `document.activeElement.id === "email" && document.activeElement.value === "luc@ex"`)
}

// follows is J7, without scripts and without signing in: Luc sees where his order stands by
// its code and his birth date, after he has typed it wrong and looked for a lost code.
func (b *tab) follows(there, reference string) {
	b.open(there + "/")
	b.click(`main a[href$="/follow"]`)
	b.at("/follow")
	b.looksGood("follow-01-ask")
	b.click(`main a[href$="/follow/code"]`)
	b.at("/follow/code")
	b.looksGood("follow-02-lost")
	b.fill("#email", "luc@example.org")
	b.born("30")
	b.click("main form button")
	b.sees(i18n.T(i18n.French, "follow.sent.text"))
	b.looksGood("follow-03-sent")
	b.open(there + "/follow")
	b.fill("#code", strings.ToLower(reference))
	b.born("29")
	b.click("main form button")
	b.waitFor(".govuk-error-summary")
	b.looksGood("follow-04-unknown")
	b.born("30")
	b.click("main form button")
	b.sees(i18n.T(i18n.French, "follow.at.submitted"))
	b.looksGood("follow-05-state")
	if said := b.text("main"); strings.Contains(said, "Luc") || strings.Contains(said, reference) || strings.Contains(said, "1975") {
		b.t.Errorf("the page says %q", said)
	}
}

// born types the birth date of somebody born on a day of July 1975.
func (b *tab) born(day string) {
	b.t.Helper()
	b.fill("#day", day)
	b.fill("#month", "7")
	b.fill("#year", "1975")
}

func (b *tab) attribute(css, name string) string {
	b.t.Helper()
	v, err := see(b, chromedp.Evaluate[string](`(document.querySelector("`+css+`")?.getAttribute("`+name+`") || "")`))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

func (b *tab) count(css string) int {
	b.t.Helper()
	n, err := see(b, chromedp.Evaluate[int](`document.querySelectorAll("`+css+`").length`))
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}
