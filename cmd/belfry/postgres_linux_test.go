package main

import (
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// The main job on PostgreSQL, and kill -9 of belfry in the middle of four orders: once
// somewhere, once when the token has just signed.
func TestPostgres(t *testing.T) {
	b := startBroken(t, nil, "--database", sqldbtest.PostgresURL(t))
	var citizens []*person
	for _, name := range []string{"luc", "amina", "luc", "amina"} {
		citizens = append(citizens, b.signedIn(name))
	}
	desk := b.clerk("beaumarais", "claire")
	b.through([]*deal{b.newDeal(citizens[0], desk)}, (*deal).all)
	rounds := 2
	if torture {
		rounds = 20
	}
	kills, slowest := 0, time.Duration(0)
	for round := range rounds {
		var deals []*deal
		for _, c := range citizens {
			deals = append(deals, b.newDeal(c, desk))
		}
		s, calls := b.server, b.calls()
		go func() {
			if round%2 == 0 {
				for b.calls() == calls && !s.ended() {
					time.Sleep(100 * time.Microsecond)
				}
			} else {
				time.Sleep(time.Duration(100+50*round) * time.Millisecond)
			}
			s.cmd.Process.Kill()
		}()
		l := b.through(deals, (*deal).all)
		kills += len(l.exits)
		slowest = max(slowest, l.slowest)
	}
	t.Logf("%d kills; %v; %d calls of the token; slowest from start to paper %v", kills, b.holds(), b.calls(), slowest.Round(time.Millisecond))
}
