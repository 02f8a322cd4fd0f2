// Package commune says which communes an install serves and what is each one's own.
//
// It owns the settings of a commune: names, host names, languages, working days, theme and
// contact. It refuses to know people, orders, databases and files. It guarantees
// that an ID is safe in paths, keys and SQL, and that a host name leads to at
// most one commune.
package commune

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// ID names a commune for programs: lower-case letters, digits and hyphens, for
// example "beaumarais". It is an explicit argument of every store method.
type ID string

var validID = regexp.MustCompile(`^[a-z][a-z0-9-]{1,30}$`)

// Check returns an error where id has another shape.
func (id ID) Check() error {
	if !validID.MatchString(string(id)) {
		return fmt.Errorf("commune id %q: lower-case letters, digits and hyphens, 2 to 31 of them, a letter first", id)
	}
	return nil
}

// Commune is one commune's own settings, as the settings file has them.
type Commune struct {
	ID ID `toml:"id"`
	// Country whose law the commune is under: "be", also where empty, or "fr". It decides
	// which papers there are, in which languages, and whether people have a national number.
	Country string `toml:"country"`
	// Training makes it a commune to practise in: its pages say so, its papers are specimens,
	// no register is asked for sealed ones, and it can be emptied.
	Training bool `toml:"training"`
	// NIS is the five-digit code of Statbel, by which the National Register names
	// communes; in France the five characters of INSEE.
	NIS string `toml:"nis"`
	// Name by language code; those in the official languages must be there, others fall back to the first.
	Name map[i18n.Language]string `toml:"name"`
	// Origins are the addresses people use, scheme and host and port, for example
	// "https://guichet.beaumarais.be"; the first is the one printed on documents.
	Origins []string `toml:"origins"`
	// LanguageRegime decides which languages the commune uses, and in which order; never the
	// browser's guess. It needs no more than this.
	LanguageRegime Regime `toml:"language_regime"`
	// EnglishPages offers the pages for citizens in English too, as a courtesy.
	EnglishPages bool `toml:"english_pages"`
	// PagesOnly, DocumentsOnly and StaffOnly narrow what the regime gives, and order what is
	// equal in it; all of it where empty. Languages, DocumentLanguages and StaffLanguages
	// tell what comes of it.
	PagesOnly     []i18n.Language `toml:"languages"`
	DocumentsOnly []i18n.Language `toml:"document_languages"`
	StaffOnly     []i18n.Language `toml:"staff_languages"`
	// SignIn names the ways to sign in that the commune offers, in order: "card", "fas", or
	// an [[upstream]] source. All that are set up for it where empty.
	SignIn []string `toml:"sign_in"`
	// StaffSignIn names those for people who work here, at the desk and at the pages about
	// persons; SignIn's where empty.
	StaffSignIn []string `toml:"staff_sign_in"`
	// CitizenLevel and StaffLevel are the lowest levels of assurance (regulation (EU)
	// 2015/1502) that citizens and staff sign in with: "low", "substantial" or "high".
	// Substantial for citizens and high for staff where empty.
	CitizenLevel string `toml:"citizen_level"`
	StaffLevel   string `toml:"staff_level"`
	// ClerkSignature says whether clerks sign papers with their own eID before the seal:
	// "off" (where empty), "optional" or "required". It puts the clerk's national number,
	// which is in the card's certificate, into the paper.
	ClerkSignature ClerkSignature `toml:"clerk_signature"`
	// Closed are the days on which nobody works beside weekends and the holidays of the law.
	Closed []Closing `toml:"closed"`
	// AlsaceMoselle adds the two holidays that the law knows in Haut-Rhin, Bas-Rhin and
	// Moselle. A commune there without a Protestant church does not have Good Friday: it
	// lists 26 December among Closed instead.
	AlsaceMoselle bool    `toml:"alsace_moselle"`
	Theme         Theme   `toml:"theme"`
	Contact       Contact `toml:"contact"`
	// Appeal is what a refusal says about appealing (which body, within which time, how), by
	// language, in place of what the law of the country says. Those in the official
	// languages must be there where there is any.
	Appeal map[i18n.Language]string `toml:"appeal"`
	// CheckCopy lets whoever checks a paper by its number and code, or by its QR code, have
	// the whole file; off where nothing is said, and the page then shows no more than it must.
	CheckCopy bool `toml:"check_copy"`
	// FeeBeforeIssue says whether a paper that costs something is issued only once its fee has
	// been received; it is, where nothing is said.
	FeeBeforeIssue *bool `toml:"fee_before_issue"`
	// Products are the commune's own settings of products, by the product's ID; the
	// catalogue's where it says nothing.
	Products map[string]Product `toml:"product"`
}

// Demand is what is asked of a sign-in.
type Demand struct {
	Level  string `toml:"level"`   // the lowest: "low", "substantial" or "high"; nothing where empty
	MaxAge string `toml:"max_age"` // how long ago it may have been, "30m"; any time where empty
}

// Check returns what is wrong with it.
func (d Demand) Check() error {
	if !slices.Contains(levels, d.Level) {
		return fmt.Errorf("level %q: low, substantial or high", d.Level)
	}
	if age, err := time.ParseDuration(d.MaxAge); d.MaxAge != "" && (err != nil || age < time.Minute) {
		return fmt.Errorf("max_age %q: a duration of a minute at least, such as 30m", d.MaxAge)
	}
	return nil
}

// Age is MaxAge, zero where it is any.
func (d Demand) Age() time.Duration {
	age, _ := time.ParseDuration(d.MaxAge) // checked
	return age
}

// Or is d with what it leaves open taken from e.
func (d Demand) Or(e Demand) Demand {
	if d.Level == "" {
		d.Level = e.Level
	}
	if d.MaxAge == "" {
		d.MaxAge = e.MaxAge
	}
	return d
}

// levels that settings may name.
var levels = []string{"", "low", "substantial", "high"}

// ClerkSignature says whether clerks sign papers with their own eID.
type ClerkSignature string

const (
	NoClerkSignature       ClerkSignature = "off"
	OptionalClerkSignature ClerkSignature = "optional"
	RequiredClerkSignature ClerkSignature = "required"
)

// Theme is what a commune chooses of the looks. Colours are "#rrggbb". They are tokens only,
// and the logo is drawn anew: no CSS, SVG or file of a commune's is ever served (threat T27).
type Theme struct {
	Brand   string `toml:"brand"`    // header, buttons
	OnBrand string `toml:"on_brand"` // text upon Brand
	Link    string `toml:"link"`
	Accent  string `toml:"accent"` // the thin line under the header
	// Logo is a PNG file that stands in the header of the commune's pages; may be empty.
	Logo string `toml:"logo,omitempty"`
}

// Contact is where people reach the commune when the page does not help.
type Contact struct {
	Street string                   `toml:"street"`
	City   string                   `toml:"city"` // postal code and locality
	Phone  string                   `toml:"phone"`
	Email  string                   `toml:"email"`
	Hours  map[i18n.Language]string `toml:"hours"`
	// Officer is the mail address of the data protection officer (regulation (EU) 2016/679, article 37).
	Officer string `toml:"data_protection_officer"`
}

// NameIn is the commune's name in language l, in its official language where it has none in l.
func (c *Commune) NameIn(l i18n.Language) string {
	if n := c.Name[l]; n != "" {
		return n
	}
	return c.Name[c.Languages()[0]]
}

// AppealIn is the commune's own text about appeals in l, in its first language where it
// has none in l; "" where the commune leaves it to the law.
func (c *Commune) AppealIn(l i18n.Language) string {
	if text := c.Appeal[l]; text != "" {
		return text
	}
	return c.Appeal[c.Languages()[0]]
}

// FeeFirst says whether a paper waits for its fee.
func (c *Commune) FeeFirst() bool { return c.FeeBeforeIssue == nil || *c.FeeBeforeIssue }

// payment refuses a tariff that says how to pay, and not in the commune's official languages.
func (c *Commune) payment(t Tariff) error {
	if len(t.Payment) == 0 {
		return nil
	}
	for _, l := range c.Official() {
		if strings.TrimSpace(t.Payment[l]) == "" {
			return fmt.Errorf("tariff.payment.%s is missing", l)
		}
	}
	return nil
}

// ClerksMaySign says whether the commune has clerks sign with their own eID, at will or always.
func (c *Commune) ClerksMaySign() bool {
	return c.ClerkSignature == OptionalClerkSignature || c.ClerksMustSign()
}

// ClerksMustSign says whether no paper is issued without a clerk's own signature.
func (c *Commune) ClerksMustSign() bool { return c.ClerkSignature == RequiredClerkSignature }

// Origin is the address printed on documents.
func (c *Commune) Origin() string { return c.Origins[0] }

// French says whether the commune is under French law.
func (c *Commune) French() bool { return c.Country == France }

// ByCard says whether people of the commune may sign in with a Belgian card.
func (c *Commune) ByCard() bool { return len(c.SignIn) == 0 || slices.Contains(c.SignIn, "card") }

// Countries whose law a commune may be under.
const (
	Belgium = "be"
	France  = "fr"
)

var (
	colour  = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	nisCode = regexp.MustCompile(`^[0-9]{5}$`)
	insee   = regexp.MustCompile(`^[0-9][0-9AB][0-9]{3}$`) // Corsica has letters
)

// IsColour says whether s is a colour as Theme wants it.
func IsColour(s string) bool { return colour.MatchString(s) }

// Check returns every fault of the settings, each naming the key to correct.
func (c *Commune) Check() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("commune %s: "+format, append([]any{c.ID}, args...)...))
	}
	if err := c.ID.Check(); err != nil {
		faults = append(faults, err)
	}
	switch {
	case c.Country != "" && c.Country != Belgium && c.Country != France:
		bad("country %q: be or fr", c.Country)
	case c.French() && !insee.MatchString(c.NIS):
		bad("nis %q: the five characters of INSEE", c.NIS)
	case !c.French() && !nisCode.MatchString(c.NIS):
		bad("nis %q: five digits", c.NIS)
	}
	for _, l := range []string{c.CitizenLevel, c.StaffLevel} {
		if !slices.Contains(levels, l) {
			bad("level %q: low, substantial or high", l)
		}
	}
	for id, p := range c.Products {
		if err := errors.Join(p.Demand.Check(), p.Way.Check(), p.Tariff.Check(), c.payment(p.Tariff)); err != nil {
			bad("product.%s: %v", id, err)
		}
	}
	c.checkLanguages(bad)
	c.checkCalendar(bad)
	if len(c.Origins) == 0 {
		bad("origins: at least one")
	}
	for _, o := range c.Origins {
		if _, err := HostOf(o); err != nil {
			bad("origins: %v", err)
		}
	}
	if len(c.Appeal) > 0 {
		for _, l := range c.Official() {
			if strings.TrimSpace(c.Appeal[l]) == "" {
				bad("appeal.%s is missing", l)
			}
		}
	}
	switch c.ClerkSignature {
	case "", NoClerkSignature, OptionalClerkSignature, RequiredClerkSignature:
	default:
		bad("clerk_signature: %q is none of off, optional, required", c.ClerkSignature)
	}
	for name, v := range map[string]string{"brand": c.Theme.Brand, "on_brand": c.Theme.OnBrand, "link": c.Theme.Link, "accent": c.Theme.Accent} {
		if v != "" && !colour.MatchString(v) {
			bad("theme.%s %q: a colour such as #1d4f91", name, v)
		}
	}
	if l := c.Theme.Logo; l != "" && !strings.EqualFold(filepath.Ext(l), ".png") {
		bad("theme.logo %q: a PNG file", l)
	}
	return errors.Join(faults...)
}

// HostOf returns the host (with its port, where it has one) of an origin such as "https://id.example:8443".
func HostOf(origin string) (string, error) {
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || strings.TrimSuffix(origin, "/") != u.Scheme+"://"+u.Host || strings.HasSuffix(origin, "/") {
		return "", fmt.Errorf("%q is no origin: scheme and host and nothing else, for example https://guichet.example.be", origin)
	}
	return u.Host, nil
}

// Communes is the set an install serves.
type Communes struct {
	all    []*Commune
	byID   map[ID]*Commune
	byHost map[string]*Commune
}

// NewCommunes checks the settings and refuses two communes with one ID or host name.
func NewCommunes(list []*Commune) (*Communes, error) {
	cs := &Communes{all: list, byID: map[ID]*Commune{}, byHost: map[string]*Commune{}}
	var faults []error
	for _, c := range list {
		if err := c.Check(); err != nil {
			faults = append(faults, err)
			continue
		}
		if cs.byID[c.ID] != nil {
			faults = append(faults, fmt.Errorf("commune %s is there twice", c.ID))
		}
		cs.byID[c.ID] = c
		for _, o := range c.Origins {
			host, _ := HostOf(o)
			if other := cs.byHost[host]; other != nil && other != c {
				faults = append(faults, fmt.Errorf("communes %s and %s share the host name %s", other.ID, c.ID, host))
			}
			cs.byHost[host] = c
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return cs, nil
}

// All lists the communes in the order of the settings.
func (cs *Communes) All() []*Commune { return cs.all }

// ByID returns the commune of this ID.
func (cs *Communes) ByID(id ID) (*Commune, bool) { c, ok := cs.byID[id]; return c, ok }

// ByHost returns the commune of a Host header, port included.
func (cs *Communes) ByHost(host string) (*Commune, bool) {
	c, ok := cs.byHost[strings.ToLower(host)]
	return c, ok
}
