package sqldb_test

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

func files(texts ...string) fs.FS {
	m := fstest.MapFS{}
	for i, text := range texts {
		m["migrations/00"+string(rune('1'+i))+"_step.sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func TestMigrate(t *testing.T) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) {
			db, ctx := open(t), context.Background()
			one, two := `CREATE TABLE a (id TEXT PRIMARY KEY);`, `ALTER TABLE a ADD COLUMN b BIGINT; INSERT INTO a (id, b) VALUES ('x', 1);`
			for _, f := range []fs.FS{files(one), files(one), files(one, two), files(one, two)} {
				if err := db.Migrate(ctx, "a", f); err != nil {
					t.Fatal(err)
				}
			}
			var n int
			if err := db.QueryRow(ctx, `SELECT count(*) FROM a`).Scan(&n); err != nil || n != 1 {
				t.Fatalf("%d rows, %v", n, err)
			}
			if err := db.Migrate(ctx, "a", files(one)); err == nil || !strings.Contains(err.Error(), "a newer version has used this database") {
				t.Errorf("older program: %v", err)
			}
			if err := db.Migrate(ctx, "a", files(one, two+" ")); err == nil || !strings.Contains(err.Error(), "002_step.sql") {
				t.Errorf("changed text: %v", err)
			}
			// A step that fails in its second statement leaves nothing of its first.
			if err := db.Migrate(ctx, "b", files(`CREATE TABLE c (id TEXT); nonsense;`)); err == nil {
				t.Error("nonsense applied")
			}
			if err := db.Migrate(ctx, "b", files(`CREATE TABLE c (id TEXT);`)); err != nil {
				t.Errorf("after a failed step: %v", err)
			}
		})
	}
}

func TestMigrateFromSeveralProcesses(t *testing.T) {
	addresses := map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "a.db") },
		"postgres": func() string { return sqldbtest.PostgresURL(t) },
	}
	for name, address := range addresses {
		t.Run(name, func(t *testing.T) {
			address := address()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					db, err := sqldb.Open(context.Background(), address)
					if err != nil {
						t.Error(err)
						return
					}
					defer db.Close()
					if err := db.Migrate(context.Background(), "a", files(`CREATE TABLE a (id TEXT);`, `INSERT INTO a (id) VALUES ('once');`)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestMigrationFileNames(t *testing.T) {
	db := sqldbtest.SQLite(t)
	for _, f := range []fstest.MapFS{
		{}, {"001_a.sql": {}}, {"migrations/1_a.sql": {}}, {"migrations/002_a.sql": {}},
		{"migrations/001_a.sql": {}, "migrations/001_b.sql": {}}, {"migrations/001_A.sql": {}},
	} {
		if err := db.Migrate(context.Background(), "a", f); err == nil {
			t.Errorf("accepted %v", f)
		}
	}
}
