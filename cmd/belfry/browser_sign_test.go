package main

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// confirmation is the card program's next window: opened by the page, or where the
// browser lets no page open one without a click, by its link.
func (b *tab) confirmation(seen map[target.ID]bool) *tab {
	b.t.Helper()
	for try := range 150 {
		for _, i := range b.windows() {
			if i.Type != "page" || seen[i.TargetID] || !strings.Contains(i.URL, "/confirm/") {
				continue
			}
			seen[i.TargetID] = true
			ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithTargetID(i.TargetID))
			b.t.Cleanup(cancel)
			if err := chromedp.Do(ctx, chromedp.WaitReady(chromedp.CSS("main"))); err != nil {
				b.t.Fatal(err)
			}
			return &tab{b.t, ctx}
		}
		if try == 30 {
			b.front()
			if link, err := see(b, chromedp.Evaluate[bool](`!!document.querySelector("[data-status] a")`)); err == nil && link {
				b.click("[data-status] a")
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("no window of the card program\n%s", b.state())
	return nil
}

// agrees lets the page read the certificate of a card.
func (b *tab) agrees(c worldCard) {
	b.t.Helper()
	b.do("choose the card of "+c.Name, chromedp.Evaluate[chromedp.Void](
		`[...document.querySelectorAll('input[name=card]')].find(i => i.labels[0].textContent.includes("`+c.surname()+`")).click();0`))
	b.click(`button[value=confirm]`)
}

// A clerk signs several documents in Chromium with the card program: a wrong PIN, a
// stop in the middle, and what was left afterwards. Each page is held to axe, to the
// keyboard and to 320 px, in French and Dutch.
func TestBrowserSigning(t *testing.T) {
	claire := browse(t)
	w := startWorld(t)
	luc, amina := newPerson(t), newPerson(t)
	colleague := w.clerk("beaumarais", "jonas")
	first, second := luc.order(w, "beaumarais", w.card("luc")), amina.order(w, "beaumarais", w.card("amina"))
	colleague.prepared(first)
	colleague.prepared(second)

	claire.open(w.invite("beaumarais", "Claire Dubois"))
	claire.click(`main a[href*="/sign-in"]`)
	claire.click(`main a[href$="/card"]`)
	claire.withCard(w.card("claire"), w.card("claire").PIN)
	claire.at("/desk/join")
	claire.click(`form[action*="/join"] button`)
	claire.waitFor("main table")
	desk := w.origin("beaumarais")
	claire.open(desk + "/nl/desk/ready")
	claire.accessible("40-ready-nl")
	claire.open(desk + "/fr/desk/ready?all=1")
	claire.accessible("41-ready")
	claire.click(`button[value=sign]`)
	claire.waitFor("form[data-sign]")
	claire.accessible("42-batch")
	batch := claire.location()
	claire.open(strings.Replace(batch, "/fr/", "/nl/", 1))
	claire.accessible("43-batch-nl")
	claire.open(batch)
	if see, err := see(claire, chromedp.Evaluate[bool](`document.querySelector("[data-stop] button").checkVisibility()`)); err != nil || see {
		t.Errorf("a button to stop what has not begun (%v)", err)
	}
	claire.until("have the signing page's script", `!!document.querySelector("[data-status] [role=status]")`)

	seen := map[target.ID]bool{}
	for _, i := range claire.windows() {
		seen[i.TargetID] = true
	}
	claire.click("[data-begin]")
	agree := claire.confirmation(seen)
	agree.sees("Beaumarais")
	agree.sees(i18n.T(i18n.French, "agent.purpose_certificate", "Count", 2))
	agree.accessible("44-agent-certificate")
	agree.agrees(w.card("claire"))
	sign := claire.confirmation(seen)
	sign.sees(i18n.T(i18n.French, "agent.purpose_sign", "Number", 1, "Documents", 2))
	sign.sees(desk)
	if shown := sign.text(".b-hash"); shown == "" || shown != claire.text(".b-hash") {
		t.Errorf("the card program shows the hash %q, the page %q", shown, claire.text(".b-hash"))
	}
	sign.accessible("45-agent-sign")
	claire.accessible("46-batch-working")
	sign.choose(w.card("claire"), "0000")
	sign.waitFor("#pin-error")
	sign.accessible("47-agent-wrong-pin")
	sign.choose(w.card("claire"), w.card("claire").PIN)
	stop := claire.confirmation(seen)
	stop.sees(i18n.T(i18n.French, "agent.purpose_sign", "Number", 2, "Documents", 2))
	stop.click(`button[value=cancel]`)
	claire.sees(i18n.T(i18n.French, "clerk.batch.decided", "Count", 1))
	claire.sees(i18n.T(i18n.French, "clerk.sign.cancelled"))
	claire.accessible("48-report-stopped")

	claire.until("have the signing page's script", `!!document.querySelector("[data-status] [role=status]")`)
	claire.click("[data-begin]")
	claire.confirmation(seen).agrees(w.card("claire"))
	last := claire.confirmation(seen)
	last.sees(i18n.T(i18n.French, "agent.purpose_sign", "Number", 2, "Documents", 2))
	last.choose(w.card("claire"), w.card("claire").PIN)
	claire.sees(i18n.T(i18n.French, "clerk.batch.decided", "Count", 2))
	claire.accessible("49-report")
	claire.open(strings.Replace(batch, "/fr/", "/nl/", 1))
	claire.accessible("50-report-nl")
	w.bothAccepted(luc.waitIssued(first, 30*time.Second), "Claire Dubois")
	w.bothAccepted(amina.waitIssued(second, 30*time.Second), "Claire Dubois")
	w.noNumberLeaks()
}
