package orderstest

import (
	"sync"
	"testing"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/register"
)

// atCounter is an entry at the counter.
var atCounter = orders.Entry{Channel: orders.Counter, Identified: orders.CardSeen}

func byNumber(p orders.Person) orders.Applicant { return orders.Applicant{Number: p.Number} }

// entered: a clerk makes an order for somebody; it is decided like any other, and is the
// person's own as soon as they sign in with the same number.
func entered(t *testing.T, w *World) {
	p := w.Person(A, 1)
	pre, err := w.Service.PrefillFor(ctx, A, Clerk(1), byNumber(p), "residence")
	ok(t, err)
	for _, a := range pre.Answers {
		if a.Origin != orders.FromRegister {
			t.Errorf("%s comes from %s", a.Name, a.Origin)
		}
	}
	f := w.Form(A)
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids { // clicks
		wg.Go(func() {
			o, err := w.Service.Enter(ctx, A, Clerk(1), atCounter, byNumber(p), f)
			if err != nil {
				t.Error(err)
			}
			ids[i] = o.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("one form made %v", ids)
		}
	}
	o := w.Get(t, A, ids[0])
	if o.State != orders.Submitted || o.Name() != "Luc Marie Lambertb" || o.Attention != "" || o.Entry == nil || o.Entry.Channel != orders.Counter || o.Entry.Identified != orders.CardSeen || o.Entry.By != "Claire 1" || kinds(o.Events) != "entered" {
		t.Errorf("entered: %+v %+v, %s", o, o.Entry, kinds(o.Events))
	}
	o, err = w.Service.Prepare(ctx, A, o.ID, Clerk(1)) // whoever entered it may decide
	ok(t, err)
	_, err = w.Service.Sealed(ctx, A, o.ID, Clerk(1))
	wants(t, err, fault.Conflict, "orders.not_issued")
	_, err = w.Service.Approve(ctx, A, o.ID, Clerk(1), o.Paper.Content)
	ok(t, err)
	w.Work(t)
	paper, err := w.Service.Sealed(ctx, A, o.ID, Clerk(1))
	ok(t, err)
	if paper.Digest != w.Get(t, A, o.ID).Paper.Document {
		t.Error("what is printed is not what was issued")
	}

	// Nobody has it before the person comes, and then nobody but they.
	for _, subject := range []string{"", p.Subject, o.Subject[:8]} {
		if list, err := w.Service.Mine(ctx, A, subject); err != nil || len(list) != 0 {
			t.Errorf("%q has %d orders, %v", subject, len(list), err)
		}
	}
	ok(t, w.Service.Claim(ctx, A, w.Person(A, 2)))
	ok(t, w.Service.Claim(ctx, A, orders.Person{Subject: "numberless"}))
	ok(t, w.Service.Claim(ctx, B, p))
	if list, _ := w.Service.Mine(ctx, A, p.Subject); len(list) != 0 {
		t.Error("claimed in another commune, or by somebody else")
	}
	ok(t, w.Service.Claim(ctx, A, p))
	ok(t, w.Service.Claim(ctx, A, p))
	if list, err := w.Service.Mine(ctx, A, p.Subject); err != nil || len(list) != 1 || list[0].ID != o.ID {
		t.Errorf("the person has %v, %v", list, err)
	}
	file, err := w.Service.Document(ctx, A, o.ID, p.Subject)
	if err != nil || file.Digest != paper.Digest {
		t.Errorf("the person's own paper: %v", err)
	}
	ok(t, w.Service.Claim(ctx, A, orders.Person{Subject: "a second way in", Number: p.Number}))
	if list, _ := w.Service.Mine(ctx, A, p.Subject); len(list) != 1 {
		t.Error("taken away from the person again")
	}
}

// Enters has clerk 1 enter an order for the n-th person of a commune.
func (w *World) Enters(t testing.TB, c commune.ID, n int, e orders.Entry) orders.Order {
	t.Helper()
	o, err := w.Service.Enter(ctx, c, Clerk(1), e, byNumber(w.Person(c, n)), w.Form(c))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// notEntered: what a clerk may not enter.
func notEntered(t *testing.T, w *World) {
	p, f := w.Person(A, 1), w.Form(A)
	enter := func(clerk orders.Clerk, e orders.Entry) error {
		_, err := w.Service.Enter(ctx, A, clerk, e, byNumber(p), f)
		return err
	}
	for _, e := range []orders.Entry{{}, {Channel: orders.Online, Identified: orders.CardSeen}, {Channel: orders.Phone, Identified: orders.CardSeen}, {Channel: orders.Counter}} {
		wants(t, enter(Clerk(1), e), fault.Invalid, "counter.way_wrong")
	}
	me := orders.Clerk{Subject: "staff-7", Name: "Luc", Number: p.Number}
	wants(t, enter(me, atCounter), fault.Forbidden, "orders.own")
	_, err := w.Service.PrefillFor(ctx, A, me, byNumber(p), "residence")
	wants(t, err, fault.Forbidden, "orders.own")
	wife := orders.Clerk{Subject: "staff-8", Name: "Anna", Number: Number(300)}
	w.Register.House(Member(p, "reference"), register.Member{Number: wife.Number, Surname: "Peeters", GivenNames: "Anna", BirthDate: "1986-01-01", Relation: "spouse"})
	wants(t, enter(wife, atCounter), fault.Forbidden, "orders.own")
	f.Answers = form.Answers{form.DocumentLanguage: "en"}
	wants(t, enter(Clerk(1), atCounter), fault.Invalid, "orders.form.invalid")
	_, err = w.Service.PrefillFor(ctx, B, Clerk(1), byNumber(p), "residence")
	wants(t, err, fault.Forbidden, "orders.lives_elsewhere")
	_, err = w.Service.PrefillFor(ctx, A, Clerk(1), orders.Applicant{Number: Number(888)}, "residence")
	wants(t, err, fault.NotFound, "register.unknown_person")
	if page, err := w.Service.Inbox(ctx, A, orders.Filter{}); err != nil || len(page.Orders) != 0 {
		t.Errorf("%d orders were made", len(page.Orders))
	}
}

// paidAtCounter: a fee that is taken with the order is written with it or not at all.
func paidAtCounter(t *testing.T, w *World) {
	w.Charge(t, A, Fees())
	enter := func(n int, e orders.Entry) (orders.Order, error) {
		return w.Service.Enter(ctx, A, Clerk(1), e, byNumber(w.Person(A, n)), w.Letter(t, A))
	}
	e := atCounter
	e.Paid = orders.Paid{How: orders.Cash, Number: "17"}
	o, err := enter(1, e)
	ok(t, err)
	if r := o.Fee.Received; r == nil || r.Number != "17" || r.Cents != o.Fee.Price.Total || r.By.Name != "Claire 1" || o.Fee.Owed() {
		t.Errorf("received: %+v", r)
	}
	if got := kinds(w.Get(t, A, o.ID).Events); got != "entered fee_received" {
		t.Errorf("events: %s", got)
	}
	_, err = w.Service.Receive(ctx, A, o.ID, Clerk(2), orders.Cash, "18")
	wants(t, err, fault.Conflict, "fee.nothing_owed")
	for name, c := range map[string]struct {
		paid orders.Paid
		key  string
	}{"no way": {orders.Paid{Number: "17"}, "fee.how_missing"}, "no receipt": {orders.Paid{How: orders.Cash}, "fee.number_wrong"}, "two lines": {orders.Paid{How: orders.Cash, Number: "1\n7"}, "fee.number_wrong"}} {
		wrong := atCounter
		wrong.Paid = c.paid
		if _, err := enter(2, wrong); fault.KeyOf(err) != c.key {
			t.Errorf("%s: %v", name, err)
		}
	}
	phone := orders.Entry{Channel: orders.Phone, Identified: orders.Questions, Paid: e.Paid}
	_, err = enter(2, phone)
	wants(t, err, fault.Conflict, "fee.nothing_owed")
	w.Charge(t, A, commune.Tariff{})
	_, err = w.Service.Enter(ctx, A, Clerk(1), e, byNumber(w.Person(A, 2)), w.Form(A))
	wants(t, err, fault.Conflict, "fee.nothing_owed")
	if page, err := w.Service.Inbox(ctx, A, orders.Filter{}); err != nil || len(page.Orders) != 1 {
		t.Errorf("%d orders were made", len(page.Orders))
	}
}
