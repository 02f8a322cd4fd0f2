package main

import (
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// At the counter the card is read by the card program, the clerk compares the photo, and the
// paper is printed: by keyboard, within a minute.
func TestBrowserCounter(t *testing.T) {
	claire := browse(t)
	w := startWorld(t)
	claire.joins(w, "beaumarais", "Claire Louise Dubois", "claire")

	seen := map[target.ID]bool{}
	for _, i := range claire.windows() {
		seen[i.TargetID] = true
	}
	hands := &keyboard{tab: claire}
	began := time.Now()
	hands.skip()
	hands.goTo(`a[href$="/desk/new"]`)
	hands.press(kb.Enter)
	claire.reads(hands, w.card("luc"), seen)
	took := time.Since(began)
	claire.accessible("51-card-read") // outside the minute
	if shown, err := see(claire, chromedp.Evaluate[bool](`document.querySelector("img.b-read__photo").naturalWidth > 50`)); err != nil || !shown {
		t.Errorf("the photo is not seen (%v)", err)
	}
	began = time.Now()
	hands.goTo(`form[action$="/desk/new"] button`)
	hands.press(kb.Enter)
	claire.at("/desk/new/check")
	claire.sees(i18n.T(i18n.French, "counter.identified.card_read"))
	hands.skip()
	hands.goTo(`form[action*="/check"] button`)
	hands.press(kb.Enter)
	claire.at("/desk/orders/")
	hands.goTo(`form[action*="/approve"] button`)
	hands.press(kb.Enter)
	claire.waitFor(`a[href$="/paper"]`)
	claire.prints(hands)
	took += time.Since(began)
	// Somebody who is slow with keys takes half a second for each.
	if slow := took + time.Duration(hands.keys)*500*time.Millisecond; slow > time.Minute {
		t.Errorf("from the list to the print: %d keys, which is %s", hands.keys, slow)
	}
	t.Logf("from the list to the print: %d keys, %s by a machine", hands.keys, took.Round(time.Millisecond))
	accepted(t, claire.fetched(claire.location()+"/paper", "paper.pdf"))

	claire.open(w.origin("beaumarais") + "/fr/desk/new")
	claire.reads(hands, w.card("emma"), seen)
	claire.sees(i18n.T(i18n.French, "reading.child"))
	claire.accessible("52-child-card-read")
	claire.click(`form[action$="/desk/new"] button`)
	claire.at("/desk/new/check")
	claire.sees(i18n.T(i18n.French, "came.child_hint"))
	claire.accessible("53-who-came")
	claire.click(`form[action*="/check"] button`)
	claire.waitFor(".govuk-error-summary")
	claire.accessible("54-nobody-came")
	claire.click(`input[name=came][value="parent/Nathalie Anne Simon"]`)
	claire.click(`form[action*="/check"] button`)
	claire.at("/desk/orders/")
	claire.sees("Nathalie Anne Simon, " + i18n.T(i18n.French, "came.as.parent"))
	claire.accessible("55-order-of-a-child")
	w.noNumberLeaks()
}

// reads reads a card on the page of a new request: the card program's window lists what is
// read, and the page goes on by itself.
func (claire *tab) reads(hands *keyboard, c worldCard, seen map[target.ID]bool) {
	claire.t.Helper()
	claire.at("/desk/new")
	claire.until("have the reading page's script", `!!document.querySelector("[data-read] [role=status]")`)
	hands.skip()
	hands.goTo("#card")
	hands.press(kb.Enter)
	window := claire.confirmation(seen)
	window.sees(i18n.T(i18n.French, "agent.data_photo"))
	window.sees("Beaumarais")
	window.agrees(c)
	hands.keys += 4 // as many as somebody presses there
	claire.front()
	claire.waitFor("#compare")
}
