// Package visit is what the portal knows about a request: the commune it is for,
// the language of its page, and who is signed in.
//
// It owns the frame round the portal's pages (header, languages, navigation,
// footer) and the guards that send people to sign in. It refuses to know what a
// page is about. It guarantees that a page's commune is that of the Host header
// and that a person signed in at another commune is nobody here (threat T16).
package visit

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/portal/rp"
	"github.com/belfry-eid/belfry/portal/session"
	"github.com/belfry-eid/belfry/portal/staff"
)

// Visit is one request's circumstances.
type Visit struct {
	Commune  *commune.Commune
	Site     rp.Site
	Language i18n.Language
	Path     string           // of the page, without its language: "/orders"; "" where the address names none
	Person   *session.Session // nil where nobody is signed in
	Secret   string           // the browser's session secret; names what is kept for the session
	Member   *staff.Member    // nil where the person does not work here
	Issuer   string           // where signing out leads; allowed as a form's destination
	Notice   string           // shown above every page
	Logo     *page.Logo       // the commune's; nil where it has none
}

type key struct{}

// With returns a request that carries v.
func With(r *http.Request, v *Visit) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), key{}, v))
}

// Of returns what With put there; every route of the portal has it.
func Of(r *http.Request) *Visit {
	v, _ := r.Context().Value(key{}).(*Visit)
	return v
}

// T is a text in the visit's language.
func (v *Visit) T(key string, args ...any) string { return i18n.T(v.Language, key, args...) }

// To is the address of a page of this portal in the visit's language.
func (v *Visit) To(path string) string { return "/" + string(v.Language) + path }

// Desk says whether the page belongs to the clerks' desk.
func (v *Visit) Desk() bool { return AtDesk(v.Path) }

// AtDesk says whether a path (without its language) belongs to the clerks' desk.
func AtDesk(path string) bool { return path == "/desk" || strings.HasPrefix(path, "/desk/") }

// Choices are the languages the commune offers for a page: the desk has its own list.
func (v *Visit) Choices(path string) []i18n.Language {
	if AtDesk(path) {
		return v.Commune.StaffLanguages()
	}
	return v.Commune.Languages()
}

// Frame is what stands round the page of this visit. Forms on it may lead to the
// provider, because signing out does.
func (v *Visit) Frame(w http.ResponseWriter, r *http.Request, title string) page.Frame {
	f := page.Frame{
		Language: v.Language, Title: title, Site: v.Commune.NameIn(v.Language), Home: v.To("/"),
		Theme: ThemeAddress(v.Commune), Logo: v.Logo, Contact: &v.Commune.Contact, Notice: v.Notice,
	}
	for _, l := range v.Choices(v.Path) {
		f.Languages = append(f.Languages, page.LanguageLink{Language: l, Href: v.inLanguage(r, l), Current: l == v.Language})
	}
	f.Nav, f.About = v.navigation(), v.about()
	if v.Desk() {
		f.Service, f.Home, f.Wide, f.NoIndex = v.T("clerk.service"), v.To("/desk"), true, true
	}
	if v.Person != nil {
		f.Person, f.SignOut, f.NoIndex = v.Person.Name(), v.To("/sign-out"), true
		if v.Issuer != "" {
			web.AllowForm(w, v.Issuer)
		}
	}
	return f
}

// inLanguage is this page's address in another language, with its query.
func (v *Visit) inLanguage(r *http.Request, l i18n.Language) string {
	path := v.Path
	if path == "" {
		path = "/"
	}
	u := url.URL{Path: "/" + string(l) + path}
	if r.Method == http.MethodGet {
		u.RawQuery = r.URL.RawQuery
	}
	return u.String()
}

// inboxPaths are the pages that the inbox leads to.
var inboxPaths = []string{"/desk/orders", "/desk/new", "/desk/assign", "/desk/ready", "/desk/batches", "/desk/letters"}

func (v *Visit) navigation() []page.Link {
	var links []page.Link
	add := func(key, path string, current bool) {
		links = append(links, page.Link{Text: v.T(key), Href: v.To(path), Current: current})
	}
	under := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return v.Path == p || strings.HasPrefix(v.Path, p+"/") })
	}
	if v.Desk() {
		if v.Member == nil {
			return nil
		}
		add("clerk.nav.inbox", "/desk", v.Path == "/desk" || under(inboxPaths...))
		add("staff.nav.absence", "/desk/absence", under("/desk/absence"))
		add("figures.nav", "/desk/figures", under("/desk/figures"))
		if v.Member.Role == staff.Administrator {
			add("clerk.nav.staff", "/desk/staff", under("/desk/staff", "/desk/delegations", "/desk/questions"))
		}
		return append(links, page.Link{Text: v.T("clerk.nav.citizens"), Href: "/"})
	}
	add("portal.nav.documents", "/", v.Path == "/" || under("/documents"))
	add("portal.nav.orders", "/orders", under("/orders"))
	if v.Person != nil {
		add("account.nav.papers", "/papers", under("/papers"))
		add("account.nav.account", AccountPath, under(AccountPath))
	}
	add("portal.nav.check", "/verify", under("/verify"))
	if v.Member != nil {
		links = append(links, page.Link{Text: v.T("portal.nav.desk"), Href: "/" + string(v.Commune.StaffLanguages()[0]) + "/desk"})
	}
	return links
}

// AccountPath is where people see what the portal keeps of them beside their orders.
const AccountPath = "/account"

// Pages that every public body owes people (portal/about).
const (
	ContactPath       = "/contact"
	HelpPath          = "/help"
	AccessibilityPath = "/accessibility"
	PrivacyPath       = "/privacy"
)

func (v *Visit) about() []page.Link {
	var links []page.Link
	for _, l := range []struct{ key, path string }{
		{"about.contact.title", ContactPath}, {"about.help.title", HelpPath},
		{"about.accessibility.title", AccessibilityPath}, {"about.privacy.title", PrivacyPath},
	} {
		links = append(links, page.Link{Text: v.T(l.key), Href: v.To(l.path), Current: v.Path == l.path})
	}
	return links
}

// ThemeAddress is where a commune's colours are served; it changes with them.
func ThemeAddress(c *commune.Commune) string {
	return "/theme.css?v=" + page.Fingerprint(page.ThemeCSS(c.Theme))
}

// SignIn is the address that signs the visitor in and comes back to this page.
func (v *Visit) SignIn(r *http.Request) string {
	back := v.To(v.Path)
	if r.Method == http.MethodGet && r.URL.RawQuery != "" {
		back += "?" + r.URL.RawQuery
	}
	return v.SignInTo(back)
}

// SignInTo is the address that signs the visitor in and goes on to a local path.
func (v *Visit) SignInTo(back string) string {
	return v.To("/sign-in") + "?" + url.Values{"return": {back}}.Encode()
}

// Signed lets a page be seen by people who are signed in; others sign in first.
func Signed(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v := Of(r)
		if v.Person == nil {
			return web.See(w, r, v.SignIn(r))
		}
		return h(w, r)
	}
}

const (
	DeskIdle    = 15 * time.Minute // a clerk away longer than this uses the card again (T24)
	DecisionAge = 30 * time.Minute // how long ago the card may have been used when something is decided (T11)
)

// Staff lets a page be seen by the commune's own people, who used their card and
// were here a moment ago. Others sign in or are told why not.
func Staff(now func() time.Time, h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v := Of(r)
		if v.Person == nil || now().Sub(v.Person.Seen) > DeskIdle {
			return web.See(w, r, v.staffSignIn(r))
		}
		if v.Member == nil {
			return fault.New(fault.Forbidden, "clerk.not_staff", nil)
		}
		if err := v.StaffLevel(); err != nil {
			return err
		}
		return h(w, r)
	}
}

// StaffLevel is the fault of somebody who has not signed in the way that the commune
// demands of its staff: with the card, unless its settings say otherwise.
func (v *Visit) StaffLevel() error {
	lowest := rp.High
	if v.Commune.StaffLevel != "" {
		lowest = rp.Level(v.Commune.StaffLevel)
	}
	switch {
	case rp.Reaches(v.Person.ACR, lowest):
		return nil
	case v.Commune.ByCard():
		return fault.New(fault.Forbidden, "clerk.card_needed", nil)
	}
	return fault.New(fault.Forbidden, "clerk.work_account_needed", nil)
}

// Fresh is Staff for a decision: the card was used within DecisionAge, or is used again first.
func Fresh(now func() time.Time, h web.Handler) web.Handler {
	return Staff(now, func(w http.ResponseWriter, r *http.Request) error {
		v := Of(r)
		if now().Sub(v.Person.AuthTime) > DecisionAge {
			return web.See(w, r, v.staffSignIn(r))
		}
		return h(w, r)
	})
}

// staffSignIn comes back to the page of a GET, and from a POST to the page whose form
// it was: what was about to be decided is looked at again.
func (v *Visit) staffSignIn(r *http.Request) string {
	back := v.To(v.Path)
	switch {
	case r.Method != http.MethodGet:
		back = v.To(FormOf(v.Path)) + "?again=1"
	case r.URL.RawQuery != "":
		back += "?" + r.URL.RawQuery
	}
	return v.To("/sign-in") + "?" + url.Values{"return": {back}, "desk": {"1"}}.Encode()
}

// FormOf is the page whose form posted to path: "/desk/orders/7" for
// "/desk/orders/7/approve". A refusal, a withdrawal and a question have pages of their own.
func FormOf(path string) string {
	if strings.HasSuffix(path, "/refuse") || strings.HasSuffix(path, "/withdrawal") || strings.HasSuffix(path, "/ask") {
		return path
	}
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return path
}

// Download sends a file to be saved, under a name that is safe in a header.
func Download(w http.ResponseWriter, name, mediaType string, data []byte) error {
	return send(w, "attachment", name, mediaType, data)
}

// Attachment sends a file that somebody else made, to be saved: a browser that opens it
// all the same is allowed nothing. It closes the file.
func Attachment(w http.ResponseWriter, name, mediaType string, f blob.File) error {
	defer f.Close()
	h := w.Header()
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", mediaType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Length", strconv.FormatInt(f.Size(), 10))
	_, err := io.Copy(w, f)
	return err
}

// Inline sends a file to be shown within a page of ours. The policy of its answer
// names no sources: there is nothing in a PDF that may load anything, and browsers'
// viewers are stopped by more.
func Inline(w http.ResponseWriter, name, mediaType string, data []byte) error {
	w.Header().Set("Content-Security-Policy", "frame-ancestors 'self'")
	return send(w, "inline", name, mediaType, data)
}

// Plain answers a script of ours with a line of text.
func Plain(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := io.WriteString(w, text)
	return err
}

func send(w http.ResponseWriter, how, name, mediaType string, data []byte) error {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Disposition", mime.FormatMediaType(how, map[string]string{"filename": name}))
	h.Set("Content-Length", strconv.Itoa(len(data)))
	_, err := w.Write(data)
	return err
}
