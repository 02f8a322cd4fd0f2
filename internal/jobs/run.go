package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// job is a row of the queue.
type job struct {
	id    int64
	kind  string
	args  []byte
	tries int
	every time.Duration
}

// run is a Queue at work. Its loop alone touches what is not a channel.
type run struct {
	*Queue
	ctx    context.Context // of the handlers
	cancel context.CancelFunc
	claims *claims // nil on SQLite
	events chan event
	stop   chan struct{} // closed: no new jobs
	ended  chan struct{}

	busy   map[int64]bool // handed out, and its row not yet what came of it
	atWork int            // handlers that have not returned
	more   bool           // the last look found more than it could hand out
}

// event is what a worker has to say: the handler has returned, and then, the row is as it left it.
type event struct {
	id   int64
	kept bool
}

func (q *Queue) begin(ctx context.Context) (*run, error) {
	r := &run{Queue: q, events: make(chan event), stop: make(chan struct{}), ended: make(chan struct{}), busy: map[int64]bool{}}
	if q.db.Engine() == sqldb.Postgres {
		r.claims = &claims{db: q.db.Writer()}
		if err := r.claims.open(ctx, nil); err != nil {
			return nil, err
		}
	}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go r.loop()
	return r, nil
}

// end stops it. Handlers that have not returned when ctx ends have ten more seconds.
func (r *run) end(ctx context.Context) error {
	defer r.cancel()
	close(r.stop)
	select {
	case <-r.ended:
		return nil
	case <-ctx.Done():
	}
	r.cancel()
	select {
	case <-r.ended:
		return nil
	case <-time.After(10 * time.Second):
		return errors.New("a handler does not heed its context")
	}
}

func (r *run) loop() {
	defer close(r.ended)
	defer r.claims.close()
	next, last := time.NewTimer(0), time.Time{}
	soon := func() { next.Reset(time.Until(last.Add(cooldown))) }
	stop, stopping := r.stop, false
	for !stopping || len(r.busy) > 0 {
		select {
		case <-stop:
			stop, stopping = nil, true
		case <-r.pokes:
			soon()
		case e := <-r.events:
			r.heard(e)
			if r.more {
				soon()
			}
		case <-next.C:
			if stopping {
				break
			}
			if err := r.look(); err != nil && r.ctx.Err() == nil {
				r.log.Warn("looking for jobs", "err", err)
			}
			last = time.Now()
			next.Reset(pollInterval)
		}
	}
}

func (r *run) heard(e event) {
	if !e.kept {
		r.atWork--
		return
	}
	delete(r.busy, e.id)
	r.claims.give(r.ctx, e.id)
}

// look hands out what is due. Jobs that are busy are due too, and on PostgreSQL those of
// other processes, so more are read than can be taken.
func (r *run) look() error {
	ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
	defer cancel()
	if err := r.claims.check(ctx, r.busy); err != nil {
		return err
	}
	limit := workers + len(r.busy)
	if r.claims != nil {
		limit += 16 * workers
	}
	due, err := r.due(ctx, limit)
	if err != nil {
		return err
	}
	r.more = len(due) == limit
	for _, j := range due {
		if r.busy[j.id] {
			continue
		}
		if r.atWork == workers {
			r.more = true
			return nil
		}
		if r.claims != nil {
			free, err := r.claims.take(ctx, j.id)
			if err != nil {
				return err
			}
			if !free {
				continue
			}
		}
		r.busy[j.id] = true
		r.atWork++
		go r.try(j)
	}
	return nil
}

func (r *run) due(ctx context.Context, limit int) (list []job, err error) {
	which, args := r.handled(3)
	rows, err := r.db.Query(ctx, `SELECT id, kind, args, tries, every FROM jobs_job WHERE due <= $1 AND `+which+` ORDER BY due, id LIMIT $2`,
		append([]any{time.Now().UnixMicro(), limit}, args...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var j job
		var every int64
		if err := rows.Scan(&j.id, &j.kind, &j.args, &j.tries, &every); err != nil {
			return nil, err
		}
		j.every = time.Duration(every) * time.Microsecond
		list = append(list, j)
	}
	return list, rows.Err()
}

func (r *run) try(j job) {
	err := r.work(j)
	r.events <- event{id: j.id}
	if e := r.keep(j, err); e != nil { // it stays due, and is tried again
		r.log.Warn("what came of a job cannot be kept", "kind", j.kind, "job", j.id, "err", e)
		select {
		case <-time.After(pollInterval):
		case <-r.stop:
		}
	}
	r.events <- event{id: j.id, kept: true}
}

// errPanic says that a handler panicked, which is in the log already.
var errPanic = errors.New("the handler panicked")

// errStuck says that a handler is left to itself: the job is tried again beside it.
var errStuck = errors.New("the handler does not heed its timeout")

// work is one try. A handler that goes on long after its timeout does not hold the job,
// nor the place of another.
func (r *run) work(j job) error {
	limit := r.handlers[j.kind].timeout
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(r.ctx, limit)
		defer cancel()
		done <- r.call(ctx, j)
	}()
	patience := time.NewTimer(limit + r.grace)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-patience.C:
		return errStuck
	}
}

func (r *run) call(ctx context.Context, j job) (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("job panicked", "kind", j.kind, "job", j.id, "try", j.tries+1, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return r.handlers[j.kind].work(ctx, j.args)
}

// keep makes the row say what came of a try.
func (r *run) keep(j job, err error) error {
	now := time.Now()
	s, snoozed := errors.AsType[snooze](err)
	switch {
	case err == nil && j.every == 0:
		return r.exec(`DELETE FROM jobs_job WHERE id = $1`, j.id)
	case err == nil:
		return r.exec(`UPDATE jobs_job SET due = $2, tries = 0, error = '' WHERE id = $1`, j.id, now.Add(j.every).UnixMicro())
	case snoozed:
		if s.why != nil {
			r.log.Warn("job waits", "kind", j.kind, "job", j.id, "for", s.wait, "err", s.why)
		}
		return r.exec(`UPDATE jobs_job SET due = $2 WHERE id = $1`, j.id, now.Add(s.wait).UnixMicro())
	case r.ctx.Err() != nil: // it was cut off, and the next process takes it up
		return nil
	}
	j.tries++
	if j.tries >= triesMax {
		r.log.Error("job given up", "kind", j.kind, "job", j.id, "tries", j.tries, "err", err)
		if e := r.exec(`UPDATE jobs_job SET due = NULL, given_up = $2, tries = $3, error = $4 WHERE id = $1`, j.id, now.UnixMicro(), j.tries, err.Error()); e != nil {
			return e
		}
		return r.exec(`DELETE FROM jobs_job WHERE given_up < $1`, now.Add(-keepFailed).UnixMicro())
	}
	if err != errPanic {
		r.log.Warn("job failed, will be tried again", "kind", j.kind, "job", j.id, "try", j.tries, "err", err)
	}
	return r.exec(`UPDATE jobs_job SET due = $2, tries = $3, error = $4 WHERE id = $1`, j.id, now.Add(backoff(j.tries)).UnixMicro(), j.tries, err.Error())
}

// exec writes one row. On PostgreSQL it does so beside sqldb's transactions, which read
// no jobs and so cannot collide with it.
func (r *run) exec(query string, args ...any) error {
	if r.claims != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, err := r.db.Writer().ExecContext(ctx, query, args...)
		return err
	}
	return r.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
}

// backoff is twice as long each time, with a little chance in it, so that jobs
// that failed together do not come back together.
func backoff(tries int) time.Duration {
	wait := retryMax
	if tries <= 10 {
		wait = min(retryMin<<(tries-1), retryMax)
	}
	return wait + rand.N(wait/4)
}
