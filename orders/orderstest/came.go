package orderstest

import (
	"slices"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/register"
)

// comes enters an order for a person, asked by somebody.
func (w *World) comes(p orders.Person, came orders.Came) (orders.Order, error) {
	e := atCounter
	e.Came = came
	return w.Service.Enter(ctx, A, Clerk(1), e, byNumber(p), w.Form(A))
}

// born gives a person another day of birth, in the register.
func (w *World) born(p orders.Person, day string) {
	r := w.Home(A, p)
	r.BirthDate = register.Day(day)
	w.Register.Move(p, r)
}

// cameForAChild: a child asks for nothing alone, not even with its card; a parent is whom
// the register tells, and who lives elsewhere shows an act or a judgment.
func cameForAChild(t *testing.T, w *World) {
	child, mother, brother := w.Person(A, 1), w.Person(A, 2), w.Person(A, 3)
	mother.GivenNames, mother.Surname = "Anna", "Peeters"
	w.born(child, "2016-05-09")
	aunt := Member(w.Person(A, 4), "sibling")
	aunt.BirthDate = "1980-01-01"
	m, c, b := Member(mother, "reference"), Member(child, "child"), Member(brother, "child")
	m.BirthDate, c.BirthDate, b.BirthDate = "1986-01-01", "2016-05-09", "2014-01-01"
	w.Register.House(m, c, b, aunt)
	pre, err := w.Service.PrefillFor(ctx, A, Clerk(1), byNumber(child), "residence")
	ok(t, err)
	if pre.Came.Self || !slices.Equal(pre.Came.Parents, []string{"Anna Peeters"}) {
		t.Errorf("may have come: %+v", pre.Came)
	}
	for _, came := range []orders.Came{{}, {As: orders.AsSelf}} {
		_, err := w.comes(child, came)
		wants(t, err, fault.Invalid, "came.child")
	}
	for _, came := range []orders.Came{{As: orders.AsParent}, {As: orders.AsParent, Name: brother.GivenNames + " " + brother.Surname}, {As: "neighbour", Name: "Anna Peeters"}} {
		_, err := w.comes(child, came)
		wants(t, err, fault.Invalid, "came.who")
	}
	o, err := w.comes(child, orders.Came{As: orders.AsParent, Name: "Anna Peeters", Proof: "not asked", To: "2030-01-01"})
	ok(t, err)
	o = w.Get(t, A, o.ID)
	if want := (orders.Came{As: orders.AsParent, Name: "Anna Peeters", CheckedBy: "Claire 1", CheckedAt: o.SubmittedAt}); o.Entry.Came != want || kinds(o.Events) != "entered came" || o.Events[1].Detail["Name"] != "Anna Peeters" || !o.Events[1].Public {
		t.Errorf("%+v, %s", o.Entry.Came, kinds(o.Events))
	}
	o, err = w.comes(child, orders.Came{As: orders.AsGuardian, Name: "Piet De Smet", Proof: "Acte de naissance 12/2016"})
	ok(t, err)
	if came := w.Get(t, A, o.ID).Entry.Came; came.As != orders.AsGuardian || came.Proof != "Acte de naissance 12/2016" || came.Standing() {
		t.Errorf("%+v", came)
	}
	// The card of a child, whatever the register says of its age.
	grown := w.Person(A, 7)
	permission := w.allowed(t)
	_, err = w.Service.ReadCard(ctx, A, Clerk(1), deskSession, permission, w.card(t, grown, 6), nobodyTyped)
	ok(t, err)
	wants(t, enter(w, orders.Applicant{Reading: permission, Session: deskSession}), fault.Invalid, "came.child")
	// From twelve on somebody may ask; their parents may still.
	w.born(child, "2013-12-01")
	pre, err = w.Service.PrefillFor(ctx, A, Clerk(1), byNumber(child), "residence")
	if err != nil || !pre.Came.Self || len(pre.Came.Parents) != 1 {
		t.Errorf("of twelve years: %+v, %v", pre.Came, err)
	}
	_, err = w.comes(child, orders.Came{})
	ok(t, err)
	w.born(child, "2008-02-03") // eighteen today
	if pre, err = w.Service.PrefillFor(ctx, A, Clerk(1), byNumber(child), "residence"); err != nil || len(pre.Came.Parents) != 0 {
		t.Errorf("of eighteen years: %+v, %v", pre.Came, err)
	}
}

// cameWithAMandate: what a clerk has seen is kept, for one order or for as long as it says,
// until somebody ends it.
func cameWithAMandate(t *testing.T, w *World) {
	p, s := w.Person(A, 1), w.Service
	if o, err := w.comes(p, orders.Came{}); err != nil || w.Get(t, A, o.ID).Entry.Came.As != orders.AsSelf || kinds(w.Get(t, A, o.ID).Events) != "entered" {
		t.Fatalf("themselves: %v", err)
	}
	once := orders.Came{As: orders.AsMandated, Name: "Jan Maes", Proof: "procuration du 1er février"}
	o, err := w.comes(p, once)
	ok(t, err)
	wants(t, s.EndMandate(ctx, A, o.ID, Clerk(1)), fault.Conflict, "came.none")
	for name, c := range map[string]struct {
		came orders.Came
		key  string
	}{
		"no name":              {orders.Came{As: orders.AsMandated, Proof: "vu"}, "came.name_wrong"},
		"a name of signs":      {orders.Came{As: orders.AsMandated, Name: "..", Proof: "vu"}, "came.name_wrong"},
		"two lines":            {orders.Came{As: orders.AsMandated, Name: "Jan\nMaes", Proof: "vu"}, "came.name_wrong"},
		"no proof":             {orders.Came{As: orders.AsGuardian, Name: "Jan Maes"}, "came.proof_wrong"},
		"no end":               {orders.Came{As: orders.AsMandated, Name: "Jan Maes", Proof: "vu", From: "2026-02-01"}, "came.days_wrong"},
		"an end before today":  {orders.Came{As: orders.AsMandated, Name: "Jan Maes", Proof: "vu", From: "2026-01-01", To: "2026-02-02"}, "came.days_wrong"},
		"not yet":              {orders.Came{As: orders.AsMandated, Name: "Jan Maes", Proof: "vu", From: "2026-02-04", To: "2026-03-02"}, "came.days_wrong"},
		"for ever":             {orders.Came{As: orders.AsMandated, Name: "Jan Maes", Proof: "vu", To: "2031-02-04"}, "came.days_wrong"},
		"no day":               {orders.Came{As: orders.AsMandated, Name: "Jan Maes", Proof: "vu", To: "demain"}, "came.days_wrong"},
		"relies on nothing":    {orders.Came{As: orders.AsMandated, RestsOn: "x"}, "came.over"},
		"on one for one order": {orders.Came{As: orders.AsMandated, RestsOn: o.ID}, "came.over"},
		"the clerk":            {orders.Came{As: orders.AsMandated, Name: "1 Claire", Proof: "vu"}, "orders.own"},
	} {
		if _, err := w.comes(p, c.came); fault.KeyOf(err) != c.key {
			t.Errorf("%s: %v", name, err)
		}
	}
	once.To = "2026-03-31"
	o, err = w.comes(p, once)
	ok(t, err)
	pre, err := s.PrefillFor(ctx, A, Clerk(1), byNumber(p), "residence")
	ok(t, err)
	if len(pre.Came.Mandates) != 1 || pre.Came.Mandates[0].RestsOn != o.ID || pre.Came.Mandates[0].From != "2026-02-03" || !pre.Came.Mandates[0].Stands("2026-03-31") || pre.Came.Mandates[0].Stands("2026-04-01") {
		t.Fatalf("stand: %+v", pre.Came.Mandates)
	}
	relying := orders.Came{As: orders.AsMandated, RestsOn: o.ID}
	again, err := w.comes(p, relying)
	ok(t, err)
	if came := w.Get(t, A, again.ID).Entry.Came; came.Name != "Jan Maes" || came.RestsOn != o.ID || came.Standing() {
		t.Errorf("relies: %+v", came)
	}
	_, err = w.comes(w.Person(A, 2), relying) // of another person
	wants(t, err, fault.Conflict, "came.over")
	wants(t, s.EndMandate(ctx, A, o.ID, orders.Clerk{Subject: "staff-9", Name: "Luc", Number: p.Number}), fault.Forbidden, "orders.own")
	w.Clock.Add(60 * 24 * time.Hour)
	_, err = w.comes(p, relying)
	wants(t, err, fault.Conflict, "came.over")
	w.Clock.Add(-60 * 24 * time.Hour)
	ok(t, s.EndMandate(ctx, A, o.ID, Clerk(2)))
	wants(t, s.EndMandate(ctx, A, o.ID, Clerk(2)), fault.Conflict, "came.none")
	_, err = w.comes(p, relying)
	wants(t, err, fault.Conflict, "came.over")
	if o = w.Get(t, A, o.ID); o.Entry.Came.EndedBy != "Claire 2" || kinds(o.Events) != "entered came mandate_ended" {
		t.Errorf("ended: %+v, %s", o.Entry.Came, kinds(o.Events))
	}
}
