// Package about is what a public body owes people to read: how to reach it, help, how
// accessible its pages are, and what it does with people's data.
//
// It owns these four pages and the words on them, which are the product's; what differs
// from commune to commune comes from its settings, its country and its language regime. It
// refuses to know who reads. It guarantees that the accessibility statement says what
// docs/accessibility-audit.md says, and nothing better.
//
// Implements directive (EU) 2016/2102, article 7, by the model of Commission Implementing
// Decision (EU) 2018/1523, and articles 13 and 14 of regulation (EU) 2016/679.
package about

import (
	"embed"
	"net/http"
	"time"

	"github.com/belfry-eid/belfry/docs"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/portal/visit"
)

//go:embed all:templates
var templates embed.FS

// Pages serves the pages of a commune.
type Pages struct {
	templates *page.Templates
	audit     audit
	now       clock.Clock
}

// New reads the audit, which is part of the program: one that cannot be read is a broken build.
func New(now clock.Clock) *Pages {
	found, err := readAudit(docs.AccessibilityAudit)
	if err != nil {
		panic(err)
	}
	return &Pages{page.Parse(templates), found, now}
}

// Routes adds the pages to the addresses within a language.
func (p *Pages) Routes(mux *http.ServeMux, site *web.Site) {
	for path, name := range map[string]string{
		visit.ContactPath: "contact", visit.HelpPath: "help", visit.AccessibilityPath: "accessibility", visit.PrivacyPath: "privacy",
	} {
		mux.Handle("GET "+path, site.Page(func(w http.ResponseWriter, r *http.Request) error { return p.show(w, r, name) }))
	}
}

// closedAhead is how many months ahead closed days are announced.
const closedAhead = 3

// content is what the four templates are given.
type content struct {
	Commune  *commune.Commune
	Name     string
	Hours    string
	Closed   []visit.Closed // in the months to come
	Card     bool           // people may sign in with a Belgian card
	Federal  bool           // the commune is Belgian, and so is what is said of registers
	Region   string         // whose ombudsman hears complaints
	To       func(string) string
	Examined time.Time
	Status   string
	Standard string
	Short    []string
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, name string) error {
	v := visit.Of(r)
	c := content{
		Commune: v.Commune, Name: v.Commune.NameIn(v.Language), Hours: v.Commune.Contact.Hours[v.Language],
		Card: v.Commune.ByCard(), Federal: !v.Commune.French(), Region: region(v.Commune), To: v.To,
		Examined: p.audit.examined, Status: p.audit.status, Standard: p.audit.standard,
	}
	now := p.now()
	c.Closed = v.Closed(now, now.AddDate(0, closedAhead, 0))
	for _, short := range p.audit.short {
		c.Short = append(c.Short, short[v.Language])
	}
	return p.templates.Render(w, http.StatusOK, name, v.Frame(w, r, v.T("about."+name+".title")), c)
}

// region is where a commune lies, as far as its language regime tells: it decides who
// watches over accessibility.
func region(c *commune.Commune) string {
	switch c.LanguageRegime {
	case "nl", "nl-fr":
		return "flanders"
	case "brussels":
		return "brussels"
	case "de":
		return "east"
	case "france":
		return "france"
	}
	return "wallonia"
}
