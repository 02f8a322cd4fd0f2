package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

const (
	sqliteReaders     = 8
	postgresReaders   = 16
	postgresWriters   = 9 // one for Write, the others for internal/jobs
	postgresBatchTime = 30 * time.Second
)

// SQLite built by its own scripts calls fdatasync; this one, made from its source
// alone, would call fsync, and wait for the times of the file too at each commit.
func init() {
	if _, err := sqlite.Fdatasync(true); err != nil && !errors.Is(err, sqlite.ErrFdatasyncUnavailable) {
		panic(err)
	}
}

// openSQLite opens the file twice: one connection that writes and takes the
// write lock when it begins, and a pool that cannot write.
func (db *DB) openSQLite(path string) error {
	if path == "" {
		return fmt.Errorf(`"sqlite:" lacks the path of its file`)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db.engine, db.path = SQLite, path
	writer, err := sqlite.NewConnector(sqliteDSN(path, url.Values{
		"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "journal_size_limit(67108864)"},
		"_txlock": {"immediate"},
	}))
	if err != nil {
		return err
	}
	reader, err := sqlite.NewConnector(sqliteDSN(path, url.Values{"_pragma": {"foreign_keys(1)"}, "_query_only": {"1"}}))
	if err != nil {
		return err
	}
	db.writer = sql.OpenDB(preparing{rollbackWatcher{writer, db.lost}})
	db.writer.SetMaxOpenConns(1)
	db.reader = sql.OpenDB(preparing{reader})
	db.reader.SetMaxOpenConns(sqliteReaders)
	db.reader.SetMaxIdleConns(sqliteReaders)
	return nil
}

func sqliteDSN(path string, q url.Values) string {
	q.Set("_busy_timeout", "10000") // another process of ours, such as a backup, may hold the lock
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// rollbackWatcher makes connections that say when SQLite itself ended their
// transaction (a full disk, an I/O error), because the statements that follow
// would be committed one by one.
type rollbackWatcher struct {
	driver.Connector
	lost *atomic.Bool
}

func (w rollbackWatcher) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := w.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	hooked, ok := c.(interface {
		RegisterRollbackHook(sqlite.RollbackHookFn)
	})
	if !ok {
		c.Close()
		return nil, fmt.Errorf("this sqlite driver cannot tell of a rollback")
	}
	hooked.RegisterRollbackHook(func() { w.lost.Store(true) })
	return c, nil
}

// openPostgres opens a pool for the writer and jobs, and one for readers, so
// that a burst of pages cannot starve a commit.
func (db *DB) openPostgres(address string) error {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return fmt.Errorf("the PostgreSQL address does not parse") // the cause may hold the password
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "belfry"
	}
	config.RuntimeParams["synchronous_commit"] = "on"
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "60000"
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	db.engine, db.address = Postgres, address
	db.writer = stdlib.OpenDB(*config, stdlib.OptionResetSession(alive))
	db.writer.SetMaxOpenConns(postgresWriters)
	db.writer.SetMaxIdleConns(postgresWriters) // two by default: the others would reconnect each time
	db.reader = stdlib.OpenDB(*config, stdlib.OptionResetSession(alive))
	db.reader.SetMaxOpenConns(postgresReaders)
	db.reader.SetMaxIdleConns(postgresReaders)
	return nil
}

// alive is asked before a connection is used again: one that the server has closed
// meanwhile is left, where pgx by itself looks only at those that were idle for a second.
func alive(_ context.Context, conn *pgx.Conn) error {
	//lint:ignore SA1019 it costs no round trip, and what it misses the statement itself will meet
	if conn.PgConn().CheckConn() != nil {
		return driver.ErrBadConn
	}
	return nil
}
