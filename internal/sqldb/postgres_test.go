package sqldb_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// cutter stands between us and PostgreSQL and cuts a connection when a statement
// passes by.
type cutter struct {
	word   atomic.Pointer[[]byte] // cut when this passes, once
	before bool                   // and does not arrive
	server string
}

func (c *cutter) serve(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", c.server)
		if err != nil {
			client.Close()
			continue
		}
		var cut atomic.Bool
		var once sync.Once
		end := func() { once.Do(func() { client.Close(); server.Close() }) }
		go func() {
			defer end()
			c.forward(server, client, &cut)
		}()
		go func() {
			defer end()
			b := make([]byte, 1<<16)
			for {
				n, err := server.Read(b)
				if err != nil || cut.Load() {
					return // the answer to what was cut is lost
				}
				if _, err := client.Write(b[:n]); err != nil {
					return
				}
			}
		}()
	}
}

func (c *cutter) forward(server io.Writer, client io.Reader, cut *atomic.Bool) {
	b := make([]byte, 1<<16)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		if word := c.word.Load(); word != nil && bytes.Contains(bytes.ToLower(b[:n]), *word) && c.word.CompareAndSwap(word, nil) {
			cut.Store(true)
			if c.before {
				return
			}
		}
		if _, err := server.Write(b[:n]); err != nil {
			return
		}
	}
}

func (c *cutter) arm(word string) { w := []byte(word); c.word.Store(&w) }

func TestConnectionCutOnPostgres(t *testing.T) {
	address := sqldbtest.PostgresURL(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("host") == "" {
		t.Skip("the PostgreSQL of BELFRY_TEST_POSTGRES is not on a Unix socket")
	}
	for _, before := range []bool{true, false} {
		for word, unknown := range map[string]bool{"insert into note": false, "savepoint belfry": false, "commit": true} {
			name := word + " arrived"
			if before {
				name = word + " not arrived"
			}
			t.Run(name, func(t *testing.T) {
				c := &cutter{before: before, server: filepath.Join(q.Get("host"), ".s.PGSQL.5432")}
				dir := t.TempDir()
				l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				go c.serve(l)
				through, _ := url.Parse(sqldbtest.PostgresURL(t))
				p := through.Query()
				p.Set("host", dir)
				through.RawQuery = p.Encode()
				db, err := sqldb.Open(context.Background(), through.String())
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				makeNotes(t, db)
				c.arm(word)
				runs := 0
				err = db.Write(context.Background(), func(tx *sqldb.Tx) error { runs++; return insert(tx, "a") })
				there := has(t, db, "a")
				switch {
				case unknown && (!errors.Is(err, sqldb.ErrCommitUnknown) || runs != 1):
					t.Errorf("%v after %d runs, want an unknown outcome and no second run", err, runs)
				case unknown && there == before:
					t.Errorf("row there %v", there)
				case !unknown && (err != nil || !there || runs > 2):
					t.Errorf("%v, row there %v, %d runs", err, there, runs)
				}
				if c.word.Load() != nil {
					t.Error("nothing was cut")
				}
				if err := db.Write(context.Background(), func(tx *sqldb.Tx) error { return insert(tx, "b") }); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			})
		}
	}
}

// A server that was restarted: every connection we hold is dead, and nobody notices.
func TestRestartOfPostgres(t *testing.T) {
	address := sqldbtest.PostgresURL(t)
	u, _ := url.Parse(address)
	q := u.Query()
	q.Set("application_name", t.Name())
	u.RawQuery = q.Encode()
	db, err := sqldb.Open(context.Background(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	makeNotes(t, db)
	for round := range 3 {
		var wg sync.WaitGroup
		for range 6 { // fill both pools
			wg.Go(func() { db.Writer().Exec(`SELECT pg_sleep(0.02)`) })
			wg.Go(func() {
				var n int
				db.QueryRow(context.Background(), `SELECT 1 FROM pg_sleep(0.02)`).Scan(&n)
			})
		}
		wg.Wait()
		admin, err := sqldb.Open(context.Background(), address)
		if err != nil {
			t.Fatal(err)
		}
		var killed int
		err = admin.QueryRow(context.Background(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1`, t.Name()).Scan(&killed)
		admin.Close()
		if err != nil || killed < 8 {
			t.Fatalf("%d connections killed, %v", killed, err)
		}
		if err := db.Write(context.Background(), func(tx *sqldb.Tx) error { return insert(tx, string(rune('a'+round))) }); err != nil {
			t.Errorf("Write: %v", err)
		}
		if n := count(t, db); n != round+1 {
			t.Errorf("%d rows", n)
		}
	}
}
