package idp_test

import (
	"net/url"
	"testing"
	"time"
)

// The machine's clock jumps, and later is set right. What was given before, and what is
// given meanwhile, lives no longer than twice its lifetime by any clock; nobody becomes
// somebody else, and once the clock is right people sign in as ever.
func TestClockJumps(t *testing.T) {
	year1970 := -time.Since(time.Unix(0, 0)).Truncate(time.Hour)
	for name, jump := range map[string]time.Duration{
		"an hour ahead": time.Hour, "an hour back": -time.Hour, "a day ahead": 24 * time.Hour, "a day back": -24 * time.Hour, "to 1970": year1970,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bare)
			p := w.parties[library]
			enter := func(b *browser) (token string) {
				t.Helper()
				f := p.flow()
				at := b.open(p.ask(f))
				if at.url != nil && at.status == 200 {
					at = b.post(at.url.String(), at.origin(), url.Values{"number": {invented(1)}})
				}
				a := p.exchange(f, at.code(f))
				if got := p.claims(f, a); got["sub"] == "" {
					t.Error("nobody")
				}
				return a.str("access_token")
			}
			signedIn := func(b *browser) bool {
				t.Helper()
				f := p.flow(with("prompt", "none"))
				switch e := b.open(p.ask(f)).away.Query().Get("error"); e {
				case "":
					return true
				case "login_required":
					return false
				default:
					t.Fatal(e)
				}
				return false
			}
			alive := func(token string) bool { t.Helper(); return w.userinfo(token).status == 200 }

			before, idle := w.browser(), w.browser()
			old := enter(before)
			enter(idle)
			w.hand.Add(jump)
			if alive(old) {
				t.Error("an access token outlives a jump that is longer than its life")
			}
			if stays := signedIn(before); stays != (jump == -time.Hour) {
				t.Errorf("after the jump the browser is signed in: %v", stays)
			}
			meanwhile := w.browser()
			strange := enter(meanwhile)
			w.hand.Add(-jump)

			if alive(strange) {
				t.Error("a token given by the wrong clock is good by the right one")
			}
			// Nobody is signed out for good who did nothing meanwhile.
			if !signedIn(idle) {
				t.Error("whoever did nothing while the clock was wrong is signed out")
			}
			fresh := w.browser()
			if token := enter(fresh); !alive(token) || !signedIn(fresh) {
				t.Error("once the clock is right, nobody can sign in")
			}
			for range 64 { // used all the time
				w.hand.Add(14 * time.Minute)
				signedIn(meanwhile)
				signedIn(before)
			}
			if signedIn(meanwhile) || signedIn(before) {
				t.Error("a session outlives fifteen hours of use")
			}
		})
	}
}
