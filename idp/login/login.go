// Package login leads a browser from what a client asks to a citizen who is proved.
//
// It owns the stored login request and its dispatcher. One address, /login/ID,
// decides what is next from the request and the browser's session alone (Decide);
// the steps (a method's page, its answer, a change of language, giving up) change
// one of the two and lead back there. No step leads to another. It refuses to know
// how a method proves somebody and what a client is then given. It guarantees that
// a request is finished once, only in the browser that began it (a cookie of at
// least 256 bits, threat T4), and that no failed try loses it.
//
//	/authorize ──Begin──▶ /login/ID ──▶ /login/ID/METHOD ─POST─▶ /login/ID ──▶ Proceed or Refuse
package login

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/session"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
)

//go:embed templates
var templates embed.FS

// Party is the client of a request, as the pages show it.
type Party struct {
	Commune *commune.Commune
	Name    string // in the language of the request
	Number  bool   // the national number goes with the answer
	Address bool   // the address on the card is asked for
}

// Config of New. All must be set.
type Config struct {
	KV       kv.Store
	Clock    clock.Clock
	Sessions *session.Sessions
	Methods  []method.Method // in the order in which they are offered
	// Party returns the client of a request; false where it is no longer registered.
	Party func(Request) (Party, bool)
	// Standing says what a session is worth to the request's client.
	Standing func(context.Context, Ask, *session.Session) (Standing, error)
	// Frame is the layout of a page of the commune.
	Frame func(*http.Request, *commune.Commune, i18n.Language) page.Frame
	// Proceed gives the client its code; Refuse gives it an error. Both answer.
	Proceed func(http.ResponseWriter, *http.Request, Ask, session.Session) error
	Refuse  func(http.ResponseWriter, *http.Request, Ask, string) error
	// Notices are what the person must have read before Proceed; Told notes that they have.
	Notices func(context.Context, Ask, session.Session) ([]Notice, error)
	Told    func(context.Context, Ask, session.Session) error
	// Failed is told of each failed try of a method, for the record.
	Failed func(*http.Request, Request, string, error)
}

// Notice is something that happened to a person's record since they last signed in.
type Notice struct {
	Key string // of the text that ends before the day
	At  time.Time
}

// Dispatcher serves /login/.
type Dispatcher struct {
	Config
	requests requests
	pages    *page.Templates
	byName   map[string]method.Method
}

// New returns the dispatcher.
func New(cfg Config) *Dispatcher {
	d := &Dispatcher{Config: cfg, requests: requests{cfg.KV}, pages: page.Parse(templates), byName: map[string]method.Method{}}
	for _, m := range cfg.Methods {
		d.byName[m.Name()] = m
	}
	return d
}

// Routes adds the dispatcher's addresses to mux.
func (d *Dispatcher) Routes(mux *http.ServeMux, site *web.Site) {
	mux.Handle("GET /login/{login}", site.Page(d.dispatch))
	mux.Handle("GET /login/{login}/{method}", site.Page(d.show))
	mux.Handle("POST /login/{login}/{method}", site.Page(d.answer))
	mux.Handle("POST /login/{login}/{method}/renew", site.Page(d.renew))
	mux.Handle("POST /login/{login}/cancel", site.Page(d.cancel))
	mux.Handle("POST /login/{login}/read", site.Page(d.read))
}

// Begin stores ask and sends the browser to the dispatcher.
func (d *Dispatcher) Begin(w http.ResponseWriter, r *http.Request, ask Ask, lang i18n.Language) error {
	req, err := d.requests.begin(w, r, ask, lang, d.Clock())
	if err != nil {
		return err
	}
	return web.See(w, r, address(req))
}

func address(req Request) string { return "/login/" + req.ID }

// dispatch is the one place that decides what is next.
func (d *Dispatcher) dispatch(w http.ResponseWriter, r *http.Request) error {
	req, err := d.requests.of(r)
	if err != nil {
		return err
	}
	if changed, err := d.language(w, r, req); changed || err != nil {
		return err
	}
	s, next, err := d.next(r, req)
	if err != nil {
		return err
	}
	switch next.Outcome {
	case Proceed:
		if waits, err := d.notice(w, r, req, *s); waits || err != nil {
			return err
		}
		if req, err = d.requests.take(r); err != nil {
			return err
		}
		return d.Proceed(w, r, req.Ask, *s)
	case Refuse:
		if req, err = d.requests.take(r); err != nil {
			return err
		}
		return d.Refuse(w, r, req.Ask, next.Code)
	}
	party, ok := d.Party(req)
	if !ok {
		return errGone
	}
	ways := d.ways(party.Commune, req.Ask)
	switch {
	case len(ways) == 0: // the settings have changed since it was asked
		if req, err = d.requests.take(r); err != nil {
			return err
		}
		return d.Refuse(w, r, req.Ask, unmet)
	case len(ways) == 1 && !next.Low:
		return web.See(w, r, address(req)+"/"+ways[0].Name())
	}
	return d.choose(w, r, req, party, ways, next.Low)
}

func (d *Dispatcher) next(r *http.Request, req Request) (*session.Session, Next, error) {
	s, err := d.Sessions.Current(r)
	if err != nil {
		return nil, Next{}, err
	}
	var standing Standing
	if s != nil {
		if standing, err = d.Standing(r.Context(), req.Ask, s); err != nil {
			return nil, Next{}, err
		}
	}
	return s, Decide(req.Ask, req.ID, s, standing, d.Clock()), nil
}

// notice shows what the person must read first; false where there is nothing.
func (d *Dispatcher) notice(w http.ResponseWriter, r *http.Request, req Request, s session.Session) (bool, error) {
	notices, err := d.Notices(r.Context(), req.Ask, s)
	if err != nil || len(notices) == 0 {
		return false, err
	}
	party, ok := d.Party(req)
	if !ok {
		return false, errGone
	}
	frame := d.frame(w, r, req, party)
	frame.Title = i18n.T(req.Language, "person.notice_title")
	return true, d.pages.Render(w, http.StatusOK, "notice", frame, struct {
		Notices []Notice
		Action  string
	}{notices, address(req) + "/read"})
}

// read notes that the person has read the notices.
func (d *Dispatcher) read(w http.ResponseWriter, r *http.Request) error {
	req, err := d.requests.of(r)
	if err != nil {
		return err
	}
	s, next, err := d.next(r, req)
	if err != nil {
		return err
	}
	if next.Outcome == Proceed {
		if err := d.Told(r.Context(), req.Ask, *s); err != nil {
			return err
		}
	}
	return web.See(w, r, address(req))
}

// language keeps another language for the pages of this request, if ?lang= asks for one.
func (d *Dispatcher) language(w http.ResponseWriter, r *http.Request, req Request) (bool, error) {
	l, ok := i18n.Parse(r.URL.Query().Get("lang"))
	party, known := d.Party(req)
	if !ok || !known || !party.Commune.Offers(l) {
		return false, nil
	}
	req.Language = l
	if err := d.requests.save(r.Context(), req, d.Clock()); err != nil {
		return false, err
	}
	return true, web.See(w, r, address(req))
}

// way is one method on the page where the citizen chooses.
type way struct {
	Label, Hint, Href string
	Last              bool // this computer was used with it before
	Less              bool // it gives less than the client wishes
}

func (w way) rank() int {
	switch {
	case w.Less:
		return 2
	case w.Last:
		return 0
	}
	return 1
}

// wayCookie remembers the last method on this computer; it says nothing of a person.
const wayCookie = "belfry-way"

// offers are the methods that c's citizens, or its staff, are offered, in c's own order.
func (d *Dispatcher) offers(c *commune.Commune, staff bool) []method.Method {
	names := c.SignIn
	if staff && len(c.StaffSignIn) > 0 {
		names = c.StaffSignIn
	}
	ordered := d.Methods
	if len(names) > 0 {
		ordered = nil
		for _, name := range names {
			if m, ok := d.byName[name]; ok {
				ordered = append(ordered, m)
			}
		}
	}
	var ways []method.Method
	for _, m := range ordered {
		if some, ok := m.(method.Selective); !ok || some.Offered(c.ID) {
			ways = append(ways, m)
		}
	}
	return ways
}

// gives says whether m may give people of c a level that is asked for.
func gives(m method.Method, c commune.ID, levels []string) bool {
	return len(levels) == 0 || slices.ContainsFunc(method.Reaches(m, c), func(l string) bool { return slices.Contains(levels, l) })
}

// ways are the methods that are offered for ask: where a level must be reached, those
// that may give it.
func (d *Dispatcher) ways(c *commune.Commune, ask Ask) []method.Method {
	offers := d.offers(c, ask.Staff)
	if !ask.Essential {
		return offers
	}
	return slices.DeleteFunc(slices.Clone(offers), func(m method.Method) bool { return !gives(m, c.ID, ask.Levels) })
}

// Reachable says whether a way that c offers may give a level that is asked for.
func (d *Dispatcher) Reachable(c *commune.Commune, ask Ask) bool {
	return slices.ContainsFunc(d.offers(c, ask.Staff), func(m method.Method) bool { return gives(m, c.ID, ask.Levels) })
}

// choose lets the person choose: the last way on this computer first, and behind all
// others those that give less than is asked for. low says why somebody is here again.
func (d *Dispatcher) choose(w http.ResponseWriter, r *http.Request, req Request, party Party, methods []method.Method, low bool) error {
	var ways []way
	last := web.Cookie(r, wayCookie)
	better := d.Reachable(party.Commune, req.Ask)
	for _, m := range methods {
		next := way{Href: address(req) + "/" + m.Name(), Last: m.Name() == last, Less: better && !gives(m, party.Commune.ID, req.Ask.Levels)}
		next.Label, next.Hint = words(m, party.Commune.ID, req.Language)
		ways = append(ways, next)
	}
	slices.SortStableFunc(ways, func(a, b way) int { return a.rank() - b.rank() })
	frame := d.frame(w, r, req, party)
	frame.Title = i18n.T(req.Language, "idp.choose_title")
	return d.pages.Render(w, http.StatusOK, "choose", frame, struct {
		Client, Cancel string
		Ways           []way
		Low            bool
	}{party.Name, address(req) + "/cancel", ways, low})
}

// words are what people of c call m, and what it needs.
func words(m method.Method, c commune.ID, l i18n.Language) (label, hint string) {
	if named, ok := m.(method.Named); ok {
		label, hint = named.Words(c, l)
	}
	if label == "" {
		label = i18n.T(l, m.Label())
	}
	if hint == "" {
		hint = i18n.T(l, m.Hint())
	}
	return label, hint
}

// show is a method's page.
func (d *Dispatcher) show(w http.ResponseWriter, r *http.Request) error {
	req, m, err := d.step(r)
	if err != nil {
		return err
	}
	if _, next, err := d.next(r, req); err != nil || (next.Outcome != Prove && next.Outcome != Explain) {
		if err != nil {
			return err
		}
		return web.See(w, r, address(req)) // nothing to prove any more
	}
	return d.render(w, r, req, m, nil)
}

// answer takes what the method's page sent. A proof makes a session, then the
// dispatcher decides; a failure brings the page back, with the reason.
func (d *Dispatcher) answer(w http.ResponseWriter, r *http.Request) error {
	req, m, err := d.step(r)
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return fault.New(fault.Invalid, "idp.error_form", err)
	}
	party, ok := d.Party(req)
	if !ok {
		return errGone
	}
	return d.prove(w, r, req, m, party, r.PostForm)
}

// Return takes what another service sent back to m for a login request, as answer
// takes what m's own page sent.
func (d *Dispatcher) Return(w http.ResponseWriter, r *http.Request, login string, m method.Method, form url.Values) error {
	r.SetPathValue("login", login)
	r.SetPathValue("method", m.Name())
	req, m, err := d.step(r)
	if err != nil {
		return err
	}
	party, ok := d.Party(req)
	if !ok {
		return errGone
	}
	return d.prove(w, r, req, m, party, form)
}

func (d *Dispatcher) prove(w http.ResponseWriter, r *http.Request, req Request, m method.Method, party Party, form url.Values) error {
	proof, err := m.Answer(r.Context(), d.stepOf(req, m, party), form)
	if err != nil {
		return d.failed(w, r, req, m, err)
	}
	web.SetCookie(w, r, wayCookie, m.Name(), 365*24*time.Hour)
	s := session.Session{Login: req.ID, Commune: party.Commune.ID, Citizen: proof.Citizen, Issuer: proof.Issuer, Subject: proof.Subject, Method: m.Name(), Upstream: proof.Upstream, AMR: proof.AMR, At: proof.At}
	if s.Address = proof.Address; s.Address != (eid.Address{}) {
		s.AddressFor = req.Ask.Client
	}
	if _, err := d.Sessions.Start(w, r, s); err != nil {
		return err
	}
	return web.See(w, r, address(req))
}

// failed shows the method's page again where the citizen can do something about err.
func (d *Dispatcher) failed(w http.ResponseWriter, r *http.Request, req Request, m method.Method, err error) error {
	d.Failed(r, req, m.Name(), err)
	problem, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	web.Note(r, "error", err.Error())
	web.Note(r, "key", problem.Key)
	return d.render(w, r, req, m, problem)
}

func (d *Dispatcher) render(w http.ResponseWriter, r *http.Request, req Request, m method.Method, problem *fault.Error) error {
	party, ok := d.Party(req)
	if !ok {
		return errGone
	}
	step := d.stepOf(req, m, party)
	step.Problem = problem
	view, err := m.Show(r.Context(), step)
	if err != nil {
		return err
	}
	frame := d.frame(w, r, req, party)
	frame.Title, frame.Scripts = view.Title, view.Scripts
	status := http.StatusOK
	if problem != nil {
		frame.Failed, status = true, web.Status(problem.Kind)
	}
	web.Allow(w, "connect-src", view.Connect...)
	for _, address := range view.Forms {
		web.AllowForm(w, address)
	}
	return view.Templates.Render(w, status, view.Name, frame, view.Content)
}

// renew sends a page that stood idle another challenge.
func (d *Dispatcher) renew(w http.ResponseWriter, r *http.Request) error {
	req, m, err := d.step(r)
	if err != nil {
		return err
	}
	renewer, can := m.(method.Renewer)
	party, ok := d.Party(req)
	if !can || !ok {
		return errGone
	}
	answer, err := renewer.Renew(r.Context(), d.stepOf(req, m, party))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

// cancel tells the client that the citizen gave up.
func (d *Dispatcher) cancel(w http.ResponseWriter, r *http.Request) error {
	req, err := d.requests.take(r)
	if err != nil {
		return err
	}
	_, next, err := d.next(r, req)
	if err != nil {
		return err
	}
	if next.Outcome == Explain { // they have shown who they are, and it was too little
		return d.Refuse(w, r, req.Ask, unmet)
	}
	return d.Refuse(w, r, req.Ask, "access_denied")
}

// step is the request and the method of an address.
func (d *Dispatcher) step(r *http.Request) (Request, method.Method, error) {
	req, err := d.requests.of(r)
	if err != nil {
		return Request{}, nil, err
	}
	m, ok := d.byName[r.PathValue("method")]
	party, known := d.Party(req)
	if !ok || !known || !slices.Contains(d.ways(party.Commune, req.Ask), m) {
		return Request{}, nil, fault.New(fault.NotFound, "fault.not_found", nil)
	}
	return req, m, nil
}

func (d *Dispatcher) stepOf(req Request, m method.Method, party Party) method.Step {
	here := address(req) + "/" + m.Name()
	s := method.Step{
		Login: req.ID, Browser: req.Browser, Origin: req.Ask.Issuer,
		Commune: party.Commune, Client: party.Name, Number: party.Number, Address: party.Address, Language: req.Language,
		Fresh: req.Ask.Login || req.Ask.MaxAge != nil, Levels: req.Ask.Levels, Must: req.Ask.Essential,
		Action: here, Renew: here + "/renew", Cancel: address(req) + "/cancel",
	}
	for _, other := range d.ways(party.Commune, req.Ask) {
		if other.Name() != m.Name() {
			label, hint := words(other, party.Commune.ID, req.Language)
			s.Ways, s.Other = append(s.Ways, method.Way{Label: label, Hint: hint, Href: address(req) + "/" + other.Name()}), address(req)
		}
	}
	return s
}

func (d *Dispatcher) frame(w http.ResponseWriter, r *http.Request, req Request, party Party) page.Frame {
	web.AllowForm(w, req.Ask.RedirectURI)
	frame := d.Frame(r, party.Commune, req.Language)
	for _, l := range party.Commune.Languages() {
		frame.Languages = append(frame.Languages, page.LanguageLink{
			Language: l, Href: address(req) + "?lang=" + string(l), Current: l == req.Language,
		})
	}
	return frame
}
