package orderstest

import (
	"maps"
	"testing"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/outside"
	"github.com/belfry-eid/belfry/orders/register"
)

// atTheRegister: the desk's lists say what waits for a register and why, and nothing else
// does; the list of those has them all.
func atTheRegister(t *testing.T, w *World) {
	s := w.Service
	want := map[string]orders.Wait{}
	said := func(when string) {
		t.Helper()
		got := map[string]orders.Wait{}
		page, err := s.Inbox(ctx, A, orders.Filter{})
		ok(t, err)
		waits := 0
		for _, o := range page.Orders {
			got[o.ID] = o.Wait
			if o.Wait != orders.NoWait {
				waits++
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
		list, err := s.Inbox(ctx, A, orders.Filter{AtRegister: true})
		ok(t, err)
		for _, o := range list.Orders {
			if o.Wait == orders.NoWait || o.Wait != want[o.ID] {
				t.Errorf("%s: %s is on the list, and waits for %q", when, o.ID, o.Wait)
			}
		}
		if counts, err := s.Counts(ctx, A); err != nil || len(list.Orders) != waits || counts.AtRegister != waits {
			t.Errorf("%s: %d on the list, %d counted, %d marked, %v", when, len(list.Orders), counts.AtRegister, waits, err)
		}
	}
	want[w.Order(t, A, 1).ID] = orders.NoWait // this program makes it
	w.Goes(t, A, commune.Attached)
	want[w.Order(t, A, 2).ID] = orders.NoWait // a clerk attaches it, as ever
	w.Goes(t, A, commune.FromSource)
	none := w.Order(t, A, 3)
	w.Source.Fail(fault.New(fault.Forbidden, "way.source.none", nil))
	w.Work(t)
	want[none.ID] = orders.SourceFailed
	w.Source.Fail(fault.New(fault.Unreachable, "way.source.down", nil))
	asked := w.Order(t, A, 4)
	w.Work(t)
	want[asked.ID] = orders.SourceWait
	odd := w.Person(A, 5)
	home := w.Home(A, odd)
	home.Status = register.Undisclosed
	w.Register.Move(odd, home)
	special, err := s.Submit(ctx, A, odd, w.Form(A))
	ok(t, err)
	want[special.ID] = orders.NoWait // for a clerk's word
	said("at first")

	_, err = s.AskSource(ctx, A, special.ID, Clerk(1), "Vu la personne au guichet.")
	ok(t, err)
	want[special.ID] = orders.SourceWait
	_, err = s.AskSource(ctx, A, none.ID, Clerk(1), "")
	ok(t, err)
	want[none.ID] = orders.SourceWait
	_, err = s.Ask(ctx, A, asked.ID, Clerk(1), "Pour quelle banque ?")
	ok(t, err)
	want[asked.ID] = orders.NoWait // for the person
	said("after a clerk")

	_, err = s.Attach(ctx, A, none.ID, Clerk(1), orders.AttachedPaper{File: PDF("x"), Corner: outside.TopLeft})
	ok(t, err)
	want[none.ID] = orders.NoWait
	w.Goes(t, A, commune.FromSource)
	w.Charge(t, A, Fees())
	owed, err := s.Submit(ctx, A, w.Person(A, 6), w.Letter(t, A))
	ok(t, err)
	want[owed.ID] = orders.NoWait // for its fee, before the source is asked
	said("attached, and unpaid")
	_, err = s.Receive(ctx, A, owed.ID, Clerk(1), orders.Cash, "1")
	ok(t, err)
	want[owed.ID] = orders.SourceWait
	said("paid")

	w.Goes(t, A, commune.Made)
	w.Charge(t, A, commune.Tariff{})
	w.Register.Fail(fault.New(fault.Unreachable, "register.down", nil))
	p := w.Person(A, 7)
	p.CardAddress = "Rue de la Carte 9, 7999 Beaumarais"
	silent, err := s.Submit(ctx, A, p, w.Form(A))
	ok(t, err)
	want[silent.ID] = orders.RegisterWait
	said("the register is silent")
	w.Register.Fail(nil)
	_, err = s.Prepare(ctx, A, silent.ID, Clerk(1))
	ok(t, err)
	want[silent.ID] = orders.NoWait
	said("it has answered")
}
