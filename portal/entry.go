package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/portal/visit"
)

// official leads an address without language to the same page in the official language.
// What somebody has read before counts for nothing: a language on request is asked for
// at each visit. Where two are official, both are offered alike.
func (p *Portal) official(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	path := r.URL.Path
	equal := equals(v, path)
	if len(equal) == 1 {
		return web.See(w, r, inLanguage(equal[0], r.URL))
	}
	return p.entry(w, r, v, equal)
}

// equals are the languages among which an address without language does not choose. Staff
// have one page to begin with.
func equals(v *visit.Visit, path string) []i18n.Language {
	if visit.AtDesk(path) {
		return v.Commune.StaffLanguages()[:1]
	}
	return v.Commune.Official()
}

func inLanguage(l i18n.Language, here *url.URL) string {
	u := url.URL{Path: "/" + string(l) + here.Path, RawQuery: here.RawQuery}
	return u.String()
}

// door is one language on the entry page.
type door struct {
	Language i18n.Language
	Commune  string
	Href     string
}

// entry is the page of an address without language where two languages are equal: its
// words stand in both.
func (p *Portal) entry(w http.ResponseWriter, r *http.Request, v *visit.Visit, equal []i18n.Language) error {
	var names []string
	var doors []door
	for _, l := range equal {
		name := v.Commune.NameIn(l)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		doors = append(doors, door{l, name, inLanguage(l, r.URL)})
	}
	frame := v.Frame(w, r, strings.Join(names, " – "))
	frame.Site, frame.Home, frame.Nav, frame.About, frame.Languages, frame.Also = strings.Join(names, " – "), "", nil, nil, nil, equal[1:]
	frame.Person, frame.SignOut = "", ""
	if v.Notice != "" {
		var said []string
		for _, l := range equal {
			said = append(said, i18n.T(l, "portal.specimen"))
		}
		frame.Notice = strings.Join(said, " – ")
	}
	var courtesy []door
	for _, l := range v.Choices(r.URL.Path) {
		if !slices.Contains(equal, l) {
			courtesy = append(courtesy, door{l, v.Commune.NameIn(l), inLanguage(l, r.URL)})
		}
	}
	return p.templates.Render(w, http.StatusOK, "entry", frame, struct{ Doors, Courtesy []door }{doors, courtesy})
}
