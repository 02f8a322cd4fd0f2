// Package portal is what citizens, clerks and strangers see of a commune.
//
// It owns the way from a host name to a commune, the languages of addresses
// ("/fr/orders"), signing in and out, the theme and the error pages; the pages
// themselves are in portal/citizen, portal/clerk, portal/follow and portal/verify. It refuses to
// know how somebody proves who they are (portal/rp asks the provider), what an
// order may become (orders) and what a signature is worth (signing/verify). It
// guarantees that
//
//   - the commune is that of the Host header and no other (threat T30); an unknown
//     host gets no commune's page,
//   - whatever was chosen for the reader follows the commune's settings: the
//     browser's languages count for nothing,
//   - a session belongs to one commune and gets a new secret at each sign-in.
package portal

import (
	"context"
	"crypto/x509"
	"embed"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/picture"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/delegation"
	"github.com/belfry-eid/belfry/portal/about"
	"github.com/belfry-eid/belfry/portal/citizen"
	"github.com/belfry-eid/belfry/portal/clerk"
	"github.com/belfry-eid/belfry/portal/follow"
	"github.com/belfry-eid/belfry/portal/rp"
	"github.com/belfry-eid/belfry/portal/session"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/verify"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Orders is what the portal's pages need of the orders room; *orders.Service is one.
type Orders interface {
	citizen.Orders
	clerk.Orders
	follow.Orders
	verify.Orders
}

// Config of the portal. All fields but Roots, Transport, Proxies, AgentPorts, Cards and Specimen are needed.
type Config struct {
	Communes *commune.Communes
	DB       *sqldb.DB     // for the staff's tables
	Journal  staff.Journal // *audit.Log
	KV       kv.Store
	Orders   Orders
	Checker  verify.Checker // reads foreign files, in a child process
	// InstallKey seals sessions; 32 bytes. Another key ends all sessions.
	InstallKey []byte
	// Issuers by origin of a commune: where people sign in who came by that address.
	Issuers map[string]string
	// Clients are the communes' registrations at the provider: redirect_uri is the
	// origin with rp.CallbackPath, post_logout_redirect_uri with rp.SignedOutPath.
	Clients   map[commune.ID]rp.Client
	Roots     *x509.CertPool    // vouch for the provider; the system's where nil
	Transport http.RoundTripper // replaces the network, for tests
	Proxies   []netip.Prefix    // may set X-Forwarded-*
	// Specimen says whether a commune's seal is a test key; its pages then say so.
	Specimen func(commune.ID) bool
	// Logos of the communes that have one.
	Logos map[commune.ID]*page.Logo
	// AgentPorts are where eid-agent may listen on a clerk's machine.
	AgentPorts []int
	// Cards checks what is read from a card at the counter; nil where none is read there.
	Cards clerk.CardFiles
	Clock clock.Clock
	Log   *slog.Logger
}

// Portal serves the pages of all communes of an install.
type Portal struct {
	cfg         Config
	rp          *rp.RP
	sessions    *session.Store
	staff       *staff.Register
	delegations *delegation.Register
	templates   *page.Templates
	site        *web.Site
	handler     http.Handler
}

//go:embed all:templates
var templates embed.FS

// New puts the portal together and brings its tables up to date.
func New(ctx context.Context, cfg Config) (*Portal, error) {
	if cfg.Communes == nil || cfg.DB == nil || cfg.KV == nil || cfg.Orders == nil || cfg.Checker == nil || cfg.Journal == nil || cfg.Clock == nil || cfg.Log == nil {
		return nil, errors.New("portal: Communes, DB, Journal, KV, Orders, Checker, Clock and Log are needed")
	}
	if cfg.Specimen == nil {
		cfg.Specimen = func(commune.ID) bool { return false }
	}
	p := &Portal{cfg: cfg, templates: page.Parse(templates)}
	var err error
	if p.rp, err = rp.New(rp.Config{Issuers: cfg.Issuers, Clients: cfg.Clients, KV: cfg.KV, Clock: cfg.Clock, Roots: cfg.Roots, Transport: cfg.Transport}); err != nil {
		return nil, err
	}
	if p.sessions, err = session.NewStore(cfg.KV, cfg.InstallKey, cfg.Clock); err != nil {
		return nil, err
	}
	if p.staff, err = staff.New(ctx, cfg.DB, cfg.Journal, cfg.Clock); err != nil {
		return nil, err
	}
	if p.delegations, err = delegation.New(ctx, cfg.DB, cfg.Journal, cfg.Clock); err != nil {
		return nil, err
	}
	p.handler = p.routes()
	return p, nil
}

// ServeHTTP answers for every commune.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

func (p *Portal) routes() http.Handler {
	p.site = &web.Site{Log: p.cfg.Log, Clock: p.cfg.Clock, Failed: p.failed, Proxies: p.cfg.Proxies}

	paged := http.NewServeMux() // addresses within a language
	citizen.New(p.cfg.Orders, p.sessions, p.cfg.KV, p.cfg.Clock).Routes(paged, p.site)
	clerk.New(p.cfg.Orders, p.staff, p.sessions, p.delegations, p.cfg.KV, p.cfg.Clock, p.cfg.Cards, p.cfg.AgentPorts).Routes(paged, p.site)
	follow.New(p.cfg.Orders, p.cfg.KV, p.cfg.Clock).Routes(paged, p.site)
	checks := verify.New(p.cfg.Orders, p.cfg.Checker, picture.Draw, p.cfg.KV, p.cfg.Clock)
	checks.Routes(paged, p.site)
	about.New(p.cfg.Clock).Routes(paged, p.site)
	paged.Handle("GET /sign-in", p.site.Page(p.signIn))
	paged.Handle("POST /sign-out", p.site.Page(p.signOut))
	paged.Handle("GET /signed-out", p.site.Page(p.signedOut))
	paged.Handle("/", p.site.Page(web.NotFound))

	bare := http.NewServeMux() // addresses without one
	checks.Interface(bare, p.site)
	bare.Handle("GET /static/", page.Static())
	bare.Handle("GET /theme.css", p.site.Page(theme))
	bare.Handle("GET "+page.LogoPath, p.site.Page(logo))
	bare.Handle("GET /robots.txt", p.site.Page(robots))
	bare.Handle("GET "+rp.CallbackPath, p.site.Page(p.back))
	bare.Handle("POST "+rp.NoticePath, p.site.Page(p.notice))
	bare.Handle("GET "+rp.SignedOutPath, p.site.Page(signedOutThere))
	bare.Handle("GET /{$}", p.site.Page(p.official))
	bare.Handle("GET "+orders.VerifyPath, p.site.Page(p.official))
	bare.Handle("GET "+orders.VerifyPath+"/{token}", p.site.Page(p.official))
	bare.Handle("GET "+orders.FollowPath, p.site.Page(p.official))
	bare.Handle("GET "+orders.OrderPath+"{id}", p.site.Page(p.official))
	bare.Handle("GET "+clerk.ScriptPath, p.site.Page(clerk.Script))
	bare.Handle("GET "+clerk.ReadingScriptPath, p.site.Page(clerk.ReadingScript))
	bare.Handle("GET /desk", p.site.Page(p.official))
	for _, path := range []string{visit.ContactPath, visit.HelpPath, visit.AccessibilityPath, visit.PrivacyPath} {
		bare.Handle("GET "+path, p.site.Page(p.official))
	}
	bare.Handle("/", p.site.Page(web.NotFound))
	return p.site.Wrap(p.admit(paged, bare))
}

// admit finds out whom a request is for and in which language, and hands it on.
func (p *Portal) admit(paged, bare http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, ok := p.visit(r)
		if !ok {
			misdirected(w)
			return
		}
		web.Note(r, "commune", string(v.Commune.ID))
		inner, next := visit.With(r, v), bare
		if v.Path != "" {
			u := *r.URL
			u.Path, u.RawPath = v.Path, ""
			inner.URL, next = &u, paged
			if err := p.recognise(inner, v); err != nil {
				next = p.site.Page(func(http.ResponseWriter, *http.Request) error { return err })
			}
		}
		next.ServeHTTP(w, inner)
		r.Pattern = inner.Pattern // for the log line, which holds the pattern and not the path
	})
}

func misdirected(w http.ResponseWriter) {
	http.Error(w, "421 Misdirected Request", http.StatusMisdirectedRequest)
}

// visit reads commune and language from the address. Only a listed origin counts:
// host, port and scheme. A language the commune does not offer is no language, so
// the address leads nowhere.
func (p *Portal) visit(r *http.Request) (*visit.Visit, bool) {
	origin := web.Origin(r)
	c, ok := p.cfg.Communes.ByHost(r.Host)
	if !ok || !slices.Contains(c.Origins, origin) {
		return nil, false
	}
	v := &visit.Visit{Commune: c, Site: rp.Site{Commune: c.ID, Origin: origin}, Language: c.Languages()[0], Issuer: p.cfg.Issuers[origin], Logo: p.cfg.Logos[c.ID]}
	code, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	for _, l := range v.Choices("/" + rest) {
		if code == string(l) {
			v.Language, v.Path = l, "/"+rest
		}
	}
	if p.cfg.Specimen(c.ID) {
		v.Notice = v.T("portal.specimen")
	}
	return v, true
}

const sessionCookie = "session"

// recognise finds out who is signed in.
func (p *Portal) recognise(r *http.Request, v *visit.Visit) error {
	secret := web.Cookie(r, sessionCookie)
	person, err := p.sessions.Get(r.Context(), v.Commune.ID, secret)
	if errors.Is(err, session.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	member, err := p.staff.Member(r.Context(), v.Commune.ID, person.Subject)
	if err != nil {
		return err
	}
	if member != nil && p.cfg.Clock().Sub(person.Seen) > visit.DeskIdle {
		// Before it counts as used: else whoever sits down at a clerk's desk asks twice (T24).
		return p.sessions.End(r.Context(), v.Commune.ID, secret)
	}
	v.Person, v.Secret, v.Member = person, secret, member
	return p.sessions.Used(r.Context(), secret, person)
}

func theme(w http.ResponseWriter, r *http.Request) error {
	css := page.ThemeCSS(visit.Of(r).Commune.Theme)
	if r.URL.Query().Get("v") == page.Fingerprint(css) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, err := w.Write(css)
	return err
}

func logo(w http.ResponseWriter, r *http.Request) error {
	l := visit.Of(r).Logo
	if l == nil {
		return web.NotFound(w, r)
	}
	l.ServeHTTP(w, r)
	return nil
}

// robots keeps search engines from papers, forms and sign-in (threat T18).
func robots(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := io.WriteString(w, "User-agent: *\nDisallow: /verify/\nDisallow: /*/verify/\nDisallow: /orders\nDisallow: /*/orders\nDisallow: /*/desk\nDisallow: /*/sign-in\n")
	return err
}

// failure is what the error page shows.
type failure struct {
	Kind      string
	Text      string
	Reference string
	Again     string // where to try again; no link where empty
	Contact   commune.Contact
}

// failed writes the error page of the whole portal.
func (p *Portal) failed(w http.ResponseWriter, r *http.Request, f web.Failure) {
	if verify.IsAPI(r.URL.Path) {
		verify.Problem(w, f)
		return
	}
	verify.RetryAfter(w, f)
	v := visit.Of(r)
	if v == nil { // refused before the commune was known
		var ok bool
		if v, ok = p.visit(r); !ok {
			misdirected(w)
			return
		}
	}
	p.fail(w, r, v, f, again(r, v, f))
}

// again is where a person goes on: the page whose form was sent, or this page once more.
func again(r *http.Request, v *visit.Visit, f web.Failure) string {
	switch {
	case v.Path == "" || f.Kind == fault.NotFound || f.Kind == fault.Forbidden:
		return ""
	case r.Method != http.MethodGet:
		return v.To(visit.FormOf(v.Path))
	case f.Kind == fault.Unreachable || f.Kind == fault.Internal || f.Kind == fault.TooMany:
		return v.To(v.Path)
	}
	return ""
}

func (p *Portal) fail(w http.ResponseWriter, r *http.Request, v *visit.Visit, f web.Failure, again string) {
	kind := strings.ReplaceAll(f.Kind.String(), " ", "_")
	frame := v.Frame(w, r, v.T("portal.failed."+kind))
	frame.NoIndex = true
	text := i18n.Message(v.Language, f.Key, f.Args)
	content := failure{Kind: kind, Text: text, Reference: f.Reference, Again: again, Contact: v.Commune.Contact}
	if err := p.templates.Render(w, f.Status, "failed", frame, content); err != nil {
		p.cfg.Log.Error("error page", "ref", f.Reference, "error", err)
		http.Error(w, text+" "+f.Reference, f.Status)
	}
}
