package kv

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

const (
	sweepEvery = 128 // writes after which one takes the expired rows along
	sweepRows  = 512 // of each table, so that no write becomes a long one
)

type sqlStore struct {
	db     *sqldb.DB
	now    clock.Clock
	writes atomic.Uint64
}

// NewSQL returns a Store in the database, and makes its tables.
func NewSQL(db *sqldb.DB, now clock.Clock) (Store, error) {
	if err := db.Migrate(context.Background(), "kv", migrations); err != nil {
		return nil, err
	}
	return &sqlStore{db: db, now: now}, nil
}

func (s *sqlStore) Put(ctx context.Context, key string, v []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return errors.New("kv: a value needs a lifetime")
	}
	if v == nil {
		v = []byte{}
	}
	now := s.now()
	return s.write(ctx, now, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO kv_value (key, value, expires) VALUES ($1, $2, $3)
			ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires`,
			key, v, now.Add(ttl).UnixMicro())
		return err
	})
}

func (s *sqlStore) Get(ctx context.Context, key string) (v []byte, err error) {
	err = s.db.QueryRow(ctx, `SELECT value FROM kv_value WHERE key = $1 AND expires > $2`, key, s.now().UnixMicro()).Scan(&v)
	return v, missing(err)
}

func (s *sqlStore) Take(ctx context.Context, key string) ([]byte, error) {
	var v []byte
	now := s.now()
	err := s.write(ctx, now, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`DELETE FROM kv_value WHERE key = $1 AND expires > $2 RETURNING value`, key, now.UnixMicro()).Scan(&v)
	})
	if err != nil {
		return nil, missing(err)
	}
	return v, nil
}

func (s *sqlStore) Delete(ctx context.Context, key string) error {
	return s.write(ctx, s.now(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM kv_value WHERE key = $1`, key)
		return err
	})
}

func (s *sqlStore) Incr(ctx context.Context, key string, ttl time.Duration) (n int64, err error) {
	if ttl <= 0 {
		return 0, errors.New("kv: a counter needs a lifetime")
	}
	now := s.now()
	err = s.write(ctx, now, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`INSERT INTO kv_counter (key, n, expires) VALUES ($1, 1, $2)
			ON CONFLICT (key) DO UPDATE SET
				n = CASE WHEN kv_counter.expires > $3 THEN kv_counter.n + 1 ELSE 1 END,
				expires = CASE WHEN kv_counter.expires > $3 THEN kv_counter.expires ELSE excluded.expires END
			RETURNING n`, key, now.Add(ttl).UnixMicro(), now.UnixMicro()).Scan(&n)
	})
	return n, err
}

// write is db.Write, and now and then takes expired rows along.
func (s *sqlStore) write(ctx context.Context, now time.Time, f func(*sqldb.Tx) error) error {
	sweep := s.writes.Add(1)%sweepEvery == 0
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := f(tx); err != nil || !sweep {
			return err
		}
		for _, table := range []string{"kv_value", "kv_counter"} {
			_, err := tx.Exec(`DELETE FROM `+table+` WHERE key IN (SELECT key FROM `+table+` WHERE expires <= $1 LIMIT $2)`,
				now.UnixMicro(), int64(sweepRows))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("kv: %w", err)
	}
	return nil
}

func missing(err error) error {
	if errors.Is(err, sqldb.ErrNoRows) {
		return ErrMissing
	}
	return err
}

// Forget removes every value and counter of a database, whatever their lifetime: after
// an older state of it was restored, sessions that had ended would live again.
func Forget(tx *sqldb.Tx) error {
	for _, statement := range []string{`DELETE FROM kv_value`, `DELETE FROM kv_counter`} {
		if _, err := tx.Exec(statement); err != nil {
			return fmt.Errorf("kv: %w", err)
		}
	}
	return nil
}
