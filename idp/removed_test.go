package idp_test

import (
	"net/url"
	"testing"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// Whatever step the card is taken out at, the provider hears of it as an answer that does
// not come, or comes in part: the page is shown again with words and a new challenge,
// nobody is signed in, not even half, a challenge counts once, and the same sign-in ends
// well once the card is back.
func TestTheCardIsOutDuringASignIn(t *testing.T) {
	w := newWorld(t)
	p := w.parties[library]
	luc := w.certs.Citizen("luc")
	tried := 0
	for name, part := range map[string]string{"no answer": "", "a blank": " ", "half a token": `{"format":"web-eid:1.0","unver`, "an error for a token": `{"error":{"code":"removed"}}`} {
		b := w.browser()
		f := p.flow()
		at := b.open(p.ask(f))
		action, first := at.card()
		late := w.token(luc, at.origin(), first.Get("nonce"))
		v := url.Values{}
		for key, value := range first {
			v[key] = value
		}
		v.Set("token", part)
		shown := b.post(action, at.origin(), v)
		if shown.away != nil || shown.status < 400 || shown.status >= 500 {
			t.Fatalf("%s: %d, away %v", name, shown.status, shown.away)
		}
		again, second := shown.card()
		if second.Get("nonce") == first.Get("nonce") || second.Get("nonce") == "" {
			t.Errorf("%s: the challenge is the one before", name)
		}
		shown.says(i18n.French, "idp.card_title")
		g := p.flow(with("prompt", "none"))
		if e := b.open(p.ask(g)).failure(g); e != "login_required" {
			t.Errorf("%s: half a session: %q", name, e)
		}
		first.Set("token", late)
		lost := b.post(action, at.origin(), first)
		if part == "" { // nothing had come: that answer is the first one, and counts once
			if lost.code(f) == "" {
				t.Errorf("%s: an answer in time signs nobody in", name)
			}
			if twice := b.post(action, at.origin(), first); twice.away != nil {
				t.Errorf("%s: one answer signs in twice", name)
			}
		} else {
			if lost.away != nil {
				t.Errorf("%s: the challenge is good a second time", name)
			}
			if b.open(again).prove(luc).code(f) == "" {
				t.Errorf("%s: the card is back and nobody is signed in", name)
			}
		}
		tried++
	}
	t.Logf("%d kinds of missing answers, each recovered from in the same sign-in", tried)
}
