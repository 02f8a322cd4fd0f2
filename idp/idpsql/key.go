package idpsql

import (
	"context"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// SigningKey is one generation of an algorithm's key; the private part lies in Sealed.
type SigningKey struct {
	Alg        string
	Generation int64
	KID        string
	Sealed     string
	ActiveAt   time.Time // signs from here on, until the next generation does
}

// SigningKeys lists all keys, generations in order.
func (s *Store) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	rows, err := s.db.Query(ctx, `SELECT alg, generation, kid, sealed, active_at FROM idp_signing_key ORDER BY alg, generation`)
	if err != nil {
		return nil, fmt.Errorf("idpsql: signing keys: %w", err)
	}
	defer rows.Close()
	var keys []SigningKey
	for rows.Next() {
		var k SigningKey
		var active int64
		if err := rows.Scan(&k.Alg, &k.Generation, &k.KID, &k.Sealed, &active); err != nil {
			return nil, fmt.Errorf("idpsql: signing keys: %w", err)
		}
		k.ActiveAt = sqldb.FromMicros(active)
		keys = append(keys, k)
	}
	return keys, rows.Err()
}

// AddSigningKey stores k unless its generation exists: then another node was first,
// and its key counts.
func (s *Store) AddSigningKey(ctx context.Context, k SigningKey) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO idp_signing_key (alg, generation, kid, sealed, active_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (alg, generation) DO NOTHING`, k.Alg, k.Generation, k.KID, k.Sealed, sqldb.Micros(k.ActiveAt))
		return err
	})
	if err != nil {
		return fmt.Errorf("idpsql: add signing key: %w", err)
	}
	return nil
}
