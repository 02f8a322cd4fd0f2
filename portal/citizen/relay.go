package citizen

import (
	"net/http"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Papers that a register gives with its own seal: as a rule they are there at once.

// moment is how long a page waits for a register before it says that the paper is to come.
const moment = 5 * time.Second

// next is where somebody goes who has sent an order: to the paper, where it is there at once.
func (p *Pages) next(r *http.Request, o orders.Order) string {
	v := visit.Of(r)
	if o.Way == commune.FromSource {
		if now, err := p.orders.Await(r.Context(), v.Commune.ID, o.ID, o.Subject, moment); err == nil && now.State == orders.Issued {
			return v.To("/orders/" + o.ID)
		}
	}
	return v.To("/orders/" + o.ID + "/sent")
}

// relays says whether an order's paper comes from a register without a clerk.
func relays(o orders.Order) bool {
	if o.Paper != nil {
		return o.Paper.Source != ""
	}
	return o.Way == commune.FromSource && o.State == orders.Submitted && o.Attention == orders.NoAttention
}

// relaying tells where such an order stands, and when something happens next: a page that
// waits for others never leaves it at "soon".
func relaying(v *visit.Visit, o orders.Order, now time.Time) []page.Step {
	again, clerk := o.Again(now)
	steps := []page.Step{
		{Title: v.T("portal.step.sent"), State: page.Past, At: o.SubmittedAt},
		{Title: v.T("way.citizen.asked"), State: page.Now, Text: v.T("way.citizen.asked_now",
			"Again", again.In(i18n.Brussels()).Format("15:04"), "Clerk", i18n.DateTime(v.Language, clerk))},
		{Title: v.T("way.citizen.ready"), State: page.Next},
	}
	if o.State == orders.Issued {
		steps[1] = page.Step{Title: v.T("way.citizen.asked"), State: page.Past}
		steps[2] = page.Step{Title: v.T("way.citizen.ready"), State: page.Past, At: o.Paper.IssuedAt, Text: v.T("portal.step.ready.done")}
	}
	for i := range steps {
		steps[i].Words = v.T("portal.step.is." + string(steps[i].State))
	}
	return steps
}
