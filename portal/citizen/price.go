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
	"github.com/belfry-eid/belfry/portal/visit"
)

// priced is what a page says about a price.
type priced struct {
	fee.Price
	Regulation string
	Payment    string
}

func pricedOf(c *commune.Commune, p *catalogue.Product, l i18n.Language, price fee.Price, regulation string) priced {
	return priced{Price: price, Regulation: regulation, Payment: orders.PaymentIn(c, p, l)}
}

// wish is one way of getting a paper, or one purpose, to choose.
type wish struct {
	ID, Value, Text string
	Price           string // in words
	Hint            string // what to know before
	Checked         bool
	Copies, Purpose bool // asks for them
}

// wishes are the questions that a tariff has: delivery, copies and purpose. What belongs to
// one delivery stands below it, and is not asked with the others.
type wishes struct {
	Deliveries                              []wish
	Copies                                  bool
	Most                                    int
	Typed                                   string // number of copies
	Purposes                                []wish
	To                                      orders.Answer // the official address; zero where none is known
	DeliveryError, CopiesError, PurposeBad  string
	DeliveryHinted, CopiesHinted, PurposeBy string // aria-describedby
}

// costs is a range of prices in words.
func costs(v *visit.Visit, from, upTo int64) string {
	switch {
	case upTo == 0:
		return v.T("portal.product.free")
	case from == upTo:
		return i18n.Euro(v.Language, from)
	}
	return v.T("fee.range", "From", i18n.Euro(v.Language, from), "UpTo", i18n.Euro(v.Language, upTo))
}

// wishesOf are the questions of a tariff; nil where it has none.
func wishesOf(v *visit.Visit, t fee.Tariff, d draft, faults form.Errors) *wishes {
	asked := t.Asked()
	if len(asked) == 0 {
		return nil
	}
	w := &wishes{Most: t.MaxCopies, Typed: d.Typed[form.Copies], Copies: slices.Contains(asked, form.Copies)}
	if w.Typed == "" {
		w.Typed = "1"
	}
	fault := func(name form.Name) (text, describe string) {
		describe = string(name) + "-hint"
		if key := faults[name]; key != "" {
			return v.T(key), describe + " " + string(name) + "-error"
		}
		return "", describe
	}
	w.DeliveryError, w.DeliveryHinted = fault(form.Delivery)
	w.CopiesError, w.CopiesHinted = fault(form.Copies)
	w.PurposeBad, w.PurposeBy = fault(form.Purpose)
	if t.AsksDelivery() {
		for i, one := range t.Deliveries {
			w.Deliveries = append(w.Deliveries, wish{
				ID: numbered("delivery", i), Value: string(one), Text: v.T(one.Key()), Price: costs(v, t.From(one), t.UpTo(one)),
				Checked: d.Typed[form.Delivery] == string(one), Copies: t.AsksCopies(one), Purpose: t.AsksPurpose(one),
			})
		}
	}
	if slices.Contains(asked, form.Purpose) {
		for i, one := range fee.Purposes {
			p := wish{ID: numbered("purpose", i), Value: string(one), Text: v.T(one.Key()), Price: costs(v, t.Copy(one), t.Copy(one)), Checked: d.Typed[form.Purpose] == string(one)}
			if key := one.HintKey(); key != "" {
				p.Hint = v.T(key)
			}
			w.Purposes = append(w.Purposes, p)
		}
	}
	w.To = addressOf(d.Read)
	return w
}

// addressOf is the official address among what card and register tell.
func addressOf(read []orders.Answer) (to orders.Answer) {
	for _, a := range read {
		if a.Name == orders.Address || a.Name == orders.ReferenceAddress {
			to = a
		}
	}
	return to
}

// numbered is the first choice's id, which the error summary leads to, or another's.
func numbered(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "-" + string(rune('a'+i))
}

// faults are those of the questions, in the order of the page.
func (w *wishes) faults() []page.Fault {
	if w == nil {
		return nil
	}
	var list []page.Fault
	for _, f := range []page.Fault{{Field: "delivery", Text: w.DeliveryError}, {Field: "copies", Text: w.CopiesError}, {Field: "purpose", Text: w.PurposeBad}} {
		if f.Text != "" {
			list = append(list, f)
		}
	}
	return list
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
		deliveries = append(deliveries, offer{v.T(d.Key()), costs(v, t.From(d), t.UpTo(d))})
	}
	if slices.Contains(t.Asked(), form.Purpose) {
		for _, p := range fee.Purposes {
			purposes = append(purposes, offer{v.T(p.Key()), costs(v, t.Copy(p), t.Copy(p))})
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
	return costs(v, slices.Min(ends), slices.Max(ends))
}
