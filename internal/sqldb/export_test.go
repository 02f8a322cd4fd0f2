package sqldb

import "database/sql"

// Raw is the transaction itself, for tests that break it.
func (tx *Tx) Raw() *sql.Tx { return tx.raw }
