package orders_test

import (
	"testing"

	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

func TestService(t *testing.T) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) { orderstest.Run(t, open) })
	}
}
