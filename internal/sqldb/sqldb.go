// Package sqldb opens the install's one database, SQLite or PostgreSQL, and is
// the only way to write to it.
//
// It owns connections, transactions, migrations and the few places where the two
// engines differ. It refuses to know tables: each room keeps its SQL beside the
// code that needs it, one text for both engines (parameters $1, times as BIGINT
// microseconds, bytes as BYTEA, ids and JSON as TEXT, columns listed).
//
// It guarantees, for every closure given to Write:
//
//   - all of it is committed or none of it, whatever happens to its neighbours:
//     closures that wait together share one commit (one fsync), each in a
//     savepoint of its own;
//   - nobody is answered before that commit is on disk (synchronous=FULL on
//     SQLite, synchronous_commit=on on PostgreSQL);
//   - it never sees the caller's context. A context cancelled in the middle of an
//     INSERT makes SQLite roll the whole transaction back, and what follows would
//     then run outside any transaction;
//   - closures are serialised: by the one writer, and where several processes
//     write to one PostgreSQL by SERIALIZABLE transactions that are run again
//     when they collide. What a closure read is still true when it commits.
//
// So a closure does no I/O but SQL, may run twice, and changes the world outside
// itself by plain assignment only. The two engines agree on one more rule,
// PostgreSQL's: after a statement has failed the closure's Tx is spent, and the
// closure fails even if it returns nil. Use ON CONFLICT to ask a question.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// Engine is the kind of database behind a DB.
type Engine string

const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	engine  Engine
	path    string // SQLite's file, "" on PostgreSQL
	address string // of PostgreSQL, "" on SQLite; may hold a password
	writer  *sql.DB
	reader  *sql.DB
	lost    *atomic.Bool // SQLite rolled the writer's transaction back by itself

	queue   chan *unit
	closing chan struct{}
	closed  sync.Once
	writing sync.WaitGroup
	second  sync.Mutex // held by those who run closures one by one

	brokenOnce sync.Once
	brokenErr  error // written once, before broken is closed
	broken     chan struct{}
}

// Open opens "sqlite:/path/file.db", made where it does not exist, or
// "postgres://user@host/database".
func Open(ctx context.Context, url string) (*DB, error) {
	db := &DB{lost: new(atomic.Bool), queue: make(chan *unit), closing: make(chan struct{}), broken: make(chan struct{})}
	var err error
	switch {
	case strings.HasPrefix(url, "sqlite:"):
		err = db.openSQLite(strings.TrimPrefix(url, "sqlite:"))
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		err = db.openPostgres(url)
	default:
		err = errors.New(`the address of a database begins with "sqlite:" or "postgres://"`)
	}
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := db.connect(ctx); err != nil {
		db.writer.Close()
		db.reader.Close()
		return nil, fmt.Errorf("database: %w", err)
	}
	db.writing.Go(db.serve)
	return db, nil
}

// connect makes the first connections. Two processes that turn one new SQLite
// file to WAL at once would find it locked, whatever the busy timeout.
func (db *DB) connect(ctx context.Context) error {
	if db.engine == SQLite {
		unlock, err := lockFile(db.path + ".lock")
		if err != nil {
			return err
		}
		defer unlock()
	}
	if err := db.writer.PingContext(ctx); err != nil {
		return err
	}
	return db.reader.PingContext(ctx)
}

// Engine says which database this is.
func (db *DB) Engine() Engine { return db.engine }

// Path is the SQLite file, "" on PostgreSQL.
func (db *DB) Path() string { return db.path }

// Writer is the pool that writes: one connection on SQLite. Only internal/jobs uses it,
// on PostgreSQL, for a session of its own and for rows that no transaction reads;
// everybody else calls Write.
func (db *DB) Writer() *sql.DB { return db.writer }

// Close refuses new writes, waits for those begun and closes the connections.
func (db *DB) Close() error {
	db.closed.Do(func() { close(db.closing) })
	db.writing.Wait()
	return errors.Join(db.reader.Close(), db.writer.Close())
}

// Broken is closed when the disk failed under a commit (an I/O error, not a full
// disk). After it nothing can be promised by this process: it should end, and the
// next one recovers from the log. Every further Write fails.
func (db *DB) Broken() <-chan struct{} { return db.broken }

func (db *DB) breakDown(err error) {
	db.brokenOnce.Do(func() {
		db.brokenErr = fmt.Errorf("the disk failed under a commit; the process must be started again: %w", err)
		close(db.broken)
	})
}

// Query reads on the read pool: what is committed now, never what a Write in
// progress has done. The caller closes the rows.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return db.reader.QueryContext(ctx, query, args...)
}

// QueryRow is Query for one row.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return db.reader.QueryRowContext(ctx, query, args...)
}
