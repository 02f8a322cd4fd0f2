package portal_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
)

// closes gives a commune days on which nobody works, in its pages and in its orders.
func (w *world) closes(c commune.ID, days ...commune.Closing) {
	w.t.Helper()
	for _, set := range []*commune.Communes{w.cfg.Communes, w.Communes} {
		of, _ := set.ByID(c)
		of.Closed = days
		if err := of.Check(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// The clock stands on Tuesday 3 February 2026, and a residence certificate takes three days.
func TestClosedDaysAreToldBeforeAnybodyAsks(t *testing.T) {
	why := map[i18n.Language]string{i18n.French: "Carnaval", i18n.Dutch: "Carnaval"}
	for _, k := range []struct {
		name   string
		closed commune.Closing
		says   []string // on the pages of whoever asks
		not    []string
		due    string
	}{
		{"now", commune.Closing{From: "2026-02-02", To: "2026-02-05", Text: why},
			[]string{"fermés du 2 février 2026 au 5 février 2026 : Carnaval", "Votre demande sera traitée à partir du 6 février 2026."}, nil, "10 février 2026"},
		{"from tomorrow", commune.Closing{From: "2026-02-04", To: "2026-02-04"},
			[]string{"fermés le 4 février 2026", "Ce qui n’aura pas été traité avant le sera à partir du 5 février 2026."}, []string{"Votre demande sera traitée"}, "9 février 2026"},
		{"each year", commune.Closing{From: "02-05", Text: why}, []string{"fermés le 5 février 2026 : Carnaval"}, nil, "9 février 2026"},
		{"when it is done already", commune.Closing{From: "2026-02-16", To: "2026-02-20", Text: why}, nil, []string{"fermés"}, "6 février 2026"},
		{"over", commune.Closing{From: "2026-01-05", To: "2026-01-09", Text: why}, nil, []string{"fermés"}, "6 février 2026"},
	} {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			w.closes(orderstest.A, k.closed)
			b, p := w.citizen(orderstest.A, 1)
			b.get("/fr/documents/residence/form")
			b.post("/fr/documents/residence/form", url.Values{"contact": {"none"}, "document_language": {"fr"}}).to(t)
			check := b.get("/fr/documents/residence/check")
			for name, a := range map[string]*answer{"product": w.browser(orderstest.A).get("/fr/documents/residence"), "check": check} {
				said := text(a.doc)
				for _, want := range k.says {
					if !strings.Contains(said, want) {
						t.Errorf("%s does not say %q: %s", name, want, said)
					}
				}
				for _, not := range k.not {
					if strings.Contains(said, not) {
						t.Errorf("%s says %q: %s", name, not, said)
					}
				}
				if len(k.says) > 0 && !strings.Contains(said, "au plus tard le "+k.due) {
					t.Errorf("%s does not promise %s: %s", name, k.due, said)
				}
			}
			// What was announced is what is promised.
			sent := b.get(b.post("/fr/documents/residence/send", url.Values{"key": {check.value("key")}}).to(t))
			mine, err := w.Service.Mine(ctx, orderstest.A, p.Subject)
			if err != nil || len(mine) != 1 || strings.Join(strings.Fields(i18n.Date(i18n.French, mine[0].DueOn)), " ") != k.due || !strings.Contains(text(sent.doc), k.due) {
				t.Fatalf("%d orders, %v: %s", len(mine), err, text(sent.doc))
			}
		})
	}
}

// A register does not close: what it gives at once waits for nobody.
func TestClosedDaysDoNotHoldBackWhatTheSourceGives(t *testing.T) {
	w := newWorld(t)
	w.closes(orderstest.A, commune.Closing{From: "2026-02-02", To: "2026-02-05"})
	w.Goes(t, orderstest.A, commune.FromSource)
	if said := text(w.browser(orderstest.A).get("/fr/documents/residence").doc); strings.Contains(said, "fermés") || !strings.Contains(said, "Tout de suite") {
		t.Errorf("the product's page: %s", said)
	}
	b, p := w.citizen(orderstest.A, 1)
	b.get("/fr/documents/residence/form")
	b.post("/fr/documents/residence/form", url.Values{"contact": {"none"}, "document_language": {"fr"}}).to(t)
	check := b.get("/fr/documents/residence/check")
	if strings.Contains(text(check.doc), "fermés") {
		t.Errorf("the check page: %s", text(check.doc))
	}
	b.post("/fr/documents/residence/send", url.Values{"key": {check.value("key")}}).to(t)
	w.Work(t)
	if mine, err := w.Service.Mine(ctx, orderstest.A, p.Subject); err != nil || len(mine) != 1 || mine[0].State != "issued" {
		t.Errorf("%+v, %v", mine, err)
	}
}

func TestClosedDaysStandAtTheContactAndAtTheDesk(t *testing.T) {
	w := newWorld(t)
	w.closes(orderstest.A, commune.Closing{From: "2026-02-16", To: "2026-02-20", Text: map[i18n.Language]string{i18n.French: "Carnaval"}}, commune.Closing{From: "07-11"})
	b := w.browser(orderstest.A)
	if said := text(b.get("/fr/contact").doc); !strings.Contains(said, "Jours de fermeture") || !strings.Contains(said, "Carnaval") || strings.Contains(said, "11 juillet") {
		t.Errorf("contact: %s", said)
	}
	if a := b.get("/nl/contact"); !strings.Contains(text(a.doc), "Sluitingsdagen") || !strings.Contains(a.body, `<span lang="fr">Carnaval</span>`) {
		t.Errorf("a language in which the commune says nothing: %s", text(a.doc))
	}
	if said := text(w.browser(orderstest.B).get("/nl/contact").doc); strings.Contains(said, "Sluitingsdagen") {
		t.Errorf("another commune is closed: %s", said)
	}
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	if said := text(desk.get("/fr/desk").doc); !strings.Contains(said, "Carnaval") || !strings.Contains(said, "jours promis") {
		t.Errorf("the desk: %s", said)
	}
	w.closes(orderstest.A, commune.Closing{From: "2026-02-04", To: "2026-02-05"})
	p := w.Person(orderstest.A, 1)
	check := desk.get(desk.post("/fr/desk/new", url.Values{"way": {"counter card_seen"}, "number": {p.Number.Reveal()}, "product": {"residence"}}).to(t))
	if said := text(check.doc); !strings.Contains(said, "fermés du 4") || !strings.Contains(said, "10 février 2026") {
		t.Errorf("a clerk at the counter: %s", said)
	}
}
