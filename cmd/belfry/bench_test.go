package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/belfry-eid/belfry/internal/benchtest"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/seal"
	"github.com/belfry-eid/belfry/testcerts"
)

// BenchmarkOrder measures the whole way of an order, from the form to the sealed
// paper, with a real typesetter, a key in SoftHSM and a durable SQLite file; and
// beside it its parts alone, from as many goroutines on the same machine: such a
// paper set, the token's signature, a file of its size on disk.
func BenchmarkOrder(b *testing.B) {
	typst, err := document.NewTypst(document.TypstConfig{Modules: nodeModules(b), Recycle: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer typst.Close()
	sealKey := testcerts.New(b, testcerts.At(orderstest.Noon)).SealKey(string(orderstest.A), p11.RSA2048)
	token, key, err := sealKey.Open()
	if err != nil {
		b.Fatal(err)
	}
	defer token.Close()
	last := &lastRendered{Renderer: typst}
	issued := &issued{}
	w := orderstest.New(b, sqldbtest.SQLite(b), func(w *orderstest.World, cfg *orders.Config) {
		sealer, err := seal.New(seal.Config{DB: w.DB, Blobs: w.Blobs, Audit: w.Audit, Clock: w.Clock.Now,
			Keys: map[commune.ID]seal.Key{orderstest.A: {Kind: signing.Approval, Level: signing.LevelBB, Tokens: []seal.Token{{Signer: key, Chain: sealKey.Chain[:2]}}}}})
		if err != nil {
			b.Fatal(err)
		}
		issued.Sealer = sealer
		cfg.Renderer, cfg.Sealer = last, issued
	})
	if err := w.Jobs.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	defer w.Jobs.Stop(context.Background())
	var n atomic.Int64
	whole := func() error {
		o := w.Approved(b, orderstest.A, int(n.Add(1)))
		<-issued.order(o.ID)
		return nil
	}
	var warm sync.WaitGroup // both typesetters are there, and have set what all papers share
	for range 32 {
		warm.Go(func() { whole() })
	}
	warm.Wait()
	b.Run("whole", func(b *testing.B) { manyAtOnce(b, whole) })
	parts := func() error { return last.parts(key, w.Blobs, n.Add(1)) }
	b.Run("parts", func(b *testing.B) { manyAtOnce(b, parts) })
}

// manyAtOnce has sixteen callers for each processor: they wait for the disk and for
// each other as citizens and clerks do.
func manyAtOnce(b *testing.B, f func() error) {
	b.SetParallelism(16)
	report := benchtest.CPU(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f(); err != nil {
				b.Error(err)
			}
		}
	})
	report()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}

// lastRendered is a renderer that remembers what was asked of it.
type lastRendered struct {
	document.Renderer
	asked atomic.Pointer[document.Document]
}

func (l *lastRendered) Render(ctx context.Context, d document.Document) ([]byte, error) {
	l.asked.Store(&d)
	return l.Renderer.Render(ctx, d)
}

// parts sets another paper like the last, signs and keeps it, and does nothing else. The
// same one again would cost the typesetter a third: it remembers.
func (l *lastRendered) parts(key crypto.Signer, blobs blob.Store, n int64) error {
	ctx := context.Background()
	d := *l.asked.Load()
	d.Number, d.Verify.URL = fmt.Sprintf("2026-%06d", n%1_000_000), d.Verify.URL+strconv.FormatInt(n, 36)
	paper, err := l.Renderer.Render(ctx, d)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(paper)
	if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		return err
	}
	_, err = blobs.Put(ctx, orderstest.A, paper)
	return err
}

// issued is a Sealer that tells when an order's paper is sealed: looking for it again and
// again would be measured too.
type issued struct {
	orders.Sealer
	orders sync.Map // of grants
	done   sync.Map // channels of orders
}

func (s *issued) order(id string) chan struct{} {
	c, _ := s.done.LoadOrStore(id, make(chan struct{}))
	return c.(chan struct{})
}

func (s *issued) Grant(tx *sqldb.Tx, g signing.Grant) error {
	s.orders.Store(g.ID, g.Reference)
	return s.Sealer.Grant(tx, g)
}

func (s *issued) Seal(ctx context.Context, c commune.ID, grant string, record func(*sqldb.Tx, signing.Receipt) error) (signing.Receipt, error) {
	r, err := s.Sealer.Seal(ctx, c, grant, record)
	if err == nil {
		id, _ := s.orders.Load(grant)
		close(s.order(id.(string)))
	}
	return r, err
}
