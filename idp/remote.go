package idp

import (
	"net/http"
	"net/url"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/park"
	"github.com/belfry-eid/belfry/idp/session"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/web"
)

// Addresses of a commune as a SAML service provider.
const (
	pathConsumer = "/saml/{commune}/acs"
	pathMetadata = "/saml/{commune}/metadata"
	pathDismiss  = "/saml/{commune}/slo"
)

// paths are where the answers for m come and where its metadata stands.
func paths(m method.Remote) (answer, metadata string) {
	if placed, ok := m.(method.Placed); ok {
		return placed.Paths()
	}
	return pathConsumer, pathMetadata
}

// parks are the patterns at which another site's form is expected.
func (p *Provider) parks() []string {
	list := []string{"POST " + pathAuthorize, "POST " + pathLogout, "POST " + pathConsumer, "POST " + pathDismiss}
	for _, m := range p.Methods {
		if far, ok := m.(method.Placed); ok {
			answer, _ := far.Paths()
			list = append(list, "POST "+answer)
		}
	}
	return list
}

// consumerLimit is the most that an answer of another service may weigh, in bytes.
const consumerLimit = 256 << 10

// remote adds the addresses of a method whose answers come from another site: the
// cross-site POST parks its input and answers 303; the GET carries our cookies.
func (p *Provider) remote(mux *http.ServeMux, site *web.Site, m method.Remote) {
	answers, metadata := paths(m)
	mux.Handle("POST "+answers, site.Upload(func(w http.ResponseWriter, r *http.Request) error {
		if err := r.ParseForm(); err != nil {
			return p.unasked(r, m, fault.New(fault.Invalid, "idp.error_form", err))
		}
		if _, err := p.asked(r, m, r.PostForm); err != nil { // nothing of a stranger's is kept
			return err
		}
		return park.Large(p.KV, w, r, consumerLimit)
	}, consumerLimit))
	mux.Handle("GET "+answers, site.Page(func(w http.ResponseWriter, r *http.Request) error {
		form, err := park.Values(p.KV, r)
		if err != nil {
			return err
		}
		login, err := p.asked(r, m, form)
		if err != nil {
			return err
		}
		return p.login.Return(w, r, login, m, form)
	}))
	mux.Handle("GET "+metadata, site.Page(func(w http.ResponseWriter, r *http.Request) error {
		return m.Metadata(w, r, commune.ID(r.PathValue("commune")))
	}))
}

func (p *Provider) asked(r *http.Request, m method.Remote, form url.Values) (string, error) {
	login, err := m.Login(r.Context(), commune.ID(r.PathValue("commune")), form)
	if err != nil {
		return "", p.unasked(r, m, err)
	}
	return login, nil
}

// unasked records an answer that belongs to no login request of ours.
func (p *Provider) unasked(r *http.Request, m method.Method, err error) error {
	c := commune.ID(r.PathValue("commune"))
	if _, ours := p.Communes.ByID(c); !ours || p.Audit == nil {
		return err
	}
	cause := method.Cause(err)
	if cause == "" {
		cause = fault.KeyOf(err)
	}
	kept := p.Store.Write(r.Context(), func(tx *sqldb.Tx) error {
		return p.record(tx, c, "sign_in.failed", "", map[string]string{"method": m.Name(), "reason": cause})
	})
	if kept != nil {
		p.Log.Error("a failed sign-in is not recorded", "ref", web.Reference(r), "error", kept)
	}
	return err
}

// depart takes a person along to the service that had signed them in.
func (p *Provider) depart(r *http.Request, s session.Session, state string, l i18n.Language) (method.Exit, error) {
	m, ok := p.methods[s.Method].(method.Departing)
	if !ok {
		return method.Exit{}, nil
	}
	return m.SignOut(r.Context(), s.Commune, s.Login, web.Origin(r)+p.exit.ReturnPath(), state, l)
}

// dismissing adds the address at which a service answers our sign-outs, or asks for one.
func (p *Provider) dismissing(mux *http.ServeMux, site *web.Site, m method.Dismissing) {
	mux.Handle("POST "+pathDismiss, site.Page(func(w http.ResponseWriter, r *http.Request) error { return park.Post(p.KV, w, r) }))
	mux.Handle("GET "+pathDismiss, site.Page(func(w http.ResponseWriter, r *http.Request) error {
		c := commune.ID(r.PathValue("commune"))
		message := method.Message{Query: r.URL.RawQuery}
		if park.Parked(r) {
			message.Query = ""
		}
		var err error
		if message.Form, err = park.Values(p.KV, r); err != nil {
			return err
		}
		s, err := p.sessions.Current(r)
		if err != nil {
			return err
		}
		login := ""
		if s != nil {
			login = s.Login
		}
		d, err := m.SignedOut(r.Context(), c, message, login)
		if err != nil {
			return p.undismissed(r, c, m, err)
		}
		if d.State != "" {
			return web.See(w, r, p.exit.Returning(d.State, d.Complete))
		}
		return p.dismissed(w, r, c, m, s, d)
	}))
}

// dismissed ends the session that a service asked to end, and takes our answer there.
func (p *Provider) dismissed(w http.ResponseWriter, r *http.Request, c commune.ID, m method.Method, s *session.Session, d method.Dismissal) error {
	web.Note(r, "outcome", "signed out by "+m.Name())
	err := p.Store.EndSession(r.Context(), s.ID, func(tx *sqldb.Tx) error {
		if err := p.parties.Ended(tx, s.ID, nil); err != nil {
			return err
		}
		return p.record(tx, c, "sign_in.ended", "", map[string]string{"by": m.Name()})
	})
	if err != nil {
		return err
	}
	if err := p.sessions.End(w, r); err != nil {
		return err
	}
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	home, ok := p.Communes.ByID(c)
	if !ok {
		return p.exit.Go(w, r, d.Answer, p.plain(r))
	}
	return p.exit.Go(w, r, d.Answer, p.frame(r, home, home.Languages()[0]))
}

// undismissed records a message on signing out that was not believed.
func (p *Provider) undismissed(r *http.Request, c commune.ID, m method.Method, err error) error {
	cause := method.Cause(err)
	if _, ours := p.Communes.ByID(c); !ours || p.Audit == nil || cause == "" {
		return err
	}
	kept := p.Store.Write(r.Context(), func(tx *sqldb.Tx) error {
		return p.record(tx, c, "sign_out.refused", "", map[string]string{"method": m.Name(), "reason": cause})
	})
	if kept != nil {
		p.Log.Error("a refused sign-out is not recorded", "ref", web.Reference(r), "error", kept)
	}
	return err
}
