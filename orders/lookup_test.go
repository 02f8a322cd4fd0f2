package orders_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

// The time of an answer tells nobody whether a number or a reference exists: asked in turn,
// unknown ones and wrong codes or birth dates take the same time but for what a busy machine
// adds.
func TestUnknownAndWrongTakeTheSameTime(t *testing.T) {
	w := orderstest.New(t, sqldbtest.SQLite(t))
	o := w.Issued(t, orderstest.A, 1)
	ctx := context.Background()
	for name, ask := range map[string]func(wrong bool) error{
		"paper": func(wrong bool) error {
			number := "2026-999999"
			if wrong {
				number = string(o.Paper.Number)
			}
			_, err := w.Service.LookupNumber(ctx, orderstest.A, number, "2345678923")
			return err
		},
		"order": func(wrong bool) error {
			reference := "2222-2222"
			if wrong {
				reference = o.Reference
			}
			_, err := w.Service.Follow(ctx, orderstest.A, reference, "1985-07-29")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { sameTime(t, ask) })
	}
}

func sameTime(t *testing.T, ask func(wrong bool) error) {
	took := func(wrong bool) time.Duration {
		began := time.Now()
		if ask(wrong) == nil {
			t.Fatal("found")
		}
		return time.Since(began)
	}
	median := func(list []time.Duration) time.Duration { slices.Sort(list); return list[len(list)/2] }
	var ratio float64
	for range 5 { // a quiet moment is enough: a difference in the code would be there each time
		var unknown, wrong []time.Duration
		for range 400 {
			unknown, wrong = append(unknown, took(false)), append(wrong, took(true))
		}
		if ratio = float64(median(wrong)) / float64(median(unknown)); ratio > 0.75 && ratio < 1.33 {
			return
		}
	}
	t.Errorf("wrong takes %.2f times as long as unknown", ratio)
}
