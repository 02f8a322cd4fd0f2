package form

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// How somebody is told about their order: a card holds neither e-mail nor phone, and nobody
// has to have one.

// Answers to Contact. Their words are "orders.contact.ANSWER".
const (
	ByEmail   = "email"
	ByPhone   = "phone"
	NoContact = "none" // the person asks, at the counter or here; or is written to
)

// Ways lists every answer to Contact, in the order of the page.
var Ways = []string{ByEmail, ByPhone, NoContact}

// Asked are the questions of a form with those that one of them stands for.
func Asked(fields []Name) []Name {
	var all []Name
	for _, name := range fields {
		if name == Email {
			all = append(all, Contact)
		}
		all = append(all, name)
		if name == Email {
			all = append(all, Phone)
		}
	}
	return all
}

// parseContact reads the three answers. Whoever types an address or a number and forgets to
// say so is understood; what belongs to a way that was not chosen is dropped.
func parseContact(values url.Values, country string, answers Answers, faults Errors) {
	one := func(name Name) string {
		given := values[string(name)]
		if len(given) > 1 {
			faults[name] = "orders.form.twice"
		}
		if len(given) != 1 {
			return ""
		}
		return given[0]
	}
	way, email, phone := one(Contact), one(Email), one(Phone)
	switch {
	case way != "":
	case strings.TrimSpace(email) != "":
		way = ByEmail
	case strings.TrimSpace(phone) != "":
		way = ByPhone
	}
	if !slices.Contains(Ways, way) {
		if len(faults) == 0 || faults[Email]+faults[Phone] == "" {
			faults[Contact] = "orders.form.contact_missing"
		}
		return
	}
	answers[Contact] = way
	switch way {
	case ByEmail:
		keepContact(Email, "orders.form.email_missing", answers, faults)(parseEmail(email))
	case ByPhone:
		keepContact(Phone, "orders.form.phone_missing", answers, faults)(parsePhone(phone, country))
	}
}

func keepContact(name Name, missing string, answers Answers, faults Errors) func(answer, fault string) {
	return func(answer, fault string) {
		if answer != "" {
			answers[name] = answer
		}
		if fault == "" && answer == "" {
			fault = missing
		}
		if fault != "" && faults[name] == "" {
			faults[name] = fault
		}
	}
}

const maxPhone = 40 // as typed

var (
	e164    = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`) // ITU-T E.164 clause 6.2.1
	belgian = regexp.MustCompile(`^\+32(4[0-9]{8}|[1-9][0-9]{7})$`)
	french  = regexp.MustCompile(`^\+33[1-9][0-9]{8}$`)
)

// parsePhone takes a number as people write it and gives it in the form of E.164. One that
// begins with a single 0 is the country's own. Belgian and French numbers are held to their
// national plans, others to the general form.
func parsePhone(raw, country string) (string, string) {
	text, fault := Text(raw, 0, maxPhone)
	if fault != "" || text == "" {
		return "", fault
	}
	prefix := "+32"
	if country == "fr" {
		prefix = "+33"
	}
	number := strings.NewReplacer("(0)", "", " ", "", "\u00a0", "", "\u202f", "", ".", "", "-", "", "/", "", "(", "", ")", "").Replace(text)
	switch {
	case strings.HasPrefix(number, "00"):
		number = "+" + number[2:]
	case strings.HasPrefix(number, "0"):
		number = prefix + number[1:]
	}
	good := e164.MatchString(number)
	switch {
	case strings.HasPrefix(number, "+32"):
		good = belgian.MatchString(number)
	case strings.HasPrefix(number, "+33"):
		good = french.MatchString(number)
	}
	if !good {
		return text, "orders.form.phone_wrong"
	}
	return number, ""
}
