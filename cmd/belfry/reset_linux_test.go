package main

import (
	"strings"
	"testing"
)

// A commune to practise in is emptied while the service goes on: its papers, their seals and
// its numbers are gone, the journal holds and says so, and the neighbour has what it had.
func TestTrainingCommuneIsEmptied(t *testing.T) {
	b := startBroken(t, nil)
	citizen, desk := b.signedIn("luc"), b.clerk("beaumarais", "claire")
	first := b.newDeal(citizen, desk)
	b.through([]*deal{first}, (*deal).all)
	order := newPerson(t).order(b.world, "zandvoorde", b.card("sofie"))
	if said := b.command(1, "commune", "reset", "--config", b.config, "beaumarais"); !strings.Contains(said, "no training commune") {
		t.Errorf("a commune that is none: %s", said)
	}
	b.settle(func(f *belfryFile) {
		for _, c := range (*f)["commune"].([]any) {
			if home := c.(map[string]any); home["id"] == "beaumarais" {
				home["training"] = true
			}
		}
	})
	if said := b.command(0, "commune", "reset", "--config", b.config, "beaumarais"); !strings.Contains(said, "1 orders, 1 papers") {
		t.Errorf("it says %s", said)
	}
	db := b.database()
	for _, table := range []string{"orders_order", "orders_paper", "orders_counter", "orders_file", "signing_grant", "signing_attempt"} {
		if n := b.column(db, `SELECT CAST(COUNT(*) AS TEXT) FROM `+table+` WHERE commune = 'beaumarais'`)[0]; n != "0" {
			t.Errorf("%s rows are left in %s", n, table)
		}
	}
	if n := b.column(db, `SELECT CAST(COUNT(*) AS TEXT) FROM orders_order WHERE commune = 'zandvoorde'`)[0]; n != "1" {
		t.Errorf("the neighbour has %s orders (%s)", n, order)
	}
	b.command(0, "journal", "--config", b.config, "beaumarais")
	if n := b.column(db, `SELECT CAST(COUNT(*) AS TEXT) FROM audit_entry WHERE action = 'commune.reset' AND actor = 'operator'`)[0]; n != "1" {
		t.Errorf("the journal has %s lines of it", n)
	}
	citizen.get(first.address)
	citizen.want(404)
}
