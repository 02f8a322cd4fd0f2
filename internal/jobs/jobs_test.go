package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

type count struct {
	ID string `json:"id"`
}

func (count) Kind() string { return "test.count" }

func newQueue(t testing.TB, db *sqldb.DB) *jobs.Queue {
	t.Helper()
	q, err := jobs.New(db, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	err = db.Migrate(context.Background(), "cause", fstest.MapFS{"migrations/001_cause.sql": {Data: []byte(`CREATE TABLE cause (id TEXT PRIMARY KEY);`)}})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func start(t testing.TB, q *jobs.Queue) {
	t.Helper()
	if err := q.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		q.Stop(ctx)
	})
}

// cause inserts a row and its job; fail makes the closure fail after both.
func cause(db *sqldb.DB, q *jobs.Queue, id string, fail error) error {
	return db.Write(context.Background(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`INSERT INTO cause (id) VALUES ($1)`, id); err != nil {
			return err
		}
		if err := q.Insert(tx, count{id}); err != nil {
			return err
		}
		return fail
	})
}

func idle(t testing.TB, q *jobs.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := q.Idle(ctx); err != nil {
		t.Fatal(err)
	}
}

func each(t *testing.T, f func(*testing.T, *sqldb.DB)) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

func TestJobsFollowTheirTransaction(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		q := newQueue(t, db)
		var done sync.Map
		jobs.Handle(q, func(ctx context.Context, a count) error { done.Store(a.ID, true); return nil })
		start(t, q)
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				var fail error
				if i%3 == 0 {
					fail = errors.New("rolled back")
				}
				if err := cause(db, q, fmt.Sprint(i), fail); !errors.Is(err, fail) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		idle(t, q)
		for i := range 60 {
			if _, ok := done.Load(fmt.Sprint(i)); ok != (i%3 != 0) {
				t.Errorf("job %d done: %v", i, ok)
			}
		}
	})
}

func TestJobsStartSoonAfterTheCommit(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		q := newQueue(t, db)
		begun := make(chan time.Time, 1)
		jobs.Handle(q, func(ctx context.Context, a count) error { begun <- time.Now(); return nil })
		start(t, q)
		idle(t, q)
		time.Sleep(50 * time.Millisecond)
		var waits []time.Duration
		for i := range 15 {
			if err := cause(db, q, fmt.Sprint(i), nil); err != nil {
				t.Fatal(err)
			}
			committed := time.Now()
			waits = append(waits, (<-begun).Sub(committed))
			time.Sleep(20 * time.Millisecond)
		}
		slices.Sort(waits)
		t.Logf("from commit to start: median %v, longest %v", waits[len(waits)/2], waits[len(waits)-1])
		if waits[len(waits)/2] > 100*time.Millisecond {
			t.Errorf("half of the jobs start later than 100 ms after their commit")
		}
	})
}

func TestFailedJobsAreTriedAgain(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		q := newQueue(t, db)
		var tries, snoozes, panics atomic.Int32
		jobs.Handle(q, func(ctx context.Context, a count) error {
			switch {
			case a.ID == "fails" && tries.Add(1) < 3:
				return errors.New("not yet")
			case a.ID == "snoozes" && snoozes.Add(1) < 2:
				return jobs.Snooze(time.Hour, nil)
			case a.ID == "panics" && panics.Add(1) < 2:
				panic("oh")
			}
			return nil
		})
		start(t, q)
		for _, id := range []string{"fails", "snoozes", "panics"} {
			if err := cause(db, q, id, nil); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			idle(t, q)
			if err := q.Hurry(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		idle(t, q)
		if tries.Load() != 3 || snoozes.Load() != 2 || panics.Load() != 2 {
			t.Errorf("failed %d times, snoozed %d, panicked %d", tries.Load(), snoozes.Load(), panics.Load())
		}
	})
}

func TestInsertAtAndTimeout(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		q := newQueue(t, db)
		done := make(chan error, 2)
		jobs.Handle(q, func(ctx context.Context, a count) error {
			if a.ID == "slow" {
				<-ctx.Done()
				done <- ctx.Err()
				return nil
			}
			done <- nil
			return nil
		}, jobs.Timeout(50*time.Millisecond))
		start(t, q)
		at := time.Now().Add(300 * time.Millisecond)
		err := db.Write(context.Background(), func(tx *sqldb.Tx) error { return q.InsertAt(tx, count{"later"}, at) })
		if err != nil {
			t.Fatal(err)
		}
		<-done
		if early := time.Until(at); early > 0 {
			t.Errorf("began %v too early", early)
		}
		if err := cause(db, q, "slow", nil); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err == nil {
			t.Error("no timeout")
		}
	})
}

// A handler that never returns holds neither its job nor the process.
func TestStuckHandler(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		q := newQueue(t, db)
		q.SetGrace(20 * time.Millisecond)
		var tries atomic.Int32
		again := make(chan struct{})
		jobs.Handle(q, func(ctx context.Context, a count) error {
			if tries.Add(1) == 1 {
				select {}
			}
			close(again)
			return nil
		}, jobs.Timeout(20*time.Millisecond))
		start(t, q)
		if err := cause(db, q, "stuck", nil); err != nil {
			t.Fatal(err)
		}
		select {
		case <-again:
		case <-time.After(20 * time.Second):
			t.Fatal("it was not tried again")
		}
		idle(t, q)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := q.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestInsertSpendsTheTx(t *testing.T) {
	db := sqldbtest.SQLite(t)
	q := newQueue(t, db)
	err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
		if err := q.Insert(tx, count{"nobody handles it"}); err == nil {
			t.Error("a job without handler was taken")
		}
		return nil
	})
	if err == nil {
		t.Error("the closure went on after a failed insert")
	}
}

func TestOneProcessOnSQLite(t *testing.T) {
	path := "sqlite:" + filepath.Join(t.TempDir(), "a.db")
	var queues []*jobs.Queue
	for range 2 {
		db, err := sqldb.Open(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		q := newQueue(t, db)
		jobs.Handle(q, func(context.Context, count) error { return nil })
		queues = append(queues, q)
	}
	start(t, queues[0])
	if err := queues[1].Start(context.Background()); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Fatal(err)
	}
	if err := queues[0].Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	start(t, queues[1])
}

func TestSeveralProcessesOnPostgres(t *testing.T) {
	address := sqldbtest.PostgresURL(t)
	var done [40]atomic.Int32
	var byProcess [2]atomic.Int32
	var queues []*jobs.Queue
	var dbs []*sqldb.DB
	for p := range 2 {
		db, err := sqldb.Open(context.Background(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		q := newQueue(t, db)
		jobs.Handle(q, func(ctx context.Context, a count) error {
			var i int
			fmt.Sscan(a.ID, &i)
			done[i].Add(1)
			byProcess[p].Add(1)
			time.Sleep(30 * time.Millisecond)
			return nil
		})
		start(t, q)
		queues, dbs = append(queues, q), append(dbs, db)
	}
	for i := range done {
		if err := cause(dbs[i%2], queues[i%2], fmt.Sprint(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	idle(t, queues[0])
	for i := range done {
		if n := done[i].Load(); n != 1 {
			t.Errorf("job %d ran %d times", i, n)
		}
	}
	t.Logf("%d and %d jobs", byProcess[0].Load(), byProcess[1].Load())
}

// What is done again and again is one row, whoever adds it: processes take turns.
func TestEvery(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		var runs, atOnce atomic.Int32
		var queues []*jobs.Queue
		for range 2 {
			q := newQueue(t, db)
			jobs.Handle(q, func(ctx context.Context, a count) error {
				if atOnce.Add(1) > 1 {
					t.Error("two at once")
				}
				defer atOnce.Add(-1)
				if runs.Add(1) == 1 {
					return errors.New("not yet")
				}
				return nil
			})
			jobs.Every(q, count{"again"}, 200*time.Millisecond)
			queues = append(queues, q)
		}
		if db.Engine() == sqldb.SQLite {
			queues = queues[:1]
		}
		for _, q := range queues {
			start(t, q)
		}
		for end := time.Now().Add(20 * time.Second); runs.Load() < 4; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("done %d times", runs.Load())
			}
		}
		var rows int
		if err := db.QueryRow(context.Background(), `SELECT count(*) FROM jobs_job`).Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%d rows, %v", rows, err)
		}
	})
}

// A backlog of more than a process takes at once is worked off by several, each job once.
func TestBacklog(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		const n = 500
		var done [n]atomic.Int32
		q := newQueue(t, db)
		jobs.Handle(q, func(ctx context.Context, a count) error {
			var i int
			fmt.Sscan(a.ID, &i)
			done[i].Add(1)
			return nil
		})
		err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
			for i := range n {
				if err := q.Insert(tx, count{fmt.Sprint(i)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		start(t, q)
		idle(t, q)
		for i := range done {
			if times := done[i].Load(); times != 1 {
				t.Errorf("job %d ran %d times", i, times)
			}
		}
	})
}

// What waits in the tables of the queue that was used before is taken over.
func TestInherit(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(`CREATE TABLE river_job (id BIGINT, kind TEXT, args ` + jsonOf(db) + `, state TEXT)`); err != nil {
				return err
			}
			for id, state := range []string{"available", "completed", "retryable", "discarded", "running"} {
				args := []byte(fmt.Sprintf(`{"id": "%s"}`, state))
				if _, err := tx.Exec(`INSERT INTO river_job (id, kind, args, state) VALUES ($1, 'test.count', $2, $3)`, id, args, state); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		newQueue(t, db)
		q := newQueue(t, db) // a second start finds nothing more
		var done sync.Map
		jobs.Handle(q, func(ctx context.Context, a count) error { done.Store(a.ID, true); return nil })
		start(t, q)
		idle(t, q)
		for state, want := range map[string]bool{"available": true, "completed": false, "retryable": true, "discarded": false, "running": true} {
			if _, ok := done.Load(state); ok != want {
				t.Errorf("a job that was %s: done %v", state, ok)
			}
		}
	})
}

// A process killed in the middle of a job: the next one does it at once.
func TestKilledProcess(t *testing.T) {
	if address := os.Getenv("BELFRY_JOBS_TEST_CHILD"); address != "" {
		dieInAJob(t, address)
		return
	}
	for engine, address := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "a.db") },
		"postgres": func(t *testing.T) string { return sqldbtest.PostgresURL(t) },
	} {
		t.Run(engine, func(t *testing.T) { killedProcess(t, address(t)) })
	}
}

func killedProcess(t *testing.T, address string) {
	child := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
	child.Env = append(os.Environ(), "BELFRY_JOBS_TEST_CHILD="+address)
	if out, err := child.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child did not die as it should: %v\n%s", err, out)
	}
	db, err := sqldb.Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	q := newQueue(t, db)
	done := make(chan string, 2)
	jobs.Handle(q, func(ctx context.Context, a count) error { done <- a.ID; return nil })
	begin := time.Now()
	start(t, q)
	select {
	case id := <-done:
		if id != "fatal" {
			t.Errorf("did %q", id)
		}
		t.Logf("taken up after %v", time.Since(begin))
	case <-time.After(15 * time.Second): // PostgreSQL may not have noticed the death at the first look
		t.Error("nobody takes the job up")
	}
	idle(t, q)
}

// A process that lives keeps its jobs, whoever starts beside it.
func TestLivingProcessKeepsItsJobs(t *testing.T) {
	address := sqldbtest.PostgresURL(t)
	var runs atomic.Int32
	release := make(chan struct{})
	var queues []*jobs.Queue
	for range 2 {
		db, err := sqldb.Open(context.Background(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		q := newQueue(t, db)
		jobs.Handle(q, func(ctx context.Context, a count) error { runs.Add(1); <-release; return nil })
		queues = append(queues, q)
		start(t, q)
		if len(queues) == 1 {
			if err := cause(db, q, "long", nil); err != nil {
				t.Fatal(err)
			}
			for runs.Load() == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
	time.Sleep(1500 * time.Millisecond) // longer than the second looks for due jobs
	close(release)
	idle(t, queues[0])
	if n := runs.Load(); n != 1 {
		t.Errorf("the job ran %d times", n)
	}
}

func dieInAJob(t *testing.T, address string) {
	db, err := sqldb.Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	q := newQueue(t, db)
	jobs.Handle(q, func(ctx context.Context, a count) error {
		self, _ := os.FindProcess(os.Getpid())
		self.Kill()
		select {}
	})
	start(t, q)
	cause(db, q, "fatal", nil)
	time.Sleep(20 * time.Second)
}

func BenchmarkJobs(b *testing.B) {
	for name, open := range sqldbtest.Engines(b) {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			q := newQueue(b, db)
			var left sync.WaitGroup
			left.Add(b.N)
			jobs.Handle(q, func(ctx context.Context, a count) error { left.Done(); return nil })
			start(b, q)
			b.ResetTimer()
			var next atomic.Int64
			for range 8 {
				go func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := cause(db, q, fmt.Sprint(i), nil); err != nil {
							b.Error(err)
						}
					}
				}()
			}
			left.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// jsonOf is the type of River's arguments.
func jsonOf(db *sqldb.DB) string {
	if db.Engine() == sqldb.Postgres {
		return "JSONB"
	}
	return "BLOB"
}
