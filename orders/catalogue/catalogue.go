// Package catalogue says which papers people can order and under which rules.
//
// It owns the products as data (products/ID.VERSION.toml): their names in four
// languages and the other words people know them by, who may ask, price, promised
// working days, the questions of the form, where the same paper is to be had
// free and at once, and the words that stand on the paper. It refuses to know
// orders, people and pages. It guarantees that every version ever published stays
// readable, because an order keeps the version it was made with, and that no text
// is missing in a language: a catalogue with a gap does not load.
//
// Names and legal mention of the residence paper follow the National Register
// (MainResidence) and the royal decree of 16 July 1992.
package catalogue

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/form"
)

// Text is a text in each of the four languages.
type Text map[i18n.Language]string

// In is the text in l, in French where the catalogue has none in l.
func (t Text) In(l i18n.Language) string {
	if s := t[l]; s != "" {
		return i18n.Unbroken(l, s)
	}
	return i18n.Unbroken(i18n.French, t[i18n.French])
}

// Product is one kind of paper, in one published version.
type Product struct {
	ID      string `toml:"id"`      // "residence"; in addresses of pages
	Version int    `toml:"version"` // pinned by each order
	// Country under whose law it is issued, "be" where empty, or "fr".
	Country string `toml:"country"`
	// Source and SourceCode name the paper to the register it comes from ("rn",
	// "MainResidence"). The source FromPerson is none: the paper says what the sign-in and
	// the person told, and what a clerk has verified.
	Source     string `toml:"source"`
	SourceCode string `toml:"source_code"`
	// Way is how a commune comes by the paper where it sets nothing; made where empty.
	Way commune.Way `toml:"way"`
	// Template names the drawing of orders/document.
	Template string `toml:"template"`
	// Rank orders the products on a page, the lowest first.
	Rank int `toml:"rank"`
	// OnlyBelgians says that the paper certifies the Belgian nationality: others have none.
	OnlyBelgians bool  `toml:"only_belgians"`
	PriceCents   int64 `toml:"price_cents"`  // 0 is free
	WorkingDays  int   `toml:"working_days"` // promised at most, the day after the order being the first
	// SignIn is what is asked of the sign-in of whoever orders it; a commune may ask otherwise.
	SignIn commune.Demand `toml:"sign_in"`

	Label     Text       `toml:"label"`      // its name
	Summary   Text       `toml:"summary"`    // what it is good for
	Who       Text       `toml:"who"`        // who may ask for it
	Validity  Text       `toml:"validity"`   // how long it is good for
	NotNeeded Text       `toml:"not_needed"` // for whom it need not be ordered
	Elsewhere *Elsewhere `toml:"elsewhere"`  // nil where the commune is the only one to give it
	// Words are other names, by language, without the label itself.
	Words map[i18n.Language][]string `toml:"words"`

	Fields []form.Name `toml:"fields"` // questions, in the order of the page
	Paper  Paper       `toml:"paper"`
}

// FromPerson is the source of papers that rest on no register.
const FromPerson = "person"

// Registered says whether the paper says what a register says.
func (p *Product) Registered() bool { return p.Source != FromPerson }

// Of says whether the paper is one of a country's, "" being Belgium.
func (p *Product) Of(country string) bool {
	french := func(c string) bool { return c == commune.France }
	return french(p.Country) == french(country)
}

// Elsewhere is where the same paper is free and at once.
type Elsewhere struct {
	Label Text `toml:"label"`
	Text  Text `toml:"text"`
	URL   Text `toml:"url"`
}

// Paper is what the paper says, in the languages in which papers are issued (never English).
type Paper struct {
	Title        Text  `toml:"title"`
	Introduction Text  `toml:"introduction"` // {commune} and {date} stand for values
	Legal        Text  `toml:"legal"`
	Rows         []Row `toml:"rows"`
	List         *List `toml:"list"` // nil where the paper has none
}

// List is a table of several lines below the facts.
type List struct {
	Of      string   `toml:"of"` // Household or History
	Title   Text     `toml:"title"`
	Columns []Column `toml:"columns"`
}

// What a List may be of.
const (
	Household = "household" // who lives with the person
	History   = "history"   // where the person was registered
)

// Column is one of a List: the label of a fact of each line.
type Column struct {
	Row
	Width int `toml:"width"` // beside the others; 1 where 0
}

// columns are the facts of each line, by what the list is of.
var columns = map[string][]string{
	Household: {"name", "birth_date", "relation", "since"},
	History:   {"from", "until", "where"},
}

// Says whether a fact stands on the paper.
func (p Paper) Says(fact string) bool {
	return slices.ContainsFunc(p.Rows, func(r Row) bool { return r.Fact == fact })
}

// Lists whether the paper has a list of this kind.
func (p Paper) Lists(of string) bool { return p.List != nil && p.List.Of == of }

// Row is the label of one fact; a fact without a value prints no row.
type Row struct {
	Fact   string `toml:"fact"`
	French string `toml:"fr"`
	Dutch  string `toml:"nl"`
	German string `toml:"de"`
}

// In is the row's label in l.
func (r Row) In(l i18n.Language) string {
	switch l {
	case i18n.Dutch:
		return r.Dutch
	case i18n.German:
		return r.German
	}
	return r.French
}

// Catalogue is a set of products.
type Catalogue struct{ products []*Product } // by ID, then version

//go:embed products
var products embed.FS

// Standard is the catalogue that comes with the product.
var Standard = sync.OnceValue(func() *Catalogue {
	dir, err := fs.Sub(products, "products")
	if err != nil {
		panic(err)
	}
	c, err := Load(dir)
	if err != nil {
		panic(err) // embedded, and held by a test
	}
	return c
})

// Load reads every *.toml of a directory and refuses unknown keys, gaps and doubles.
func Load(dir fs.FS) (*Catalogue, error) {
	names, err := fs.Glob(dir, "*.toml")
	if err != nil {
		return nil, err
	}
	var c Catalogue
	var faults []error
	for _, name := range names {
		p, err := read(dir, name)
		if err == nil {
			err = p.check(name)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("catalogue %s: %w", name, err))
			continue
		}
		c.products = append(c.products, p)
	}
	slices.SortFunc(c.products, func(a, b *Product) int {
		if by := strings.Compare(a.ID, b.ID); by != 0 {
			return by
		}
		return a.Version - b.Version
	})
	return &c, errors.Join(faults...)
}

func read(dir fs.FS, name string) (*Product, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var p Product
	if err := toml.NewDecoder(f).DisallowUnknownFields().Decode(&p); err != nil {
		return nil, err
	}
	return &p, nil
}

// paperLanguages are those in which the law lets a commune issue: the three official ones.
var paperLanguages = []i18n.Language{i18n.French, i18n.Dutch, i18n.German}

func (p *Product) check(file string) error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if want := fmt.Sprintf("%s.%d.toml", p.ID, p.Version); want != file {
		bad("should be called %s", want)
	}
	full := func(name string, t Text, languages []i18n.Language) {
		for _, l := range languages {
			if strings.TrimSpace(t[l]) == "" {
				bad("%s.%s is missing", name, l)
			}
		}
	}
	full("label", p.Label, i18n.Languages)
	full("summary", p.Summary, i18n.Languages)
	full("who", p.Who, i18n.Languages)
	full("validity", p.Validity, i18n.Languages)
	full("not_needed", p.NotNeeded, i18n.Languages)
	if e := p.Elsewhere; e != nil {
		full("elsewhere.label", e.Label, i18n.Languages)
		full("elsewhere.text", e.Text, i18n.Languages)
		full("elsewhere.url", e.URL, i18n.Languages)
		for l, u := range e.URL {
			if !strings.HasPrefix(u, "https://") {
				bad("elsewhere.url.%s is no https address", l)
			}
		}
	}
	printed := paperLanguages
	if p.Country == commune.France {
		printed = []i18n.Language{i18n.French}
	}
	full("paper.title", p.Paper.Title, printed)
	full("paper.introduction", p.Paper.Introduction, printed)
	full("paper.legal", p.Paper.Legal, printed)
	for i, r := range p.Paper.Rows {
		if r.Fact == "" || slices.ContainsFunc(printed, func(l i18n.Language) bool { return strings.TrimSpace(r.In(l)) == "" }) {
			bad("paper.rows[%d] has a gap", i)
		}
	}
	if len(p.Paper.Rows) == 0 {
		bad("paper.rows: at least one")
	}
	if l := p.Paper.List; l != nil {
		full("paper.list.title", l.Title, printed)
		for i, c := range l.Columns {
			if c.Width < 0 || !slices.Contains(columns[l.Of], c.Fact) || slices.ContainsFunc(printed, func(l i18n.Language) bool { return strings.TrimSpace(c.In(l)) == "" }) {
				bad("paper.list.columns[%d] has a gap, or a fact that a list of %q has not", i, l.Of)
			}
		}
		if len(l.Columns) == 0 {
			bad("paper.list.columns: at least one")
		}
	}
	if err := p.SignIn.Check(); err != nil {
		bad("sign_in: %v", err)
	}
	if err := p.Way.Check(); err != nil {
		bad("%v", err)
	}
	if p.Way == commune.FromSource && !p.Registered() {
		bad("way %q: the paper rests on no register", p.Way)
	}
	for _, f := range p.Fields {
		if !f.Known() {
			bad("fields: no question is called %q", f)
		}
	}
	if p.Template == "" || p.Source == "" || p.SourceCode == "" || p.PriceCents < 0 || p.WorkingDays < 1 || p.WorkingDays > 60 {
		bad("template, source, source_code, price_cents (from 0) or working_days (1 to 60) is missing or wrong")
	}
	return errors.Join(faults...)
}

// Current lists the newest version of each product, by rank.
func (c *Catalogue) Current() []*Product {
	var newest []*Product
	for i, p := range c.products {
		if i+1 == len(c.products) || c.products[i+1].ID != p.ID {
			newest = append(newest, p)
		}
	}
	slices.SortStableFunc(newest, func(a, b *Product) int { return a.Rank - b.Rank })
	return newest
}

// Newest returns the newest version of a product.
func (c *Catalogue) Newest(id string) (*Product, bool) {
	for _, p := range c.Current() {
		if p.ID == id {
			return p, true
		}
	}
	return nil, false
}

// Version returns one published version of a product.
func (c *Catalogue) Version(id string, version int) (*Product, bool) {
	for _, p := range c.products {
		if p.ID == id && p.Version == version {
			return p, true
		}
	}
	return nil, false
}
