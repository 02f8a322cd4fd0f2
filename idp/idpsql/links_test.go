package idpsql_test

import (
	"context"
	"testing"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// What was known before there were links is known by them: the migration is applied to
// rows as the three before it left them.
func TestPersonsKnownBeforeLinksStayKnown(t *testing.T) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			if err := idpsql.MigrateTo(t.Context(), db, 3); err != nil {
				t.Fatal(err)
			}
			err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`INSERT INTO idp_person (commune, id, lookup, sealed, created_at, updated_at) VALUES ('beaumarais', 'p1', 'hash', 'sealed', 1, 2)`)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			s, err := idpsql.New(t.Context(), db, start.UTC)
			if err != nil {
				t.Fatal(err)
			}
			l, found, err := s.LinkOf(t.Context(), "beaumarais", "hash")
			if err != nil || !found || l.Person != "p1" || l.Issuer != "" {
				t.Errorf("%+v %v %v", l, found, err)
			}
			p, found, err := s.PersonByID(t.Context(), "beaumarais", "p1")
			if err != nil || !found || p.Sealed != "sealed" || p.Root != "p1" {
				t.Errorf("%+v %v %v", p, found, err)
			}
		})
	}
}
