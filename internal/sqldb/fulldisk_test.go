package sqldb_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// small returns a folder on a file system of the given size that is nearly full
// at once; only root can make one.
func small(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("CI") == "true" && os.Getuid() == 0 {
			t.Fatalf("mount: %v", err)
		}
		t.Skipf("a small file system needs root: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := small(t, "2m")
	db, err := sqldb.Open(context.Background(), "sqlite:"+filepath.Join(dir, "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	makeNotes(t, db)
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, bytes.Repeat([]byte("x"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}

	// Many callers at once, until the disk is full: each is told the truth.
	acked := map[string]bool{}
	var mu sync.Mutex
	var full int
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 60 {
				id := fmt.Sprint(w, "-", i)
				err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
					_, err := tx.Exec(`INSERT INTO note (id, text) VALUES ($1, $2)`, id, string(bytes.Repeat([]byte("t"), 6000)))
					return err
				})
				mu.Lock()
				switch {
				case err == nil:
					acked[id] = true
				case sqldb.IsFull(err):
					full++
				default:
					t.Errorf("%s: %v, want a full disk", id, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if full == 0 || len(acked) == 0 {
		t.Fatalf("%d acknowledged, %d refused: the disk is too large or too small for this test", len(acked), full)
	}
	t.Logf("%d acknowledged, %d refused", len(acked), full)

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(context.Background(), func(tx *sqldb.Tx) error { return insert(tx, "recovered") }); err != nil {
		t.Fatalf("after space returned: %v", err)
	}
	db.Close()
	if db, err = sqldb.Open(context.Background(), "sqlite:"+filepath.Join(dir, "a.db")); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for id := range acked {
		if !has(t, db, id) {
			t.Errorf("%s was acknowledged and is gone", id)
		}
	}
	if n := count(t, db); n != len(acked)+1 {
		t.Errorf("%d rows, %d acknowledged", n, len(acked)+1)
	}
}
