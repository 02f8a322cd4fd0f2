package orders_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

// What a commune has open does not grow with its years; what it has closed does.
const (
	young, old = 10_000, 1_000_000
	stillOpen  = 5_000
	known      = stillOpen + 40 // an issued order whose paper people ask about
)

const (
	knownToken = "AAAAAAAAAAAAAAAAAAAAAA"
	knownCode  = "23456789AB"
)

// fill adds n orders, the first of them open; what they hold is made up by SQL. Among the
// names are one of many people, one that begins like it and is of eleven, and a short one.
func fill(b *testing.B, db *sqldb.DB, n int) {
	b.Helper()
	const part = 50_000
	write := func(do func(tx *sqldb.Tx) error) {
		b.Helper()
		if err := db.Write(context.Background(), do); err != nil {
			b.Fatal(err)
		}
	}
	for from := 0; from < n; from += part {
		write(func(tx *sqldb.Tx) error {
			for _, text := range []string{fillOrders, fillPapers, fillFiles, fillFees, fillCame} {
				if _, err := tx.Exec(text, from, min(from+part, n), stillOpen); err != nil {
					return err
				}
			}
			return nil
		})
	}
	write(func(tx *sqldb.Tx) error {
		sum := sha256.Sum256([]byte(knownToken))
		_, err := tx.Exec(`UPDATE orders_paper SET token = $1, token_hash = $2, code = $3 WHERE commune = 'beaumarais' AND order_id = $4`,
			knownToken, hex.EncodeToString(sum[:]), knownCode, fmt.Sprintf("id-%d", 10_000_000+known))
		return err
	})
	if db.Engine() == sqldb.Postgres {
		if _, err := db.Writer().ExecContext(context.Background(), "VACUUM ANALYZE"); err != nil {
			b.Fatal(err)
		}
	}
}

const numbers = `WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2) `

const fillOrders = numbers + `INSERT INTO orders_order (commune, id, reference, product, product_version, state, version, subject, form_key, form_hash,
	person, number_sealed, given_names, surname, search_name, language, answers, attention, submitted_at, due_on, changed_at, changed_by, refusal, assignee, closed_at)
	SELECT 'beaumarais', 'id-' || (10000000 + i), 'R' || (2222222 + i), 'residence', 1,
	CASE WHEN i >= $3 AND i % 20 = 7 THEN 'refused' WHEN i >= $3 THEN 'issued' WHEN i % 3 = 0 THEN 'in_review' ELSE 'submitted' END, 1, 's' || (i / 4), 'k' || i, '', 'p' || (i / 4), '', 'Luc', 'Lambert',
	CASE WHEN i >= $3 AND i < $3 + 11 THEN 'van den broeck luc' WHEN i >= $3 + 11 AND i < $3 + 22 THEN 'zi luc' WHEN i % 20 = 0 THEN 'van den bergh luc' ELSE
	substr(a, CAST(1 + i % 25 AS INTEGER), 1) || substr(a, CAST(1 + i / 25 % 25 AS INTEGER), 1) || substr(a, CAST(1 + i / 625 % 25 AS INTEGER), 1) || 'ens luc' END,
	'fr', '[]', '', 1770000000000000 + i, '2026-0' || (1 + i % 9) || '-1' || (i % 10), 1770000000000000 + i, '', '',
	CASE WHEN i % 3 = 0 THEN 'clerk-' || (i % 60) ELSE '' END, CASE WHEN i >= $3 THEN 1770000000000000 + i ELSE 0 END
	FROM n, (SELECT 'abcdefghijklmnopqrstuvwxy' AS a) AS letters`

// A hundred of those in review were prepared on the clock's day, in the name of one clerk.
const fillPapers = numbers + `INSERT INTO orders_paper (commune, order_id, number, token, token_hash, code, allocated_at, content, holder, prepared_at,
	prepared_by, grant_id, document, level, signer, specimen, void, signatory)
	SELECT 'beaumarais', 'id-' || (10000000 + i), '2026-' || (10000000 + i), '', 't' || i, '', 0, substr('ffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 1, 56) || (10000000 + i),
	'', CASE WHEN i < 300 THEN 1770116400000000 ELSE 1769900000000000 END, '', '',
	CASE WHEN i >= $3 THEN 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffff' || (10000000 + i) ELSE '' END, '', '', 1, 0, 'clerk-3' FROM n WHERE i % 3 = 0 OR i >= $3`

const fillFiles = numbers + `INSERT INTO orders_file (commune, document, order_id, added_at)
	SELECT 'beaumarais', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffff' || (10000000 + i), 'id-' || (10000000 + i), 0 FROM n WHERE i >= $3`

// Every second order goes by post. Of those that were issued all letters but five have been
// sent; those that were refused never will be.
const fillFees = numbers + `INSERT INTO orders_fee (commune, order_id, delivery, copies, price, total, regulation, before_issue, recipient, received_at, posted_at, waits)
	SELECT 'beaumarais', 'id-' || (10000000 + i), 'post', 1, '{}', 0, '', 0, 'null', 0,
	CASE WHEN i < $3 + 10 OR i % 20 = 7 THEN 0 ELSE 1770000000000000 + i END, CASE WHEN i >= $3 AND i < $3 + 10 AND i % 20 <> 7 THEN 1 ELSE 0 END
	FROM n WHERE i % 2 = 1`

// A hundredth of them was asked for by somebody with a mandate that is over.
const fillCame = numbers + `INSERT INTO orders_came (commune, order_id, person, kind, name, proof, from_day, to_day, rests_on, by_subject, by_name, at, ended_at, ended_by)
	SELECT 'beaumarais', 'id-' || (10000000 + i), 'p' || (i / 4), 'mandate', 'Marie', 'seen', '2020-01-01', '2021-01-01', '', '', '', 1770000000000000 + i, 0, ''
	FROM n WHERE i >= $3 AND i % 100 = 0`

// asked is a question that a page asks, and how many rows it must find at least.
type asked struct {
	name string
	rows int
	ask  func(context.Context, *orders.Service) (int, error)
}

func questions() []asked {
	closed := []orders.State{orders.Issued, orders.Refused, orders.Cancelled, orders.Withdrawn}
	inbox := func(name string, rows int, f orders.Filter) asked {
		return asked{name, rows, func(ctx context.Context, s *orders.Service) (int, error) {
			p, err := s.Inbox(ctx, orderstest.A, f)
			return len(p.Orders), err
		}}
	}
	paper := func(name string, ask func(context.Context, *orders.Service) (orders.Facts, error)) asked {
		return asked{name, 1, func(ctx context.Context, s *orders.Service) (int, error) {
			_, err := ask(ctx, s)
			return 1, err
		}}
	}
	file, _ := blob.ParseDigest(strings.Repeat("f", 56) + fmt.Sprint(10_000_000+known))
	number := fmt.Sprintf("2026-%d", 10_000_000+known)
	all := []asked{
		{"citizen's list", 4, func(ctx context.Context, s *orders.Service) (int, error) {
			list, err := s.Mine(ctx, orderstest.A, fmt.Sprintf("s%d", known/4))
			return len(list), err
		}},
		{"counts", 1, func(ctx context.Context, s *orders.Service) (int, error) {
			c, err := s.Counts(ctx, orderstest.A, "clerk-3")
			return c.Mine, err
		}},
		{"ready to approve", 100, func(ctx context.Context, s *orders.Service) (int, error) {
			list, err := s.Ready(ctx, orderstest.A, orderstest.Clerk(3))
			return len(list), err
		}},
		{"letters", 4, func(ctx context.Context, s *orders.Service) (int, error) {
			list, _, err := s.Letters(ctx, orderstest.A, orderstest.Clerk(3))
			return len(list), err
		}},
		{"waiting letters", 4, func(ctx context.Context, s *orders.Service) (int, error) {
			return s.WaitingLetters(ctx, orderstest.A)
		}},
		{"follow", 1, func(ctx context.Context, s *orders.Service) (int, error) {
			_, err := s.Follow(ctx, orderstest.A, fmt.Sprintf("R%d", 2_222_222+known), "1985-07-30")
			if fault.KeyOf(err) == "follow.unknown" { // these people have no birth date
				err = nil
			}
			return 1, err
		}},
		{"mandates of a person", 0, func(ctx context.Context, s *orders.Service) (int, error) {
			return orders.MandatesOf(ctx, s, orderstest.A, fmt.Sprintf("p%d", stillOpen/4+25))
		}},
		paper("verify by QR", func(ctx context.Context, s *orders.Service) (orders.Facts, error) {
			return s.Lookup(ctx, orderstest.A, knownToken)
		}),
		paper("verify by number", func(ctx context.Context, s *orders.Service) (orders.Facts, error) {
			return s.LookupNumber(ctx, orderstest.A, number, knownCode)
		}),
		paper("verify by file", func(ctx context.Context, s *orders.Service) (orders.Facts, error) {
			return s.LookupFile(ctx, orderstest.A, file)
		}),
		inbox("closed", 50, orders.Filter{States: closed}),
		inbox("answered", 0, orders.Filter{Answered: true}),
		inbox("at the register", 0, orders.Filter{AtRegister: true}),
		inbox("unpaid", 0, orders.Filter{Unpaid: true}),
		inbox("sealing", 0, orders.Filter{States: []orders.State{orders.Approved, orders.Signed}}),
		inbox("waiting", 0, orders.Filter{States: []orders.State{orders.AwaitingCitizen}}),
		inbox("search by number", 1, orders.Filter{Search: number, States: closed}),
		inbox("search by reference", 1, orders.Filter{Search: fmt.Sprintf("R%d", 2_222_222+known), States: closed}),
		inbox("search van den bergh, open", 50, orders.Filter{Search: "Van den Bergh"}),
		inbox("search van den bergh", 50, orders.Filter{Search: "Van den Bergh", States: closed}),
		inbox("search van den broeck", 11, orders.Filter{Search: "Van den Broeck", States: closed}),
		inbox("search van", 50, orders.Filter{Search: "van", States: closed}),
		inbox("search zi", 11, orders.Filter{Search: "zi", States: closed}),
	}
	for _, by := range orders.Sorts {
		for name, f := range map[string]orders.Filter{
			"open": {}, "late": {Late: true}, "mine": {Assignees: []string{"clerk-3"}}, "team": {Unassigned: true}, "in review": {States: []orders.State{orders.InReview}},
		} {
			f.Sort = by
			all = append(all, inbox(strings.TrimSpace(name+" "+string(by)), 1, f))
			f.Descending = true
			all = append(all, inbox(strings.TrimSpace(name+" "+string(by))+" down", 1, f))
		}
	}
	return all
}

// BenchmarkGrowth asks what the pages ask among ten thousand orders and among a million, by
// turns, so that a busy machine slows both: none may take more than twice as long.
func BenchmarkGrowth(b *testing.B) {
	ctx := context.Background()
	for _, engine := range []struct {
		name string
		open func(testing.TB) *sqldb.DB
	}{{"sqlite", sqldbtest.SQLite}, {"postgres", sqldbtest.Postgres}} {
		b.Run(engine.name, func(b *testing.B) {
			few, many := orderstest.New(b, engine.open(b)), orderstest.New(b, engine.open(b))
			fill(b, few.DB, young)
			fill(b, many.DB, old)
			before := wholeReads(b, many.DB)
			for _, q := range questions() {
				b.Run(q.name, func(b *testing.B) {
					var took [2][]time.Duration
					var rows [2]int
					for b.Loop() {
						for i, w := range []*orderstest.World{few, many} {
							begin := time.Now()
							n, err := q.ask(ctx, w.Service)
							took[i] = append(took[i], time.Since(begin))
							if rows[i] = n; err != nil || n < q.rows {
								b.Fatalf("%d rows, %v", n, err)
							}
						}
					}
					if rows[0] != rows[1] {
						b.Fatalf("%d rows beside %d: no comparison", rows[0], rows[1])
					}
					median := func(all []time.Duration) float64 { slices.Sort(all); return float64(all[len(all)/2]) / 1e3 }
					small, large := median(took[0]), median(took[1])
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(small, "µs/10k")
					b.ReportMetric(large, "µs/1M")
					b.ReportMetric(large/small, "ratio")
					if b.N > 50 && large > 2*small {
						b.Errorf("%.0f µs among %d orders, %.0f µs among %d", small, young, large, old)
					}
				})
			}
			if after := wholeReads(b, many.DB); after != before {
				b.Errorf("the orders were read from end to end %d times", after-before)
			}
		})
	}
}

// wholeReads is how often PostgreSQL has read a table of orders from end to end; 0 on
// SQLite, whose plans TestNoListReadsEveryOrder looks at.
func wholeReads(b *testing.B, db *sqldb.DB) (n int) {
	b.Helper()
	if db.Engine() != sqldb.Postgres {
		return 0
	}
	time.Sleep(1500 * time.Millisecond) // sessions tell what they did once a second
	row := db.QueryRow(context.Background(), `SELECT COALESCE(SUM(seq_scan), 0) FROM pg_stat_user_tables
		WHERE schemaname = current_schema() AND relname IN ('orders_order', 'orders_paper', 'orders_file', 'orders_fee', 'orders_came')`)
	if err := row.Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}
