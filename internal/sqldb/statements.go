package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
)

// statementsMax is how many statements a connection keeps. Ours are texts of the
// program; only filters are put together, from a few parts.
const statementsMax = 300

// preparing makes SQLite connections that keep their prepared statements: preparing
// one anew took a third of the time of a write. (pgx does so by
// itself.)
type preparing struct{ driver.Connector }

// sqliteConn is what the driver's connections can do, and database/sql asks for.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	raw, ok := c.(sqliteConn)
	if !ok {
		c.Close()
		return nil, errors.New("this sqlite driver lacks what we need of a connection")
	}
	return &preparedConn{sqliteConn: raw, idle: map[string]statement{}}, nil
}

// preparedConn is a connection with its statements. database/sql lets one goroutine
// at a time use it.
type preparedConn struct {
	sqliteConn
	idle map[string]statement // those not at work; nil once closed
}

type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func (c *preparedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	res, err := s.ExecContext(ctx, args)
	c.give(query, s, err)
	return res, err
}

func (c *preparedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		c.give(query, s, err)
		return nil, err
	}
	return &preparedRows{rows, func(err error) { c.give(query, s, err) }}, nil
}

// preparedRows give their statement back when they are closed.
type preparedRows struct {
	driver.Rows
	give func(err error)
}

func (r *preparedRows) Close() error {
	err := r.Rows.Close()
	r.give(err)
	return err
}

// take returns a statement that nobody uses: a closure may run a query while it reads
// the rows of the same one.
func (c *preparedConn) take(ctx context.Context, query string) (statement, error) {
	if s, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return s, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(statement)
	if !ok {
		prepared.Close()
		return nil, errors.New("this sqlite driver's statements lack a context")
	}
	return s, nil
}

// give keeps a statement for the next time, unless it failed: then it is made anew.
func (c *preparedConn) give(query string, s statement, err error) {
	if _, there := c.idle[query]; err != nil || there || c.idle == nil {
		s.Close()
		return
	}
	if len(c.idle) == statementsMax {
		c.forget()
	}
	c.idle[query] = s
}

// forget closes the statements that are not at work.
func (c *preparedConn) forget() {
	for _, s := range c.idle {
		s.Close()
	}
	clear(c.idle)
}

func (c *preparedConn) Close() error {
	c.forget()
	c.idle = nil
	return c.sqliteConn.Close()
}
