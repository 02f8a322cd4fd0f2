package orders_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

// BenchmarkOrderToSealed takes orders through form, number, approval and a sealer that
// costs nothing, durable at each step: what is left is the price of our own bookkeeping,
// to set beside drawing and signing (goals: 70 % of what the parts allow).
func BenchmarkOrderToSealed(b *testing.B) {
	for name, open := range sqldbtest.Engines(b) {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			w := orderstest.New(b, open(b))
			if err := w.Jobs.Start(ctx); err != nil {
				b.Fatal(err)
			}
			defer w.Jobs.Stop(ctx)
			var n atomic.Int64
			b.SetParallelism(8) // clerks and citizens wait for the disk, not for the processor
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					o := w.Approved(b, orderstest.A, int(n.Add(1)))
					for o.State != orders.Issued {
						time.Sleep(2 * time.Millisecond)
						o = w.Get(b, orderstest.A, o.ID)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
		})
	}
}
