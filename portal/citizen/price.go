package citizen

import (
	"net/url"
	"slices"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/portal/price"
	"github.com/belfry-eid/belfry/portal/visit"
)

// priced is what a page says about a price.
type priced struct {
	fee.Price
	Regulation string
	Payment    string
}

func pricedOf(c *commune.Commune, p *catalogue.Product, l i18n.Language, cost fee.Price, regulation string) priced {
	return priced{Price: cost, Regulation: regulation, Payment: orders.PaymentIn(c, p, l)}
}

// tariff is what the product of a draft costs its person today.
func (p *Pages) tariff(v *visit.Visit, product string, d draft) (fee.Tariff, error) {
	t, err := p.orders.Tariff(v.Commune.ID, product)
	return orders.Offered(t, d.Read), err
}

// answered says whether what was typed still answers everything, under today's tariff.
func answered(v *visit.Visit, pr *catalogue.Product, t fee.Tariff, d draft) bool {
	_, faults := orders.ParseForm(pr, t, typedValues(d), d.Languages, v.Commune.Country)
	return len(faults) == 0
}

func typedValues(d draft) url.Values {
	values := url.Values{}
	for name, typed := range d.Typed {
		values.Set(string(name), typed)
	}
	return values
}

// offer is a row of the product page's table of prices.
type offer struct {
	Text  string
	Price string
}

// offers are what a product costs with each delivery, and for each purpose that adds something.
func offers(v *visit.Visit, t fee.Tariff) (deliveries, purposes []offer) {
	for _, d := range t.Deliveries {
		deliveries = append(deliveries, offer{v.T(d.Key()), price.Costs(v, t.From(d), t.UpTo(d))})
	}
	if slices.Contains(t.Asked(), form.Purpose) {
		for _, p := range fee.Purposes {
			purposes = append(purposes, offer{v.T(p.Key()), price.Costs(v, t.Copy(p), t.Copy(p))})
		}
	}
	return deliveries, purposes
}

// glance is a product's price in a few words.
func glance(v *visit.Visit, t fee.Tariff) string {
	var ends []int64
	for _, d := range t.Deliveries {
		ends = append(ends, t.From(d), t.UpTo(d))
	}
	return price.Costs(v, slices.Min(ends), slices.Max(ends))
}

// delivered adds to an order's steps what becomes of its fee and of its letter.
func delivered(v *visit.Visit, o orders.Order, steps []page.Step) []page.Step {
	f := o.Fee
	if f == nil {
		return steps
	}
	over := o.State == orders.Refused || o.State == orders.Cancelled
	add := func(at int, s page.Step) {
		s.Words = v.T("portal.step.is." + string(s.State))
		steps = slices.Insert(steps, at, s)
	}
	if f.Delivery == fee.Post && !over {
		letter := page.Step{Title: v.T("letter.step"), State: page.Next}
		switch {
		case !f.PostedAt.IsZero():
			letter.State, letter.At = page.Past, f.PostedAt
		case o.State == orders.Issued:
			letter.State, letter.Text = page.Now, v.T("letter.step_next")
		}
		switch at := len(steps); {
		case o.State != orders.Withdrawn:
			add(at, letter)
		case letter.State == page.Past:
			add(at-1, letter)
		}
	}
	switch {
	case f.Received != nil:
		add(1, page.Step{Title: v.T("fee.step"), State: page.Past, At: f.Received.At})
	case f.Due() && !over:
		add(1, page.Step{Title: v.T("fee.step"), State: page.Now, Text: v.T("fee.step_due")})
	}
	return steps
}
