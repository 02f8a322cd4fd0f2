package visit

import (
	"context"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
)

// Limit is how often something may be done between two times of the clock that lie Every
// apart, so that it can be said when to try again. A try is counted before it is answered:
// many at once are no way round.
type Limit struct {
	Most  int64
	Every time.Duration
	Fault string // key of the reader's words
}

// Try counts what is named; fault l.Fault (TooMany; Args When, the time of day in Brussels,
// and Seconds until then) where it was done too often.
func (l Limit) Try(ctx context.Context, store kv.Store, now time.Time, name string) error {
	next := now.Truncate(l.Every).Add(l.Every)
	n, err := store.Incr(ctx, fmt.Sprintf("%s/%d", name, next.Unix()), next.Sub(now))
	if err != nil || n <= l.Most {
		return err
	}
	return TooMany(l.Fault, next, now)
}

// TooMany is the fault of somebody who has to wait until end.
func TooMany(key string, end, now time.Time) error {
	return fault.New(fault.TooMany, key, nil).
		With("When", end.In(i18n.Brussels()).Format("15:04")).With("Seconds", int(end.Sub(now).Round(time.Second)/time.Second))
}
