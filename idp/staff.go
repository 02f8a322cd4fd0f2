package idp

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/identity"
	"github.com/belfry-eid/belfry/idp/login"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/session"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
)

// Staff says who may merge a commune's records (docs/adr/0010).
type Staff interface {
	// Client is the application whose subjects Administrator knows.
	Client(c commune.ID) string
	Administrator(ctx context.Context, c commune.ID, subject string) (bool, error)
}

// pathPersons is where a commune's administrators merge records.
const pathPersons = "/persons/{commune}"

// staffIdle is how long ago an administrator has proved who they are, at most: merging
// gives somebody another's subject (threats T24, T29).
const staffIdle = 15 * time.Minute

var errNotStaff = fault.New(fault.Forbidden, "person.not_staff", nil)

func (p *Provider) people(mux *http.ServeMux, site *web.Site) {
	if p.Staff == nil {
		return
	}
	mux.Handle("GET "+pathPersons, site.Page(p.administrators(p.showMerges)))
	mux.Handle("POST "+pathPersons+"/propose", site.Page(p.administrators(p.propose)))
	mux.Handle("POST "+pathPersons+"/confirm", site.Page(p.administrators(p.confirm)))
	mux.Handle("POST "+pathPersons+"/undo", site.Page(p.administrators(p.undo)))
}

// visitor is an administrator at the pages about persons.
type visitor struct {
	home   *commune.Commune
	person identity.Person
}

// administrators lets them to h, once they have proved who they are a moment ago by a
// means of the level that the commune wants of its staff.
func (p *Provider) administrators(h func(http.ResponseWriter, *http.Request, visitor) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		home, ok := p.Communes.ByID(commune.ID(r.PathValue("commune")))
		if !ok {
			return fault.New(fault.NotFound, "fault.not_found", nil)
		}
		c, ok := p.Clients.ByID(p.Staff.Client(home.ID))
		if !ok || c.Commune != home.ID {
			return errNotStaff
		}
		seconds := int64(staffIdle / time.Second)
		here := "/persons/" + string(home.ID)
		ask := login.Ask{
			Issuer: web.Origin(r), Client: c.ID, RedirectURI: web.Origin(r) + here, Local: here, Staff: true,
			MaxAge: &seconds, Levels: method.From(home.StaffLevel, method.High), Essential: true, Languages: home.StaffLanguages(),
		}
		s, next, err := p.decide(r, ask)
		if err != nil {
			return err
		}
		if next.Outcome != login.Proceed {
			return p.login.Begin(w, r, ask, offered(ask.Languages, home))
		}
		person, err := p.administrator(r.Context(), c, *s)
		if err != nil {
			return err
		}
		return h(w, r, visitor{home, person})
	}
}

func (p *Provider) administrator(ctx context.Context, c *client.Client, s session.Session) (identity.Person, error) {
	person, err := p.personOf(ctx, c, s)
	if err != nil {
		return identity.Person{}, err
	}
	is, err := p.Staff.Administrator(ctx, c.Commune, p.persons.Subject(c.Sector, person.Root))
	if err == nil && !is {
		err = errNotStaff
	}
	return person, err
}

// personOf is the person of a session, as c's commune knows them.
func (p *Provider) personOf(ctx context.Context, c *client.Client, s session.Session) (identity.Person, error) {
	return p.persons.Know(ctx, c.Commune, s.Citizen, identity.Account{Issuer: s.Issuer, Subject: s.Subject})
}

// merges is the page of proposals and merges.
type merges struct {
	Action                            string
	Open, Done                        []identity.Merge
	One, Other                        string // as typed; shown again after a fault, for they are not kept
	Reason                            string
	Errors                            []page.Fault
	OneError, OtherError, ReasonError string
}

func (p *Provider) showMerges(w http.ResponseWriter, r *http.Request, v visitor) error {
	return p.renderMerges(w, r, v, merges{}, nil)
}

func (p *Provider) renderMerges(w http.ResponseWriter, r *http.Request, v visitor, m merges, problem *fault.Error) error {
	list, err := p.persons.Merges(r.Context(), v.home.ID, v.person)
	if err != nil {
		return err
	}
	for _, one := range list {
		if one.Confirmed.IsZero() {
			m.Open = append(m.Open, one)
		} else {
			m.Done = append(m.Done, one)
		}
	}
	m.Action = "/persons/" + string(v.home.ID)
	l := staffLanguage(r, v.home)
	frame := p.frame(r, v.home, l)
	frame.Title, frame.Service, frame.Wide = i18n.T(l, "person.title"), i18n.T(l, "person.service"), true
	for _, other := range v.home.StaffLanguages() {
		frame.Languages = append(frame.Languages, page.LanguageLink{Language: other, Href: m.Action + "?lang=" + string(other), Current: other == l})
	}
	status := http.StatusOK
	if problem != nil {
		status, frame.Failed = web.Status(problem.Kind), true
		m.point(problem, i18n.Message(l, problem.Key, problem.Args))
		web.Note(r, "key", problem.Key)
	}
	return p.pages.Render(w, status, "persons", frame, m)
}

// point leads from the summary of what is wrong to the field to mend.
func (m *merges) point(problem *fault.Error, text string) {
	field := "one"
	switch {
	case problem.Key == "person.reason":
		field, m.ReasonError = "reason", text
	case strings.HasSuffix(problem.Key, "unknown") && m.OtherError != "":
		field, m.OtherError = "other", text
	default:
		m.OneError = text
	}
	m.Errors = []page.Fault{{Field: field, Text: text}}
}

// staffLanguage is the one asked for in the address, or the first of the commune's staff.
func staffLanguage(r *http.Request, c *commune.Commune) i18n.Language {
	if l, ok := i18n.Parse(r.URL.Query().Get("lang")); ok && slices.Contains(c.StaffLanguages(), l) {
		return l
	}
	return c.StaffLanguages()[0]
}

// propose reads whom an administrator means: numbers come in a form's body and stay there.
func (p *Provider) propose(w http.ResponseWriter, r *http.Request, v visitor) error {
	if err := r.ParseForm(); err != nil {
		return fault.New(fault.Invalid, "idp.error_form", err)
	}
	m := merges{One: r.PostForm.Get("one"), Other: r.PostForm.Get("other"), Reason: r.PostForm.Get("reason")}
	one, err := p.persons.Find(r.Context(), v.home.ID, p.sectors(v.home.ID), m.One)
	if err != nil {
		return p.mend(w, r, v, m, err)
	}
	other, err := p.persons.Find(r.Context(), v.home.ID, p.sectors(v.home.ID), m.Other)
	if err != nil {
		m.OtherError = "other"
		return p.mend(w, r, v, m, err)
	}
	if err := p.persons.Propose(r.Context(), v.home.ID, one, other, m.Reason, v.person.ID); err != nil {
		return p.mend(w, r, v, m, err)
	}
	return web.See(w, r, "/persons/"+string(v.home.ID))
}

func (p *Provider) confirm(w http.ResponseWriter, r *http.Request, v visitor) error {
	return p.settle(w, r, v, p.persons.Confirm)
}

func (p *Provider) undo(w http.ResponseWriter, r *http.Request, v visitor) error {
	return p.settle(w, r, v, p.persons.Undo)
}

func (p *Provider) settle(w http.ResponseWriter, r *http.Request, v visitor, do func(ctx context.Context, c commune.ID, id, by string) error) error {
	if err := r.ParseForm(); err != nil {
		return fault.New(fault.Invalid, "idp.error_form", err)
	}
	if err := do(r.Context(), v.home.ID, r.PostForm.Get("id"), v.person.ID); err != nil {
		return p.mend(w, r, v, merges{}, err)
	}
	return web.See(w, r, "/persons/"+string(v.home.ID))
}

// mend shows the page again where the administrator can do something about err.
func (p *Provider) mend(w http.ResponseWriter, r *http.Request, v visitor, m merges, err error) error {
	problem, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	return p.renderMerges(w, r, v, m, problem)
}

// sectors are those of the clients of a commune: a subject of any of them names a person.
func (p *Provider) sectors(c commune.ID) []string {
	var list []string
	for _, one := range p.Clients.All() {
		if one.Commune == c && !slices.Contains(list, one.Sector) {
			list = append(list, one.Sector)
		}
	}
	return list
}

// notices are what the person of a session is to read before the client gets its code.
func (p *Provider) notices(ctx context.Context, ask login.Ask, s session.Session) ([]login.Notice, error) {
	c, ok := p.Clients.ByID(ask.Client)
	if !ok {
		return nil, errClient
	}
	person, err := p.personOf(ctx, c, s)
	if err != nil {
		return nil, err
	}
	list, err := p.persons.Notices(ctx, c.Commune, person)
	var said []login.Notice
	for _, n := range list {
		key := "person.notice_parted"
		if n.Joined {
			key = "person.notice_joined"
		}
		said = append(said, login.Notice{Key: key, At: n.At})
	}
	return said, err
}

// told notes that the person of a session has read the notices.
func (p *Provider) told(ctx context.Context, ask login.Ask, s session.Session) error {
	c, ok := p.Clients.ByID(ask.Client)
	if !ok {
		return errClient
	}
	person, err := p.personOf(ctx, c, s)
	if err != nil {
		return err
	}
	return p.persons.Told(ctx, c.Commune, person)
}
