package orderstest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
)

// The desk: who is on an order, and the lists.

func colleague(n int) orders.Colleague {
	c := Clerk(n)
	return orders.Colleague{Subject: c.Subject, Name: c.Name}
}

func takenAndGivenBack(t *testing.T, w *World) {
	s := w.Service
	o := w.Order(t, A, 1)
	w.Clock.Add(time.Minute)
	o, err := s.Assign(ctx, A, o.ID, Clerk(1), "", colleague(1))
	ok(t, err)
	if o.Assignee != colleague(1) || !o.AssignedAt.Equal(Noon.Add(time.Minute)) || o.State != orders.Submitted {
		t.Errorf("taken: %+v at %s", o.Assignee, o.AssignedAt)
	}
	// Whoever saw nobody on it hears who is, and since when.
	_, err = s.Assign(ctx, A, o.ID, Clerk(2), "", colleague(2))
	if args := wants(t, err, fault.Conflict, "orders.taken"); args["By"] != "Claire 1" || args["When"] != "03/02/2026 12:01" {
		t.Errorf("it names %v", args)
	}
	// Whoever saw the first may take over, or give it to a third.
	o, err = s.Assign(ctx, A, o.ID, Clerk(2), "clerk-1", colleague(3))
	ok(t, err)
	_, err = s.Assign(ctx, A, o.ID, Clerk(1), "clerk-1", orders.Colleague{})
	wants(t, err, fault.Conflict, "orders.taken")
	o, err = s.Assign(ctx, A, o.ID, Clerk(3), "clerk-3", orders.Colleague{})
	ok(t, err)
	if !o.Assignee.IsZero() || !o.AssignedAt.IsZero() {
		t.Errorf("given back: %+v %s", o.Assignee, o.AssignedAt)
	}
	_, err = s.Assign(ctx, A, o.ID, Clerk(1), "clerk-3", colleague(1))
	wants(t, err, fault.Conflict, "orders.released")
	if got := kinds(o.Events); got != "submitted assigned assigned released" {
		t.Errorf("the journal has %q", got)
	}
	seen, err := s.ForCitizen(ctx, A, o.ID, o.Subject)
	ok(t, err)
	if got := kinds(seen.Events); got != "submitted" {
		t.Errorf("the person sees %q", got)
	}
	// Who prepares what nobody is on, is on it.
	o, err = s.Prepare(ctx, A, o.ID, Clerk(2))
	ok(t, err)
	if o.Assignee != colleague(2) {
		t.Errorf("prepared by 2, and %+v is on it", o.Assignee)
	}
	_, err = s.Refuse(ctx, A, o.ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
	ok(t, err)
	_, err = s.Assign(ctx, A, o.ID, Clerk(1), "clerk-2", colleague(1))
	wants(t, err, fault.Conflict, "orders.moved")
	own := orders.Clerk{Subject: o.Subject, Name: "x", Number: Number(1)}
	_, err = s.Assign(ctx, A, w.Order(t, A, 1).ID, own, "", orders.Colleague{Subject: o.Subject, Name: "x"})
	wants(t, err, fault.Forbidden, "orders.own")
}

func takenOnce(t *testing.T, w *World) {
	o := w.Order(t, A, 1)
	var wg sync.WaitGroup
	errs := make([]error, 12)
	for i := range errs {
		wg.Go(func() { _, errs[i] = w.Service.Assign(ctx, A, o.ID, Clerk(i), "", colleague(i)) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case fault.KindOf(err) != fault.Conflict:
			t.Error(err)
		}
	}
	if got := kinds(w.Get(t, A, o.ID).Events); won != 1 || got != "submitted assigned" {
		t.Errorf("%d clerks took one order: %s", won, got)
	}
}

// lists goes through every list of the desk, and through one of them page by page in each order.
func lists(t *testing.T, w *World) {
	s := w.Service
	var all []orders.Order
	for i := range 6 {
		all = append(all, w.Order(t, A, i))
		w.Clock.Add(24 * time.Hour)
	}
	_, err := s.Assign(ctx, A, all[0].ID, Clerk(1), "", colleague(1))
	ok(t, err)
	_, err = s.Assign(ctx, A, all[1].ID, Clerk(1), "", colleague(2))
	ok(t, err)
	_, err = s.Prepare(ctx, A, all[2].ID, Clerk(3))
	ok(t, err)
	_, err = s.Cancel(ctx, A, all[3].ID, all[3].Subject)
	ok(t, err)
	w.Clock.Add(time.Hour)
	_, err = s.Cancel(ctx, A, all[4].ID, all[4].Subject)
	ok(t, err)
	which := func(f orders.Filter) string {
		t.Helper()
		f.Limit = 2
		var got []string
		for range 4 {
			page, err := s.Inbox(ctx, A, f)
			ok(t, err)
			for _, o := range page.Orders {
				for i := range all {
					if all[i].ID == o.ID {
						got = append(got, string(rune('0'+i)))
					}
				}
			}
			if f.After = page.Next; f.After == "" {
				break
			}
		}
		return strings.Join(got, "")
	}
	for name, c := range map[string]struct {
		f    orders.Filter
		want string
	}{
		"mine":               {orders.Filter{Assignees: []string{"clerk-1"}}, "0"},
		"mine and another's": {orders.Filter{Assignees: []string{"clerk-1", "clerk-2"}}, "01"},
		"nobody's":           {orders.Filter{Unassigned: true}, "5"},
		"closed last first":  {orders.Filter{States: []orders.State{orders.Cancelled, orders.Issued}}, "43"},
		"by name":            {orders.Filter{Sort: orders.ByName}, "0125"},
		"by name, down":      {orders.Filter{Sort: orders.ByName, Descending: true}, "5210"},
		"newest first":       {orders.Filter{Sort: orders.BySent, Descending: true}, "5210"},
		"by promised day":    {orders.Filter{Descending: true}, "5210"},
	} {
		if got := which(c.f); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	counts, err := s.Counts(ctx, A, "clerk-1", "clerk-2")
	if err != nil || counts.Mine != 2 || counts.Unassigned != 1 || counts.Answered != 0 {
		t.Errorf("%+v, %v", counts, err)
	}
	if counts, err := s.Counts(ctx, A); err != nil || counts.Mine != 0 {
		t.Errorf("nobody has %d orders, %v", counts.Mine, err)
	}
	for _, bad := range []orders.Filter{{Sort: "x"}, {Sort: orders.ByName, States: []orders.State{orders.Issued}}} {
		_, err := s.Inbox(ctx, A, bad)
		wants(t, err, fault.Invalid, "orders.bad_filter")
	}
}

// figures counts a small year whose answers can be checked by hand.
func figures(t *testing.T, w *World) {
	s := w.Service
	refuse := func(o orders.Order) {
		t.Helper()
		_, err := s.Refuse(ctx, A, o.ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
		ok(t, err)
	}
	first := w.Order(t, A, 1) // Tuesday 3 February, promised for Friday the 6th
	w.Clock.Add(2 * time.Hour)
	refuse(first)               // after 2 hours
	second := w.Issued(t, A, 2) // at once
	third := w.Order(t, A, 3)
	left := w.Order(t, A, 4)
	_, err := s.Cancel(ctx, A, left.ID, left.Subject)
	ok(t, err)
	w.Clock.Add(10 * 24 * time.Hour)
	refuse(third)    // after ten days: late
	w.Order(t, A, 5) // open, not yet due
	waiting := w.Order(t, A, 6)
	_, err = s.Ask(ctx, A, waiting.ID, Clerk(2), "Quoi ?")
	ok(t, err)
	w.Order(t, B, 7)
	w.Clock.Add(30 * 24 * time.Hour) // March: the open one is late, the one that waits for the person is not
	w.Order(t, A, 8)
	f, err := s.Figures(ctx, A, 2026)
	ok(t, err)
	want := orders.Figure{Received: 6, Online: 6, Issued: 1, Refused: 2, Cancelled: 1, Open: 2, OnTime: 2, Late: 2, Median: 2 * time.Hour, NinthDecile: 240 * time.Hour}
	if f.Months[1] != want {
		t.Errorf("February: %+v, want %+v", f.Months[1], want)
	}
	if f.Months[2].Received != 1 || f.Months[2].Open != 1 || f.Months[0] != (orders.Figure{}) || f.Total.Received != 7 || f.First != 2026 {
		t.Errorf("March %+v, January %+v, the year %+v since %d", f.Months[2], f.Months[0], f.Total, f.First)
	}
	if len(f.Products) != 1 || f.Products[0].Product.ID != "residence" || f.Products[0].Total != f.Total || f.Products[0].Months != f.Months {
		t.Errorf("by product: %+v", f.Products)
	}
	if share, due := f.Total.Share(); !due || share != 0.5 {
		t.Errorf("on time: %v, %v", share, due)
	}
	if _, due := f.Months[2].Share(); due {
		t.Error("nothing of March is due")
	}
	// A paper that is withdrawn later was issued all the same, and took no longer for it.
	_, err = s.Withdraw(ctx, A, second.ID, Clerk(1), orders.FactsWrong, "faux")
	ok(t, err)
	if again, err := s.Figures(ctx, A, 2026); err != nil || again.Months[1] != want {
		t.Errorf("after a withdrawal: %+v, %v", again.Months[1], err)
	}
	if other, err := s.Figures(ctx, A, 2025); err != nil || other.Total != (orders.Figure{}) || other.First != 2025 {
		t.Errorf("the year before: %+v, %v", other, err)
	}
	for i, e := range []orders.Entry{atCounter, {Channel: orders.Phone, Identified: orders.Questions}, {Channel: orders.Post, Identified: orders.LetterCopy}, atCounter} {
		_, err := s.Refuse(ctx, A, w.Enters(t, A, 10+i, e).ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
		ok(t, err)
	}
	if f, err := s.Figures(ctx, A, 2026); err != nil || f.Months[2].Received != 5 || f.Months[2].Online != 1 || f.Months[2].Counter != 2 || f.Months[2].Phone != 1 || f.Months[2].Post != 1 {
		t.Errorf("by channel: %+v, %v", f.Months[2], err)
	}
	loads, err := s.Workloads(ctx, A)
	if err != nil || len(loads) != 2 || loads[0] != (orders.Workload{Open: 2, Late: 1}) || loads[1] != (orders.Workload{Who: colleague(2), Open: 1}) {
		t.Errorf("in hand: %+v, %v", loads, err)
	}
}
