package idp

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/identity"
	"github.com/belfry-eid/belfry/idp/login"
	"github.com/belfry-eid/belfry/idp/park"
	"github.com/belfry-eid/belfry/idp/session"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/web"
)

// pushedPrefix begins the request_uri of a pushed request (RFC 9126 §2.2).
const pushedPrefix = "urn:ietf:params:oauth:request_uri:"

// What is shown on our own page, because no verified address is known to answer to.
var (
	errClient   = fault.New(fault.Invalid, "idp.error_client", nil)
	errRedirect = fault.New(fault.Invalid, "idp.error_redirect", nil)
	errPushed   = fault.New(fault.Invalid, "idp.error_pushed", nil)
	errTwice    = fault.New(fault.Invalid, "idp.error_form", nil)
)

// parkAuthorize takes a form posted by another site; the GET that follows carries
// our cookies.
func (p *Provider) parkAuthorize(w http.ResponseWriter, r *http.Request) error {
	return park.Post(p.KV, w, r)
}

// authorize answers at once where the browser's session is enough, and begins a
// login request where it is not.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) error {
	values, err := park.Values(p.KV, r)
	if err != nil {
		return err
	}
	ask, err := p.ask(r, values)
	if refused, ok := err.(*oauthError); ok { // the address is verified: the client is told
		return p.redirectError(w, r, ask, refused)
	}
	if err != nil {
		return err
	}
	s, next, err := p.decide(r, ask)
	if err != nil {
		if ask.None { // no page may be shown
			return p.redirectError(w, r, ask, oauth(err))
		}
		return err
	}
	switch next.Outcome {
	case login.Proceed:
		if unread, err := p.unread(r.Context(), ask, *s); unread || err != nil {
			if err != nil {
				return err
			}
			return p.begin(w, r, ask)
		}
		return p.proceed(w, r, ask, *s)
	case login.Refuse:
		return p.refuse(w, r, ask, next.Code)
	}
	return p.begin(w, r, ask)
}

// unread says whether a page must be shown first; none may be to a silent question.
func (p *Provider) unread(ctx context.Context, ask login.Ask, s session.Session) (bool, error) {
	if ask.None {
		return false, nil
	}
	notices, err := p.notices(ctx, ask, s)
	return len(notices) > 0, err
}

func (p *Provider) begin(w http.ResponseWriter, r *http.Request, ask login.Ask) error {
	if ask.Pushed != "" { // used up here, so that one pushed request is one sign-in
		first, err := p.Store.UsePushed(r.Context(), ask.Pushed)
		if err != nil {
			return err
		}
		if !first {
			return errPushed
		}
		ask.Pushed = ""
	}
	c, _ := p.Clients.ByID(ask.Client)
	home, _ := p.Communes.ByID(c.Commune)
	return p.login.Begin(w, r, ask, offered(ask.Languages, home))
}

// ask reads the request. An *oauthError may be sent to ask.RedirectURI; any other
// error must not leave this site.
func (p *Provider) ask(r *http.Request, values url.Values) (login.Ask, error) {
	id, twice := single(values, "client_id")
	if twice != nil {
		return login.Ask{}, errTwice
	}
	c, ok := p.Clients.ByID(id)
	if !ok {
		return login.Ask{}, errClient
	}
	web.Note(r, "client", c.ID)
	handle := ""
	if uri := values.Get("request_uri"); strings.HasPrefix(uri, pushedPrefix) {
		handle = strings.TrimPrefix(uri, pushedPrefix)
		pushed, ok, err := p.Store.Pushed(r.Context(), handle)
		if err != nil {
			return login.Ask{}, err
		}
		if !ok || pushed.Client != c.ID {
			return login.Ask{}, errPushed
		}
		if values, err = url.ParseQuery(pushed.Parameters); err != nil { // what else the browser brought does not count
			return login.Ask{}, err
		}
	}
	ask, err := p.checked(r.Context(), c, web.Origin(r), values)
	ask.Pushed = handle
	if err == nil && c.Profile == client.High && handle == "" {
		err = &oauthError{Code: "invalid_request", Description: "this client must push its requests (RFC 9126)"}
	}
	return ask, err
}

// checked reads the parameters of a request by c, pushed or not.
func (p *Provider) checked(ctx context.Context, c *client.Client, issuer string, values url.Values) (login.Ask, error) {
	redirect, twice := single(values, "redirect_uri")
	if twice != nil {
		return login.Ask{}, errTwice
	}
	if !c.Redirects(redirect) {
		return login.Ask{}, errRedirect
	}
	ask, bad := readAsk(c, issuer, redirect, values)
	if bad != nil {
		return ask, bad
	}
	if hint := values.Get("id_token_hint"); hint != "" {
		about, err := p.keys.Hint(ctx, hint, p.Issuers)
		if err != nil || !slices.Contains(about.Audience, c.ID) {
			return ask, &oauthError{"invalid_request", "id_token_hint is no ID token of ours for this client", err}
		}
		ask.Subject = about.Subject
	}
	if home, ok := p.Communes.ByID(c.Commune); ask.Essential && (!ok || !p.login.Reachable(home, ask)) {
		return ask, &oauthError{Code: "unmet_authentication_requirements", Description: "none of the acr values can be reached here"}
	}
	return ask, nil
}

func (p *Provider) decide(r *http.Request, ask login.Ask) (*session.Session, login.Next, error) {
	s, err := p.sessions.Current(r)
	if err != nil {
		return nil, login.Next{}, err
	}
	var standing login.Standing
	if s != nil {
		if standing, err = p.standing(r.Context(), ask, s); err != nil {
			return nil, login.Next{}, err
		}
	}
	return s, login.Decide(ask, "", s, standing, p.Clock()), nil
}

// standing judges a session for the client that asks, by its commune's map.
func (p *Provider) standing(ctx context.Context, ask login.Ask, s *session.Session) (login.Standing, error) {
	c, ok := p.Clients.ByID(ask.Client)
	if !ok {
		return login.Standing{}, errClient
	}
	var made login.Standing
	if m, ok := p.methods[s.Method]; ok {
		made.Level, made.Accepted = m.Level(c.Commune, s.Upstream)
	}
	if home, ok := p.Communes.ByID(c.Commune); ok && len(ask.Levels) > 0 {
		made.Better = p.login.Reachable(home, ask)
	}
	if ask.Subject != "" {
		person, err := p.personOf(ctx, c, *s)
		if err != nil {
			return login.Standing{}, err
		}
		if made.Subject, err = p.known(ctx, c, person, ask.Subject); err != nil {
			return login.Standing{}, err
		}
	}
	return made, nil
}

// known is the person's subject for c: wished where that was theirs before a merge.
func (p *Provider) known(ctx context.Context, c *client.Client, person identity.Person, wished string) (string, error) {
	subject := p.persons.Subject(c.Sector, person.Root)
	if subject == wished {
		return subject, nil
	}
	former, err := p.persons.Former(ctx, c.Commune, c.Sector, person.Root)
	if err == nil && slices.Contains(former, wished) {
		subject = wished
	}
	return subject, err
}

// refuse tells the client an error that login decided.
func (p *Provider) refuse(w http.ResponseWriter, r *http.Request, ask login.Ask, code string) error {
	if ask.Local != "" {
		return errNotStaff.Because(errors.New(code))
	}
	return p.redirectError(w, r, ask, &oauthError{Code: code, Description: descriptions[code]})
}

var descriptions = map[string]string{
	"login_required":                    "the citizen must sign in first",
	"access_denied":                     "the citizen gave up, or the commune does not accept this way to sign in",
	"unmet_authentication_requirements": "the level that was asked for was not reached",
}

func (p *Provider) redirectError(w http.ResponseWriter, r *http.Request, ask login.Ask, e *oauthError) error {
	web.Note(r, "oauth_error", e.Code)
	if e.cause != nil {
		web.Note(r, "error", e.cause.Error())
	}
	return redirect(w, r, ask, url.Values{"error": {e.Code}, "error_description": {e.Description}})
}

// redirect sends the answer to the client's verified address, with the issuer that
// gives it (RFC 9207) and the state as it came. 303 lets no form travel on (RFC 9700 §4.12).
func redirect(w http.ResponseWriter, r *http.Request, ask login.Ask, answer url.Values) error {
	answer.Set("iss", ask.Issuer)
	if ask.State != "" {
		answer.Set("state", ask.State)
	}
	return web.See(w, r, client.WithQuery(ask.RedirectURI, answer))
}

const codeLifetime = time.Minute
