package portal_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/code"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

func followForm(reference, day string) url.Values {
	return url.Values{"code": {reference}, "day": {day}, "month": {"7"}, "year": {"1985"}}
}

// J7: whoever has the code and knows the birth date sees where an order stands in each of
// its states, and nothing else of it.
func TestFollowing(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	s := w.browser(orderstest.A)
	p := w.Person(orderstest.A, 1)
	o := w.Order(t, orderstest.A, 1)
	seen := func(says string) {
		t.Helper()
		for _, l := range []i18n.Language{"fr", "nl", "en"} {
			a := s.post("/"+string(l)+"/follow", followForm(o.Reference, "30"))
			if a.status != http.StatusOK {
				t.Fatalf("%s: %d %s", l, a.status, text(a.doc))
			}
			inspect(t, "follow", l, a)
			main := text(all(a.doc, "main")[0])
			for _, secret := range []string{p.Surname, "Luc", "Beffroi", "somebody@example.be", o.Reference, "1985", orderstest.Clerk(1).Name, "Quelle rue", "Non.", "2026-0"} {
				if strings.Contains(strings.ReplaceAll(main, "population@beaumarais.example", ""), secret) {
					t.Errorf("in %s the page holds %q: %s", l, secret, main)
				}
			}
			if l == i18n.French && !strings.Contains(main, says) {
				t.Errorf("it says %q, want %q", main, says)
			}
			if strings.Contains(a.body, o.ID) || a.header.Get("Cache-Control") != "no-store" || !strings.Contains(a.body, "noindex") {
				t.Errorf("it leads to the order, or is kept: %s", a.header.Get("Cache-Control"))
			}
		}
	}
	seen("Reçue ; un agent va l’examiner Réponse promise au plus tard le 6 février 2026")
	_, err := w.Service.Ask(ctx, orderstest.A, o.ID, orderstest.Clerk(1), "Quelle rue ?")
	if err != nil {
		t.Fatal(err)
	}
	seen("attend votre réponse : connectez-vous pour la lire")
	if _, err = w.Service.Resume(ctx, orderstest.A, o.ID, orderstest.Clerk(1)); err != nil {
		t.Fatal(err)
	}
	w.Clock.Add(20 * 24 * time.Hour)
	seen("En retard ; la réponse était promise pour le 6 février 2026")
	if _, err = w.Service.Refuse(ctx, orderstest.A, o.ID, orderstest.Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "Non."}); err != nil {
		t.Fatal(err)
	}
	seen("La commune a répondu : lisez sa réponse")
	o = w.Issued(t, orderstest.A, 2)
	seen("Votre document est prêt")
	if _, err = w.Service.Withdraw(ctx, orderstest.A, o.ID, orderstest.Clerk(1), orders.FactsWrong, "Faux."); err != nil {
		t.Fatal(err)
	}
	seen("La commune a retiré le document : lisez pourquoi")
	// Another commune knows nothing of it.
	if a := w.browser(orderstest.B).post("/fr/follow", followForm(o.Reference, "30")); a.status != http.StatusNotFound {
		t.Errorf("commune B answers %d", a.status)
	}
	for _, secret := range []string{o.Reference, strings.ReplaceAll(o.Reference, "-", ""), "1985-07-30", "year=1985"} { // not "1985": something may take as many microseconds
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

// A wrong code and a wrong birth date are one answer; five of them are a pause, of the
// address whatever the code, and of the code whatever the address. It ends when it is said to.
func TestFollowingPauses(t *testing.T) {
	w := newWorld(t)
	o, other := w.Order(t, orderstest.A, 1), w.Order(t, orderstest.A, 2)
	s := w.browser(orderstest.A)
	try := func(address string, f url.Values) *answer { return s.from(address, "POST", "/fr/follow", f) }
	wrongDay, wrongCode := try("192.0.2.1", followForm(o.Reference, "29")), try("192.0.2.1", followForm("2222-2222", "30"))
	if wrongDay.status != 404 || wrongCode.status != 404 || text(wrongDay.doc) != text(wrongCode.doc) ||
		strings.ReplaceAll(strings.ReplaceAll(wrongDay.body, o.Reference, ""), "29", "") != strings.ReplaceAll(strings.ReplaceAll(wrongCode.body, "2222-2222", ""), "30", "") {
		t.Errorf("two answers: %d %s\n%d %s", wrongDay.status, text(wrongDay.doc), wrongCode.status, text(wrongCode.doc))
	}
	if a := try("192.0.2.1", followForm(o.Reference, "30")); a.status != 200 {
		t.Errorf("a right try between wrong ones: %d", a.status)
	}
	for range 2 {
		try("192.0.2.1", followForm(code.New(8), "30"))
	}
	fifth := try("192.0.2.1", followForm(code.New(8), "30"))
	if said := text(fifth.doc); fifth.status != 429 || !strings.Contains(said, "Réessayez après 12:31") || fifth.header.Get("Retry-After") != "1860" {
		t.Errorf("the fifth: %d %s, Retry-After %s", fifth.status, said, fifth.header.Get("Retry-After"))
	}
	if a := try("192.0.2.1", followForm(o.Reference, "30")); a.status != 429 || strings.Contains(text(a.doc), "Reçue") {
		t.Errorf("the right code from there: %d", a.status)
	}
	if a := try("203.0.113.9", followForm(o.Reference, "30")); a.status != 200 {
		t.Errorf("and from elsewhere: %d", a.status)
	}
	// Of a code, by many addresses; of one that is not there alike.
	for _, guessed := range []string{other.Reference, "3333-3333"} {
		heard := map[int]int{}
		for n := range 50 {
			heard[try(fmt.Sprintf("10.1.0.%d", n+1), followForm(guessed, "29")).status]++
		}
		if heard[404] != 4 || heard[429] != 46 {
			t.Errorf("%s: %v", guessed, heard)
		}
		if a := try("203.0.113.9", followForm(guessed, "30")); a.status != 429 {
			t.Errorf("%s, right: %d", guessed, a.status)
		}
	}
	if a := try("203.0.113.9", followForm(o.Reference, "30")); a.status != 200 {
		t.Errorf("another code: %d", a.status)
	}
	w.Clock.Add(31*time.Minute - time.Second)
	if a := try("192.0.2.1", followForm(o.Reference, "30")); a.status != 429 {
		t.Errorf("a second before its end: %d", a.status)
	}
	w.Clock.Add(time.Second)
	if a := try("192.0.2.1", followForm(other.Reference, "30")); a.status != 200 {
		t.Errorf("at the time that was said: %d", a.status)
	}
	if a := try("192.0.2.1", followForm(o.Reference, "29")); a.status != 404 {
		t.Errorf("the next wrong try: %d", a.status)
	}
	for range 100 { // right ones too are not endless, else many at once would be a way round
		try("198.51.100.1", followForm(o.Reference, "30"))
	}
	if a := try("198.51.100.1", followForm(o.Reference, "30")); a.status != 429 {
		t.Errorf("after a hundred: %d", a.status)
	}
}

// Many tries at one code at once, each from another address, are no way round its pause.
func TestTriesAtACodeAreCounted(t *testing.T) {
	w := newWorld(t)
	o := w.Order(t, orderstest.A, 1)
	b := w.browser(orderstest.A)
	heard := map[int]int{}
	for n := range 70 {
		heard[b.from(fmt.Sprintf("10.1.0.%d", n+1), "POST", "/fr/follow", followForm(o.Reference, "30")).status]++
	}
	if heard[200] != 60 || heard[429] != 10 {
		t.Errorf("answers %v", heard)
	}
}

// Whoever has lost the code hears one answer, whatever is known; the code goes to the
// address that is with the order.
func TestLostCode(t *testing.T) {
	w := newWorld(t)
	o := w.Order(t, orderstest.A, 1)
	w.Work(t)
	before := len(w.Mail.Sent())
	ask := func(address, mail, day string) *answer {
		return w.browser(orderstest.A).from(address, "POST", "/fr/follow/code", url.Values{"email": {mail}, "day": {day}, "month": {"07"}, "year": {"1985"}})
	}
	known, unknown := ask("192.0.2.1", "somebody@example.be", "30"), ask("192.0.2.1", "nobody@example.be", "1")
	if known.status != 200 || known.body != unknown.body {
		t.Errorf("two answers: %s\n%s", text(known.doc), text(unknown.doc))
	}
	w.Work(t)
	sent := w.Mail.Sent()[before:]
	if len(sent) != 1 || sent[0].To != "somebody@example.be" || !strings.Contains(sent[0].Text, o.Reference) {
		t.Errorf("sent: %+v", sent)
	}
	ask("192.0.2.1", "somebody@example.be", "30")
	if a := ask("192.0.2.1", "somebody@example.be", "30"); a.status != 429 {
		t.Errorf("the fourth time: %d", a.status)
	}
}

// Every state has words here.
func TestEveryStateCanBeFollowed(t *testing.T) {
	for _, st := range orders.States {
		for _, l := range i18n.Languages {
			if key := "follow.at." + string(st); i18n.T(l, key) == key || i18n.T(l, key) == "" {
				t.Errorf("%s has no words in %s", st, l)
			}
		}
	}
}
