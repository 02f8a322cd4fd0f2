// Package fee says what a paper costs in a commune, and how it is delivered.
//
// It owns the purposes and deliveries there are, the tariff of one product in one
// commune (the commune's own settings upon the catalogue's price), the questions that
// follow from it and the price lines of one order. It refuses to know orders, people,
// databases and payments. It guarantees that every amount is a whole number of euro
// cents, that a question is asked only where its answer changes price or delivery, and
// that the same answers under the same tariff give the same price.
//
// Communes set fees by a regulation of their council (Constitution, article 173; in
// France papers of civil status are free, decree 2017-890).
package fee

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/catalogue"
)

// Purpose is what somebody needs a paper for.
type Purpose string

const (
	FamilyAllowance Purpose = "family_allowance"
	JobSearch       Purpose = "job_search"
	School          Purpose = "school"
	StudyGrant      Purpose = "study_grant"
	SocialHousing   Purpose = "social_housing"
	HealthInsurance Purpose = "health_insurance"
	Pension         Purpose = "pension"
	Unemployment    Purpose = "unemployment"
	MarriageBE      Purpose = "marriage_be"
	PublicAuthority Purpose = "public_authority"
	Bank            Purpose = "bank"
	Insurance       Purpose = "insurance"
	Notary          Purpose = "notary"
	LawyerBailiff   Purpose = "lawyer_bailiff"
	Inheritance     Purpose = "inheritance"
	Abroad          Purpose = "abroad"
	Other           Purpose = "other"
	// Unsaid is an answer too: nobody has to tell. It costs what the dearest purpose does.
	Unsaid Purpose = "unsaid"
)

// Purposes lists every one, in the order of the page.
var Purposes = []Purpose{FamilyAllowance, JobSearch, School, StudyGrant, SocialHousing, HealthInsurance, Pension, Unemployment, MarriageBE, PublicAuthority, Bank, Insurance, Notary, LawyerBailiff, Inheritance, Abroad, Other, Unsaid}

// Key is the message key of its words.
func (p Purpose) Key() string { return "fee.purpose." + string(p) }

// consults are those whose receivers may consult the National Register themselves.
var consults = []Purpose{FamilyAllowance, StudyGrant, SocialHousing, HealthInsurance, Pension, Unemployment, MarriageBE, PublicAuthority}

// HintKey is the message key of what somebody with this purpose should know before they
// order, "" where there is nothing: that the receiver can ask the register itself, or that
// a paper for abroad may need a signature by hand and a legalisation.
func (p Purpose) HintKey() string {
	switch {
	case slices.Contains(consults, p):
		return "fee.hint.consults"
	case p == Abroad:
		return "fee.hint.abroad"
	}
	return ""
}

// Delivery is how a paper reaches its person. Each can be downloaded besides.
type Delivery string

const (
	Download Delivery = "download" // in the person's own space, and nothing else
	Post     Delivery = "post"     // printed, to the official address
	Counter  Delivery = "counter"  // printed, to be fetched
)

// Deliveries lists every one, in the order of the page.
var Deliveries = []Delivery{Download, Post, Counter}

// Key is the message key of its words.
func (d Delivery) Key() string { return "fee.delivery." + string(d) }

// Tariff is what one product costs in one commune. Make it with Of.
type Tariff struct {
	Price         int64 // of a copy, in cents, before what the purpose adds
	Surcharge     map[Purpose]int64
	PostPrice     int64
	Deliveries    []Delivery // offered, in the order of the page; at least one
	DownloadCosts bool
	MaxCopies     int
	Regulation    string // https address; "" where the commune names none
	First         bool   // the fee is received before the paper is issued
	payment       map[i18n.Language]string
	several       bool // the commune offers more than one delivery, though perhaps not to everybody
}

const defaultCopies = 10

// Of is the tariff of a product in a commune: the catalogue's price and a free download
// where the commune says nothing. Errors name the setting to mend.
func Of(c *commune.Commune, p *catalogue.Product) (Tariff, error) {
	set := c.Products[p.ID].Tariff
	t := Tariff{
		Price: p.PriceCents, Surcharge: map[Purpose]int64{}, PostPrice: set.PostCents, DownloadCosts: set.DownloadCosts,
		MaxCopies: set.MaxCopies, Regulation: set.Regulation, First: c.FeeFirst(), payment: set.Payment,
	}
	if set.PriceCents != nil {
		t.Price = *set.PriceCents
	}
	if t.MaxCopies == 0 {
		t.MaxCopies = defaultCopies
	}
	var faults []error
	for name, cents := range set.SurchargeCents {
		if !slices.Contains(Purposes, Purpose(name)) || Purpose(name) == Unsaid {
			faults = append(faults, fmt.Errorf("surcharge_cents.%s: no purpose is called so", name))
		}
		t.Surcharge[Purpose(name)] = cents
	}
	for _, d := range Deliveries {
		if slices.Contains(set.Deliveries, string(d)) {
			t.Deliveries = append(t.Deliveries, d)
		}
	}
	if len(t.Deliveries) != len(set.Deliveries) {
		faults = append(faults, fmt.Errorf("deliveries %q: download, post and counter, each once", set.Deliveries))
	}
	if len(t.Deliveries) == 0 {
		t.Deliveries = []Delivery{Download}
	}
	t.several = len(t.Deliveries) > 1
	return t, errors.Join(append(faults, set.Check(), t.check(p))...)
}

// check finds what would never do what was meant.
func (t Tariff) check(p *catalogue.Product) error {
	var faults []error
	if t.offers(Post) && !p.Registered() {
		faults = append(faults, errors.New("deliveries: no register tells the official address of this paper's people, so none goes by post"))
	}
	if t.offers(Post) && len(t.Deliveries) == 1 {
		faults = append(faults, errors.New("deliveries: post alone leaves nothing for people without a known address"))
	}
	if t.PostPrice > 0 && !t.offers(Post) {
		faults = append(faults, errors.New("post_cents: deliveries has no post"))
	}
	if t.highest() > 0 && !slices.ContainsFunc(t.Deliveries, t.Charges) {
		faults = append(faults, errors.New("surcharge_cents: every delivery offered is free"))
	}
	return errors.Join(faults...)
}

func (t Tariff) offers(d Delivery) bool { return slices.Contains(t.Deliveries, d) }

// Charges says whether price and surcharge are asked for papers delivered so.
func (t Tariff) Charges(d Delivery) bool { return d != Download || t.DownloadCosts }

// Without is the tariff for somebody who cannot have a delivery: without an official
// address nothing goes by post.
func (t Tariff) Without(d Delivery) Tariff {
	t.Deliveries = slices.DeleteFunc(slices.Clone(t.Deliveries), func(x Delivery) bool { return x == d })
	return t
}

// PaymentIn is how a fee is paid, in l or the next best language; "" where the commune
// leaves it to general words.
func (t Tariff) PaymentIn(l i18n.Language) string {
	if text := t.payment[l]; text != "" {
		return text
	}
	for _, l := range i18n.Languages {
		if text := t.payment[l]; text != "" {
			return text
		}
	}
	return ""
}

// highest is the dearest surcharge, which Unsaid costs.
func (t Tariff) highest() int64 {
	var most int64
	for _, cents := range t.Surcharge {
		most = max(most, cents)
	}
	return most
}

// Copy is what one copy costs for a purpose, in cents.
func (t Tariff) Copy(p Purpose) int64 {
	if p == Unsaid {
		return t.Price + t.highest()
	}
	return t.Price + t.Surcharge[p]
}

// From and UpTo are the least and the most that one copy costs with a delivery, its letter
// included, in cents.
func (t Tariff) From(d Delivery) int64 { return t.reach(d, slices.Min) }

// UpTo is the other end of From.
func (t Tariff) UpTo(d Delivery) int64 { return t.reach(d, slices.Max) }

func (t Tariff) reach(d Delivery, end func([]int64) int64) int64 {
	var all []int64
	for _, p := range Purposes {
		all = append(all, t.PriceOf(Choice{Delivery: d, Purpose: p, Copies: 1}).Total)
	}
	return end(all)
}

// Free says whether nothing costs anything.
func (t Tariff) Free() bool {
	return !slices.ContainsFunc(t.Deliveries, func(d Delivery) bool { return t.UpTo(d) > 0 })
}

// Choice is what somebody wants.
type Choice struct {
	Delivery Delivery
	Purpose  Purpose // Unsaid, or "" where it does not matter
	Copies   int     // 1 at least
}

// LineKind says what a price line is for.
type LineKind string

const (
	ForCopies LineKind = "copies"
	ForPost   LineKind = "post"
)

// Line is one line of a price, in cents.
type Line struct {
	Kind  LineKind `json:"kind"`
	Count int      `json:"count"`
	Each  int64    `json:"each"`
}

// Cents is the line's sum.
func (l Line) Cents() int64 { return int64(l.Count) * l.Each }

// In is the line in words, "2 copies at 2,00 €". It names neither paper nor purpose.
func (l Line) In(language i18n.Language) string {
	if l.Kind == ForPost {
		return i18n.T(language, "fee.line.post")
	}
	return i18n.T(language, "fee.line.copies", "Count", l.Count, "Each", i18n.Euro(language, l.Each))
}

// Price is what one order costs; its zero value is nothing.
type Price struct {
	Lines []Line `json:"lines"`
	Total int64  `json:"total"` // in cents
}

// PriceOf is (price + surcharge) × copies + post, without lines that are nothing.
func (t Tariff) PriceOf(c Choice) Price {
	var p Price
	if each := t.Copy(c.Purpose); t.Charges(c.Delivery) && each > 0 {
		p.Lines = append(p.Lines, Line{ForCopies, max(c.Copies, 1), each})
	}
	if c.Delivery == Post && t.PostPrice > 0 {
		p.Lines = append(p.Lines, Line{ForPost, 1, t.PostPrice})
	}
	for _, l := range p.Lines {
		p.Total += l.Cents()
	}
	return p
}

// Mark tells whether somebody has seen this very price: "" where nothing is to be paid,
// else a hash of the lines.
func (p Price) Mark() string {
	if len(p.Lines) == 0 {
		return ""
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // numbers and names
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// surcharges are the different amounts that purposes add, Other than nothing said.
func (t Tariff) surcharges() []int64 {
	amounts := map[int64]bool{}
	for _, p := range Purposes {
		amounts[t.Copy(p)] = true
	}
	return slices.Collect(maps.Keys(amounts))
}
