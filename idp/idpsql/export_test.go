package idpsql

import (
	"context"
	"fmt"
	"io/fs"
	"testing/fstest"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// MigrateTo applies the first n migrations only, as an older program did.
func MigrateTo(ctx context.Context, db *sqldb.DB, n int) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	older := fstest.MapFS{}
	for _, name := range names[:n] {
		text, err := fs.ReadFile(migrations, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		older[name] = &fstest.MapFile{Data: text}
	}
	return db.Migrate(ctx, "idp", older)
}
