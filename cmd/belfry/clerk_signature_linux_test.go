package main

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/signing/verify"
)

// Kill -9 between the two halves of a clerk's signature, and at each point of the second
// half where something is made to last. The card has signed once; its answer is brought
// again to the next life of belfry, and leads to one paper with that signature.
func TestKilledBetweenPrepareAndFinish(t *testing.T) {
	b := startBroken(t, nil)
	citizen, clerk, card := b.signedIn("luc"), b.clerk("beaumarais", "claire"), b.card("claire")
	// Files first, then what is written and synced of the database, then what follows.
	points := []int{0, 1, 4, 10, 12, 13, 14}
	for _, n := range points {
		d := b.newDeal(citizen, clerk)
		if err := d.submit(); err != nil {
			t.Fatal(err)
		}
		clerk.prepared(d.address)
		clerk.choose(b.world, "beaumarais", "sign", clerk.ready(b.world, "beaumarais")[idOf(d.address)])
		clerk.want(200)
		batch := clerk.at.String()
		a := clerk.script(batch, "prepare", map[string]any{"order": idOf(d.address), "certificate": card.Signature})
		signature, refusal := b.signs(card, card.Signature, a, card.PIN)
		if refusal != "" {
			t.Fatal(refusal)
		}
		answer := map[string]any{"order": idOf(d.address), "request": a.ID, "signature": signature}
		where := point{}
		if n == 0 {
			b.restart()
		} else {
			b.at(n, func(p point) bool { where = p; return true }, die)
			first, err := clerk.tryScript(batch, "finish", answer)
			b.server.set(nil)
			if err == nil && first.status != http.StatusOK && first.status < 500 {
				t.Errorf("point %d, %v: answered %d %s", n, where, first.status, first.Error)
			}
			b.restart()
		}
		again := clerk.script(batch, "finish", answer)
		if again.status != http.StatusOK && again.status != http.StatusConflict {
			t.Fatalf("after point %d, %v: %d %s", n, where, again.status, again.Error)
		}
		if err := d.fetch(); err != nil {
			t.Fatalf("after point %d, %v: %v", n, where, err)
		}
		roots, err := readCertificates(b.PKI.Roots)
		if err != nil {
			t.Fatal(err)
		}
		report := verify.File(bytes.NewReader(d.pdf), int64(len(d.pdf)), verify.Options{Roots: roots, Now: time.Now()})
		// the person's, the seal, and a document time stamp for each
		if len(report.Signatures) != 4 || report.Result != verify.Valid {
			t.Errorf("after point %d, %v: %d signatures, %s", n, where, len(report.Signatures), report.Result)
		}
		t.Logf("killed at %d, %v: brought again, it is answered with %d", n, where, again.status)
	}
	if have := b.ledger(b.database()); have.orders != len(points) || have.numbers != len(points) || have.papers != len(points) {
		t.Errorf("%d orders, and there are %v", len(points), have)
	}
}
