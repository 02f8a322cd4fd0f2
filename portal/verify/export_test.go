package verify

import (
	"context"

	"github.com/belfry-eid/belfry/internal/commune"
)

// Result is what the page would say of a file.
func (p *Pages) Result(ctx context.Context, c commune.ID, file []byte) (string, error) {
	o, err := p.examine(ctx, c, file)
	return o.Result, err
}
