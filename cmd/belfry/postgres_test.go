package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// The main job with PostgreSQL behind it, journal included.
func TestJourneyOnPostgreSQL(t *testing.T) {
	w := startWorld(t, "--database", sqldbtest.PostgresURL(t))
	citizen := newPerson(t)
	order := citizen.order(w, "zandvoorde", w.card("sofie"))
	w.clerk("zandvoorde", "wim").approve(order)
	file := filepath.Join(t.TempDir(), "paper.pdf")
	if err := os.WriteFile(file, citizen.waitIssued(order, 30*time.Second), 0o600); err != nil {
		t.Fatal(err)
	}
	w.command(0, "verify", file, "--trust", filepath.Dir(w.PKI.Roots))
	w.command(0, "journal", "--config", w.Belfry.Config, "zandvoorde")
}
