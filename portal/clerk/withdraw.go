package clerk

import (
	"net/http"

	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/portal/visit"
)

// replace opens an order in the place of a withdrawn paper and goes on to it.
func (p *Pages) replace(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	made, err := p.orders.Replace(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
	if err != nil {
		return p.moved(w, r, err)
	}
	return web.See(w, r, v.To("/desk/orders/"+made.ID))
}
