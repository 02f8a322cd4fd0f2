package idpsql_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// On both engines: a request is used once, an assertion too, and only where both are new.
func TestSAMLIsUsedOnce(t *testing.T) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) {
			ctx, hand := context.Background(), clock.NewHand(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC))
			s, err := idpsql.New(ctx, open(t), hand.Now)
			if err != nil {
				t.Fatal(err)
			}
			add := func(relay string) idpsql.SAMLRequest {
				r := idpsql.SAMLRequest{Relay: relay, ID: "_" + relay, Commune: "beaumarais", Provider: "fas", Login: "l", Browser: "b", Consumer: "c", Wanted: []string{"x", "y"}, Forced: true, Issued: hand.Now(), Expires: hand.Now().Add(time.Minute)}
				if err := s.AddSAMLRequest(ctx, r); err != nil {
					t.Fatal(err)
				}
				return r
			}
			use := func(r idpsql.SAMLRequest, id string) bool {
				ok, err := s.UseSAML(ctx, r, idpsql.SAMLAssertion{Issuer: "i", ID: id, Expires: hand.Now().Add(time.Minute)})
				if err != nil {
					t.Error(err)
				}
				return ok
			}
			one := add("one")
			got, ok, err := s.SAMLRequest(ctx, "beaumarais", "one")
			if err != nil || !ok || got.ID != "_one" || len(got.Wanted) != 2 || !got.Forced || got.Used || !got.Issued.Equal(hand.Now()) {
				t.Fatalf("%+v %v %v", got, ok, err)
			}
			if _, ok, _ := s.SAMLRequest(ctx, "zandvoorde", "one"); ok {
				t.Error("another commune sees it")
			}
			stolen := one
			stolen.Browser = "other"
			if use(stolen, "a") {
				t.Error("another browser uses it")
			}
			var won atomic.Int32
			var all sync.WaitGroup
			for range 12 {
				all.Go(func() {
					if use(one, "a") {
						won.Add(1)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 {
				t.Errorf("used %d times", won.Load())
			}
			two := add("two")
			if use(two, "a") {
				t.Error("an assertion is used twice")
			}
			if got, _, _ := s.SAMLRequest(ctx, "beaumarais", "two"); got.Used {
				t.Error("a replayed assertion used up the request")
			}
			if !use(two, "b") {
				t.Error("the honest one is refused after a replay")
			}
			late := add("late")
			hand.Add(2 * time.Minute)
			if _, ok, _ := s.SAMLRequest(ctx, "beaumarais", "late"); ok || use(late, "c") {
				t.Error("a late one is used")
			}
			hand.Add(2 * time.Hour)
			if err := s.Purge(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
}
