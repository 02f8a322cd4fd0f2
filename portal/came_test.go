package portal_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
)

// A child's paper: nobody is chosen for the clerk, the register's parent is offered, and the
// order's page, its history and the family's own page say who asked.
func TestAParentComesForAChild(t *testing.T) {
	w := newWorld(t)
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	child, mother := w.Person(orderstest.A, 1), w.Person(orderstest.A, 2)
	home := w.Home(orderstest.A, child)
	home.BirthDate = "2017-06-01"
	w.Register.Move(child, home)
	c, m := orderstest.Member(child, "child"), orderstest.Member(mother, "reference")
	c.BirthDate, m.BirthDate, m.GivenNames, m.Surname = "2017-06-01", "1986-01-01", "Anna", "Peeters"
	w.Register.House(m, c)
	check := desk.get(desk.post("/fr/desk/new", url.Values{"way": {"counter card_seen"}, "number": {child.Number.Reveal()}, "product": {"residence"}}).to(t))
	var offered []string
	for _, in := range all(check.doc, "input") {
		if attr(in, "name") == "came" {
			offered = append(offered, attr(in, "value"))
			if has(in, "checked") {
				t.Errorf("%s is chosen for the clerk", attr(in, "value"))
			}
		}
	}
	if got := strings.Join(offered, " "); got != "parent/Anna Peeters mandate guardian" {
		t.Errorf("offered: %s", got)
	}
	send := url.Values{"key": {check.value("key")}, "document_language": {"fr"}}
	for came, key := range map[string]string{"": "came.child", "self": "came.child", "parent/Somebody": "came.who", "guardian": "came.name_wrong"} {
		send.Set("came", came)
		if a := desk.post("/fr/desk/new/check", send); a.status != 422 || !says(a, key) {
			t.Errorf("%q: %d", came, a.status)
		}
	}
	send.Set("came", "parent/Anna Peeters")
	page, _, _ := strings.Cut(desk.post("/fr/desk/new/check", send).to(t), "#")
	o := w.Get(t, orderstest.A, page[strings.LastIndex(page, "/")+1:])
	if o.Entry.Came.As != orders.AsParent || o.State != orders.InReview {
		t.Errorf("%+v, %s", o.Entry.Came, o.State)
	}
	if said := text(desk.get(page).doc); !strings.Contains(said, "Anna Peeters, parent de l’enfant") || !strings.Contains(said, "Demandé par Anna Peeters pour la personne") {
		t.Errorf("the order's page: %s", said)
	}
	person := w.browser(orderstest.A)
	person.signIn("/fr/orders", card(child))
	if said := text(person.get("/fr/orders/" + o.ID).doc); !strings.Contains(said, "faite pour vous par Anna Peeters") {
		t.Errorf("the person reads: %s", said)
	}
}

// A mandate that stands is offered the next time, until a clerk ends it; what is typed comes
// back with its fault.
func TestAMandateStands(t *testing.T) {
	w := newWorld(t)
	desk := w.clerk(orderstest.A, 1, staff.Approver)
	p := w.Person(orderstest.A, 1)
	begin := func() *answer {
		return desk.get(desk.post("/fr/desk/new", url.Values{"way": {"counter card_seen"}, "number": {p.Number.Reveal()}, "product": {"residence"}}).to(t))
	}
	check := begin()
	send := url.Values{"key": {check.value("key")}, "document_language": {"fr"}, "came": {"mandate"}, "came_name": {"Jan Maes"}, "came_proof": {"procuration du 1er février"}, "came_to": {"2025-01-01"}}
	if a := desk.post("/fr/desk/new/check", send); a.status != 422 || !says(a, "came.days_wrong") || a.value("came_name") != "Jan Maes" || a.value("came_to") != "2025-01-01" {
		t.Errorf("an end before today: %d", a.status)
	}
	send.Set("came_to", "2026-06-30")
	page, _, _ := strings.Cut(desk.post("/fr/desk/new/check", send).to(t), "#")
	id := page[strings.LastIndex(page, "/")+1:]
	again := begin()
	if said := text(again.doc); !strings.Contains(said, "Jan Maes, mandat vu par Claire 1, valable jusqu’au 30 juin 2026") {
		t.Errorf("it is not offered: %s", said)
	}
	next, _, _ := strings.Cut(desk.post("/fr/desk/new/check", url.Values{"key": {again.value("key")}, "document_language": {"fr"}, "came": {"standing/" + id}}).to(t), "#")
	if a := desk.get(next); !strings.Contains(a.body, `href="`+page+`"`) || !strings.Contains(text(a.doc), "Jan Maes, porteur d’un mandat") {
		t.Error("the next order does not say on what it relies")
	}
	desk.post(page+"/mandate", nil).to(t)
	if said := text(desk.get(page).doc); !strings.Contains(said, "Mandat terminé par Claire 1") || strings.Contains(said, "Mettre fin à ce mandat") {
		t.Errorf("ended: %s", said)
	}
	if strings.Contains(begin().body, "standing/") {
		t.Error("it is offered still")
	}
	if a := desk.post(page+"/mandate", nil); a.status != 409 {
		t.Errorf("ended twice: %d", a.status)
	}
}
