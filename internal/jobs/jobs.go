// Package jobs does later what may fail: a job waits in the transaction of the
// row that caused it, and is tried until it succeeds.
//
// It owns the queue (River, in the same database) and knows how a job is tried
// again. It refuses to know what jobs do. It guarantees that a job exists exactly
// if the work that caused it was committed, that it starts about a tenth of a
// second after that commit in the same process, and that one interrupted by a
// crash is taken up again: at once on SQLite, whose only process is the one that
// starts, on PostgreSQL within some seconds, and after rescueAfter where the server did
// not notice that a machine is gone.
//
// It does not guarantee that a job runs once only. Every handler is idempotent
// and fenced: two of them at work on one job do no harm.
package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	"golang.org/x/sys/unix"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

const (
	workers      = 16                    // jobs at work at the same time; most of them wait for a network
	cooldown     = 10 * time.Millisecond // between two looks at the queue at least
	pollInterval = time.Second           // for jobs of other processes and those whose time has come
	timeout      = 2 * time.Minute       // of one try, where the handler names no other
	rescueAfter  = 3 * time.Minute       // how long a process keeps its jobs that nobody knows to be dead
	attempts     = 1000                  // with retryMax between them, more than a week
	retryMin     = time.Second
	retryMax     = 10 * time.Minute
	keepDone     = 24 * time.Hour
	keepFailed   = 90 * 24 * time.Hour // those given up, for somebody to look at
)

// Args are a job's arguments: a struct of identifiers, kept as JSON. Never
// personal data, never content.
type Args interface {
	// Kind names the handler, for example "order.seal"; it must not depend on
	// the values and never changes, because jobs of the past carry it.
	Kind() string
}

// Queue hands jobs to their handlers.
type Queue struct {
	db      *sqldb.DB
	log     *slog.Logger
	workers *river.Workers
	client  *river.Client[*sql.Tx]
	pokes   *pokes
	only    *os.File // on SQLite: the lock that says that no other process works on this queue
	living  *living  // on PostgreSQL: the lock that says that this process lives
}

// New makes the queue's tables. Register the handlers, then Start.
func New(db *sqldb.DB, log *slog.Logger) (*Queue, error) {
	q := &Queue{db: db, log: log, workers: river.NewWorkers(), pokes: newPokes()}
	if err := migrate(db); err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	if db.Engine() == sqldb.Postgres {
		q.living = newLiving(db.Writer())
	}
	client, err := river.NewClient(q.driver(), &river.Config{
		ID:                          q.name(),
		Queues:                      map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
		Workers:                     q.workers,
		Logger:                      log,
		FetchCooldown:               cooldown,
		FetchPollInterval:           pollInterval,
		JobTimeout:                  timeout,
		RescueStuckJobsAfter:        rescueAfter,
		MaxAttempts:                 attempts,
		RetryPolicy:                 retry{},
		CompletedJobRetentionPeriod: keepDone,
		DiscardedJobRetentionPeriod: keepFailed,
		ErrorHandler:                givenUp{log},
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	q.client = client
	return q, nil
}

// name is River's name of this process, chosen by River where it is "".
func (q *Queue) name() string {
	if q.living == nil {
		return ""
	}
	return q.living.name()
}

func migrate(db *sqldb.DB) error {
	unlock, err := db.Lock(context.Background())
	if err != nil {
		return err
	}
	defer unlock()
	quiet := &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)}
	migrator, err := rivermigrate.New(baseDriver(db), quiet)
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(context.Background(), rivermigrate.DirectionUp, nil)
	return err
}

// Option changes how jobs of one kind are handled.
type Option func(*options)

type options struct{ timeout time.Duration }

// Timeout is how long one try may take, two minutes where it is not given.
func Timeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// Handle registers f for the jobs of A's kind. An error of f is logged and the
// job tried again, a second later at first and ten minutes later at last; after
// a thousand tries it is given up, kept for 90 days and logged as an error. The
// context ends with the try's timeout. Call before Start.
func Handle[A Args](q *Queue, f func(ctx context.Context, a A) error, opts ...Option) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	river.AddWorker(q.workers, &worker[A]{f: f, log: q.log, options: o})
}

type worker[A Args] struct {
	river.WorkerDefaults[A]
	f       func(context.Context, A) error
	log     *slog.Logger
	options options
}

func (w *worker[A]) Work(ctx context.Context, job *river.Job[A]) error {
	err := w.f(ctx, job.Args)
	if s, ok := errors.AsType[snooze](err); ok && s.why != nil {
		w.log.WarnContext(ctx, "job waits", "kind", job.Kind, "job", job.ID, "for", s.wait, "err", s.why)
	}
	return err
}

func (w *worker[A]) Timeout(*river.Job[A]) time.Duration { return w.options.timeout }

// Snooze, returned by a handler, puts the job off by d without counting it as a failure.
// The log hears why, where why is not nil.
func Snooze(d time.Duration, why error) error {
	return snooze{error: river.JobSnooze(d), wait: d, why: why}
}

type snooze struct {
	error
	wait time.Duration
	why  error
}

func (s snooze) Unwrap() error { return s.error }

// Insert adds a job in the transaction of the row that caused it.
func (q *Queue) Insert(tx *sqldb.Tx, a Args) error { return q.insert(tx, a, nil) }

// InsertAt is Insert for a job that starts at t or soon after.
func (q *Queue) InsertAt(tx *sqldb.Tx, a Args, t time.Time) error {
	return q.insert(tx, a, &river.InsertOpts{ScheduledAt: t})
}

func (q *Queue) insert(tx *sqldb.Tx, a Args, opts *river.InsertOpts) error {
	if err := tx.Err(); err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	// Not a caller's context: see sqldb.
	if _, err := q.client.InsertTx(context.Background(), tx.Raw(), a, opts); err != nil {
		tx.Fail(err)
		return fmt.Errorf("jobs: insert %s: %w", a.Kind(), err)
	}
	tx.AfterCommit(q.pokes.poke)
	return nil
}

// Every has a job of A's kind wait again and again: when a process starts to work, then
// each d. While one of the kind waits or runs no other is added. Call before Start.
func Every[A Args](q *Queue, a A, d time.Duration) {
	q.client.PeriodicJobs().Add(river.NewPeriodicJob(river.PeriodicInterval(d), func() (river.JobArgs, *river.InsertOpts) {
		return a, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled}}}
	}, &river.PeriodicJobOpts{RunOnStart: true}))
}

// Start begins to work, until Stop; the end of ctx does not stop it.
func (q *Queue) Start(ctx context.Context) error {
	if q.db.Engine() == sqldb.SQLite {
		if err := q.takeBack(ctx); err != nil {
			return fmt.Errorf("jobs: %w", err)
		}
	}
	if q.living != nil {
		if err := q.living.start(ctx, func(err error) { q.log.Warn("looking for the jobs of dead processes", "err", err) }); err != nil {
			return fmt.Errorf("jobs: %w", err)
		}
	}
	if err := q.client.Start(context.WithoutCancel(ctx)); err != nil {
		if q.living != nil {
			q.living.close()
		}
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}

// takeBack makes jobs that a dead process has left running wait again. That they
// are nobody else's is what the lock says.
func (q *Queue) takeBack(ctx context.Context) error {
	f, err := os.OpenFile(q.db.Path()+".jobs.lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return errors.New("another process of belfry serves this database; SQLite takes one, several need PostgreSQL")
	}
	q.only = f
	return q.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE river_job SET state = 'available', scheduled_at = datetime('now', 'subsec') WHERE state = 'running'`)
		return err
	})
}

// Stop takes no new jobs and waits for those at work; when ctx ends their
// contexts do.
func (q *Queue) Stop(ctx context.Context) error {
	err := q.client.Stop(ctx)
	if ctx.Err() != nil {
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = q.client.StopAndCancel(hard)
	}
	if q.living != nil {
		q.living.close()
	}
	if q.only != nil {
		q.only.Close()
		q.only = nil
	}
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}

// Idle waits until no job is at work and none is due, for tests. Jobs that wait
// for a later time do not count.
func (q *Queue) Idle(ctx context.Context) error {
	now := `now()`
	if q.db.Engine() == sqldb.SQLite {
		now = `datetime('now', 'subsec')`
	}
	for {
		var n int
		err := q.db.QueryRow(ctx, `SELECT count(*) FROM river_job WHERE state = 'running'
			OR (state IN ('available', 'scheduled', 'retryable') AND scheduled_at <= `+now+`)`).Scan(&n)
		if err != nil {
			return fmt.Errorf("jobs: %w", err)
		}
		if n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("jobs: %d are not done: %w", n, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Hurry makes every job that waits for its next try due now: what an operator
// does when a service is back, and tests do rather than wait.
func (q *Queue) Hurry(ctx context.Context) error {
	for {
		list, err := q.client.JobList(ctx, river.NewJobListParams().First(1000).
			States(rivertype.JobStateRetryable, rivertype.JobStateScheduled, rivertype.JobStateAvailable))
		if err != nil {
			return fmt.Errorf("jobs: %w", err)
		}
		late := 0
		for _, job := range list.Jobs {
			if job.State == rivertype.JobStateAvailable && !job.ScheduledAt.After(time.Now()) {
				continue
			}
			late++
			if _, err := q.client.JobRetry(ctx, job.ID); err != nil {
				return fmt.Errorf("jobs: %w", err)
			}
		}
		q.pokes.poke()
		if late < 1000 {
			return nil
		}
	}
}

// retry waits twice as long each time, with a little chance in it, so that jobs
// that failed together do not come back together.
type retry struct{}

func (retry) NextRetry(job *rivertype.JobRow) time.Time {
	wait := retryMax
	if n := len(job.Errors); n < 10 {
		wait = min(retryMin<<n, retryMax)
	}
	return time.Now().Add(wait + rand.N(wait/4))
}

// givenUp tells the log of panics, and of the jobs that will not be tried again.
type givenUp struct{ log *slog.Logger }

func (g givenUp) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	if job.Attempt >= job.MaxAttempts {
		g.log.ErrorContext(ctx, "job given up", "kind", job.Kind, "job", job.ID, "tries", job.Attempt, "err", err)
	} else {
		g.log.WarnContext(ctx, "job failed, will be tried again", "kind", job.Kind, "job", job.ID, "try", job.Attempt, "err", err)
	}
	return nil
}

func (g givenUp) HandlePanic(ctx context.Context, job *rivertype.JobRow, v any, trace string) *river.ErrorHandlerResult {
	g.log.ErrorContext(ctx, "job panicked", "kind", job.Kind, "job", job.ID, "try", job.Attempt, "panic", fmt.Sprint(v), "stack", trace)
	return nil
}
