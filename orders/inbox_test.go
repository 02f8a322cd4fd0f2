package orders_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/sqldb"
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

// fill adds n orders, of which open are open; what they hold is made up by SQL.
func fill(b *testing.B, db *sqldb.DB, n, open int) {
	b.Helper()
	const part = 50_000
	for from := 0; from < n; from += part {
		err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
			for _, text := range []string{
				`WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2)
				INSERT INTO orders_order (commune, id, reference, product, product_version, state, version, subject, form_key, form_hash, person, number_sealed,
					given_names, surname, search_name, language, answers, attention, submitted_at, due_on, changed_at, changed_by, refusal, assignee, closed_at)
				SELECT 'beaumarais', 'id-' || (10000000 + i), 'R' || (10000000 + i), 'residence', 1, CASE WHEN i >= $3 THEN 'issued' WHEN i % 3 = 0 THEN 'in_review' ELSE 'submitted' END, 1,
					's' || i, 'k' || i, '', 'p' || i, '', 'Luc', 'Lambert', substr(a, CAST(1 + i % 26 AS INTEGER), 1) || substr(a, CAST(1 + i / 26 % 26 AS INTEGER), 1) || substr(a, CAST(1 + i / 676 % 26 AS INTEGER), 1) || 'ens' || substr(a, CAST(1 + i / 17576 % 26 AS INTEGER), 1) || ' luc', 'fr', '[]', '', 1770000000000000 + i, 
					'2026-0' || (1 + i % 9) || '-1' || (i % 10), 1770000000000000 + i, '', '', CASE WHEN i % 3 = 0 THEN 'clerk-' || (i % 60) ELSE '' END, CASE WHEN i >= $3 THEN 1770000000000000 + i ELSE 0 END FROM n, (SELECT 'abcdefghijklmnopqrstuvwxyz' AS a) AS letters`,
				`WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2)
				INSERT INTO orders_paper (commune, order_id, number, token, token_hash, code, allocated_at, content, holder, prepared_by, grant_id, document, level, signer, specimen, void)
				SELECT 'beaumarais', 'id-' || (10000000 + i), '2026-' || i, '', 't' || i, '', 0, '` + strings.Repeat("ab", 32) + `', '', '', '', '', '', '', 1, 0 FROM n WHERE i % 3 = 0 OR i >= $3`,
			} {
				if _, err := tx.Exec(text, from, min(from+part, n), open); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInbox reads each list among ten thousand orders and among a million, of which
// five thousand are open: what the second costs more is what does not scale.
func BenchmarkInbox(b *testing.B) {
	ctx := context.Background()
	for name, engine := range sqldbtest.Engines(b) {
		for _, n := range []int{10_000, 1_000_000} {
			w := orderstest.New(b, engine(b))
			fill(b, w.DB, n, 5_000)
			if w.DB.Engine() == sqldb.Postgres {
				if _, err := w.DB.Writer().ExecContext(ctx, "VACUUM ANALYZE"); err != nil {
					b.Fatal(err)
				}
			}
			for view, f := range views() {
				b.Run(fmt.Sprintf("%s/%d/%s", name, n, view), func(b *testing.B) {
					for b.Loop() {
						if _, err := w.Service.Inbox(ctx, orderstest.A, f); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			b.Run(fmt.Sprintf("%s/%d/counts", name, n), func(b *testing.B) {
				for b.Loop() {
					if _, err := w.Service.Counts(ctx, orderstest.A, "clerk-3"); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
