// Package page is the look every page shares: layout, theme and the set of
// templates of a room.
//
// It owns the layout, the vendored govuk-frontend (without its typeface and
// crown), our own layer of style over it, and how a template is rendered in a
// language. It refuses to know routes, sessions and what a page is about. It
// guarantees that a page is whole or an error (it is rendered before the first
// byte is sent), that texts come from the catalogues only ({{t "key"}}), and
// that nothing inline needs a looser Content-Security-Policy.
//
// A room keeps its templates in a folder "templates" of its own, one file a page, and
// each file is the content alone:
//
//	<h1 class="govuk-heading-l">{{t "portal.home.title" "Commune" .Name}}</h1>
//
// Files whose name begins with "_" hold {{define}} parts for the others; parts
// that several rooms share lie here, in templates/_*.html.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

//go:embed all:templates
var templates embed.FS

//go:embed static
var static embed.FS

// Link is a text that leads somewhere.
type Link struct {
	Text, Href string
	Current    bool
}

// LanguageLink leads to the same page in another language.
type LanguageLink struct {
	Language i18n.Language
	Href     string
	Current  bool
}

// Frame is what the layout round a page's content shows.
type Frame struct {
	Language  i18n.Language
	Title     string // of the page; the site's name is added
	Failed    bool   // a form came back with errors: the title says so first
	Site      string // in the header: the commune's or the service's name
	Service   string // beneath it, for example what the desk is called; may be empty
	Home      string // where the site's name leads
	Back      string // where the back link leads; none where empty
	Languages []LanguageLink
	Nav       []Link
	Person    string   // who is signed in; nobody where empty
	SignOut   string   // where the sign-out form posts to; no button where empty
	Theme     string   // address of the theme's style sheet; the default looks where empty
	Logo      *Logo    // beside the site's name; our belfry where nil
	Scripts   []string // addresses of ES modules this page needs
	NoIndex   bool     // keep search engines away
	Contact   *commune.Contact
	About     []Link // at the foot of the page: what a public body owes people to read
	Notice    string // shown above everything, for example that keys are test keys
	Wide      bool   // the desk's tables want the whole width
	// Also are the languages in which the frame's own words stand too, where nobody has
	// chosen a language yet and two are equal.
	Also []i18n.Language
}

// Templates are a room's pages in every language.
type Templates struct {
	pages map[i18n.Language]map[string]*template.Template
}

// Parse reads templates/*.html of a room's embedded files; a broken template is a
// broken build, so it panics.
func Parse(files fs.FS) *Templates {
	shared, room := sources(templates), sources(files)
	t := &Templates{pages: map[i18n.Language]map[string]*template.Template{}}
	for _, l := range i18n.Languages {
		t.pages[l] = map[string]*template.Template{}
		for name := range room {
			if !strings.HasPrefix(name, "_") {
				t.pages[l][strings.TrimSuffix(name, ".html")] = compose(l, shared, room, name)
			}
		}
	}
	return t
}

func sources(files fs.FS) map[string]string {
	made := map[string]string{}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil || len(names) == 0 {
		panic(fmt.Sprintf("page: no templates/*.html: %v", err))
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err)
		}
		made[path.Base(name)] = string(text)
	}
	return made
}

// compose puts one page together: the layout, every shared part, the page as "content".
func compose(l i18n.Language, shared, room map[string]string, name string) *template.Template {
	t := template.Must(template.New("layout").Funcs(functions(l)).Parse(shared["layout.html"]))
	for _, parts := range []map[string]string{shared, room} {
		for file, text := range parts {
			if strings.HasPrefix(file, "_") {
				template.Must(t.New(file).Parse(text))
			}
		}
	}
	template.Must(t.New("content").Parse(room[name]))
	return t
}

// functions are what a template may call. {{t "key" "Name" value …}} is a text of
// the catalogues, {{tin language "key"}} one in another language than the page's; the others write dates, amounts and addresses of static files.
func functions(l i18n.Language) template.FuncMap {
	return template.FuncMap{
		"t":        func(key string, args ...any) string { return i18n.T(l, key, args...) },
		"tin":      func(l i18n.Language, key string, args ...any) string { return i18n.T(l, key, args...) },
		"language": func() i18n.Language { return l },
		"date":     func(at time.Time) string { return i18n.Date(l, at) },
		"datetime": func(at time.Time) string { return i18n.DateTime(l, at) },
		"machine":  func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
		"euro":     func(cents int64) string { return i18n.Euro(l, cents) },
		"asset":    Asset,
		"dict":     dict,
	}
}

// dict makes a map of name, value pairs, so that a shared part can take several values.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: a name without a value")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// Render answers with a page of the room in the frame's language.
func (t *Templates) Render(w http.ResponseWriter, status int, name string, frame Frame, content any) error {
	pages, ok := t.pages[frame.Language]
	if !ok {
		pages = t.pages[i18n.French]
	}
	tmpl, ok := pages[name]
	if !ok {
		return fmt.Errorf("page %q does not exist", name)
	}
	var out bytes.Buffer
	if err := tmpl.ExecuteTemplate(&out, "layout", layout{frame, content}); err != nil {
		return fmt.Errorf("page %q: %w", name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(frame.Language))
	w.WriteHeader(status)
	_, err := w.Write(out.Bytes())
	return err
}

// layout is what layout.html is given.
type layout struct {
	Frame
	Content any
}

// Names lists the pages, for tests that render each of them.
func (t *Templates) Names() []string {
	var names []string
	for n := range t.pages[i18n.French] {
		names = append(names, n)
	}
	return names
}

var digests = sync.OnceValue(func() map[string]string {
	made := map[string]string{}
	fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		made[strings.TrimPrefix(name, "static/")] = Fingerprint(content)
		return nil
	})
	return made
})

// Fingerprint is a short hash of a file, for addresses that change with it.
func Fingerprint(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

// Asset is the address of a shared static file; it changes with the file, so that
// browsers may keep it for ever.
func Asset(name string) string { return "/static/" + name + "?v=" + digests()[name] }

// Static serves the files of Asset; mount it at "GET /static/".
func Static() http.Handler {
	sub, err := fs.Sub(static, "static")
	if err != nil {
		panic(err)
	}
	files := http.StripPrefix("/static/", http.FileServerFS(sub))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		if r.URL.Query().Get("v") == digests()[strings.TrimPrefix(r.URL.Path, "/static/")] {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		files.ServeHTTP(w, r)
	})
}

// ThemeCSS is a commune's theme as a style sheet of custom properties and nothing
// else; a value that is no colour is left out.
func ThemeCSS(theme commune.Theme) []byte {
	var b bytes.Buffer
	b.WriteString(":root{")
	for _, p := range []struct{ name, value string }{
		{"--brand", theme.Brand}, {"--on-brand", theme.OnBrand}, {"--accent", theme.Accent},
		{"--link", theme.Link},
	} {
		if commune.IsColour(p.value) {
			b.WriteString(p.name + ":" + p.value + ";")
		}
	}
	b.WriteString("}\n")
	return b.Bytes()
}
