package orderstest

import (
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
)

// cardAddress: the address on the card stands in for a register that is silent, is said to
// be the card's, and never gets onto a paper.
func cardAddress(t *testing.T, w *World) {
	p := w.Person(A, 1)
	p.CardAddress = "Rue de la Carte 9, 7999 Beaumarais"
	pre, err := w.Service.Prefill(ctx, A, p, "residence")
	ok(t, err)
	for _, a := range pre.Answers {
		if a.Value == p.CardAddress || a.Name == orders.Address && a.Origin != orders.FromRegister {
			t.Errorf("the register answers, and the form holds %+v", a)
		}
	}
	for _, key := range []string{"register.down", "register.refused", "register.unreadable"} {
		w.Register.Fail(fault.New(fault.Unreachable, key, nil))
		pre, err = w.Service.Prefill(ctx, A, p, "residence")
		ok(t, err)
		found := false
		for _, a := range pre.Answers {
			found = found || a == orders.Answer{Name: orders.Address, Value: p.CardAddress, Origin: orders.FromCard}
			if a.Origin != orders.FromCard {
				t.Errorf("%s: %+v", key, a)
			}
		}
		if !found || pre.Attention != orders.RegisterSilent || pre.Attention.NeedsReason() {
			t.Errorf("%s: %+v, %q", key, pre.Answers, pre.Attention)
		}
	}
	w.Register.Fail(fault.New(fault.NotFound, "register.unknown_person", nil))
	_, err = w.Service.Prefill(ctx, A, p, "residence")
	wants(t, err, fault.NotFound, "register.unknown_person") // that is an answer

	w.Register.Fail(fault.New(fault.Unreachable, "register.down", nil))
	o, err := w.Service.Submit(ctx, A, p, w.Form(A))
	ok(t, err)
	if o.Answer(orders.Address) != p.CardAddress || o.Attention != orders.RegisterSilent {
		t.Errorf("ordered with %q, %q", o.Answer(orders.Address), o.Attention)
	}
	_, err = w.Service.Prepare(ctx, A, o.ID, Clerk(1))
	wants(t, err, fault.Unreachable, "register.down")
	if w.Get(t, A, o.ID).Paper != nil {
		t.Error("a number was spent without the register")
	}
	w.Register.Fail(nil)
	o, err = w.Service.Prepare(ctx, A, o.ID, Clerk(1)) // without a reason
	ok(t, err)
	for _, f := range w.Renderer.Last().Facts {
		if f.Value == p.CardAddress {
			t.Error("the card's address is on the paper")
		}
	}
	if o.Attention != orders.NoAttention {
		t.Errorf("prepared, and still %q", o.Attention)
	}
	// Who moved meanwhile learns it then.
	q := w.Person(A, 2)
	q.CardAddress = "Rue de la Carte 10, 7999 Beaumarais"
	w.Register.Fail(fault.New(fault.Unreachable, "register.down", nil))
	moved, err := w.Service.Submit(ctx, A, q, w.Form(A))
	ok(t, err)
	w.Register.Fail(nil)
	w.Register.Move(q, w.Home(B, q))
	_, err = w.Service.Prepare(ctx, A, moved.ID, Clerk(1))
	wants(t, err, fault.Forbidden, "orders.lives_elsewhere")
}
