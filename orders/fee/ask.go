package fee

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/belfry-eid/belfry/orders/form"
)

// AsksDelivery says whether there is more than one delivery to choose from.
func (t Tariff) AsksDelivery() bool { return len(t.Deliveries) > 1 }

// AsksCopies says whether a number of copies goes with a delivery.
func (t Tariff) AsksCopies(d Delivery) bool { return d == Post && t.offers(Post) && t.MaxCopies > 1 }

// AsksPurpose says whether the price of a delivery depends on the purpose.
func (t Tariff) AsksPurpose(d Delivery) bool { return t.Charges(d) && len(t.surcharges()) > 1 }

// Asked are the questions that some delivery has, in the order of the page.
func (t Tariff) Asked() []form.Name {
	var list []form.Name
	if t.AsksDelivery() {
		list = append(list, form.Delivery)
	}
	if slices.ContainsFunc(t.Deliveries, t.AsksCopies) {
		list = append(list, form.Copies)
	}
	if slices.ContainsFunc(t.Deliveries, t.AsksPurpose) {
		list = append(list, form.Purpose)
	}
	return list
}

// Parse reads the answers to Asked. What does not belong to the delivery chosen is dropped:
// it was not asked then. Faults are message keys, as of form.Parse.
func (t Tariff) Parse(values url.Values) (form.Answers, form.Errors) {
	answers, faults := form.Answers{}, form.Errors{}
	one := func(name form.Name) string {
		given := values[string(name)]
		if len(given) > 1 {
			faults[name] = "orders.form.twice"
		}
		if len(given) != 1 {
			return ""
		}
		return strings.TrimSpace(given[0])
	}
	delivery := Delivery(one(form.Delivery))
	switch {
	case delivery == "" && !t.AsksDelivery():
		delivery = t.Deliveries[0]
	case delivery == "":
		set(faults, form.Delivery, "fee.form.delivery_missing")
		return keep(t, values, answers), faults
	case !t.offers(delivery):
		set(faults, form.Delivery, "fee.form.delivery_wrong")
		return keep(t, values, answers), faults
	}
	if t.several { // also where this person has one only
		answers[form.Delivery] = string(delivery)
	}
	if t.AsksCopies(delivery) {
		copies := one(form.Copies)
		n, err := strconv.Atoi(copies)
		if copies != "" && len(copies) <= 4 {
			answers[form.Copies] = copies
		}
		if err != nil || n < 1 || n > t.MaxCopies || strconv.Itoa(n) != copies {
			set(faults, form.Copies, "fee.form.copies_wrong")
		}
	}
	if t.AsksPurpose(delivery) {
		switch purpose := Purpose(one(form.Purpose)); {
		case purpose == "":
			set(faults, form.Purpose, "fee.form.purpose_missing")
		case !slices.Contains(Purposes, purpose):
			set(faults, form.Purpose, "fee.form.purpose_wrong")
		default:
			answers[form.Purpose] = string(purpose)
		}
	}
	return answers, faults
}

// set keeps the first fault of a question.
func set(faults form.Errors, name form.Name, key string) {
	if faults[name] == "" {
		faults[name] = key
	}
}

// keep are the answers that are good for showing the form again before a delivery is chosen.
func keep(t Tariff, values url.Values, answers form.Answers) form.Answers {
	asked := t.Asked()
	if n, err := strconv.Atoi(values.Get(string(form.Copies))); slices.Contains(asked, form.Copies) && err == nil && n >= 1 && n <= t.MaxCopies {
		answers[form.Copies] = strconv.Itoa(n)
	}
	if p := Purpose(values.Get(string(form.Purpose))); slices.Contains(asked, form.Purpose) && slices.Contains(Purposes, p) {
		answers[form.Purpose] = string(p)
	}
	return answers
}

// ChoiceOf is what the answers of Parse say.
func (t Tariff) ChoiceOf(answers form.Answers) Choice {
	c := Choice{Delivery: Delivery(answers[form.Delivery]), Purpose: Purpose(answers[form.Purpose]), Copies: 1}
	if !t.AsksDelivery() {
		c.Delivery = t.Deliveries[0]
	}
	if t.AsksCopies(c.Delivery) {
		if n, err := strconv.Atoi(answers[form.Copies]); err == nil {
			c.Copies = min(max(n, 1), t.MaxCopies)
		}
	}
	if t.AsksPurpose(c.Delivery) {
		if !slices.Contains(Purposes, c.Purpose) {
			c.Purpose = Unsaid
		}
	} else {
		c.Purpose = ""
	}
	return c
}
