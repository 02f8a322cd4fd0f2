package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// On PostgreSQL several processes work on one queue, and one that dies leaves jobs that
// say that it is at work on them. Each process holds an advisory lock under its own
// number as long as it lives: a number whose lock can be had is a dead one's, and its
// jobs wait again. Should a lock be lost while its process lives (a restart of the
// server), two work on one job for a while, which does no harm.

const (
	orphanClass = 0x62656c66       // "belf": keeps these locks from others' in the database
	orphanCheck = 10 * time.Second // between two looks for jobs of the dead
	clientName  = "belfry-"        // River's name of a process, before its number
)

// living holds the lock of this process and takes the jobs of the dead.
type living struct {
	db     *sql.DB
	number int32
	conn   *sql.Conn

	stop context.CancelFunc
	done sync.WaitGroup
}

func newLiving(db *sql.DB) *living { return &living{db: db, number: rand.Int32N(1<<31 - 1)} }

func (l *living) name() string { return clientName + strconv.Itoa(int(l.number)) }

// start takes the lock and the jobs of the dead, and goes on taking them until close.
func (l *living) start(ctx context.Context, failed func(error)) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	if err := l.takeBack(ctx); err != nil {
		l.conn.Close()
		return err
	}
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.done.Go(func() {
		for t := time.NewTicker(orphanCheck); ; {
			select {
			case <-ctx.Done():
				t.Stop()
				l.conn.Close()
				return
			case <-t.C:
				if err := l.look(ctx); err != nil && ctx.Err() == nil {
					failed(err)
				}
			}
		}
	})
	return nil
}

// close gives the lock up; jobs still at work are then anybody's.
func (l *living) close() {
	if l.stop != nil {
		l.stop()
		l.done.Wait()
		l.stop = nil
	}
}

func (l *living) lock(ctx context.Context) error {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1, $2)`, orphanClass, l.number); err != nil {
		conn.Close()
		return err
	}
	l.conn = conn
	return nil
}

// look is takeBack, on another connection where the one with the lock is lost.
func (l *living) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, orphanCheck)
	defer cancel()
	if err := l.conn.PingContext(ctx); err != nil {
		l.conn.Close()
		if err := l.lock(ctx); err != nil {
			return err
		}
	}
	return l.takeBack(ctx)
}

const holder = `attempted_by[array_length(attempted_by, 1)]` // who has the job now

func (l *living) takeBack(ctx context.Context) error {
	names, err := l.workers(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		digits, ours := strings.CutPrefix(name, clientName)
		number, err := strconv.ParseInt(digits, 10, 32)
		if !ours || err != nil || int32(number) == l.number {
			continue
		}
		if err := l.inherit(ctx, name, int32(number)); err != nil {
			return err
		}
	}
	return nil
}

func (l *living) workers(ctx context.Context) (names []string, err error) {
	rows, err := l.conn.QueryContext(ctx, `SELECT DISTINCT `+holder+` FROM river_job WHERE state = 'running' AND array_length(attempted_by, 1) > 0`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// inherit makes the jobs of a process wait again, if it is dead.
func (l *living) inherit(ctx context.Context, name string, number int32) error {
	var dead bool
	if err := l.conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1, $2)`, orphanClass, number).Scan(&dead); err != nil || !dead {
		return err
	}
	_, err := l.conn.ExecContext(ctx, `UPDATE river_job SET state = 'available', scheduled_at = now() WHERE state = 'running' AND `+holder+` = $1`, name)
	if _, e := l.conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1, $2)`, orphanClass, number); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("jobs of %s: %w", name, err)
	}
	return nil
}
