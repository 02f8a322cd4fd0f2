package orderstest

import (
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/register"
)

// ownHousehold: nobody decides about those they live with, at any step, and the database
// does not tell who lives with whom.
func ownHousehold(t *testing.T, w *World) {
	p, wife, child := w.Person(A, 1), w.Person(A, 2), w.Person(A, 3)
	wife.GivenNames, wife.Surname = "Anne Claire", "De Smet"
	stranger := Member(w.Person(A, 4), "unrelated")
	stranger.Number, stranger.GivenNames, stranger.Surname = orders.Person{}.Number, "Piet", "Numberless"
	away := Member(child, "child")
	away.LivesElsewhere = true
	w.Register.House(Member(p, "reference"), Member(wife, "spouse"), away, stranger)
	o, err := w.Service.Submit(ctx, A, p, w.Form(A))
	ok(t, err)
	submitted, err := w.Service.Submit(ctx, A, p, w.Form(A))
	ok(t, err)
	o, err = w.Service.Prepare(ctx, A, o.ID, Clerk(1))
	ok(t, err)
	for name, clerk := range map[string]orders.Clerk{
		"by number":                       {Subject: "staff-1", Name: "Somebody", Number: wife.Number},
		"a child who lives here by turns": {Subject: "staff-2", Name: "Somebody", Number: child.Number},
		"by name, of a directory":         {Subject: "staff-3", Name: "de Smet Anne"},
		"by a longer name":                {Subject: "staff-4", Name: "Anne Claire DE SMET"},
		"a member without a number":       {Subject: "staff-5", Name: "Piet Numberless", Number: Number(95)},
	} {
		t.Log(name)
		_, err := w.Service.Prepare(ctx, A, submitted.ID, clerk)
		wants(t, err, fault.Forbidden, "orders.own")
		_, err = w.Service.PrepareDespite(ctx, A, o.ID, clerk, "because")
		wants(t, err, fault.Forbidden, "orders.own")
		_, err = w.Service.Approve(ctx, A, o.ID, clerk, o.Paper.Content)
		wants(t, err, fault.Forbidden, "orders.own")
		_, err = w.Service.Refuse(ctx, A, o.ID, clerk, orders.Reasons{Ground: orders.OtherGround, Text: "x"})
		wants(t, err, fault.Forbidden, "orders.own")
		if own, err := w.Service.Own(ctx, A, o.ID, clerk); err != nil || !own {
			t.Errorf("not held back: %v", err)
		}
		if list, err := w.Service.Ready(ctx, A, clerk); err != nil || len(list) != 0 {
			t.Errorf("%d are ready for them, %v", len(list), err)
		}
	}
	for name, clerk := range map[string]orders.Clerk{
		"somebody else": Clerk(1), "a namesake with another number": {Subject: "staff-6", Name: "Anne De Smet", Number: Number(96)},
		"a sister by another first name": {Subject: "staff-7", Name: "Ilse De Smet"},
	} {
		if own, err := w.Service.Own(ctx, A, o.ID, clerk); err != nil || own {
			t.Errorf("%s is held back: %v", name, err)
		}
	}
	if w.Get(t, A, o.ID).Version != o.Version {
		t.Error("the order has moved")
	}

	// Who moved in since the order was made is kept from deciding by the next preparation.
	late := w.Person(A, 6)
	before, err := w.Service.Submit(ctx, A, late, w.Form(A))
	ok(t, err)
	mover := orders.Clerk{Subject: "staff-8", Name: "Mover", Number: Number(97)}
	w.Register.House(Member(late, "reference"), register.Member{Number: mover.Number, Surname: "Mover", GivenNames: "M", BirthDate: "1990-01-01", Relation: "unrelated"})
	_, err = w.Service.Prepare(ctx, A, before.ID, mover)
	wants(t, err, fault.Forbidden, "orders.own")
	if w.Get(t, A, before.ID).State != orders.Submitted {
		t.Error("the order has moved")
	}
	before, err = w.Service.Prepare(ctx, A, before.ID, Clerk(1))
	ok(t, err)
	_, err = w.Service.Approve(ctx, A, before.ID, mover, before.Paper.Content)
	wants(t, err, fault.Forbidden, "orders.own")

	// What is kept tells nobody who lives with whom.
	for table, text := range dump(t, w.DB) {
		for _, secret := range []string{wife.Number.Reveal(), "Numberless", "De Smet"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells %q of the household", table, secret)
			}
		}
	}
}
