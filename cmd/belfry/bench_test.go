package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/benchtest"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/p11"
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
// beside it its parts alone, from as many goroutines on the same machine: the same
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
	w := orderstest.New(b, sqldbtest.SQLite(b), func(w *orderstest.World, cfg *orders.Config) {
		sealer, err := seal.New(seal.Config{DB: w.DB, Blobs: w.Blobs, Audit: w.Audit, Clock: w.Clock.Now,
			Keys: map[commune.ID]seal.Key{orderstest.A: {Kind: signing.Approval, Level: signing.LevelBB, Tokens: []seal.Token{{Signer: key, Chain: sealKey.Chain[:2]}}}}})
		if err != nil {
			b.Fatal(err)
		}
		cfg.Renderer, cfg.Sealer = last, sealer
	})
	if err := w.Jobs.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	defer w.Jobs.Stop(context.Background())
	var n atomic.Int64
	whole := func() error {
		o := w.Approved(b, orderstest.A, int(n.Add(1)))
		for o.State != orders.Issued {
			time.Sleep(20 * time.Millisecond) // looking is not the work
			o = w.Get(b, orderstest.A, o.ID)
		}
		return nil
	}
	whole() // and both typesetters, or one, are there
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

// parts sets the same paper, signs and keeps it, and does nothing else.
func (l *lastRendered) parts(key crypto.Signer, blobs blob.Store, n int64) error {
	ctx := context.Background()
	paper, err := l.Renderer.Render(ctx, *l.asked.Load())
	if err != nil {
		return err
	}
	digest := sha256.Sum256(paper)
	if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		return err
	}
	_, err = blobs.Put(ctx, orderstest.A, binary.BigEndian.AppendUint64(paper, uint64(n))) // a file nobody has kept yet
	return err
}
