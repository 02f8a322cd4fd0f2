package orders_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

// What people and machines may try, in any order and with anything failing: the order
// is always in the state that a dozen lines of model say, its number never changes, and
// its journal only grows.
func TestAnyLife(t *testing.T) {
	ctx := context.Background()
	w := orderstest.New(t, sqldbtest.SQLite(t))
	boom := errors.New("boom")
	var people atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		o := w.Order(t, orderstest.A, int(people.Add(1)))
		want := orders.Submitted
		number := orders.Number("")
		for i := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			clerk := orderstest.Clerk(rapid.IntRange(1, 2).Draw(rt, "clerk"))
			var err error
			next := want
			action := rapid.SampledFrom([]string{"prepare", "prepare", "render fails", "register fails", "approve", "approve wrong", "refuse", "cancel", "own", "ask", "reply", "resume"}).Draw(rt, "action")
			switch action {
			case "prepare":
				_, err = w.Service.Prepare(ctx, o.Commune, o.ID, clerk)
				next = orders.InReview
			case "render fails":
				w.Renderer.Fail(boom)
				_, err = w.Service.Prepare(ctx, o.Commune, o.ID, clerk)
				w.Renderer.Fail(nil)
				if errors.Is(err, boom) && o.Paper == nil { // the number is given, the content is not
					want, next, err = orders.InReview, orders.InReview, nil
				}
			case "register fails":
				w.Register.Fail(boom)
				_, err = w.Service.Prepare(ctx, o.Commune, o.ID, clerk)
				w.Register.Fail(nil)
			case "approve", "approve wrong":
				var content [32]byte
				if o.Paper != nil && action == "approve" {
					content = o.Paper.Content
				}
				_, err = w.Service.Approve(ctx, o.Commune, o.ID, clerk, content)
				if o.Paper == nil || content == [32]byte{} {
					if err == nil {
						rt.Fatal("nothing was approved")
					}
				}
				next = orders.Approved
			case "refuse":
				_, err = w.Service.Refuse(ctx, o.Commune, o.ID, clerk, orders.Reasons{Ground: orders.OtherGround, Text: "non"})
				next = orders.Refused
			case "cancel":
				_, err = w.Service.Cancel(ctx, o.Commune, o.ID, o.Subject)
				next = orders.Cancelled
			case "ask":
				_, err = w.Service.Ask(ctx, o.Commune, o.ID, clerk, "Quoi ?")
				next = orders.AwaitingCitizen
			case "reply":
				_, err = w.Service.Reply(ctx, o.Commune, o.ID, o.Subject, len(o.Messages), "Ceci "+strings.Repeat("!", i), nil)
				if want == orders.AwaitingCitizen {
					next = was(o)
				}
			case "resume":
				_, err = w.Service.Resume(ctx, o.Commune, o.ID, clerk)
				next = was(o)
			case "own":
				_, err = w.Service.Approve(ctx, o.Commune, o.ID, orders.Clerk{Subject: o.Subject}, contentOf(o))
				if fault.KeyOf(err) != "orders.own" {
					rt.Fatalf("own order: %v", err)
				}
			}
			if err == nil {
				by := orders.ByClerk
				if action == "cancel" || action == "reply" {
					by = orders.ByCitizen
				}
				if !orders.May(want, next, by) && !(action == "reply" && want == next) {
					rt.Fatalf("step %d: %s made an order that was %s %s", i, action, want, next)
				}
				want = next
			}
			after := w.Get(t, o.Commune, o.ID)
			if after.State != want || after.Version < o.Version || len(after.Events) < len(o.Events) {
				rt.Fatalf("step %d: after %s the order is %s, want %s", i, action, after.State, want)
			}
			if after.PausedAt.IsZero() == (want == orders.AwaitingCitizen) || after.DueOn.Before(o.DueOn) || len(after.Messages) < len(o.Messages) {
				rt.Fatalf("step %d: after %s it waits since %s, is due %s, has %d messages", i, action, after.PausedAt, after.DueOn, len(after.Messages))
			}
			if after.Paper != nil {
				if number != "" && after.Paper.Number != number {
					rt.Fatalf("step %d: the number changed from %s to %s", i, number, after.Paper.Number)
				}
				number = after.Paper.Number
			}
			if (after.Paper != nil && after.Paper.Void) != (number != "" && (want == orders.Refused || want == orders.Cancelled)) {
				rt.Fatalf("step %d: %s with paper %+v", i, want, after.Paper)
			}
			o = after
		}
	})
	w.Work(t)
	page, err := w.Service.Inbox(ctx, orderstest.A, orders.Filter{States: []orders.State{orders.Approved, orders.Signed}})
	if err != nil || len(page.Orders) != 0 {
		t.Errorf("%d approved orders were not sealed, %v", len(page.Orders), err)
	}
	if err := w.Audit.Verify(ctx, orderstest.A); err != nil {
		t.Error(err)
	}
}

func contentOf(o orders.Order) (d [32]byte) {
	if o.Paper != nil {
		d = o.Paper.Content
	}
	return d
}

// was is the state to which an order comes back that waits for the person.
func was(o orders.Order) orders.State {
	if o.Paper == nil {
		return orders.Submitted
	}
	return orders.InReview
}
