package citizen

import (
	"net/url"
	"slices"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
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
