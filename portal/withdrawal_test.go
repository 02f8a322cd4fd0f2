package portal_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/verify"
)

// replace issues a paper in the place of a withdrawn one.
func (w *world) replace(o orders.Order) orders.Order {
	w.t.Helper()
	must := func(o orders.Order, err error) orders.Order {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
		return o
	}
	r := must(w.Service.Replace(ctx, o.Commune, o.ID, orderstest.Clerk(1)))
	r = must(w.Service.Prepare(ctx, o.Commune, r.ID, orderstest.Clerk(1)))
	must(w.Service.Approve(ctx, o.Commune, r.ID, orderstest.Clerk(1), r.Paper.Content))
	w.Work(w.t)
	return w.Get(w.t, o.Commune, r.ID)
}

// A clerk takes a paper back and makes another: whoever checks the first one reads so
// before anything else, in every way and language; the person reads why, and where to go.
func TestAPaperIsWithdrawnAndReplaced(t *testing.T) {
	w := newWorld(t)
	o := w.Issued(t, orderstest.A, 1)
	file, err := w.Service.Document(ctx, orderstest.A, o.ID, o.Subject)
	if err != nil {
		t.Fatal(err)
	}
	person := w.browser(orderstest.A)
	person.signIn("/fr/orders", card(w.Person(orderstest.A, 1)))
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	page := "/fr/desk/orders/" + o.ID
	if a := desk.get(page); !strings.Contains(a.body, page+"/withdrawal") {
		t.Fatal("the order's page leads nowhere")
	}
	desk.post(page+"/withdrawal", url.Values{"cause": {"facts_wrong"}, "words": {"Déménagé le 1er."}}).to(t)
	again := desk.post(page+"/withdrawal", url.Values{"cause": {"other"}, "words": {"Encore."}})
	if said := text(again.doc); again.status != 409 || !strings.Contains(said, "Claire 1") || !strings.Contains(said, "3 février 2026") {
		t.Errorf("withdrawn twice: %d %s", again.status, said)
	}
	to := desk.post(page+"/replace", nil).to(t)
	id := to[strings.LastIndex(to, "/")+1:]
	if said := text(person.get("/fr/orders/" + o.ID).doc); !strings.Contains(said, "Une donnée du document était inexacte") || strings.Contains(said, "Déménagé") || strings.Contains(said, i18n.T(i18n.French, "portal.order.download")) {
		t.Errorf("the person reads: %s", said)
	}
	if a := person.get("/fr/orders/" + o.ID); !strings.Contains(a.body, `href="/fr/orders/`+id+`"`) {
		t.Error("the person is not led to the new request")
	}
	w.checker.report = verify.Report{Verdict: verify.Extended, Signer: "Commune", Revisions: []blob.Digest{file.Digest}}
	stranger := w.browser(orderstest.A)
	checked := func(where string, l i18n.Language, a *answer, more ...string) {
		t.Helper()
		first := text(all(a.doc, "h1")[0])
		if a.status != 200 || first != strings.Join(strings.Fields(i18n.T(l, "check.result.withdrawn.title")), " ") {
			t.Errorf("%s, %s: %d, first %q", where, l, a.status, first)
		}
		for _, want := range append(more, i18n.Date(l, orderstest.Noon)) {
			if said := text(a.doc); !strings.Contains(said, strings.Join(strings.Fields(want), " ")) {
				t.Errorf("%s, %s: %q is not in %s", where, l, want, said)
			}
		}
	}
	of, _ := w.cfg.Communes.ByID(orderstest.A)
	everywhere := func(more ...string) {
		t.Helper()
		for _, l := range of.Languages() {
			at := "/" + string(l) + "/verify"
			checked("number", l, stranger.post(at, url.Values{"number": {string(o.Paper.Number)}, "code": {o.Paper.Code}}), more...)
			checked("file", l, stranger.upload(at+"/file", file.Data), more...)
			checked("file with more behind it", l, stranger.upload(at+"/file", append(file.Data, "stamp"...)), more...)
		}
	}
	everywhere()
	desk.post("/fr/desk/orders/"+id+"/prepare", nil).to(t)
	desk.post("/fr/desk/orders/"+id+"/approve", url.Values{"content": {w.Get(t, orderstest.A, id).Paper.Content.String()}}).to(t)
	w.Work(t)
	everywhere(string(w.Get(t, orderstest.A, id).Paper.Number))
}
