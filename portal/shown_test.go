package portal_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
)

// inFrance has commune A be a French one: its papers rest on no register.
func (w *world) inFrance() (back func()) {
	for _, all := range []*commune.Communes{w.Communes, w.cfg.Communes} {
		of, _ := all.ByID(orderstest.A)
		of.Country = commune.France
	}
	return func() {
		for _, all := range []*commune.Communes{w.Communes, w.cfg.Communes} {
			of, _ := all.ByID(orderstest.A)
			of.Country = ""
		}
	}
}

var passport = url.Values{"product": {"fr_life"}, "surname": {"Martin-Leroy"}, "given_names": {"Claire Louise"}, "birth_date": {"1948-05-01"}, "document": {"passport"}, "ending": {"7K2M"}}

func galleryShown(w *world, desk *browser, at func(string) string, show func(string, *answer)) {
	defer w.inFrance()()
	show("counter, no register", desk.get(at("/desk/new/person")))
	show("counter, no register, errors", desk.post(at("/desk/new/person"), url.Values{"product": {"fr_life"}}))
	check := desk.get(desk.post(at("/desk/new/person"), passport).to(w.t))
	show("counter, no register, check", check)
	to := desk.post(at("/desk/new/check"), url.Values{"key": {check.value("key")}, "document_language": {string(w.documentLanguage())}, "birth_place": {"Lille"}, "home_address": {"3 rue du Port"}}).to(w.t)
	show("desk order, taken down", desk.get(strings.TrimSuffix(to, "#decide")))
}

// At a mairie the clerk takes down the identity document, of whose number the ending is kept;
// the paper is read, approved and printed.
func TestAPaperWithoutARegisterAtTheCounter(t *testing.T) {
	w := newWorld(t)
	_ = w.inFrance()
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	if to := desk.get("/fr/desk/new").to(t); to != "/fr/desk/new/person" {
		t.Errorf("a new request leads to %s", to)
	}
	for field, key := range map[string]string{"surname": "shown.name_wrong", "birth_date": "shown.birth_wrong", "document": "shown.document_wrong", "ending": "shown.ending_wrong", "product": "counter.product_missing"} {
		form := url.Values{}
		for name, value := range passport {
			if name != field {
				form[name] = value
			}
		}
		if a := desk.post("/fr/desk/new/person", form); a.status < 400 || !says(a, key) || field != "surname" && a.value("surname") != "Martin-Leroy" {
			t.Errorf("without %s: %d", field, a.status)
		}
	}
	check := desk.get(desk.post("/fr/desk/new/person", passport).to(t))
	if said := text(check.doc); !says(check, "shown.compare") || !strings.Contains(said, "Martin-Leroy") || !strings.Contains(said, "1 mai 1948") && !strings.Contains(said, "1er mai 1948") {
		t.Errorf("the second step: %s", said)
	}
	send := url.Values{"key": {check.value("key")}, "document_language": {"fr"}, "birth_place": {"Lille"}, "home_address": {"3 rue du Port"}}
	page, _, _ := strings.Cut(desk.post("/fr/desk/new/check", send).to(t), "#")
	id := page[strings.LastIndex(page, "/")+1:]
	o := w.Get(t, orderstest.A, id)
	if o.State != orders.InReview || o.Entry.Ending != "7K2M" {
		t.Fatalf("%s %+v", o.State, o.Entry)
	}
	if said := text(desk.get(page).doc); !strings.Contains(said, "passeport, numéro se terminant par 7K2M") || !strings.Contains(said, "Repris de la pièce d’identité") {
		t.Errorf("the order's page: %s", said)
	}
	desk.post(page+"/approve", url.Values{"content": {o.Paper.Content.String()}}).to(t)
	w.Work(t)
	a := desk.get(page)
	printed := ""
	for _, link := range all(a.doc, "a") {
		if has(link, "data-print") && has(link, "autofocus") {
			printed = attr(link, "href")
		}
	}
	if printed != page+"/paper" || !strings.HasPrefix(desk.get(printed).body, "%PDF") {
		t.Errorf("the focus is not on a print: %q", printed)
	}
}
