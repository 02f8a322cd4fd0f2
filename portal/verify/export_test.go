package verify

import (
	"context"

	"github.com/belfry-eid/belfry/internal/commune"
)

// Neighbourhood lets tests of the outside see it.
var Neighbourhood = neighbourhood

// Result is what the page would say of a file.
func (p *Pages) Result(ctx context.Context, c commune.ID, file []byte) (string, error) {
	o, err := p.examine(ctx, c, file)
	return o.Result, err
}
