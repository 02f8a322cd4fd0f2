package portal

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/portal/citizen"
	"github.com/belfry-eid/belfry/portal/rp"
	"github.com/belfry-eid/belfry/portal/session"
	"github.com/belfry-eid/belfry/portal/visit"
)

const (
	signinCookie   = "signin" // binds sign-ins under way to the browser
	signinLifetime = time.Hour
)

// signIn sends the visitor to the provider. A visitor for the desk has used the card
// a moment ago, or uses it again (threats T11, T24).
func (p *Portal) signIn(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	q := r.URL.Query()
	o := rp.Options{Return: localReturn(v, q.Get("return")), Language: v.Language}
	switch {
	case q.Get("desk") != "":
		o.MaxAge, o.Staff = visit.DeskIdle, true
	case q.Get("for") != "":
		enough, err := p.demand(v, q.Get("for"), &o)
		if err != nil {
			return err
		}
		if enough {
			return web.See(w, r, o.Return)
		}
	case q.Get("address") != "": // the card again, for what is written on it; the form's draft comes along
		o.Address = true
		if v.Person != nil {
			o.Subject, o.Carry = v.Person.Subject, citizen.DraftName(q.Get("address"))
		}
	case v.Person != nil:
		return web.See(w, r, o.Return)
	}
	secret := web.Cookie(r, signinCookie)
	if secret == "" {
		secret = web.NewSecret()
	}
	to, err := p.rp.Begin(r.Context(), v.Site, secret, o)
	if err != nil {
		return err
	}
	web.SetCookie(w, r, signinCookie, secret, signinLifetime)
	return web.See(w, r, to)
}

// demand asks for what a product asks for, and carries what its form has been told so
// far; true where the visitor's sign-in is enough as it is.
func (p *Portal) demand(v *visit.Visit, product string, o *rp.Options) (bool, error) {
	pr, err := p.cfg.Orders.Product(v.Commune.ID, product)
	if err != nil {
		return false, err
	}
	d := citizen.Demand(v.Commune, pr)
	o.MaxAge = d.Age()
	if d.Level != "" {
		o.Level = rp.Level(d.Level)
	}
	if v.Person == nil {
		return false, nil
	}
	o.Subject, o.Carry = v.Person.Subject, citizen.DraftName(pr.ID)
	return citizen.Meets(v, pr, p.cfg.Clock()), nil
}

func localReturn(v *visit.Visit, path string) string {
	if path = rp.LocalPath(path); path == "/" {
		return v.To("/")
	}
	return path
}

// back takes the provider's answer and begins a session under a new secret.
func (p *Portal) back(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	login, err := p.rp.Finish(r.Context(), v.Site, web.Cookie(r, signinCookie), r.URL.Query())
	if err != nil {
		p.notSignedIn(w, r, v, login.Return, err)
		return nil
	}
	left, err := p.sessions.Left(r.Context(), v.Commune.ID, login.SessionID, login.AuthTime)
	if err != nil {
		return err
	}
	if left { // from another browser its person has ended what this one rests on
		to, err := p.rp.Begin(r.Context(), v.Site, web.Cookie(r, signinCookie), rp.Options{Return: login.Return, Language: languageOf(v, login.Return), MaxAge: time.Second})
		if err != nil {
			return err
		}
		return web.See(w, r, to)
	}
	if err := p.sessions.End(r.Context(), v.Commune.ID, web.Cookie(r, sessionCookie)); err != nil {
		return err
	}
	secret, err := p.sessions.Create(r.Context(), session.Session{
		Commune: v.Commune.ID, Subject: login.Subject, Former: login.Former, GivenNames: login.GivenNames, Surname: login.Surname,
		Number: login.Number, BirthDate: login.BirthDate, Address: login.Address, ACR: login.ACR, AuthTime: login.AuthTime, SessionID: login.SessionID, IDToken: login.IDToken,
	}, device(r.UserAgent()))
	if err != nil {
		return err
	}
	if login.Carry != "" {
		if err := p.sessions.Carry(r.Context(), v.Commune.ID, web.Cookie(r, sessionCookie), secret, login.Carry); err != nil {
			return err
		}
	}
	web.ClearCookie(w, r, signinCookie)
	web.SetCookie(w, r, sessionCookie, secret, 0)
	return web.See(w, r, login.Return)
}

// notSignedIn says why in the language the visitor came from, and offers another try.
func (p *Portal) notSignedIn(w http.ResponseWriter, r *http.Request, v *visit.Visit, back string, err error) {
	v.Language = languageOf(v, back)
	web.Note(r, "error", err.Error())
	f := web.Failure{Kind: fault.Internal, Key: "fault.internal", Reference: web.Reference(r)}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		f.Kind, f.Key, f.Args = e.Kind, e.Key, e.Args
	}
	if f.Key == "portal.signin_level" && !v.Commune.ByCard() {
		f.Key = "portal.signin_level_other"
	}
	f.Status = web.Status(f.Kind)
	again := v.SignInTo(back)
	if back == "/" {
		again = v.To("/")
	}
	p.fail(w, r, v, f, again)
}

// languageOf is the language of a page's address, the visit's where it has none.
func languageOf(v *visit.Visit, path string) i18n.Language {
	code, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	for _, l := range v.Choices("/" + rest) {
		if code == string(l) {
			return l
		}
	}
	return v.Language
}

// signOut ends the session here, then at the provider.
func (p *Portal) signOut(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := p.sessions.End(r.Context(), v.Commune.ID, web.Cookie(r, sessionCookie)); err != nil {
		return err
	}
	web.ClearCookie(w, r, sessionCookie)
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	if v.Person == nil {
		return web.See(w, r, v.To(rp.SignedOutPath))
	}
	to, err := p.rp.SignOut(r.Context(), v.Site, v.Person.IDToken, v.Language)
	if err != nil || to == "" {
		web.Note(r, "signout", errText(err))
		return web.See(w, r, v.To(rp.SignedOutPath))
	}
	return web.See(w, r, to)
}

// notice is the provider's word that a session is over, not the browser's: of every
// session here that was begun in it (OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8).
func (p *Portal) notice(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return badNotice(w, r, err)
	}
	over, err := p.rp.Notice(r.Context(), v.Commune.ID, r.PostForm.Get("logout_token"))
	if errors.Is(err, rp.ErrNotice) {
		return badNotice(w, r, err)
	}
	if err != nil {
		return err
	}
	if err := p.sessions.EndAll(r.Context(), v.Commune.ID, over); err != nil {
		return err
	}
	web.Note(r, "outcome", "signed out by the provider")
	return nil
}

func badNotice(w http.ResponseWriter, r *http.Request, err error) error {
	web.Note(r, "error", err.Error())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, err = io.WriteString(w, `{"error":"invalid_request"}`)
	return err
}

func errText(err error) string {
	if err == nil {
		return "the provider has no address for it"
	}
	return err.Error()
}

// signedOutThere is where the provider sends the browser; state is the page's language.
func signedOutThere(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	for _, l := range v.Choices("/") {
		if r.URL.Query().Get("state") == string(l) {
			v.Language = l
		}
	}
	return web.See(w, r, v.To(rp.SignedOutPath))
}

func (p *Portal) signedOut(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	frame := v.Frame(w, r, v.T("portal.signed_out.title"))
	frame.NoIndex = true
	return p.templates.Render(w, http.StatusOK, "signed-out", frame, struct{ Card bool }{v.Commune.ByCard()})
}
