package sqldb

import (
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/belfry-eid/belfry/internal/fault"
)

// ErrNoRows is what Scan of a QueryRow answers when there is no row.
var ErrNoRows = sql.ErrNoRows

// ErrClosed is what Write answers after Close.
var ErrClosed = errors.New("the database is closed")

// ErrStuck is what Write answers to those who have waited half a minute for their
// turn: a closure before them does not end, perhaps because it calls Write itself.
var ErrStuck = errors.New("the writer is busy with a closure that does not end")

// ErrCommitUnknown is in the chain of an error when the connection was lost while
// it carried a COMMIT: the closure's work may or may not be there. A caller that
// needs to know asks by its own key; nobody repeats the work blindly.
var ErrCommitUnknown = errors.New("the connection was lost during a commit, whose outcome is unknown")

// errRolledBack is what a Tx answers after SQLite ended the transaction by itself.
var errRolledBack = errors.New("the database has rolled the transaction back")

// IsUnique says whether err is the refusal of a second row with the same key.
func IsUnique(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505"
}

// IsFull says whether err means that the disk is full.
func IsFull(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == sqlite3.SQLITE_FULL
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "53100"
}

// explained gives an error that a reader can be told about its words.
func explained(err error) error {
	if IsFull(err) {
		return fault.New(fault.Unreachable, "fault.full", err)
	}
	return err
}

// fromEngine says whether a statement failed, rather than the copying of a column.
func fromEngine(err error) bool {
	if _, ok := errors.AsType[*sqlite.Error](err); ok {
		return true
	}
	_, ok := errors.AsType[*pgconn.PgError](err)
	return ok
}

// collided says that nothing is wrong with the transaction and it is to run
// again: PostgreSQL could not order it among others (serialization failure,
// deadlock), or SQLite was interrupted, which is never meant for a closure.
func collided(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == sqlite3.SQLITE_INTERRUPT
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}

// refusedCommit says that the engine answered a COMMIT with no, so that for
// certain nothing of it was kept.
func refusedCommit(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		primary := e.Code() & 0xff
		return primary == sqlite3.SQLITE_FULL || primary == sqlite3.SQLITE_CONSTRAINT || primary == sqlite3.SQLITE_BUSY ||
			primary == sqlite3.SQLITE_ERROR // "cannot commit - no transaction is active"
	}
	if errors.Is(err, pgx.ErrTxCommitRollback) {
		return true
	}
	_, ok := errors.AsType[*pgconn.PgError](err)
	return ok
}
