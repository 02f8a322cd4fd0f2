package sqldb

import (
	"context"
	"database/sql"
	"sync/atomic"
)

// Tx is what a closure given to Write has in hand, and only while it runs. It is
// not safe for concurrent use. On PostgreSQL rows must be closed (or read to
// their end) before the next statement.
type Tx struct {
	raw   *sql.Tx
	ctx   context.Context // the writer's, never a caller's
	lost  *atomic.Bool
	err   error // the first statement that failed; the Tx is spent after it
	rows  []*sql.Rows
	after []func()
}

// Exec runs a statement that returns no rows.
func (tx *Tx) Exec(query string, args ...any) (sql.Result, error) {
	if err := tx.Err(); err != nil {
		return nil, err
	}
	res, err := tx.raw.ExecContext(tx.ctx, query, args...)
	return res, tx.note(err)
}

// Query runs a statement that returns rows, RETURNING included.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	if err := tx.Err(); err != nil {
		return nil, err
	}
	rows, err := tx.raw.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return nil, tx.note(err)
	}
	tx.rows = append(tx.rows, rows)
	return rows, nil
}

// QueryRow is Query for one row; the error comes out of Scan.
func (tx *Tx) QueryRow(query string, args ...any) *Row {
	if err := tx.Err(); err != nil {
		return &Row{tx: tx, err: err}
	}
	return &Row{tx: tx, row: tx.raw.QueryRowContext(tx.ctx, query, args...)}
}

// Row is one row of a Tx.
type Row struct {
	tx  *Tx
	row *sql.Row
	err error
}

// Scan copies the columns to dest; ErrNoRows where there is no row.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if err := r.row.Err(); err != nil {
		return r.tx.note(err)
	}
	err := r.row.Scan(dest...)
	if fromEngine(err) {
		r.tx.note(err)
	}
	return err
}

// AfterCommit keeps f for when the closure's work is on disk; it runs on the
// goroutine that called Write, before Write returns, and never if the work was
// rolled back.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

// Err says why the Tx is spent, nil while it is not.
func (tx *Tx) Err() error {
	if tx.err == nil && tx.lost.Load() {
		tx.err = errRolledBack
	}
	return tx.err
}

// Fail spends the Tx because of err: whatever its closure returns, nothing of it is kept.
func (tx *Tx) Fail(err error) { tx.note(err) }

func (tx *Tx) note(err error) error {
	if err != nil && tx.err == nil {
		tx.err = err
	}
	return err
}

// finish closes what the closure left open and says whether its work may stay.
func (tx *Tx) finish(err error) error {
	for _, rows := range tx.rows {
		tx.note(rows.Err())
		tx.note(rows.Close())
	}
	if err == nil {
		err = tx.Err()
	}
	return err
}
