package jobs

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"
)

// claims are the jobs that this process is at work on, where others work beside it: on
// PostgreSQL, an advisory lock for each, under the job's own number, held by one session.
// They end with the session, however it ends. Should it be lost while the process lives
// (a restart of the server), two may work on one job for a while, which does no harm.
// The loop alone uses them; a nil *claims is that of SQLite.
type claims struct {
	db   *sql.DB
	conn *sql.Conn
}

// keepalives have the server notice within a minute that a machine is gone.
const keepalives = `SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3`

// open begins a session, and claims again what is at work.
func (c *claims) open(ctx context.Context, busy map[int64]bool) error {
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return err
	}
	c.conn = conn
	if _, err = conn.ExecContext(ctx, keepalives); err != nil {
		c.close()
		return err
	}
	for id := range busy {
		var free bool
		if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, id).Scan(&free); err != nil {
			c.close()
			return err
		}
	}
	return nil
}

// check opens another session where this one is lost.
func (c *claims) check(ctx context.Context, busy map[int64]bool) error {
	if c == nil {
		return nil
	}
	if c.conn != nil && c.conn.PingContext(ctx) == nil {
		return nil
	}
	c.close()
	return c.open(ctx, busy)
}

// take claims a job, and says whether it is ours now and still due: another process may
// have done it since it was read.
func (c *claims) take(ctx context.Context, id int64) (free bool, err error) {
	if c.conn == nil {
		return false, driver.ErrBadConn
	}
	if err := c.conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, id).Scan(&free); err != nil || !free {
		return false, err
	}
	var n int
	err = c.conn.QueryRowContext(ctx, `SELECT count(*) FROM jobs_job WHERE id = $1 AND due <= $2`, id, time.Now().UnixMicro()).Scan(&n)
	if err != nil || n == 0 {
		c.give(ctx, id)
		return false, err
	}
	return true, nil
}

// give gives a job up. Where that fails the session is at an end, and the claim with it.
func (c *claims) give(ctx context.Context, id int64) {
	if c == nil || c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if _, err := c.conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, id); err != nil {
		c.close()
	}
}

// close ends the session: given back to the pool it would keep the locks.
func (c *claims) close() {
	if c == nil || c.conn == nil {
		return
	}
	c.conn.Raw(func(any) error { return driver.ErrBadConn })
	c.conn.Close()
	c.conn = nil
}
