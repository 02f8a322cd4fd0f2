package park_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp/park"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/kv"
)

type counting struct {
	kv.Store
	bytes int
}

func (c *counting) Put(_ context.Context, _ string, v []byte, _ time.Duration) error {
	c.bytes += len(v)
	return nil
}

// Anybody may post a form: what is kept of it is bounded (T19).
func TestALargeFormIsNotKept(t *testing.T) {
	for size, kept := range map[int]bool{4096: true, 60_000: false} {
		store := &counting{}
		r := httptest.NewRequest("POST", "/authorize", strings.NewReader("state="+strings.Repeat("x", size)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		err := park.Post(store, httptest.NewRecorder(), r)
		if (err == nil) != kept || (store.bytes > 0) != kept || !kept && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d bytes: kept %d, %v", size, store.bytes, err)
		}
	}
}
