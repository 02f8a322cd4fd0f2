package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// each runs f on a database of each engine that has the table note(id, text).
func each(t *testing.T, f func(*testing.T, *sqldb.DB)) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			makeNotes(t, db)
			f(t, db)
		})
	}
}

func makeNotes(t testing.TB, db *sqldb.DB) {
	t.Helper()
	err := db.Migrate(context.Background(), "note", fstest.MapFS{"migrations/001_note.sql": {Data: []byte(
		`CREATE TABLE note (id TEXT PRIMARY KEY, text TEXT NOT NULL); CREATE TABLE counter (id TEXT PRIMARY KEY, n BIGINT NOT NULL);
		 INSERT INTO counter (id, n) VALUES ('a', 0);`)}})
	if err != nil {
		t.Fatal(err)
	}
}

func insert(tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(`INSERT INTO note (id, text) VALUES ($1, $2)`, id, "text of "+id)
	return err
}

func count(t testing.TB, db *sqldb.DB) (n int) {
	t.Helper()
	if err := db.QueryRow(context.Background(), `SELECT count(*) FROM note`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func has(t testing.TB, db *sqldb.DB, id string) bool {
	t.Helper()
	var n int
	if err := db.QueryRow(context.Background(), `SELECT count(*) FROM note WHERE id = $1`, id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n == 1
}

func TestWriteCommitsOrRollsBackEachClosureAlone(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		wrong := errors.New("wrong")
		// The first closure holds the lane until all others wait behind it, so
		// that they do share a batch.
		var wg sync.WaitGroup
		begun, held := make(chan struct{}), make(chan struct{})
		wg.Go(func() {
			var once sync.Once
			db.Write(context.Background(), func(tx *sqldb.Tx) error {
				once.Do(func() { close(begun); <-held })
				return insert(tx, "first")
			})
		})
		<-begun
		errs := make([]error, 40)
		panics := make([]any, 40)
		for i := range errs {
			wg.Go(func() {
				defer func() { panics[i] = recover() }()
				errs[i] = db.Write(context.Background(), func(tx *sqldb.Tx) error {
					if err := insert(tx, fmt.Sprint(i)); err != nil {
						return err
					}
					switch i % 4 {
					case 1:
						return wrong
					case 2:
						panic("in the middle of a batch")
					case 3:
						_, err := tx.Exec(`INSERT INTO no_such_table (id) VALUES (1)`)
						_ = err // and returns nil all the same
					}
					return nil
				})
			})
		}
		time.Sleep(20 * time.Millisecond)
		close(held)
		wg.Wait()
		for i := range errs {
			want := i%4 == 0
			if got := has(t, db, fmt.Sprint(i)); got != want {
				t.Errorf("closure %d: row there %v, want %v", i, got, want)
			}
			switch i % 4 {
			case 0:
				if errs[i] != nil {
					t.Errorf("closure %d: %v", i, errs[i])
				}
			case 1:
				if !errors.Is(errs[i], wrong) {
					t.Errorf("closure %d: %v, want its own error", i, errs[i])
				}
			case 2:
				p, ok := panics[i].(*sqldb.ClosurePanic)
				if !ok || p.Value != "in the middle of a batch" || !strings.Contains(string(p.Stack), "sqldb_test.go") {
					t.Errorf("closure %d: panic %v", i, panics[i])
				}
			case 3:
				if errs[i] == nil {
					t.Errorf("closure %d: a failed statement went unnoticed", i)
				}
			}
		}
		if !has(t, db, "first") {
			t.Error("the first closure's row is missing")
		}
	})
}

func TestWriteIsSerialised(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		const writers, rounds = 8, 15
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range rounds {
					err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
						var n int64
						if err := tx.QueryRow(`SELECT n FROM counter WHERE id = $1`, "a").Scan(&n); err != nil {
							return err
						}
						_, err := tx.Exec(`UPDATE counter SET n = $1 WHERE id = $2`, n+1, "a")
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var n int
		if err := db.QueryRow(context.Background(), `SELECT n FROM counter`).Scan(&n); err != nil || n != writers*rounds {
			t.Fatalf("counter is %d (%v), want %d", n, err, writers*rounds)
		}
	})
}

func TestCancelledContextNeverLosesAnAcknowledgedRow(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		var acked sync.Map
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%12)*200*time.Microsecond)
				defer cancel()
				id := fmt.Sprint(i)
				err := db.Write(ctx, func(tx *sqldb.Tx) error {
					// A statement long enough to be in the middle of when the context ends.
					_, err := tx.Exec(`INSERT INTO note (id, text) WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n < 2000)
						SELECT $1, CAST(max(n) AS TEXT) FROM c`, id)
					return err
				})
				if err == nil {
					acked.Store(id, true)
				} else if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v", id, err)
				}
			})
		}
		wg.Wait()
		n := 0
		for i := range 60 {
			id := fmt.Sprint(i)
			_, ok := acked.Load(id)
			if ok {
				n++
			}
			if got := has(t, db, id); got != ok {
				t.Errorf("%s: acknowledged %v, there %v", id, ok, got)
			}
		}
		t.Logf("%d of 60 acknowledged", n)
	})
}

// A closure that breaks the transaction itself stands for a disk that makes
// SQLite roll back by itself: its neighbours lose nothing and run twice at most.
func TestNeighboursSurviveALostTransaction(t *testing.T) {
	for name, sabotage := range map[string]string{
		"rolled back":   "ROLLBACK",
		"released":      "RELEASE belfry",
		"commits early": "COMMIT",
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db *sqldb.DB) {
				var wg sync.WaitGroup
				begun, held := make(chan struct{}), make(chan struct{})
				wg.Go(func() {
					var once sync.Once
					db.Write(context.Background(), func(tx *sqldb.Tx) error {
						once.Do(func() { close(begun); <-held })
						return nil
					})
				})
				<-begun
				var runs [20]atomic.Int32
				var errs [20]error
				for i := range errs {
					wg.Go(func() {
						errs[i] = db.Write(context.Background(), func(tx *sqldb.Tx) error {
							runs[i].Add(1)
							if i == 10 {
								tx.Raw().Exec(sabotage)
								return nil
							}
							return insertOnce(tx, fmt.Sprint(i))
						})
					})
				}
				time.Sleep(20 * time.Millisecond)
				close(held)
				wg.Wait()
				for i := range errs {
					if i == 10 {
						if errs[i] == nil {
							t.Error("the closure that broke the transaction was told that all is well")
						}
						continue
					}
					if errs[i] != nil || !has(t, db, fmt.Sprint(i)) {
						t.Errorf("closure %d: %v, row there %v", i, errs[i], has(t, db, fmt.Sprint(i)))
					}
					if n := runs[i].Load(); n > 2 {
						t.Errorf("closure %d ran %d times", i, n)
					}
				}
				if err := db.Write(context.Background(), func(tx *sqldb.Tx) error { return insert(tx, "afterwards") }); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

// insertOnce tolerates its own row: an early COMMIT keeps what came before it.
func insertOnce(tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(`INSERT INTO note (id, text) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`, id, "text")
	return err
}

func TestGoexitInAClosure(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Write(context.Background(), func(tx *sqldb.Tx) error { insert(tx, "a"); runtime.Goexit(); return nil })
		if err == nil || has(t, db, "a") {
			t.Fatalf("%v, row there %v", err, has(t, db, "a"))
		}
		if err := db.Write(context.Background(), func(tx *sqldb.Tx) error { return insert(tx, "b") }); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAfterCommit(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		ran := 0
		err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
			tx.AfterCommit(func() {
				if !has(t, db, "a") {
					t.Error("ran before the commit")
				}
				ran++
			})
			return insert(tx, "a")
		})
		if err != nil || ran != 1 {
			t.Fatalf("ran %d times, %v", ran, err)
		}
		db.Write(context.Background(), func(tx *sqldb.Tx) error {
			tx.AfterCommit(func() { t.Error("ran after a rollback") })
			return errors.New("no")
		})
	})
}

func TestIsUniqueAndRows(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		add := func(tx *sqldb.Tx) error { return insert(tx, "a") }
		if err := db.Write(context.Background(), add); err != nil {
			t.Fatal(err)
		}
		err := db.Write(context.Background(), add)
		if !sqldb.IsUnique(err) || sqldb.IsUnique(errors.New("other")) || sqldb.IsFull(err) {
			t.Fatalf("IsUnique(%v)", err)
		}
		err = db.Write(context.Background(), func(tx *sqldb.Tx) error {
			var text string
			if err := tx.QueryRow(`SELECT text FROM note WHERE id = $1`, "none").Scan(&text); !errors.Is(err, sqldb.ErrNoRows) {
				t.Errorf("no row: %v", err)
			}
			if err := tx.QueryRow(`INSERT INTO note (id, text) VALUES ($1, $2) RETURNING text`, "b", "said").Scan(&text); err != nil || text != "said" {
				t.Errorf("RETURNING: %q, %v", text, err)
			}
			rows, err := tx.Query(`SELECT id FROM note ORDER BY id`)
			if err != nil {
				return err
			}
			rows.Next() // and left open: the writer closes it
			return nil
		})
		if err != nil || count(t, db) != 2 {
			t.Fatalf("%v, %d rows", err, count(t, db))
		}
		err = db.Write(context.Background(), func(tx *sqldb.Tx) error {
			var text string
			tx.QueryRow(`INSERT INTO note (id, text) VALUES ($1, $2) RETURNING text`, "b", "again").Scan(&text)
			return nil // the refusal passed over
		})
		if !sqldb.IsUnique(err) {
			t.Fatalf("a spent Tx: %v", err)
		}
	})
}

// The drivers must bind $N by its number; one that binds by first appearance
// would mix columns without a word.
func TestParametersAreBoundByNumber(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		var a, b, c string
		err := db.QueryRow(context.Background(), `SELECT CAST($2 AS TEXT), CAST($1 AS TEXT), CAST($2 AS TEXT)`, "one", "two").Scan(&a, &b, &c)
		if err != nil || a+b+c != "twoonetwo" {
			t.Fatalf("%s %s %s, %v", a, b, c, err)
		}
	})
}

func TestTypesComeBack(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Migrate(context.Background(), "kinds", fstest.MapFS{"migrations/001_kinds.sql": {Data: []byte(
			`CREATE TABLE kinds (at BIGINT, never BIGINT, raw BYTEA NOT NULL, ok BOOLEAN NOT NULL);`)}})
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 11, 24, 4, 0, 24, 57213000, time.UTC)
		err = db.Write(context.Background(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`INSERT INTO kinds (at, never, raw, ok) VALUES ($1, $2, $3, $4)`, sqldb.Time{Time: at}, sqldb.Time{}, []byte{0, 255, 7}, true)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var got, never sqldb.Time
		var raw []byte
		var ok bool
		if err := db.QueryRow(context.Background(), `SELECT max(at), max(never), raw, ok FROM kinds WHERE ok = TRUE GROUP BY raw, ok`).Scan(&got, &never, &raw, &ok); err != nil {
			t.Fatal(err)
		}
		if !got.Equal(at) || !never.IsZero() || string(raw) != "\x00\xff\x07" || !ok {
			t.Fatalf("%v %v %x %v", got, never, raw, ok)
		}
		if !sqldb.FromMicros(sqldb.Micros(at)).Equal(at) || sqldb.Micros(time.Time{}) != 0 || !sqldb.FromMicros(0).IsZero() {
			t.Error("Micros and FromMicros are no inverses")
		}
	})
}

func TestClosedAndCancelled(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := db.Write(ctx, func(tx *sqldb.Tx) error { return insert(tx, "a") }); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		db.Close()
		if err := db.Write(context.Background(), func(tx *sqldb.Tx) error { return nil }); !errors.Is(err, sqldb.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
	for _, address := range []string{"", "mysql://x", "sqlite:", "postgres://user:sesame@[::1/db"} {
		if _, err := sqldb.Open(context.Background(), address); err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("Open(%q): %v", address, err)
		}
	}
}

// Whatever mixture of closures is thrown at it: what was acknowledged is there
// after the database was opened again, and nothing else is.
func TestAcknowledgedMeansKept(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path := "sqlite:" + t.TempDir() + "/a.db"
		db, err := sqldb.Open(context.Background(), path)
		if err != nil {
			rt.Fatal(err)
		}
		makeNotes(t, db)
		kinds := rapid.SliceOfN(rapid.SampledFrom([]string{"ok", "ok", "error", "panic", "broken", "lost", "cancel"}), 1, 30).Draw(rt, "closures")
		acked := make([]bool, len(kinds))
		var wg sync.WaitGroup
		for i, kind := range kinds {
			wg.Go(func() {
				defer func() { recover() }()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				acked[i] = db.Write(ctx, func(tx *sqldb.Tx) error {
					if err := insert(tx, fmt.Sprint(i)); err != nil {
						return err
					}
					switch kind {
					case "error":
						return errors.New(kind)
					case "panic":
						panic(kind)
					case "broken":
						tx.Exec("nonsense")
					case "lost":
						tx.Raw().Exec("ROLLBACK")
						insert(tx, fmt.Sprint(i, " again"))
					case "cancel":
						cancel()
					}
					return nil
				}) == nil
			})
		}
		wg.Wait()
		db.Close()
		if db, err = sqldb.Open(context.Background(), path); err != nil {
			rt.Fatal(err)
		}
		defer db.Close()
		n := 0
		for i, ok := range acked {
			if has(t, db, fmt.Sprint(i)) != ok {
				rt.Errorf("closure %d (%s): acknowledged %v, and the row says otherwise", i, kinds[i], ok)
			}
			if want := kinds[i] == "ok" || kinds[i] == "cancel"; ok != want {
				rt.Errorf("closure %d (%s): acknowledged %v", i, kinds[i], ok)
			}
			if ok {
				n++
			}
		}
		if count(t, db) != n {
			rt.Errorf("%d rows, %d acknowledged", count(t, db), n)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	for name, open := range sqldbtest.Engines(b) {
		for _, callers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/%d", name, callers), func(b *testing.B) {
				db := open(b)
				makeNotes(b, db)
				var next atomic.Int64
				b.ResetTimer()
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
							if err := db.Write(context.Background(), func(tx *sqldb.Tx) error { return insert(tx, fmt.Sprint(i)) }); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
			})
		}
	}
}

// Several processes on one PostgreSQL: what one closure read is still true when
// it commits, though the others have snapshots of their own.
func TestSeveralProcessesOnPostgres(t *testing.T) {
	address := sqldbtest.PostgresURL(t)
	var wg sync.WaitGroup
	const processes, writers, rounds = 3, 4, 10
	for p := range processes {
		db, err := sqldb.Open(context.Background(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		makeNotes(t, db)
		for w := range writers {
			wg.Go(func() {
				for r := range rounds {
					err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
						var n int64
						if err := tx.QueryRow(`SELECT n FROM counter WHERE id = 'a'`).Scan(&n); err != nil {
							return err
						}
						if err := insert(tx, fmt.Sprint(n)); err != nil { // a key each may believe to be free
							return err
						}
						_, err := tx.Exec(`UPDATE counter SET n = $1 WHERE id = 'a'`, n+1)
						return err
					})
					if err != nil {
						t.Errorf("process %d, writer %d, round %d: %v", p, w, r, err)
					}
				}
			})
		}
		defer func() {
			if n := count(t, db); n != processes*writers*rounds {
				t.Errorf("%d rows, want %d", n, processes*writers*rounds)
			}
		}()
	}
	wg.Wait()
}
