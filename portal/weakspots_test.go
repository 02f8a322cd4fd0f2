package portal_test

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
)

// What other products for communes are known to do badly. docs/proofs.md lists it.

// A form about one person holds nothing of another: not of the clerk who enters it, not of
// whom they entered before, not of who sat at the same browser before.
func TestNobodysDataIsFilledInForAnother(t *testing.T) {
	w := newWorld(t)
	const mine, other = "claire@example.be", "luc@example.be"
	b, p := w.citizen(orderstest.A, 1)
	b.post("/fr/documents/residence/form", url.Values{"contact": {"email"}, "email": {other}}).to(t)
	b.post("/fr/account/contact", url.Values{"contact": {"email"}, "email": {other}})

	desk := w.clerk(orderstest.A, 7, staff.Approver)
	desk.post("/fr/account/contact", url.Values{"contact": {"email"}, "email": {mine}})
	for n := 2; n < 4; n++ {
		q := w.Person(orderstest.A, n)
		q.GivenNames = "Nouvelle"
		desk.post("/fr/desk/new", url.Values{"way": {"counter card_seen"}, "number": {q.Number.Reveal()}, "product": {"residence"}}).to(t)
		check := desk.get("/fr/desk/new/check")
		walk(check.doc, func(e *html.Node) {
			if k := attr(e, "type"); e.Data != "input" || k == "hidden" || k == "radio" || k == "checkbox" {
				return
			}
			if v := attr(e, "value"); v != "" {
				t.Errorf("person %d at the counter: %s is filled in with %q", n, attr(e, "name"), v)
			}
			if has(e, "required") {
				t.Errorf("person %d at the counter: %s must be given", n, attr(e, "name"))
			}
		})
		if strings.Contains(check.body, mine) || strings.Contains(check.body, other) {
			t.Errorf("person %d at the counter: somebody else's address is on the page", n)
		}
		// Neither an address nor a phone is needed.
		desk.post("/fr/desk/new/check", url.Values{"key": {check.value("key")}, "document_language": {"fr"}}).to(t)
	}

	// A family at one machine.
	b.post("/fr/sign-out", nil)
	wife := w.Person(orderstest.A, 9)
	if a := b.signIn("/fr/documents/residence/form", card(wife)); a.status != 200 || strings.Contains(a.body, other) || a.value("email") != "" {
		t.Errorf("%d: the next at the browser of %s is shown %q", a.status, p.GivenNames, a.value("email"))
	}
}

// "Nobody of that number lives here" and "the register has a fault" are two pages, each of
// which says whose matter it is; an empty answer of the register is a fault, and says
// nothing about the person.
func TestNotResidentAndAFaultOfTheRegisterAreToldApart(t *testing.T) {
	w := newWorld(t)
	for _, l := range i18n.Languages {
		if l == i18n.German {
			continue // not spoken by the communes of this world
		}
		b, p := w.citizen(orderstest.A, 20+int(l[0]))
		at := "/" + string(l) + "/documents/residence/form"
		said := map[string]string{}
		want := func(name string, a *answer, status int, key string) {
			t.Helper()
			words := strings.Join(strings.Fields(i18n.T(l, key)), " ")
			if said[name] = text(a.doc); a.status != status || !strings.Contains(said[name], words) {
				t.Errorf("%s in %s: %d, not %q: %s", name, l, a.status, words, said[name])
			}
		}
		for name, err := range map[string]error{ // orders/register tells them apart for whoever looks after the machine
			"down":       fault.New(fault.Unreachable, "register.down", errors.New("refused")),
			"no content": fault.New(fault.Internal, "register.unreadable", errors.New("204")),
			"refused":    fault.New(fault.Internal, "register.refused", errors.New("401")),
		} {
			w.Register.Fail(err)
			want(name, b.get(at), 503, "portal.silent.title")
		}
		w.Register.Fail(fault.New(fault.NotFound, "register.unknown_person", errors.New("404")))
		want("unknown", b.get(at), 404, "register.unknown_person")
		w.Register.Fail(nil)
		away := w.Home(orderstest.B, p)
		away.NIS, away.Commune = "99003", map[i18n.Language]string{"fr": "Lindenberg"}
		w.Register.Move(p, away)
		a := b.get(at)
		said["elsewhere"] = text(a.doc)
		if a.status != 403 || !strings.Contains(said["elsewhere"], "Lindenberg") {
			t.Errorf("elsewhere in %s: %d %s", l, a.status, said["elsewhere"])
		}
		if said["down"] == said["unknown"] || said["down"] == said["elsewhere"] || said["unknown"] == said["elsewhere"] {
			t.Errorf("in %s two of them are one page", l)
		}
	}
}

// A page that waits for a register says when it is asked again and when somebody steps in;
// after that hour somebody has. No page says "soon".
func TestAPageThatWaitsSaysWhen(t *testing.T) {
	w := newWorld(t)
	w.Goes(t, orderstest.A, commune.FromSource)
	w.Source.Fail(fault.New(fault.Unreachable, "way.source.down", nil))
	b, p := w.citizen(orderstest.A, 1)
	o, err := w.Service.Submit(t.Context(), orderstest.A, p, w.FormOf(orderstest.A, "residence", i18n.French))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		wait  time.Duration
		again string
	}{{0, "12:01"}, {2 * time.Hour, "14:30"}, {20 * time.Hour, "08:30"}} {
		w.Clock.Add(c.wait - w.Clock.Now().Sub(orderstest.Noon))
		w.Work(t)
		said := text(b.signIn("/fr/orders/"+o.ID, card(p)).doc)
		if !strings.Contains(said, "au plus tard à "+c.again) || !strings.Contains(said, "à partir du 4 février 2026, 12:00") {
			t.Errorf("after %v: %s", c.wait, said)
		}
	}
	w.Clock.Add(5 * time.Hour)
	w.Work(t)
	if said := text(b.signIn("/fr/orders/"+o.ID, card(p)).doc); strings.Contains(said, "au plus tard à") {
		t.Errorf("the hour has passed, and it still promises one: %s", said)
	}
	if o := w.Get(t, orderstest.A, o.ID); o.Way != commune.Attached {
		t.Errorf("no clerk has it: %s", o.Way)
	}
	soon := map[i18n.Language]*regexp.Regexp{
		"fr": regexp.MustCompile(`(?i)\b(bientôt|prochainement|sous peu)\b`), "nl": regexp.MustCompile(`(?i)\b(binnenkort|weldra)\b`),
		"de": regexp.MustCompile(`(?i)\b(demnächst|in Kürze)\b`), "en": regexp.MustCompile(`(?i)\b(soon|shortly)\b`),
	}
	for l, word := range soon {
		for _, key := range []string{"way.citizen.asked_now", "way.citizen.next", "portal.step.sealed.now", "portal.step.ready.stamp", "portal.step.checked.now", "portal.step.prepared", "way.desk.waits", "portal.silent.waits"} {
			if text := strings.NewReplacer("as soon as", "", "dès que", "").Replace(i18n.T(l, key)); word.MatchString(text) {
				t.Errorf("%s in %s: %q", key, l, text)
			}
		}
	}
}

// Each state has words of its own in each language: who sees no colour reads as much.
func TestAStateIsNeverToldByColourAlone(t *testing.T) {
	for _, l := range i18n.Languages {
		seen := map[string]orders.State{}
		for _, s := range orders.States {
			word := i18n.T(l, s.Key())
			if other, ok := seen[word]; ok || word == "" || word == s.Key() {
				t.Errorf("%s: %s and %s are both %q", l, s, other, word)
			}
			seen[word] = s
		}
	}
	for _, l := range []i18n.Language{i18n.French, i18n.German} {
		w := newWorld(t, regimeOf[l])
		coloured := 0
		gallery(w, l, func(name string, a *answer) {
			walk(a.doc, func(e *html.Node) {
				class := " " + attr(e, "class") + " "
				if strings.Contains(class, " govuk-tag") || strings.Contains(class, " b-result--") || strings.Contains(class, " b-box--") {
					coloured++
					if text(e) == "" {
						t.Errorf("%s in %s: %s tells by its colour alone", name, l, strings.TrimSpace(class))
					}
				}
			})
		})
		if coloured < 40 {
			t.Errorf("%s: only %d coloured things were looked at", l, coloured)
		}
		t.Logf("%s: %d coloured tags and boxes, all with words", l, coloured)
	}
}
