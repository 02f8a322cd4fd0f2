package main

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/signing/deferred"
	"github.com/belfry-eid/belfry/signing/signingsql"
)

// testdata/releases holds the database of each release as SQL, with one row in each table:
// VERSION.sqlite.sql and VERSION.postgres.sql. `make schema RELEASE=0.1.0` writes those of
// the release that is being made; from then on they stay as they are.
var release = flag.String("release", "", "write the database of this release into testdata/releases")

const releases = "testdata/releases"

// opened brings the tables of every room up to date, as the service does at its start.
func opened(t *testing.T, db *sqldb.DB) {
	t.Helper()
	ctx := context.Background()
	for _, room := range []func() error{
		func() error { _, err := kv.NewSQL(db, clock.System); return err },
		func() error { _, err := audit.New(db, t.TempDir()); return err },
		func() error { _, err := jobs.New(db, slog.Default()); return err },
		func() error { _, err := signingsql.New(db); return err },
		func() error { _, err := deferred.New(ctx, deferred.Config{DB: db}); return err },
		func() error { _, err := idpsql.New(ctx, db, clock.System); return err },
		func() error { return orders.Migrate(ctx, db) },
		func() error { return staff.Migrate(ctx, db) },
	} {
		if err := room(); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever an earlier release has left, this program brings to the same tables as it makes
// itself, and every row is still there with what it held.
func TestOpensTheDataOfEveryRelease(t *testing.T) {
	for engine, open := range sqldbtest.Engines(t) {
		t.Run(engine, func(t *testing.T) {
			fresh := open(t)
			opened(t, fresh)
			everyRoomIsThere(t, fresh)
			want := schema(t, fresh)
			if *release != "" {
				freeze(t, *release, fresh)
			}
			files, err := filepath.Glob(filepath.Join(releases, "*."+engine+".sql"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no release: %v", err)
			}
			for _, file := range files {
				db := open(t)
				if _, err := db.Writer().ExecContext(context.Background(), readFile(t, file)); err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				before := contents(t, db)
				opened(t, db)
				if got := schema(t, db); !slices.Equal(got, want) {
					t.Errorf("%s becomes\n%s\nand a new database is\n%s", file, without(got, want), without(want, got))
				}
				after := contents(t, db)
				for table, columns := range before {
					if len(columns) == 0 {
						t.Errorf("%s: nothing in %s that could be lost", file, table)
					}
					for column, value := range columns {
						if after[table][column] != value && table != "sqldb_migration" {
							t.Errorf("%s: %s.%s was %q and is %q", file, table, column, value, after[table][column])
						}
					}
				}
			}
		})
	}
}

func without(a, b []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) }), "\n")
}

// everyRoomIsThere looks that opened has left out no folder of migrations.
func everyRoomIsThere(t *testing.T, db *sqldb.DB) {
	t.Helper()
	files := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".sql" && filepath.Base(filepath.Dir(path)) == "migrations" && !strings.Contains(path, "orderstest") {
			files++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := column(t, db, `SELECT CAST(COUNT(*) AS TEXT) FROM sqldb_migration`)[0]; n != fmt.Sprint(files) {
		t.Errorf("%s migrations were made, and there are %d", n, files)
	}
}

// column is what a query of one column finds.
func column(t *testing.T, db *sqldb.DB, query string, args ...any) (list []string) {
	t.Helper()
	rows, err := db.Query(context.Background(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// schema is what the engine says of its tables, columns, keys and indexes, a line each.
func schema(t *testing.T, db *sqldb.DB) []string {
	t.Helper()
	queries := []string{`SELECT type || ' ' || tbl_name || ': ' || sql FROM sqlite_master WHERE sql IS NOT NULL`}
	if db.Engine() == sqldb.Postgres {
		queries = []string{
			`SELECT 'column ' || table_name || '.' || column_name || ': ' || data_type || ', null ' || is_nullable || ', default ' || COALESCE(column_default, 'none')
				FROM information_schema.columns WHERE table_schema = current_schema()`,
			`SELECT 'index ' || replace(indexdef, schemaname || '.', '') FROM pg_indexes WHERE schemaname = current_schema()`,
			`SELECT 'constraint ' || conname || ': ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = current_schema()::regnamespace AND contype <> 'n'`,
		}
	}
	var all []string
	for _, q := range queries {
		all = append(all, column(t, db, q)...)
	}
	slices.Sort(all)
	return all
}

// tables are in the order in which they were made: what a key refers to comes first.
func tables(t *testing.T, db *sqldb.DB) []string {
	t.Helper()
	query := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY rowid`
	if db.Engine() == sqldb.Postgres {
		query = `SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY oid`
	}
	return column(t, db, query)
}

// field is a column of a table, of type "text", "bigint", "boolean" or "bytea".
type field struct{ name, kind string }

func fields(t *testing.T, db *sqldb.DB, table string) (list []field) {
	t.Helper()
	query := `SELECT name || ' ' || lower(type) FROM pragma_table_info($1) ORDER BY cid`
	if db.Engine() == sqldb.Postgres {
		query = `SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position`
	}
	for _, line := range column(t, db, query, table) {
		name, kind, _ := strings.Cut(line, " ")
		list = append(list, field{name, kind})
	}
	return list
}

// contents is the first row of each table, by column, as SQL would write it.
func contents(t *testing.T, db *sqldb.DB) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for _, table := range tables(t, db) {
		all[table] = map[string]string{}
		for _, f := range fields(t, db, table) {
			for _, v := range column(t, db, `SELECT COALESCE(`+literal(db, f)+`, 'NULL') FROM `+table+` LIMIT 1`) {
				all[table][f.name] = v
			}
		}
	}
	return all
}

// literal is the expression that writes a column's value as SQL.
func literal(db *sqldb.DB, f field) string {
	switch {
	case db.Engine() == sqldb.SQLite:
		return "quote(" + f.name + ")"
	case f.kind == "bytea":
		return "'''\\x' || encode(" + f.name + ", 'hex') || ''''"
	default:
		return "quote_literal(" + f.name + ")"
	}
}

// stated are the columns of which the program would not read just anything.
var stated = map[string]string{
	"commune": "beaumarais", "product": "residence", "product_version": "1", "state": "issued", "language": "fr", "answers": "[]",
	"due_on": "2026-02-03", "refusal": "", "reference": "NEUTRAL2", "number": "2026-000001", "access": "", "attachment": "", "source": "",
	"closed_at": "1770000000000000", "detail": "{}", "actor": "service", "year": "2026",
}

// freeze puts a neutral row into each table of a new database, and writes it all as SQL.
func freeze(t *testing.T, version string, db *sqldb.DB) {
	t.Helper()
	for _, table := range tables(t, db) {
		if table == "sqldb_migration" {
			continue
		}
		var names, values []string
		for _, f := range fields(t, db, table) {
			value, ok := stated[f.name]
			switch {
			case f.kind == "bytea" || f.kind == "blob":
				value = "X'" + hex.EncodeToString([]byte("neutral")) + "'"
				if db.Engine() == sqldb.Postgres {
					value = `'\x` + hex.EncodeToString([]byte("neutral")) + "'"
				}
			case f.kind == "boolean":
				value = "TRUE"
			case f.kind == "bigint" && (!ok || strings.Trim(value, "0123456789") != ""):
				value = "1"
			case ok:
				value = "'" + value + "'"
			default:
				value = "'neutral'"
			}
			names, values = append(names, f.name), append(values, value)
		}
		insert := "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
		if _, err := db.Writer().ExecContext(context.Background(), insert); err != nil {
			t.Fatalf("%s: %v", insert, err)
		}
	}
	text := strings.Join(append([]string{"-- The database of Belfry " + version + ", with a neutral row in each table.", ""}, append(definitions(t, db), rows(t, db)...)...), "\n")
	if err := os.MkdirAll(releases, 0o755); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(releases, fmt.Sprintf("%s.%s.sql", version, engineName(db)))
	if err := os.WriteFile(name, []byte(text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func engineName(db *sqldb.DB) string {
	if db.Engine() == sqldb.Postgres {
		return "postgres"
	}
	return "sqlite"
}

// definitions are the statements that make the tables.
func definitions(t *testing.T, db *sqldb.DB) []string {
	t.Helper()
	if db.Engine() == sqldb.SQLite {
		return column(t, db, `SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid`)
	}
	schema := column(t, db, `SELECT current_schema()`)[0]
	where := column(t, db, `SELECT 'postgres:///' || current_database() || '?host=' || split_part(current_setting('unix_socket_directories'), ',', 1) || '&port=' || current_setting('port') || '&user=' || current_user`)[0]
	dump := "pg_dump"
	if _, err := exec.LookPath(dump); err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
		if len(found) == 0 {
			t.Fatal("pg_dump is not installed")
		}
		dump = found[len(found)-1]
	}
	out, err := exec.Command(dump, "--schema-only", "--no-owner", "--no-privileges", "--schema="+schema, where).Output()
	if err != nil {
		t.Fatalf("pg_dump: %v", err)
	}
	text := regexp.MustCompile(`(?m)^(--.*|SET .*|\\.*|SELECT pg_catalog.*|CREATE SCHEMA.*)\n`).ReplaceAllString(string(out), "")
	text = regexp.MustCompile(`\n\n+`).ReplaceAllString(strings.ReplaceAll(text, schema+".", ""), "\n")
	return []string{strings.TrimSpace(text)}
}

// rows are the statements that fill them.
func rows(t *testing.T, db *sqldb.DB) (list []string) {
	t.Helper()
	for _, table := range tables(t, db) {
		var names, values []string
		for _, f := range fields(t, db, table) {
			names, values = append(names, f.name), append(values, "COALESCE("+literal(db, f)+", 'NULL')")
		}
		insert := "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") VALUES ("
		for _, row := range column(t, db, `SELECT `+strings.Join(values, " || ', ' || ")+` FROM `+table+` ORDER BY 1`) {
			list = append(list, insert+row+");")
		}
	}
	return list
}

// A database that a newer program has used is refused at the start, in words that say what
// to do, and nothing is served.
func TestRefusesTheDataOfALaterRelease(t *testing.T) {
	w := startWorld(t)
	settings, err := loadSettings(w.Belfry.Config)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(context.Background(), settings.Database.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, room := range []string{"kv", "orders", "staff"} {
		if err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(`DELETE FROM sqldb_migration WHERE version = 900`); err != nil {
				return err
			}
			_, err := tx.Exec(`INSERT INTO sqldb_migration (room, version, name, sum) VALUES ($1, 900, '900_later.sql', 'later')`, room)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		said := w.command(1, "serve", "--config", w.Belfry.Config)
		for _, words := range []string{"belfry: ", "migrations of " + room, "a newer version has used this database", "install that version again, or restore a backup made before it"} {
			if !strings.Contains(said, words) {
				t.Errorf("%s: it does not say %q:\n%s", room, words, said)
			}
		}
	}
}

// A restore that stopped before numbers were skipped is no data to go on from: an older
// program that meets a newer one's backup leaves nothing that the newer one would serve.
func TestNothingGoesOnFromHalfARestore(t *testing.T) {
	w := startWorld(t)
	text := readFile(t, w.Belfry.Config)
	settings, err := loadSettings(w.Belfry.Config)
	if err != nil {
		t.Fatal(err)
	}
	later := func(url, statement string) {
		t.Helper()
		db, err := sqldb.Open(context.Background(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Write(context.Background(), func(tx *sqldb.Tx) error { _, err := tx.Exec(statement); return err }); err != nil {
			t.Fatal(err)
		}
	}
	later(settings.Database.URL, `INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('staff', 900, '900_later.sql', 'later')`)
	backup, fresh := filepath.Join(w.dir, "later.tar"), filepath.Join(w.dir, "fresh")
	w.command(0, "backup", backup, "--config", w.Belfry.Config)
	url := "sqlite:" + filepath.Join(w.dir, "fresh.db")
	other := filepath.Join(filepath.Dir(w.Belfry.Config), "other.toml")
	for old, new := range map[string]string{"data": fresh, "url": url} {
		line := regexp.MustCompile(`(?m)^(\s*)` + old + ` = ['"].*['"]$`)
		at := line.FindStringIndex(text)
		if at == nil {
			t.Fatalf("no %s in the settings", old)
		}
		text = text[:at[0]] + fmt.Sprintf("%s = %q", old, new) + text[at[1]:]
	}
	if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := w.command(1, "restore", backup, "--config", other); !strings.Contains(said, "a newer version has used this database") {
		t.Errorf("the restore says\n%s", said)
	}
	later(url, `DELETE FROM sqldb_migration WHERE version = 900`) // as the newer program sees it
	for _, command := range []string{"check", "serve"} {
		if said := w.command(1, command, "--config", other); !strings.Contains(said, "a restore was not finished here") {
			t.Errorf("%s says\n%s", command, said)
		}
	}
}
