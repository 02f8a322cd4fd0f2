package sqldb_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// A statement that is kept must not be used by two at once, nor keep anything of its
// last use: arguments, rows, an error, the tables as they were.
func TestStatementsAreKept(t *testing.T) {
	db := sqldbtest.SQLite(t) // pgx keeps its own
	makeNotes(t, db)
	ctx := context.Background()
	write := func(f func(tx *sqldb.Tx) error) {
		t.Helper()
		if err := db.Write(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		write(func(tx *sqldb.Tx) error { return insert(tx, fmt.Sprint(i)) })
	}
	t.Run("one within the rows of the same", func(t *testing.T) {
		const query = `SELECT id FROM note WHERE id >= $1 ORDER BY id`
		var pairs string
		write(func(tx *sqldb.Tx) error {
			pairs = ""
			outer, err := tx.Query(query, "1")
			if err != nil {
				return err
			}
			defer outer.Close()
			for outer.Next() {
				var a, b string
				if err := outer.Scan(&a); err != nil {
					return err
				}
				if err := tx.QueryRow(query, a).Scan(&b); err != nil {
					return err
				}
				pairs += a + b + " "
			}
			return outer.Err()
		})
		if pairs != "11 22 " {
			t.Errorf("read %q", pairs)
		}
	})
	t.Run("after a failure", func(t *testing.T) {
		for range 3 {
			err := db.Write(ctx, func(tx *sqldb.Tx) error { return insert(tx, "1") })
			if !sqldb.IsUnique(err) {
				t.Errorf("a second row: %v", err)
			}
		}
		write(func(tx *sqldb.Tx) error { return insert(tx, "3") })
	})
	t.Run("after the table has changed", func(t *testing.T) {
		read := func() (id, text string, err error) {
			rows, err := db.Query(ctx, `SELECT * FROM note WHERE id = '1'`)
			if err != nil {
				return "", "", err
			}
			defer rows.Close()
			columns, err := rows.Columns()
			if err != nil || !rows.Next() {
				return "", "", err
			}
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			return columns[len(columns)-1], fmt.Sprint(len(columns)), rows.Scan(values...)
		}
		_, before, err := read()
		if err != nil {
			t.Fatal(err)
		}
		write(func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`ALTER TABLE note ADD COLUMN late TEXT`)
			return err
		})
		last, after, err := read()
		if err != nil || last != "late" || after == before {
			t.Errorf("%s columns, then %s, the last %s: %v", before, after, last, err)
		}
	})
	t.Run("more than are kept", func(t *testing.T) {
		for round := range 2 {
			for i := range 700 {
				var n int
				if err := db.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) + %d FROM note`, i)).Scan(&n); err != nil || n != 4+i {
					t.Fatalf("round %d, statement %d: %d, %v", round, i, n, err)
				}
			}
		}
	})
	t.Run("cut off by the reader", func(t *testing.T) {
		for range 3 {
			short, cancel := context.WithCancel(ctx)
			rows, err := db.Query(short, `SELECT id FROM note`)
			if err != nil {
				t.Fatal(err)
			}
			rows.Next()
			cancel()
			rows.Close()
			n := 0
			rows, err = db.Query(ctx, `SELECT id FROM note`)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				n++
			}
			if rows.Close(); n != 4 || rows.Err() != nil {
				t.Errorf("%d rows, %v", n, rows.Err())
			}
		}
	})
}
