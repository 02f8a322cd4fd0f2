// Package jobs does later what may fail: a job waits in the transaction of the
// row that caused it, and is tried until it succeeds.
//
// It owns the queue, a table of the same database, and knows how a job is tried
// again. It refuses to know what jobs do. It guarantees that a job exists exactly
// if the work that caused it was committed, that it starts about a tenth of a
// second after that commit in the same process and a second after it in others, and
// that one interrupted by a crash is taken up again: at once on SQLite, whose only
// process is the one that starts, on PostgreSQL within some seconds, and after a
// minute where a machine is gone without a word.
//
// A job's row says when it is due, never who is at work on it: that is known to the
// process (SQLite) or to its session (PostgreSQL, see claims), and so needs no write
// and dies with it. The row goes, or gets another time, when the try has ended.
//
// It does not guarantee that a job runs once only. Every handler is idempotent
// and fenced: two of them at work on one job do no harm.
package jobs

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

const (
	workers      = 16                   // jobs at work at the same time; most of them wait for a network
	cooldown     = 5 * time.Millisecond // between two looks at the queue at least
	pollInterval = time.Second          // for jobs of other processes and those whose time has come
	timeout      = 2 * time.Minute      // of one try, where the handler names no other
	grace        = time.Minute
	triesMax     = 1000 // with retryMax between them, more than a week
	retryMin     = time.Second
	retryMax     = 10 * time.Minute
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
	db       *sqldb.DB
	log      *slog.Logger
	handlers map[string]handler
	lasting  []job         // those of Every
	pokes    chan struct{} // there may be something to do
	run      *run          // nil while it is not started
	grace    time.Duration // how long a handler may go on after its timeout
	only     *os.File      // on SQLite: the lock that says that no other process works on this queue
}

// handler is what does the jobs of one kind.
type handler struct {
	timeout time.Duration
	work    func(ctx context.Context, args []byte) error
}

// New makes the queue's table. Register the handlers, then Start.
func New(db *sqldb.DB, log *slog.Logger) (*Queue, error) {
	if err := db.Migrate(context.Background(), "jobs", migrations); err != nil {
		return nil, err
	}
	if err := inherit(db); err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return &Queue{db: db, log: log, handlers: map[string]handler{}, pokes: make(chan struct{}, 1), grace: grace}, nil
}

// Option changes how jobs of one kind are handled.
type Option func(*handler)

// Timeout is how long one try may take, two minutes where it is not given.
func Timeout(d time.Duration) Option { return func(h *handler) { h.timeout = d } }

// Handle registers f for the jobs of A's kind. An error of f is logged and the
// job tried again, a second later at first and ten minutes later at last; after
// a thousand tries it is given up, kept for 90 days and logged as an error. The
// context ends with the try's timeout. Call before Start.
func Handle[A Args](q *Queue, f func(ctx context.Context, a A) error, opts ...Option) {
	h := handler{timeout: timeout, work: func(ctx context.Context, args []byte) error {
		var a A
		if err := json.Unmarshal(args, &a); err != nil {
			return err
		}
		return f(ctx, a)
	}}
	for _, opt := range opts {
		opt(&h)
	}
	var a A
	if _, twice := q.handlers[a.Kind()]; twice {
		panic("jobs: two handlers for " + a.Kind())
	}
	q.handlers[a.Kind()] = h
}

// Snooze, returned by a handler, puts the job off by d without counting it as a failure.
// The log hears why, where why is not nil.
func Snooze(d time.Duration, why error) error { return snooze{wait: d, why: why} }

type snooze struct {
	wait time.Duration
	why  error
}

func (s snooze) Error() string { return fmt.Sprintf("put off by %v: %v", s.wait, s.why) }
func (s snooze) Unwrap() error { return s.why }

// Insert adds a job in the transaction of the row that caused it.
func (q *Queue) Insert(tx *sqldb.Tx, a Args) error { return q.InsertAt(tx, a, time.Now()) }

// InsertAt is Insert for a job that starts at t or soon after.
func (q *Queue) InsertAt(tx *sqldb.Tx, a Args, t time.Time) error {
	j, err := q.newJob(a)
	if err != nil {
		tx.Fail(err)
		return err
	}
	if _, err := tx.Exec(insert, j.id, j.kind, string(j.args), t.UnixMicro(), 0); err != nil {
		return fmt.Errorf("jobs: insert %s: %w", a.Kind(), err)
	}
	tx.AfterCommit(q.poke)
	return nil
}

const insert = `INSERT INTO jobs_job (id, kind, args, due, tries, every, error) VALUES ($1, $2, $3, $4, 0, $5, '')`

func (q *Queue) newJob(a Args) (job, error) {
	if _, ok := q.handlers[a.Kind()]; !ok {
		return job{}, fmt.Errorf("jobs: nothing handles %s", a.Kind())
	}
	args, err := json.Marshal(a)
	if err != nil {
		return job{}, fmt.Errorf("jobs: %s: %w", a.Kind(), err)
	}
	return job{id: rand.Int64(), kind: a.Kind(), args: args}, nil
}

// poke wakes the queue; one wake-up stands for all that came before it.
func (q *Queue) poke() {
	select {
	case q.pokes <- struct{}{}:
	default:
	}
}

// Every has a job of A's kind done again and again: when a process starts to work, then
// d after each success, by whichever process comes first. Call before Start.
func Every[A Args](q *Queue, a A, d time.Duration) {
	j, err := q.newJob(a)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(append([]byte(j.kind+"\x00"), j.args...)) // one row, whoever adds it
	j.id, j.every = int64(binary.BigEndian.Uint64(sum[:])>>1), d
	q.lasting = append(q.lasting, j)
}

// Start begins to work, until Stop; the end of ctx does not stop it.
func (q *Queue) Start(ctx context.Context) (err error) {
	if q.db.Engine() == sqldb.SQLite {
		if q.only, err = alone(q.db.Path() + ".jobs.lock"); err != nil {
			return fmt.Errorf("jobs: %w", err)
		}
	}
	err = q.db.Write(ctx, func(tx *sqldb.Tx) error {
		for _, j := range q.lasting {
			if _, err := tx.Exec(insert+` ON CONFLICT (id) DO UPDATE SET due = excluded.due, every = excluded.every, given_up = NULL`,
				j.id, j.kind, string(j.args), time.Now().UnixMicro(), j.every.Microseconds()); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		q.run, err = q.begin(ctx)
	}
	if err != nil {
		q.release()
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}

// alone takes the lock of the one process that may work on an SQLite file's jobs.
func alone(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errors.New("another process of belfry serves this database; SQLite takes one, several need PostgreSQL")
	}
	return f, nil
}

func (q *Queue) release() {
	if q.only != nil {
		q.only.Close()
		q.only = nil
	}
}

// Stop takes no new jobs and waits for those at work; when ctx ends their
// contexts do.
func (q *Queue) Stop(ctx context.Context) error {
	if q.run == nil {
		return nil
	}
	err := q.run.end(ctx)
	q.run = nil
	q.release()
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}

// Idle waits until no job is at work and none is due, for tests. Jobs that wait
// for a later time do not count.
func (q *Queue) Idle(ctx context.Context) error {
	which, args := q.handled(2)
	for {
		var n int
		err := q.db.QueryRow(ctx, `SELECT count(*) FROM jobs_job WHERE due <= $1 AND `+which, append([]any{time.Now().UnixMicro()}, args...)...).Scan(&n)
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

// handled is the condition that this process knows what to do with a job: a newer one
// beside it may know more. first is the number of its first parameter.
func (q *Queue) handled(first int) (sql string, args []any) {
	var places []string
	for kind := range q.handlers {
		places = append(places, fmt.Sprintf("$%d", first+len(args)))
		args = append(args, kind)
	}
	if args == nil {
		return "1 = 0", nil
	}
	return "kind IN (" + strings.Join(places, ", ") + ")", args
}

// Hurry makes every job that waits for its next try due now: what an operator
// does when a service is back, and tests do rather than wait.
func (q *Queue) Hurry(ctx context.Context) error {
	now := time.Now().UnixMicro()
	err := q.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE jobs_job SET due = $1 WHERE due > $1 AND (every = 0 OR tries > 0)`, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	q.poke()
	return nil
}
