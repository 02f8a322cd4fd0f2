package idpsql_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// On both engines: a state is used once, by its browser, at its commune and source, in time.
func TestUpstreamStateIsUsedOnce(t *testing.T) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) {
			ctx, hand := context.Background(), clock.NewHand(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC))
			s, err := idpsql.New(ctx, open(t), hand.Now)
			if err != nil {
				t.Fatal(err)
			}
			one := idpsql.UpstreamRequest{State: "one", Commune: "beaumarais", Source: "itsme", Login: "l", Browser: "b", Redirect: "r", Wanted: []string{"x", "y"}, Forced: true, Issued: hand.Now(), Expires: hand.Now().Add(time.Minute)}
			if err := s.AddUpstreamRequest(ctx, one); err != nil {
				t.Fatal(err)
			}
			got, ok, err := s.UpstreamRequest(ctx, "beaumarais", "itsme", "one")
			if err != nil || !ok || got.Login != "l" || got.Browser != "b" || got.Redirect != "r" || len(got.Wanted) != 2 || !got.Forced || got.Used || !got.Issued.Equal(hand.Now()) {
				t.Fatalf("%+v %v %v", got, ok, err)
			}
			for _, other := range [][2]string{{"zandvoorde", "itsme"}, {"beaumarais", "fas-oidc"}} {
				r := one
				r.Commune, r.Source = commune.ID(other[0]), other[1]
				if _, ok, _ := s.UpstreamRequest(ctx, r.Commune, r.Source, "one"); ok {
					t.Errorf("%v sees it", other)
				}
				if ok, _ := s.UseUpstreamRequest(ctx, r); ok {
					t.Errorf("%v uses it", other)
				}
			}
			stolen := one
			stolen.Browser = "other"
			if ok, _ := s.UseUpstreamRequest(ctx, stolen); ok {
				t.Error("another browser uses it")
			}
			var won atomic.Int32
			var all sync.WaitGroup
			for range 12 {
				all.Go(func() {
					if ok, err := s.UseUpstreamRequest(ctx, one); err == nil && ok {
						won.Add(1)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 {
				t.Errorf("used %d times", won.Load())
			}
			if got, ok, _ := s.UpstreamRequest(ctx, "beaumarais", "itsme", "one"); !ok || !got.Used {
				t.Errorf("a used one is not told from a stranger's: %+v %v", got, ok)
			}
			late := one
			late.State = "late"
			if err := s.AddUpstreamRequest(ctx, late); err != nil {
				t.Fatal(err)
			}
			hand.Add(2 * time.Minute)
			if _, ok, _ := s.UpstreamRequest(ctx, "beaumarais", "itsme", "late"); ok {
				t.Error("a late one is found")
			}
			if ok, _ := s.UseUpstreamRequest(ctx, late); ok {
				t.Error("a late one is used")
			}
			hand.Add(2 * time.Hour)
			if err := s.Purge(ctx); err != nil {
				t.Fatal(err)
			}
			k := idpsql.UpstreamKey{Commune: "beaumarais", Source: "itsme", Purpose: "sig", Generation: 1, KID: "a", Sealed: "s", ActiveAt: hand.Now()}
			for _, kid := range []string{"a", "b"} { // two nodes make the same generation
				k.KID = kid
				if err := s.AddUpstreamKey(ctx, k); err != nil {
					t.Fatal(err)
				}
			}
			keys, err := s.UpstreamKeys(ctx, "beaumarais", "itsme")
			if err != nil || len(keys) != 1 || keys[0].KID != "a" || !keys[0].ActiveAt.Equal(hand.Now()) {
				t.Errorf("%+v %v", keys, err)
			}
			if keys, _ := s.UpstreamKeys(ctx, "zandvoorde", "itsme"); len(keys) != 0 {
				t.Error("another commune has the key")
			}
		})
	}
}
