package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// step is one migration file of a room.
type step struct {
	version int
	name    string
	text    string
	sum     string
}

var stepName = regexp.MustCompile(`^([0-9]{3})_[a-z0-9_]+\.sql$`)

// Migrate brings the tables of one room up to date: each of the files
// migrations/001_name.sql, 002_name.sql, ... (without gaps) is applied once, all of
// what is missing in one transaction. It refuses a database that a newer
// program has used, and a file whose text was changed after it was applied.
// Several processes may call it at once.
func (db *DB) Migrate(ctx context.Context, room string, files fs.FS) error {
	steps, err := readSteps(files)
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", room, err)
	}
	unlock, err := db.Lock(ctx)
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", room, err)
	}
	defer unlock()
	if err := db.Write(ctx, func(tx *Tx) error { return migrate(tx, room, steps) }); err != nil {
		return fmt.Errorf("migrations of %s: %w", room, err)
	}
	return nil
}

func migrate(tx *Tx, room string, steps []step) error {
	if _, err := tx.Exec(`CREATE TABLE IF NOT EXISTS sqldb_migration (
		room TEXT NOT NULL, version BIGINT NOT NULL, name TEXT NOT NULL, sum TEXT NOT NULL,
		PRIMARY KEY (room, version))`); err != nil {
		return err
	}
	applied, err := appliedSteps(tx, room)
	if err != nil {
		return err
	}
	if len(applied) > len(steps) {
		return fmt.Errorf("the database is at step %03d and this program knows %d: a newer version has used this database; "+
			"install that version again, or restore a backup made before it", len(applied), len(steps))
	}
	for i, s := range steps {
		if i < len(applied) {
			if applied[i] != s.sum {
				return fmt.Errorf("%s is not the text that was applied to this database", s.name)
			}
			continue
		}
		if _, err := tx.Exec(s.text); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if _, err := tx.Exec(`INSERT INTO sqldb_migration (room, version, name, sum) VALUES ($1, $2, $3, $4)`,
			room, s.version, s.name, s.sum); err != nil {
			return err
		}
	}
	return nil
}

func appliedSteps(tx *Tx, room string) (sums []string, err error) {
	rows, err := tx.Query(`SELECT sum FROM sqldb_migration WHERE room = $1 ORDER BY version`, room)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var sum string
		if err := rows.Scan(&sum); err != nil {
			return nil, err
		}
		sums = append(sums, sum)
	}
	return sums, rows.Err()
}

func readSteps(files fs.FS) ([]step, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var steps []step
	for i, file := range names {
		name := path.Base(file)
		m := stepName.FindStringSubmatch(name)
		if m == nil {
			return nil, fmt.Errorf("%s is not named like 001_name.sql", name)
		}
		if version, _ := strconv.Atoi(m[1]); version != i+1 {
			return nil, fmt.Errorf("%s where %03d was to come", name, i+1)
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		steps = append(steps, step{i + 1, name, string(text), hex.EncodeToString(sum[:])})
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("there are none")
	}
	return steps, nil
}

// Lock waits until no other process changes tables of this database, and keeps
// them from it until unlock. Migrate does so itself. On PostgreSQL the lock
// belongs to a session of its own: taken inside the transaction it would come
// after the snapshot, which then misses the tables that the process before us
// has made.
func (db *DB) Lock(ctx context.Context) (unlock func(), err error) {
	if db.engine == SQLite {
		return lockFile(db.path + ".lock")
	}
	conn, err := db.reader.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock(72656466727901)`); err != nil {
		conn.Close()
		return nil, err
	}
	return func() {
		conn.Raw(func(any) error { return driver.ErrBadConn }) // ending the session releases the lock whatever happened
		conn.Close()
	}, nil
}

// lockFile waits for an advisory lock on the file, made where it does not exist.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
