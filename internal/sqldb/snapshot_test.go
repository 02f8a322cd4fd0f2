package sqldb_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// A snapshot under load holds what was acknowledged before it, and no half of anything:
// each writer's two rows are both there or neither.
func TestSnapshotAndLoad(t *testing.T) {
	addresses := map[string]func() (string, string){
		"sqlite": func() (string, string) {
			dir := t.TempDir()
			return "sqlite:" + filepath.Join(dir, "old.db"), "sqlite:" + filepath.Join(dir, "new.db")
		},
		"postgres": func() (string, string) { return sqldbtest.PostgresDatabase(t), sqldbtest.PostgresDatabase(t) },
	}
	for name, two := range addresses {
		t.Run(name, func(t *testing.T) {
			old, fresh := two()
			db, err := sqldb.Open(t.Context(), old)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			makeNotes(t, db)
			for i := range 20 {
				if err := db.Write(t.Context(), func(tx *sqldb.Tx) error { return insert(tx, fmt.Sprintf("before %d", i)) }); err != nil {
					t.Fatal(err)
				}
			}
			ctx, stop := context.WithCancel(t.Context())
			var writers sync.WaitGroup
			for w := range 4 {
				writers.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						db.Write(context.Background(), func(tx *sqldb.Tx) error {
							if err := insert(tx, fmt.Sprintf("left %d %d", w, i)); err != nil {
								return err
							}
							return insert(tx, fmt.Sprintf("right %d %d", w, i))
						})
					}
				})
			}
			snapshot := filepath.Join(t.TempDir(), "snapshot")
			err = db.Snapshot(t.Context(), snapshot)
			stop()
			writers.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if err := sqldb.Load(t.Context(), fresh, snapshot); err != nil {
				t.Fatal(err)
			}
			if err := sqldb.Load(t.Context(), fresh, snapshot); err == nil {
				t.Error("a second life was loaded over the first")
			}
			again, err := sqldb.Open(t.Context(), fresh)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			n := func(like string) (n int) {
				if err := again.QueryRow(t.Context(), `SELECT COUNT(*) FROM note WHERE id LIKE $1`, like).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			if before, left, right := n("before%"), n("left%"), n("right%"); before != 20 || left != right {
				t.Errorf("%d of 20 rows from before, %d left halves and %d right ones", before, left, right)
			}
		})
	}
}
