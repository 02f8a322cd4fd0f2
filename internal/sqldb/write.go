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
	batchMax     = 4                     // runs of a batch that PostgreSQL keeps refusing
	collisionMax = 20                    // runs of one closure that it keeps refusing
	uniqueMax    = 10                    // runs of one that meets a row it did not see
	queueMax     = 30 * time.Second      // how long a closure waits for its turn
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
	patience := time.NewTimer(queueMax)
	defer patience.Stop()
	select {
	case db.queue <- u:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.closing:
		return ErrClosed
	case <-patience.C:
		return ErrStuck
	}
	out := <-u.result
	if out.panic != nil {
		panic(out.panic)
	}
	if out.err != nil {
		return explained(out.err)
	}
	for _, f := range u.after {
		f()
	}
	return nil
}

// serve takes closures from the queue until Close. It is the one writer.
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

// batch runs first, and those who wait with it, and answers all of them.
func (db *DB) batch(first *unit) {
	start := time.Now()
	units, outcomes, err := db.together([]*unit{first}, func(taken int) *unit { return db.next(taken, start) })
	for try := 1; collided(err) && try < batchMax; try++ { // with another process, on PostgreSQL
		pause(try)
		_, outcomes, err = db.together(units, func(int) *unit { return nil })
	}
	var unlucky []*unit
	for i, u := range units {
		switch {
		case errors.Is(err, ErrCommitUnknown):
			u.result <- outcome{err: err}
		case err != nil, db.metUnseenRow(outcomes[i].err):
			unlucky = append(unlucky, u)
		default:
			u.result <- outcomes[i]
		}
	}
	if unlucky == nil {
		return
	}
	again := func() {
		db.second.Lock()
		defer db.second.Unlock()
		for _, u := range unlucky {
			u.result <- db.alone(u) // so that only the one at fault fails
		}
	}
	if db.engine == SQLite {
		again()
	} else { // they wait for other processes, and need not hold up this one
		db.writing.Go(again)
	}
}

// together runs units, and those that more finds, in one transaction. Where its
// err is not nil nothing of them was kept, or, with ErrCommitUnknown, nobody knows.
func (db *DB) together(units []*unit, more func(taken int) *unit) ([]*unit, []outcome, error) {
	var outcomes []outcome
	s, err := db.begin()
	if err != nil {
		return units, nil, err
	}
	for i := 0; i < len(units); i++ {
		out, lost := s.run(units[i])
		if lost != nil {
			s.abandon()
			return units, nil, lost
		}
		outcomes = append(outcomes, out)
		if u := more(len(units)); u != nil {
			units = append(units, u)
		}
	}
	return units, outcomes, s.commit()
}

// alone runs one closure in a transaction of its own, again where it collides.
func (db *DB) alone(u *unit) outcome {
	collisions, duplicates := 0, 0
	for {
		out, err := db.once(u)
		switch {
		case collided(err) && collisions < collisionMax:
			collisions++
			pause(collisions)
		case db.metUnseenRow(out.err) && duplicates < uniqueMax:
			if duplicates++; duplicates > 1 { // at once first: a true duplicate is the common case
				pause(duplicates)
			}
		default:
			return out
		}
	}
}

func (db *DB) once(u *unit) (outcome, error) {
	s, err := db.begin()
	if err != nil {
		return outcome{err: err}, nil
	}
	out, lost := s.run(u)
	if lost == nil {
		lost = s.commit()
	} else {
		s.abandon()
	}
	if lost != nil && out.err == nil && out.panic == nil {
		out.err = lost
	}
	return out, lost
}

// metUnseenRow says that err may come from two processes that inserted one key
// at the same time: PostgreSQL reports the second as a duplicate rather than a
// serialization failure. With a new snapshot the closure sees the row and decides
// for itself; a true duplicate fails again.
func (db *DB) metUnseenRow(err error) bool { return db.engine == Postgres && IsUnique(err) }

func pause(try int) { time.Sleep(rand.N(time.Duration(try) * 5 * time.Millisecond)) }

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
	select {
	case <-db.broken:
		return nil, db.brokenErr
	default:
	}
	// Not the caller's context: see the package comment. PostgreSQL may stop
	// answering without a word, so there the writer has a deadline of its own.
	ctx, cancel := context.WithCancel(context.Background())
	options := &sql.TxOptions{}
	if db.engine == Postgres {
		ctx, cancel = context.WithTimeout(context.Background(), postgresBatchTime)
		options.Isolation = sql.LevelSerializable
	}
	conn, tx, err := db.beginOn(ctx, options)
	// After a restart of the server every idle connection turns out to be dead.
	for try := 0; errors.Is(err, driver.ErrBadConn) && try <= postgresWriters; try++ {
		conn, tx, err = db.beginOn(ctx, options)
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("database: %w", err)
	}
	return &session{db: db, conn: conn, tx: tx, ctx: ctx, cancel: cancel}, nil
}

func (db *DB) beginOn(ctx context.Context, options *sql.TxOptions) (*sql.Conn, *sql.Tx, error) {
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	db.lost.Store(false)
	tx, err := conn.BeginTx(ctx, options)
	if err != nil {
		conn.Raw(func(any) error { return driver.ErrBadConn }) // whatever its state is, it is not to be used again
		conn.Close()
		return nil, nil, err
	}
	return conn, tx, nil
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
// goroutine, must not take the writer with it.
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
	if err == nil {
		s.conn.Close()
		return nil
	}
	s.drop()
	if refusedCommit(err) {
		return err
	}
	return s.db.unknown(err)
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
