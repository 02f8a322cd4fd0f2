package seal

import (
	"crypto"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/belfry-eid/belfry/internal/benchtest"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/testcerts"
)

// newTokenWorld makes a world whose key is in a SoftHSM token.
func newTokenWorld(t testing.TB, kind p11.KeyKind) (*world, *p11.Key) {
	t.Helper()
	s := testcerts.New(t).SealKey(string(here), kind)
	token, key, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { token.Close() })
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, signingtest.Identity{Key: key, Cert: s.Certificate, Chain: s.Chain[:2]})
	w.clock = clock.NewHand(s.Certificate.NotBefore.AddDate(0, 0, 1))
	w.cfg.Clock = w.clock.Now
	w.restart()
	return w, key
}

func TestSealWithAToken(t *testing.T) {
	for _, kind := range []p11.KeyKind{p11.RSA2048, p11.P256, p11.P384} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			w, key := newTokenWorld(t, kind)
			before := key.Calls()
			var grants []string
			for i := range 6 {
				grants = append(grants, w.grant(paper(fmt.Sprint(i), 2000)))
			}
			var wg sync.WaitGroup
			for _, grant := range grants {
				wg.Go(func() {
					if _, err := w.seal(grant); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			attempts := 0
			for _, grant := range grants {
				r, err := w.seal(grant)
				if err != nil {
					t.Fatal(err)
				}
				attempts += len(w.attempts(grant))
				if n, d := w.recorded(grant, signing.Finished); n != 1 || d != r.Document {
					t.Errorf("recorded %d times", n)
				}
			}
			if calls := key.Calls() - before; calls != uint64(attempts) || attempts != len(grants) {
				t.Errorf("%d calls of the token, %d attempts, %d grants", calls, attempts, len(grants))
			}
		})
	}
}

// A qualified certificate is described as such, though SoftHSM is no qualified
// device: the level is what the certificate says.
func TestDescribeWithAToken(t *testing.T) {
	world := testcerts.New(t)
	for level, s := range map[signing.SealLevel]*testcerts.Seal{
		signing.Advanced:  world.SealKey(string(here), p11.P256),
		signing.Qualified: world.QualifiedSealKey(string(here), p11.P256),
	} {
		if got := levelOf(s.Certificate); got != level {
			t.Errorf("%s seal described as %s", level, got)
		}
	}
}

// BenchmarkSeal seals papers of 50 KB at level B-B: grant, three commits, blob.
func BenchmarkSeal(b *testing.B) {
	for _, callers := range []int{1, 8, 32} {
		for name, id := range map[string]signingtest.Identity{"RSA-2048": signingtest.Shared().RSA, "P-256": signingtest.Shared().P256, "P-384": signingtest.Shared().P384} {
			b.Run(fmt.Sprintf("memory/%s/%d", name, callers), func(b *testing.B) {
				benchmark(b, newWorld(b, sqldbtest.SQLite(b), signing.LevelBB, id), callers)
			})
		}
		for _, kind := range []p11.KeyKind{p11.RSA2048, p11.P256, p11.P384} {
			b.Run(fmt.Sprintf("SoftHSM/%v/%d", kind, callers), func(b *testing.B) {
				w, _ := newTokenWorld(b, kind)
				benchmark(b, w, callers)
			})
		}
	}
}

func benchmark(b *testing.B, w *world, callers int) {
	grants := make([]string, b.N)
	for i := range grants {
		grants[i] = w.grant(paper(fmt.Sprint(i), 50_000))
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(grants)); i = next.Add(1) - 1 {
				if _, err := w.seal(grants[i]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "seals/s")
}

// BenchmarkLasting seals papers of 50 KB at level B-LTA with an authority and responders
// on loopback, beside the two stamps alone.
func BenchmarkLasting(b *testing.B) {
	w := newLastingWorld(b, sqldbtest.SQLite(b), signing.LevelBLTA, "P-256")
	grants := make([]string, 0, 2000)
	for i := range cap(grants) {
		grants = append(grants, w.grant(paper(fmt.Sprint(i), 50_000)))
	}
	next := 0
	b.Run("B-LTA", func(b *testing.B) {
		defer benchtest.CPU(b)()
		for b.Loop() {
			if next == len(grants) {
				b.Fatal("no more grants")
			}
			if _, err := w.seal(grants[next]); err != nil {
				b.Fatal(err)
			}
			next++
		}
	})
	b.Run("stamps", func(b *testing.B) {
		defer benchtest.CPU(b)()
		for b.Loop() {
			for i := range 2 {
				if _, err := w.cfg.Stamper.Stamp(ctx, signing.ImprintOf(crypto.SHA256, []byte{byte(i)})); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
