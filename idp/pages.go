package idp

import (
	"errors"
	"net/http"
	"strings"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/login"
	methods "github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/session"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/web"
)

// offered is the language of a client's pages: the first wish that its commune
// offers, or the commune's official one. What the browser prefers does not count:
// the laws on the use of languages say which a commune speaks.
func offered(wishes []i18n.Language, home *commune.Commune) i18n.Language {
	for _, l := range wishes {
		if home.Offers(l) {
			return l
		}
	}
	return home.Languages()[0]
}

// preferred is the language of the pages that are no commune's: the browser's.
func preferred(r *http.Request) i18n.Language {
	for _, tag := range strings.Split(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ = strings.Cut(strings.TrimSpace(tag), ";")
		if l, ok := i18n.Parse(tag); ok {
			return l
		}
	}
	return i18n.French
}

// frame is the layout of a page for people of c: their commune's name and colours.
func (p *Provider) frame(_ *http.Request, c *commune.Commune, l i18n.Language) page.Frame {
	return page.Frame{
		Language: l, Site: c.NameIn(l), Service: i18n.T(l, "idp.service"), Home: c.Origin(),
		Theme: "/theme/" + string(c.ID) + ".css", Contact: &c.Contact, NoIndex: true,
	}
}

// plain is the layout of a page that is no commune's.
func (p *Provider) plain(r *http.Request) page.Frame {
	l := preferred(r)
	return page.Frame{Language: l, Site: i18n.T(l, "idp.service"), NoIndex: true}
}

// failed is the page of whatever went wrong where no client can be told. It names
// no client's address: what brought the reader here may have been forged.
func (p *Provider) failed(w http.ResponseWriter, r *http.Request, f web.Failure) {
	frame := p.plain(r)
	frame.Title, frame.Failed = i18n.T(frame.Language, "idp.failed_title"), true
	if leaving(r) {
		frame.Title = i18n.T(frame.Language, "idp.logout_failed_title")
	}
	content := struct{ Title, Text, Home, Reference string }{frame.Title, i18n.Message(frame.Language, f.Key, f.Args), "", f.Reference}
	if err := p.pages.Render(w, f.Status, "failed", frame, content); err != nil {
		p.Log.Error("the error page failed", "ref", f.Reference, "error", err)
	}
}

// leaving says whether a request was about signing out.
func leaving(r *http.Request) bool {
	_, path, _ := strings.Cut(r.Pattern, " ")
	return path == pathDismiss || path == pathLogout || strings.HasPrefix(path, pathLogout+"/")
}

// theme is a commune's colours as a style sheet.
func (p *Provider) theme(w http.ResponseWriter, r *http.Request) error {
	c, ok := p.Communes.ByID(commune.ID(strings.TrimSuffix(r.PathValue("commune"), ".css")))
	if !ok {
		return fault.New(fault.NotFound, "fault.not_found", nil)
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, err := w.Write(page.ThemeCSS(c.Theme))
	return err
}

// failedTry records that a method did not prove somebody: which, and why, and for
// whom it was asked; nothing of who it may have been.
func (p *Provider) failedTry(r *http.Request, req login.Request, method string, err error) {
	c, ok := p.Clients.ByID(req.Ask.Client)
	if !ok || p.Audit == nil {
		return
	}
	reason := "fault.internal"
	if e, ok := errors.AsType[*fault.Error](err); ok {
		reason = e.Key
	}
	if cause := methods.Cause(err); cause != "" {
		reason = cause
	}
	err = p.Store.Write(r.Context(), func(tx *sqldb.Tx) error {
		return p.record(tx, c.Commune, "sign_in.failed", "", map[string]string{"client": c.ID, "method": method, "reason": reason})
	})
	if err != nil {
		p.Log.Error("a failed sign-in is not recorded", "ref", web.Reference(r), "error", err)
	}
}

// ended takes back what was given in a session, has its clients told, and records its
// end where a client is known to have asked.
func (p *Provider) ended(r *http.Request, s session.Session, c *client.Client) error {
	web.Note(r, "outcome", "signed out")
	return p.Store.EndSession(r.Context(), s.ID, func(tx *sqldb.Tx) error {
		if err := p.parties.Ended(tx, s.ID, c); err != nil || c == nil {
			return err
		}
		return p.record(tx, c.Commune, "sign_in.ended", "", map[string]string{"client": c.ID})
	})
}
