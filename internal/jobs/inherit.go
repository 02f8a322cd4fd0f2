package jobs

import (
	"context"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// rivers are the tables of the queue that Belfry used at first, River's, its jobs last.
var rivers = []string{"river_client_queue", "river_client", "river_leader", "river_queue", "river_notification", "river_migration", "river_job"}

// inherit takes over what waits in the tables of River, and drops them.
func inherit(db *sqldb.DB) error {
	ctx := context.Background()
	unlock, err := db.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return db.Write(ctx, func(tx *sqldb.Tx) error {
		exists := `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'river_job'`
		if db.Engine() == sqldb.Postgres {
			exists = `SELECT count(to_regclass('river_job'))`
		}
		var n int
		if err := tx.QueryRow(exists).Scan(&n); err != nil || n == 0 {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO jobs_job (id, kind, args, due, tries, every, error)
			SELECT id, kind, CAST(args AS TEXT), $1, 0, 0, '' FROM river_job
			WHERE state IN ('available', 'pending', 'retryable', 'running', 'scheduled')`, time.Now().UnixMicro()); err != nil {
			return err
		}
		for _, table := range rivers {
			if _, err := tx.Exec(`DROP TABLE IF EXISTS ` + table); err != nil {
				return err
			}
		}
		return nil
	})
}
