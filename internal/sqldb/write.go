package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

const (
	batchUnits   = 256                   // closures that share one commit at most
	batchTime    = 20 * time.Millisecond // after which a batch takes no more in
	collisionMax = 12                    // runs of one closure that PostgreSQL keeps refusing
)

// unit is one caller's closure on its way through a lane.
type unit struct {
	f      func(*Tx) error
	after  []func()
	result chan outcome // one value, after the commit
}

type outcome struct {
	err   error
	panic *ClosurePanic
}

// ClosurePanic is what Write panics with when its closure panicked: the closure
// ran on another goroutine, whose stack would otherwise be lost.
type ClosurePanic struct {
	Value any
	Stack []byte
}

func (p *ClosurePanic) Error() string {
	return fmt.Sprintf("panic in a database closure: %v\n%s", p.Value, p.Stack)
}

// Write runs f in a transaction and returns when its work is on disk, or when it
// was rolled back with the reason. A ctx that ends while f waits for its turn
// takes it out of the queue; once f has begun, Write waits for the outcome.
func (db *DB) Write(ctx context.Context, f func(*Tx) error) error {
	u := &unit{f: f, result: make(chan outcome, 1)}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case db.queue <- u:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.closing:
		return ErrClosed
	}
	out := <-u.result
	if out.panic != nil {
		panic(out.panic)
	}
	if out.err != nil {
		return out.err
	}
	for _, f := range u.after {
		f()
	}
	return nil
}

// serve is a lane: a goroutine that takes closures from the queue until Close.
func (db *DB) serve() {
	for {
		select {
		case u := <-db.queue:
			db.batch(u)
		case <-db.closing:
			return
		}
	}
}

// next takes one more waiting closure into a batch, if one waits and there is room.
func (db *DB) next(taken int, since time.Time) *unit {
	if taken >= batchUnits || time.Since(since) > batchTime {
		return nil
	}
	select {
	case u := <-db.queue:
		return u
	default:
		return nil
	}
}

// batch runs first, and those who wait with it, in one transaction, and answers
// all of them after its commit.
func (db *DB) batch(first *unit) {
	select {
	case <-db.broken:
		first.result <- outcome{err: db.brokenErr}
		return
	default:
	}
	s, err := db.begin()
	if err != nil {
		first.result <- outcome{err: err}
		return
	}
	var units []*unit
	var outcomes []outcome
	start := time.Now()
	for u := first; u != nil; u = db.next(len(units), start) {
		out, lost := s.run(u)
		units, outcomes = append(units, u), append(outcomes, out)
		if lost != nil {
			s.abandon()
			db.oneByOne(units)
			return
		}
	}
	if err := s.commit(); err != nil {
		if refusedCommit(err) {
			db.oneByOne(units)
			return
		}
		err = db.unknown(err)
		for i := range outcomes {
			outcomes[i] = outcome{err: err}
		}
	}
	for i, u := range units {
		u.result <- outcomes[i]
	}
}

// oneByOne gives each closure of a batch that came to grief a transaction of its
// own, so that only the one at fault fails.
func (db *DB) oneByOne(units []*unit) {
	for _, u := range units {
		u.result <- db.alone(u)
	}
}

// alone runs one closure in its own transaction, again where it collides.
func (db *DB) alone(u *unit) outcome {
	for try := 1; ; try++ {
		out, again := db.once(u)
		if !again || try == collisionMax {
			return out
		}
		time.Sleep(time.Duration(rand.Int64N(int64(try) * int64(5*time.Millisecond))))
	}
}

func (db *DB) once(u *unit) (out outcome, again bool) {
	s, err := db.begin()
	if err != nil {
		return outcome{err: err}, false
	}
	out, lost := s.run(u)
	if lost != nil {
		s.abandon()
		if out.err == nil && out.panic == nil {
			out.err = lost
		}
		return out, collided(lost)
	}
	if err := s.commit(); err != nil {
		if refusedCommit(err) {
			return outcome{err: err}, collided(err)
		}
		return outcome{err: db.unknown(err)}, false
	}
	return out, false
}

// unknown is the answer to those whose COMMIT came back with neither yes nor no.
// On SQLite that is a disk that fails; what an fsync has lost once, a second
// fsync will not bring back, so the process is told to end.
func (db *DB) unknown(err error) error {
	if db.engine == SQLite {
		db.breakDown(err)
	}
	return fmt.Errorf("%w: %w", ErrCommitUnknown, err)
}

// session is one transaction on one connection.
type session struct {
	db     *DB
	conn   *sql.Conn
	tx     *sql.Tx
	ctx    context.Context
	cancel context.CancelFunc
}

func (db *DB) begin() (*session, error) {
	// Not the caller's context: see the package comment. PostgreSQL may stop
	// answering without a word, so there the lane has a deadline of its own.
	ctx, cancel := context.WithCancel(context.Background())
	options := &sql.TxOptions{}
	if db.engine == Postgres {
		ctx, cancel = context.WithTimeout(context.Background(), postgresBatchTime)
		options.Isolation = sql.LevelSerializable
	}
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("database: %w", err)
	}
	db.lost.Store(false)
	tx, err := conn.BeginTx(ctx, options)
	if err != nil && errors.Is(err, driver.ErrBadConn) { // a server that was restarted while we were idle
		conn.Close()
		if conn, err = db.writer.Conn(ctx); err == nil {
			tx, err = conn.BeginTx(ctx, options)
		}
	}
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		cancel()
		return nil, fmt.Errorf("database: %w", err)
	}
	return &session{db: db, conn: conn, tx: tx, ctx: ctx, cancel: cancel}, nil
}

// run runs u inside a savepoint. lost is the reason why the whole transaction can
// no longer be trusted, nil where u failed or succeeded by itself.
func (s *session) run(u *unit) (out outcome, lost error) {
	if err := s.exec("SAVEPOINT belfry"); err != nil {
		return outcome{}, err
	}
	tx := &Tx{raw: s.tx, ctx: s.ctx, lost: s.db.lost}
	out = call(u.f, tx)
	if err := tx.finish(out.err); err != nil {
		out.err = err
	}
	u.after = tx.after
	if tx.err != nil && (errors.Is(tx.err, errRolledBack) || collided(tx.err)) {
		return out, tx.err
	}
	if out.err != nil || out.panic != nil {
		if err := s.exec("ROLLBACK TO belfry"); err != nil {
			return out, err
		}
	}
	return out, s.exec("RELEASE belfry")
}

// call runs f on a goroutine of its own: a panic, or a test that ends its
// goroutine, must not take the lane with it.
func call(f func(*Tx) error, tx *Tx) (out outcome) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		out.err = errors.New("the closure ended its goroutine")
		defer func() {
			if v := recover(); v != nil {
				out = outcome{panic: &ClosurePanic{Value: v, Stack: debug.Stack()}}
			}
		}()
		out.err = f(tx)
	}()
	<-done
	return out
}

func (s *session) exec(query string) error {
	if s.db.lost.Load() {
		return errRolledBack
	}
	_, err := s.tx.ExecContext(s.ctx, query)
	return err
}

func (s *session) commit() error {
	defer s.cancel()
	err := s.tx.Commit()
	if err != nil {
		s.drop()
		return err
	}
	return s.conn.Close()
}

// abandon ends a transaction that went wrong. Its connection goes too on SQLite:
// nobody knows in which state it is.
func (s *session) abandon() {
	defer s.cancel()
	if err := s.tx.Rollback(); err != nil || s.db.engine == SQLite {
		s.drop()
		return
	}
	s.conn.Close()
}

func (s *session) drop() {
	s.conn.Raw(func(any) error { return driver.ErrBadConn })
	s.conn.Close()
}
