package verify_test

import (
	"context"
	"errors"
	"testing"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/verify"
)

// withdrawn knows every file, and that it stands no more.
type withdrawn struct{ verify.Orders }

func (withdrawn) LookupFile(context.Context, commune.ID, blob.Digest) (orders.Facts, error) {
	return orders.Facts{Status: "withdrawn"}, nil
}

type unable struct{}

func (unable) Check(context.Context, []byte) (verify.Report, error) {
	return verify.Report{}, errors.New("the child died")
}

// Whoever keeps the readers busy must not make a withdrawn paper good.
func TestAWithdrawnPaperStaysWithdrawnWhereItIsNotRead(t *testing.T) {
	p := verify.New(withdrawn{}, unable{}, nil, nil, clock.System)
	if got, err := p.Result(t.Context(), "beaumarais", []byte("%PDF-")); got != "withdrawn" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
