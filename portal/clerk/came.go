package clerk

import (
	"net/http"
	"strings"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/register"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Who came, on the second step of an entry, and the end of a mandate that stands.

// cameForm is the question, as it was answered.
type cameForm struct {
	Options []cameOption
	Typed   orders.Came
	Fault   map[string]string
	Child   bool
	Open    bool // somebody else may have come: it is not folded away
}

// cameOption is one who may have come.
type cameOption struct {
	ID, Value, Text string
	Checked         bool
}

// What stands in front of a parent's name and of a standing mandate's order.
const (
	cameParent   = "parent/"
	cameStanding = "standing/"
)

// cameFields are where the faults of orders belong on the page.
var cameFields = map[string]string{
	"came.child": "came", "came.who": "came", "came.over": "came", "came.name_wrong": "came_name", "came.proof_wrong": "came_proof", "came.days_wrong": "came_from",
}

// cameOf is the question for a person; chosen is its answer, "" where nobody has answered.
func cameOf(v *visit.Visit, may orders.CameChoice, chosen string, typed orders.Came, err error) *cameForm {
	c := &cameForm{Typed: typed, Fault: map[string]string{}, Child: !may.Self}
	if chosen == "" && may.Self {
		chosen = string(orders.AsSelf)
	}
	add := func(value, text string) {
		id := "came"
		if len(c.Options) > 0 {
			id += "-" + string(rune('a'+len(c.Options)))
		}
		c.Options = append(c.Options, cameOption{id, value, text, value == chosen})
	}
	if may.Self {
		add(string(orders.AsSelf), v.T(orders.AsSelf.Key()))
	}
	for _, name := range may.Parents {
		add(cameParent+name, name+", "+v.T(orders.AsParent.Key()))
	}
	for _, m := range may.Mandates {
		add(cameStanding+m.RestsOn, v.T("came.standing", "Name", m.Name, "By", m.CheckedBy, "Until", register.Day(m.To).In(v.Language)))
	}
	for _, as := range []orders.CameAs{orders.AsMandated, orders.AsGuardian} {
		add(string(as), v.T(as.Key()))
	}
	if key := fault.KeyOf(err); cameFields[key] != "" {
		c.Fault[cameFields[key]] = v.T(key)
	}
	c.Open = c.Child || chosen != string(orders.AsSelf) || len(c.Fault) > 0 || len(may.Parents)+len(may.Mandates) > 0
	return c
}

// Faults are those of the question, in the order of its fields.
func (c *cameForm) Faults() (list []page.Fault) {
	for _, field := range []string{"came", "came_name", "came_proof", "came_from"} {
		if text := c.Fault[field]; text != "" {
			list = append(list, page.Fault{Field: field, Text: text})
		}
	}
	return list
}

// cameTyped reads the answer.
func cameTyped(r *http.Request) (came orders.Came, chosen string) {
	chosen = r.PostForm.Get("came")
	if name, ok := strings.CutPrefix(chosen, cameParent); ok {
		return orders.Came{As: orders.AsParent, Name: name}, chosen
	}
	if order, ok := strings.CutPrefix(chosen, cameStanding); ok {
		return orders.Came{As: orders.AsMandated, RestsOn: order}, chosen
	}
	came.As = orders.CameAs(chosen)
	if came.As == orders.AsMandated || came.As == orders.AsGuardian {
		came.Name, came.Proof = r.PostForm.Get("came_name"), r.PostForm.Get("came_proof")
		came.From, came.To = r.PostForm.Get("came_from"), r.PostForm.Get("came_to")
	}
	return came, chosen
}

// came is who asked for an order, as its page shows it.
type came struct {
	orders.Came
	Text, Holds string
	End         bool   // it stands, and may be ended
	Other       string // address of the order with which it was recorded
}

func cameShown(v *visit.Visit, o orders.Order, own bool) *came {
	if o.Entry == nil || o.Entry.Came.As == "" {
		return nil
	}
	c := &came{Came: o.Entry.Came, Text: v.T(o.Entry.Came.As.Key())}
	if c.Standing() {
		c.Holds = v.T("came.holds", "From", register.Day(c.From).In(v.Language), "To", register.Day(c.To).In(v.Language))
		c.End = !own && c.EndedAt.IsZero()
	}
	if c.RestsOn != "" {
		c.Other = v.To("/desk/orders/" + c.RestsOn)
	}
	return c
}

// endMandate has no other order rely on the mandate that was recorded with one.
func (p *Pages) endMandate(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	id := r.PathValue("id")
	if err := p.orders.EndMandate(r.Context(), v.Commune.ID, id, me(v)); err != nil {
		return p.moved(w, r, err)
	}
	return web.See(w, r, v.To("/desk/orders/"+id))
}
