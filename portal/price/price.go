// Package price puts a tariff's questions and prices on pages, for citizens and at the desk.
//
// It owns which choices a page shows, their prices in words and the notes beside them
// (template "wishes" of internal/page). It refuses to know orders that exist, and what
// becomes of the answers. It guarantees that a page shows what a choice costs before it is
// made.
package price

import (
	"slices"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Wish is one way of getting a paper, or one purpose, to choose.
type Wish struct {
	ID, Value, Text string
	Price           string // in words
	Hint            string // what to know before
	Checked         bool
	Free            bool
	Copies, Purpose bool // asks for them
}

// Wishes are the questions that a tariff has: delivery, copies and purpose. What belongs to
// one delivery stands below it, and is not asked with the others.
type Wishes struct {
	Deliveries                              []Wish
	Copies                                  bool
	Most                                    int
	Typed                                   string // number of copies
	Purposes                                []Wish
	To                                      orders.Answer // the official address; zero where none is known
	DeliveryError, CopiesError, PurposeBad  string
	DeliveryHinted, CopiesHinted, PurposeBy string // aria-describedby
}

// Costs is a range of prices in words.
func Costs(v *visit.Visit, from, upTo int64) string {
	switch {
	case upTo == 0:
		return v.T("portal.product.free")
	case from == upTo:
		return i18n.Euro(v.Language, from)
	case from == 0:
		return v.T("fee.up_to", "UpTo", i18n.Euro(v.Language, upTo))
	}
	return v.T("fee.range", "From", i18n.Euro(v.Language, from), "UpTo", i18n.Euro(v.Language, upTo))
}

// Of are the questions of a tariff; nil where it has none.
func Of(v *visit.Visit, t fee.Tariff, read []orders.Answer, typed form.Answers, faults form.Errors) *Wishes {
	asked := t.Asked()
	if len(asked) == 0 {
		return nil
	}
	w := &Wishes{Most: t.MaxCopies, Typed: typed[form.Copies], Copies: slices.Contains(asked, form.Copies)}
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
			w.Deliveries = append(w.Deliveries, Wish{
				ID: numbered("delivery", i), Value: string(one), Text: v.T(one.Key()), Price: Costs(v, t.From(one), t.UpTo(one)),
				Checked: typed[form.Delivery] == string(one), Copies: t.AsksCopies(one), Purpose: t.AsksPurpose(one),
			})
		}
	}
	if slices.Contains(asked, form.Purpose) {
		for i, one := range fee.Purposes {
			p := Wish{ID: numbered("purpose", i), Value: string(one), Text: v.T(one.Key()), Price: Costs(v, t.Copy(one), t.Copy(one)), Free: t.Copy(one) == 0, Checked: typed[form.Purpose] == string(one)}
			if key := one.HintKey(); key != "" {
				p.Hint = v.T(key)
			}
			w.Purposes = append(w.Purposes, p)
		}
	}
	w.To = AddressOf(read)
	return w
}

// AddressOf is the official address among what card and register tell.
func AddressOf(read []orders.Answer) (to orders.Answer) {
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

// Faults are those of the questions, in the order of the page.
func (w *Wishes) Faults() []page.Fault {
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
