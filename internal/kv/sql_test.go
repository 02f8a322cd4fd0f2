package kv_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/kv/kvtest"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

func TestSQL(t *testing.T) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			kvtest.Run(t, func(t *testing.T, now clock.Clock) kv.Store {
				s, err := kv.NewSQL(db, now)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}, nil)
		})
	}
}

func TestSQLSweepsWhatHasExpired(t *testing.T) {
	db, ctx := sqldbtest.SQLite(t), context.Background()
	hand := clock.NewHand(time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC))
	s, err := kv.NewSQL(db, hand.Now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		s.Put(ctx, fmt.Sprint(i), []byte("x"), time.Minute)
	}
	hand.Add(time.Hour)
	for i := range 200 {
		s.Put(ctx, fmt.Sprint("new", i), []byte("x"), time.Minute)
	}
	var n int
	if err := db.QueryRow(ctx, `SELECT count(*) FROM kv_value`).Scan(&n); err != nil || n != 200 {
		t.Errorf("%d rows are left (%v), want 200", n, err)
	}
}
