package orders_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

// views are the lists that the desk offers, with every way of sorting them.
func views() map[string]orders.Filter {
	all := map[string]orders.Filter{
		"closed":           {States: []orders.State{orders.Issued, orders.Refused, orders.Cancelled}},
		"number":           {Search: "2026-000007"},
		"closed by number": {Search: "2026-000007", States: []orders.State{orders.Issued, orders.Refused, orders.Cancelled}},
		"closed by name":   {Search: "janensa", States: []orders.State{orders.Issued, orders.Refused, orders.Cancelled}},
		"closed by code":   {Search: "R3456789", States: []orders.State{orders.Issued, orders.Refused, orders.Cancelled}},
		"sealing":          {States: []orders.State{orders.Approved, orders.Signed}},
		"answered":         {Answered: true},
		"new, at register": {AtRegister: true},
		"unpaid":           {Unpaid: true},
	}
	for _, by := range orders.Sorts {
		for _, down := range []bool{false, true} {
			for name, f := range map[string]orders.Filter{
				"open": {}, "late": {Late: true}, "mine": {Assignees: []string{"clerk-1"}}, "team": {Unassigned: true},
				"to approve": {States: []orders.State{orders.InReview}}, "new": {States: []orders.State{orders.Submitted}},
			} {
				f.Sort, f.Descending = by, down
				all[fmt.Sprintf("%s by %s, down %v", name, by, down)] = f
			}
		}
	}
	return all
}

// However many orders there are, no list reads them all, and none but those of a few are sorted.
func TestNoListReadsEveryOrder(t *testing.T) {
	ctx := context.Background()
	w := orderstest.New(t, sqldbtest.SQLite(t))
	few := func(name string) bool { // bounded by what one clerk has in hand, or by what a search finds
		for _, small := range []string{"mine", "late by sent", "late by name", "to approve", "new", "sealing", "answered", "number", "name", "code"} {
			if strings.Contains(name, small) {
				return true
			}
		}
		return false
	}
	for name, f := range views() {
		text, args, err := orders.InboxSQL(ctx, w.Service, orderstest.A, f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rows, err := w.DB.Query(ctx, "EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(detail, "SCAN") || strings.HasSuffix(detail, "(commune=?)") && !strings.Contains(detail, "LEFT-JOIN") {
				t.Errorf("%s reads every order: %s", name, detail)
			}
			if strings.HasPrefix(detail, "USE TEMP B-TREE FOR ORDER BY") && !few(name) {
				t.Errorf("%s sorts what it reads: %s", name, detail)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
