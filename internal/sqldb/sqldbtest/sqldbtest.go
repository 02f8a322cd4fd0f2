// Package sqldbtest gives tests a fresh database of each engine.
//
// It owns a private PostgreSQL server, started once in a test process on a Unix
// socket in a temporary folder, without durability, and ended with the process.
// BELFRY_TEST_POSTGRES names a server to use instead, so that many test programs
// can share one. Where PostgreSQL is not installed its tests are skipped, and
// fail when CI=true.
package sqldbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx", to make a schema for each test

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Engines returns for each engine's name a function that opens a new, empty
// database of it, closed when the test ends.
func Engines(t testing.TB) map[string]func(testing.TB) *sqldb.DB {
	return map[string]func(testing.TB) *sqldb.DB{"sqlite": SQLite, "postgres": Postgres}
}

// SQLite opens a new, empty SQLite database.
func SQLite(t testing.TB) *sqldb.DB {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "belfry.db"))
}

// Postgres opens a new, empty schema of the test process's PostgreSQL.
func Postgres(t testing.TB) *sqldb.DB {
	t.Helper()
	return open(t, PostgresURL(t))
}

func open(t testing.TB, address string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(context.Background(), address)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// PostgresURL is the address of a new, empty schema, for tests that open it
// several times.
func PostgresURL(t testing.TB) string {
	t.Helper()
	schema := "test_" + strings.ToLower(rand.Text())
	u := administer(t, "CREATE SCHEMA "+schema)
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// PostgresDatabase is the address of a new database of its own, for tests with
// programs that know no other unit.
func PostgresDatabase(t testing.TB) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	u := administer(t, "CREATE DATABASE "+name)
	u.Path = "/" + name
	return u.String()
}

// administer runs a statement on the test server and returns the server's address.
func administer(t testing.TB, statement string) *url.URL {
	t.Helper()
	address, missing, err := server()
	switch {
	case err != nil:
		t.Fatalf("postgres: %v", err)
	case missing != "" && os.Getenv("CI") == "true":
		t.Fatal(missing)
	case missing != "":
		t.Skip(missing)
	}
	admin, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.Exec(statement); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

var (
	once    sync.Once
	address string
	missing string
	failed  error
	//lint:ignore U1000 held so that it stays open as long as this process lives
	hold *os.File // the pipe whose end tells the server's keeper that we are gone
)

func server() (string, string, error) {
	once.Do(func() {
		if address = os.Getenv("BELFRY_TEST_POSTGRES"); address != "" {
			return
		}
		bin := binaries()
		if bin == "" {
			missing = "PostgreSQL is not installed (postgres and initdb are in no PATH folder and not under /usr/lib/postgresql)"
			return
		}
		address, failed = start(bin)
	})
	return address, missing, failed
}

// binaries returns the folder of postgres and initdb; Debian keeps them out of PATH.
func binaries() string {
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

// keeper starts the server, waits until its standard input ends, which happens
// when the test process does, however it dies, and cleans up.
const keeper = `"$0/postgres" -D "$1/data" -k "$1" -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
	-c max_connections=400 -c shared_buffers=32MB -c logging_collector=off >"$1/log" 2>&1 &
p=$!; cat >/dev/null; kill -QUIT $p; wait $p; rm -rf "$1"`

func start(bin string) (string, error) {
	dir, err := os.MkdirTemp("", "belfry-pg-")
	if err != nil {
		return "", err
	}
	attr, err := cluster(bin, dir, "--no-sync")
	if err != nil {
		return "", err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	hold = w
	keep := exec.Command("/bin/sh", "-c", keeper, bin, dir)
	keep.Dir, keep.SysProcAttr, keep.Stdin = dir, attr, r
	if err := keep.Start(); err != nil {
		return "", err
	}
	r.Close()
	return addressIn(dir), wait(addressIn(dir))
}

// cluster makes the files of a server below dir, and says how to run what works on them.
func cluster(bin, dir string, more ...string) (*syscall.SysProcAttr, error) {
	attr, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), append([]string{"-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"}, more...)...)
	initdb.Dir, initdb.SysProcAttr = dir, attr
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return attr, nil
}

// addressIn is the address of the server whose socket lies in dir.
func addressIn(dir string) string {
	return "postgres://postgres@/postgres?host=" + url.QueryEscape(dir)
}

// unprivileged is how to run PostgreSQL, which refuses to run as root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for the tests; the keeper cleans up after them
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, uid, gid)
}

func wait(address string) error {
	db, err := sql.Open("pgx", address)
	if err != nil {
		return err
	}
	defer db.Close()
	for range 200 {
		if err = db.Ping(); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the server does not answer: %w", err)
}
