package idp

import (
	"net/http"
	"net/url"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/park"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/web"
)

// Addresses of a commune as a SAML service provider.
const (
	pathConsumer = "/saml/{commune}/acs"
	pathMetadata = "/saml/{commune}/metadata"
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
	list := []string{"POST " + pathAuthorize, "POST " + pathLogout, "POST " + pathConsumer}
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
