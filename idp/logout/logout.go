// Package logout ends the provider's session when a client or the citizen asks.
//
// It owns the end_session endpoint and its two pages (the question, and "you are
// signed out"), and the notices to the clients of a session that ended. It refuses to know what a session was used for. It guarantees that
// no page of another site can sign a citizen out without an ID token of the very
// session or the citizen's own click, and that the browser is sent only to an
// address that the client registered for it, byte for byte; and that a client which
// asked to be told of a session's end is told, by whatever way the session ended.
//
// Implements OpenID Connect RP-Initiated Logout 1.0 and Back-Channel Logout 1.0.
package logout

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/park"
	"github.com/belfry-eid/belfry/idp/session"
	"github.com/belfry-eid/belfry/idp/token"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
)

//go:embed templates
var templates embed.FS

// Config of New. All must be set.
type Config struct {
	Path     string // of the endpoint
	KV       kv.Store
	Log      *slog.Logger
	Clients  *client.Registry
	Communes *commune.Communes
	Sessions *session.Sessions
	// Hint reads an ID token of ours.
	Hint func(context.Context, string) (token.Hint, error)
	// SID names a session to a client.
	SID func(c *client.Client, session string) string
	// Frame is the layout of a page of the commune, Plain of one that is no commune's.
	Frame func(*http.Request, *commune.Commune, i18n.Language) page.Frame
	Plain func(*http.Request) page.Frame
	// Ended revokes what was given in the session, and records that it is over.
	Ended func(*http.Request, session.Session, *client.Client) error
	// Depart takes the person along to the service that had signed them in; they come
	// back to ReturnPath with state. The zero Exit where there is none.
	Depart func(r *http.Request, s session.Session, state string, l i18n.Language) (method.Exit, error)
}

// Endpoint serves Path.
type Endpoint struct {
	Config
	pages *page.Templates
}

// New returns the endpoint.
func New(cfg Config) *Endpoint {
	return &Endpoint{cfg, page.Parse(templates)}
}

// Routes adds the endpoint's addresses to mux.
func (e *Endpoint) Routes(mux *http.ServeMux, site *web.Site) {
	mux.Handle("GET "+e.Path, site.Page(e.asked))
	mux.Handle("POST "+e.Path, site.Page(func(w http.ResponseWriter, r *http.Request) error { return park.Post(e.KV, w, r) }))
	mux.Handle("POST "+e.Path+"/confirm", site.Page(e.confirmed))
	mux.Handle("GET "+e.ReturnPath(), site.Page(e.returned))
}

// ReturnPath is where people come back who were taken along to another service.
func (e *Endpoint) ReturnPath() string { return e.Path + "/return" }

// ask is a request to sign out, checked.
type ask struct {
	client   *client.Client // nil where the request names none that it can show
	hint     *token.Hint
	redirect string // registered, or ""
	state    string
	language i18n.Language // "" where the request wishes none
}

var errBad = fault.New(fault.Invalid, "idp.error_logout", nil)

// read checks the parameters. An unregistered address and a hint that is not ours
// are refused on our own page: something is wrong with the site that sent them.
func (e *Endpoint) read(ctx context.Context, v url.Values) (ask, error) {
	for _, all := range v {
		if len(all) > 1 {
			return ask{}, errBad
		}
	}
	a := ask{state: v.Get("state")}
	for _, tag := range strings.Fields(v.Get("ui_locales")) {
		if l, ok := i18n.Parse(tag); ok && a.language == "" {
			a.language = l
		}
	}
	id := v.Get("client_id")
	if raw := v.Get("id_token_hint"); raw != "" {
		hint, err := e.Hint(ctx, raw)
		if err != nil || len(hint.Audience) != 1 || (id != "" && id != hint.Audience[0]) {
			return ask{}, errBad.Because(err)
		}
		a.hint, id = &hint, hint.Audience[0]
	}
	if id != "" {
		c, ok := e.Clients.ByID(id)
		if !ok {
			return ask{}, errBad
		}
		a.client = c
	}
	if uri := v.Get("post_logout_redirect_uri"); uri != "" {
		if a.client == nil || !a.client.Leaves(uri) {
			return ask{}, errBad
		}
		a.redirect = uri
	}
	return a, nil
}

// asked signs out at once where the request proves that it is about this session,
// and asks the citizen otherwise.
func (e *Endpoint) asked(w http.ResponseWriter, r *http.Request) error {
	v, err := park.Values(e.KV, r)
	if err != nil {
		return err
	}
	a, err := e.read(r.Context(), v)
	if err != nil {
		return err
	}
	s, err := e.Sessions.Current(r)
	if err != nil {
		return err
	}
	switch {
	case s == nil:
		return e.leave(w, r, a)
	case a.hint != nil && a.hint.SID == e.SID(a.client, s.ID):
		return e.end(w, r, a, s)
	}
	return e.question(w, r, a, s)
}

// question asks the citizen. The form carries the checked wishes, which are checked
// again when it comes back.
func (e *Endpoint) question(w http.ResponseWriter, r *http.Request, a ask, s *session.Session) error {
	frame := e.frame(r, a)
	frame.Title = i18n.T(frame.Language, "idp.logout_title")
	wishes := map[string]string{"post_logout_redirect_uri": a.redirect, "state": a.state, "ui_locales": string(frame.Language)}
	if a.client != nil {
		wishes["client_id"] = a.client.ID
	}
	if a.redirect != "" {
		web.AllowForm(w, a.redirect)
	}
	return e.pages.Render(w, http.StatusOK, "question", frame, struct {
		Name, Action string
		Wishes       map[string]string
	}{s.Citizen.Name(), e.Path + "/confirm", wishes})
}

// confirmed is the citizen's click; the cross-site rule guards it.
func (e *Endpoint) confirmed(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return fault.New(fault.Invalid, "idp.error_form", err)
	}
	wishes := url.Values{}
	for name, all := range r.PostForm {
		if slices.Contains([]string{"client_id", "post_logout_redirect_uri", "state", "ui_locales"}, name) && all[0] != "" {
			wishes[name] = all
		}
	}
	a, err := e.read(r.Context(), wishes)
	if err != nil {
		return err
	}
	s, err := e.Sessions.Current(r)
	if err != nil {
		return err
	}
	if s == nil {
		return e.leave(w, r, a)
	}
	return e.end(w, r, a, s)
}

func (e *Endpoint) end(w http.ResponseWriter, r *http.Request, a ask, s *session.Session) error {
	if err := e.Ended(r, *s, a.client); err != nil {
		return err
	}
	if err := e.Sessions.End(w, r); err != nil {
		return err
	}
	// Not "cookies": browsers clear those of the whole registrable domain, and the
	// communes' own pages may live there (threat T24).
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	return e.depart(w, r, a, s)
}

// wish is what was asked for, while the person is at another service.
type wish struct {
	Client, Redirect, State string
	Language                i18n.Language
}

const wishLife = 20 * time.Minute

func wishPlace(state string) string { return "idp:logout:" + state }

// depart goes on to the service that had signed the person in. Here they are signed out,
// whatever becomes of that: a service that cannot be asked is left out.
func (e *Endpoint) depart(w http.ResponseWriter, r *http.Request, a ask, s *session.Session) error {
	state := web.NewSecret()
	frame := e.frame(r, a)
	exit, err := e.Depart(r, *s, state, frame.Language)
	if err != nil {
		e.Log.Warn("a sign-out was not passed on", "ref", web.Reference(r), "method", s.Method, "error", err)
		return e.partly(w, r, a)
	}
	if exit.Address == "" {
		return e.leave(w, r, a)
	}
	kept := wish{Redirect: a.redirect, State: a.state, Language: a.language}
	if a.client != nil {
		kept.Client = a.client.ID
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := e.KV.Put(r.Context(), wishPlace(state), text, wishLife); err != nil {
		return err
	}
	if len(exit.Fields) > 0 {
		return e.Go(w, r, exit, frame)
	}
	// A page, and no redirect: the chain began with a form, and browsers let its
	// redirects lead only where the form's own page allowed.
	frame.Title = i18n.T(frame.Language, "idp.depart_title")
	w.Header().Set("Refresh", "0; url="+exit.Address)
	return e.pages.Render(w, http.StatusOK, "onward", frame, struct{ To string }{exit.Address})
}

// Go leads the browser away: at once by a link, by a form that the person sends where
// the other service takes no link.
func (e *Endpoint) Go(w http.ResponseWriter, r *http.Request, exit method.Exit, frame page.Frame) error {
	if len(exit.Fields) == 0 {
		return web.See(w, r, exit.Address)
	}
	frame.Title = i18n.T(frame.Language, "idp.depart_title")
	web.AllowForm(w, exit.Address)
	fields := map[string]string{}
	for name := range exit.Fields {
		if v := exit.Fields.Get(name); v != "" {
			fields[name] = v
		}
	}
	return e.pages.Render(w, http.StatusOK, "depart", frame, struct {
		Action template.URL
		Fields map[string]string
	}{template.URL(exit.Address), fields})
}

// returned is the way back from another service.
func (e *Endpoint) returned(w http.ResponseWriter, r *http.Request) error {
	state := r.URL.Query().Get("state")
	text, err := e.KV.Take(r.Context(), wishPlace(state))
	if errors.Is(err, kv.ErrMissing) {
		return e.leave(w, r, ask{})
	}
	if err != nil {
		return err
	}
	var kept wish
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	a := ask{redirect: kept.Redirect, state: kept.State, language: kept.Language}
	if kept.Client != "" {
		a.client, _ = e.Clients.ByID(kept.Client)
	}
	if a.client == nil || !a.client.Leaves(a.redirect) { // the settings may have changed meanwhile
		a.redirect = ""
	}
	if r.URL.Query().Get(partlyFlag) != "" {
		return e.partly(w, r, a)
	}
	return e.leave(w, r, a)
}

// partlyFlag says, on the way back, that the other service did not end all of it.
const partlyFlag = "partly"

// Returning is the address at which a sign-out of ours goes on.
func (e *Endpoint) Returning(state string, complete bool) string {
	to := e.ReturnPath() + "?state=" + url.QueryEscape(state)
	if !complete {
		to += "&" + partlyFlag + "=1"
	}
	return to
}

// partly says that the person is signed out here, and may not be elsewhere.
func (e *Endpoint) partly(w http.ResponseWriter, r *http.Request, a ask) error {
	frame := e.frame(r, a)
	frame.Title = i18n.T(frame.Language, "idp.partly_title")
	to := frame.Home
	if a.redirect != "" {
		to = a.target()
	}
	return e.pages.Render(w, http.StatusOK, "partly", frame, struct {
		To   string
		Card bool
	}{to, e.byCard(a)})
}

// leave goes where the client wished, or says that nobody is signed in any more.
func (e *Endpoint) leave(w http.ResponseWriter, r *http.Request, a ask) error {
	if a.redirect == "" {
		frame := e.frame(r, a)
		frame.Title = i18n.T(frame.Language, "idp.signed_out_title")
		return e.pages.Render(w, http.StatusOK, "signedout", frame, struct {
			Home string
			Card bool
		}{frame.Home, e.byCard(a)})
	}
	return web.See(w, r, a.target())
}

// target is the address that the client wished, with its state.
func (a ask) target() string {
	if a.state == "" {
		return a.redirect
	}
	return client.WithQuery(a.redirect, url.Values{"state": {a.state}})
}

// byCard says whether a card may still be in a reader.
func (e *Endpoint) byCard(a ask) bool {
	if a.client == nil {
		return true
	}
	home, ok := e.Communes.ByID(a.client.Commune)
	return !ok || home.ByCard()
}

func (e *Endpoint) frame(r *http.Request, a ask) page.Frame {
	if a.client == nil {
		return e.Plain(r)
	}
	home, ok := e.Communes.ByID(a.client.Commune)
	if !ok {
		return e.Plain(r)
	}
	l := home.Languages()[0]
	if home.Offers(a.language) {
		l = a.language
	}
	return e.Frame(r, home, l)
}
