package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"modernc.org/sqlite"
)

// Snapshot writes the database, as it is at one moment, to a new file: a database of
// SQLite, or an archive of pg_dump. Others go on writing meanwhile.
func (db *DB) Snapshot(ctx context.Context, path string) error {
	if db.engine == SQLite {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("snapshot: %s is there already", path)
		}
		if err := db.vacuumInto(ctx, path); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
		return nil
	}
	if err := postgresTool(ctx, "pg_dump", db.address, "--format=custom", "--no-owner", "--file="+path); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// vacuumInto reads as others do, on a connection that may write: SQLite lets none that is
// for queries only write another file either.
func (db *DB) vacuumInto(ctx context.Context, path string) error {
	own, err := sqlite.NewConnector(sqliteDSN(db.path, url.Values{}))
	if err != nil {
		return err
	}
	once := sql.OpenDB(own)
	defer once.Close()
	if _, err := once.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
		return err
	}
	return os.Chmod(path, 0o600)
}

// Load fills a new database with a snapshot: a file that is not there yet, or an empty
// database on a server. What it began it takes back where it fails.
func Load(ctx context.Context, address, snapshot string) error {
	path, ours := strings.CutPrefix(address, "sqlite:")
	if ours {
		if err := copyNew(snapshot, path); err != nil {
			return fmt.Errorf("load: %w", err)
		}
		return nil
	}
	if err := emptyPostgres(ctx, address); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if err := postgresTool(ctx, "pg_restore", address, "--single-transaction", "--no-owner", "--exit-on-error", snapshot); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// Readable says whether a snapshot of PostgreSQL can be read at all.
func Readable(ctx context.Context, snapshot string) error {
	if out, err := exec.CommandContext(ctx, findTool("pg_restore"), "--file="+os.DevNull, snapshot).CombinedOutput(); err != nil {
		return fmt.Errorf("pg_restore: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// emptyPostgres refuses a database that has tables: a restore never mixes two lives.
func emptyPostgres(ctx context.Context, address string) error {
	db, err := Open(ctx, address)
	if err != nil {
		return err
	}
	defer db.Close()
	var n int
	err = db.QueryRow(ctx, `SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema()`).Scan(&n)
	if err == nil && n > 0 {
		err = fmt.Errorf("the database has %d tables already; a restore needs an empty one", n)
	}
	return err
}

// postgresTool runs one of PostgreSQL's programs on a database. The password goes by the
// environment: arguments are for all to see.
func postgresTool(ctx context.Context, name, address string, args ...string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("the database's address cannot be read")
	}
	env := os.Environ()
	if password, ok := u.User.Password(); ok {
		env = append(env, "PGPASSWORD="+password)
		u.User = url.User(u.User.Username())
	}
	cmd := exec.CommandContext(ctx, findTool(name), append([]string{"--dbname=" + u.String()}, args...)...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// findTool finds a program of PostgreSQL; Debian keeps them apart by version.
func findTool(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return name
	}
	slices.Sort(found)
	return found[len(found)-1]
}

// copyNew copies a file to a name that is not taken, synced; of a copy that fails nothing is left.
func copyNew(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(to)
		}
	}()
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
