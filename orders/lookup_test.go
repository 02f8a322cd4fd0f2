package orders_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

// The time of an answer tells nobody whether a number exists: asked in turn, unknown
// numbers and wrong codes take the same time but for what a busy machine adds.
func TestUnknownAndWrongTakeTheSameTime(t *testing.T) {
	w := orderstest.New(t, sqldbtest.SQLite(t))
	o := w.Issued(t, orderstest.A, 1)
	ask := func(number string) time.Duration {
		began := time.Now()
		if _, err := w.Service.LookupNumber(context.Background(), orderstest.A, number, "2345678923"); err == nil {
			t.Fatal("found")
		}
		return time.Since(began)
	}
	median := func(list []time.Duration) time.Duration { slices.Sort(list); return list[len(list)/2] }
	var ratio float64
	for range 5 { // a quiet moment is enough: a difference in the code would be there each time
		var unknown, wrong []time.Duration
		for range 400 {
			unknown, wrong = append(unknown, ask("2026-999999")), append(wrong, ask(string(o.Paper.Number)))
		}
		if ratio = float64(median(wrong)) / float64(median(unknown)); ratio > 0.75 && ratio < 1.33 {
			return
		}
	}
	t.Errorf("a wrong code takes %.2f times as long as an unknown number", ratio)
}
