package rp

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
)

// pending is a sign-in under way, kept under the hash of its state.
type pending struct {
	Site     Site
	Issuer   string
	Browser  [32]byte // SHA-256 of the browser's secret
	Nonce    string
	Verifier string
	Return   string
	Language i18n.Language
	Asked    time.Time
	MaxAge   time.Duration
	Level    string
	Subject  string
	Carry    string
}

// Begin registers a sign-in for the browser that keeps secret (web.NewSecret, in a
// cookie) and returns the provider's address to send it to. One secret serves several
// sign-ins, in several tabs, at once.
func (rp *RP) Begin(ctx context.Context, site Site, secret string, o Options) (string, error) {
	p, client, err := rp.parties(ctx, site)
	if err != nil {
		return "", err
	}
	state := rand.Text()
	wait := pending{
		Site: site, Issuer: p.issuer, Browser: sha256.Sum256([]byte(secret)),
		Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Return: LocalPath(o.Return), Language: o.Language, Asked: rp.cfg.Clock(), MaxAge: o.MaxAge,
		Level: o.Level, Subject: o.Subject, Carry: o.Carry,
	}
	form := url.Values{
		"client_id":             {client.ID},
		"response_type":         {"code"},
		"redirect_uri":          {site.Origin + CallbackPath},
		"scope":                 {client.scopes()},
		"state":                 {state},
		"nonce":                 {wait.Nonce},
		"code_challenge":        {oauth2.S256ChallengeFromVerifier(wait.Verifier)},
		"code_challenge_method": {"S256"},
		"acr_values":            {client.acrValues()},
		"ui_locales":            {string(o.Language)},
	}
	if o.MaxAge > 0 {
		form.Set("max_age", strconv.Itoa(int(o.MaxAge/time.Second)))
	}
	if o.Level != "" {
		form.Set("claims", essential(o.Level))
	}
	if o.Address && !client.Numberless {
		form.Set("scope", client.scopes()+" "+AddressScope)
		form.Set("prompt", "login")
	}
	if o.Staff {
		form.Set("belfry_staff", "1")
	}
	requestURI, err := rp.push(ctx, p, client, form)
	if err != nil {
		return "", err
	}
	kept, err := json.Marshal(wait)
	if err != nil {
		return "", fmt.Errorf("sign-in: %w", err)
	}
	if err := rp.cfg.KV.Put(ctx, stateKey(state), kept, stateLifetime); err != nil {
		return "", fmt.Errorf("sign-in: keep state: %w", err)
	}
	return withQuery(p.Endpoint().AuthURL, url.Values{"client_id": {client.ID}, "request_uri": {requestURI}})
}

// essential is the claims parameter that asks for a level, or a higher one (OpenID
// Connect Core §5.5.1.1).
func essential(level string) string {
	type acr struct {
		Essential bool     `json:"essential"`
		Values    []string `json:"values"`
	}
	var c struct {
		IDToken struct {
			ACR acr `json:"acr"`
		} `json:"id_token"`
	}
	c.IDToken.ACR = acr{true, nil}
	for _, l := range levels {
		if Reaches(l, level) {
			c.IDToken.ACR.Values = append(c.IDToken.ACR.Values, l)
		}
	}
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and a bool
	}
	return string(text)
}

// Answers that a person can do something about. Everything else is the same to
// them: the sign-in did not work, try again.
var (
	errStale     = fault.New(fault.Conflict, "portal.signin_stale", nil)
	errCancelled = fault.New(fault.Forbidden, "portal.signin_cancelled", nil)
	errLevel     = fault.New(fault.Forbidden, "portal.signin_level", nil)
)

// Finish checks the provider's answer q, for the browser that keeps secret. Where it
// fails after the state was recognised, the Login still carries the return path, so
// that the page can offer another try.
func (rp *RP) Finish(ctx context.Context, site Site, secret string, q url.Values) (Login, error) {
	wait, err := rp.take(ctx, site, secret, q.Get("state"))
	if err != nil {
		return Login{Return: "/"}, err
	}
	back := Login{Return: wait.Return}
	// RFC 9207 §2.4: exactly our issuer, on errors too, against mix-up.
	if len(q["iss"]) != 1 || q.Get("iss") != wait.Issuer {
		return back, stale(fmt.Errorf("answer of issuer %q", q.Get("iss")))
	}
	if code := q.Get("error"); code != "" {
		return back, refused(code, q.Get("error_description"))
	}
	if q.Get("code") == "" || len(q["code"]) != 1 {
		return back, stale(errors.New("answer without code"))
	}
	login, err := rp.exchange(ctx, wait, q.Get("code"))
	if err != nil {
		return back, err
	}
	if wait.Level != "" && !Reaches(login.ACR, wait.Level) {
		return back, errLevel.Because(fmt.Errorf("acr %q, %q was needed", clip(login.ACR), wait.Level))
	}
	login.Return = wait.Return
	if wait.Subject == login.Subject {
		login.Carry = wait.Carry
	}
	return login, nil
}

// take consumes the sign-in of this state. A foreign browser, commune or origin
// gets the same answer as an unknown state.
func (rp *RP) take(ctx context.Context, site Site, secret, state string) (pending, error) {
	var wait pending
	if state == "" || len(state) > 100 || secret == "" {
		return wait, stale(errors.New("no state or no cookie"))
	}
	kept, err := rp.cfg.KV.Take(ctx, stateKey(state))
	if errors.Is(err, kv.ErrMissing) {
		return wait, stale(errors.New("unknown state"))
	}
	if err != nil {
		return wait, fmt.Errorf("sign-in: state: %w", err)
	}
	if err := json.Unmarshal(kept, &wait); err != nil {
		return wait, fmt.Errorf("sign-in: state: %w", err)
	}
	browser := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(browser[:], wait.Browser[:]) != 1 || wait.Site != site {
		return pending{}, stale(errors.New("another browser's or site's state"))
	}
	return wait, nil
}

func stale(cause error) error { return errStale.Because(cause) }

// refused words an error answer (RFC 6749 §4.1.2.1; OpenID Connect Core §3.1.2.6).
func refused(code, description string) error {
	cause := fmt.Errorf("provider answered %q: %q", clip(code), clip(description))
	switch code {
	case "access_denied":
		return errCancelled.Because(cause)
	case "unmet_authentication_requirements": // OpenID Connect Core Error Code unmet_authentication_requirements 1.0
		return errLevel.Because(cause)
	case "server_error", "temporarily_unavailable":
		return unreachable(cause)
	}
	return stale(cause)
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100]
	}
	return s
}

type claims struct {
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	AuthTime int64    `json:"auth_time"`
	SID      string   `json:"sid"`
}

type person struct {
	GivenNames string   `json:"given_name"`
	BirthDate  string   `json:"birthdate"`
	Surname    string   `json:"family_name"`
	Number     string   `json:"https://belfry.eu/claims/national_number"`
	Former     []string `json:"https://belfry.eu/claims/former_subjects"`
	Address    struct {
		Formatted string `json:"formatted"`
	} `json:"address"`
}

// exchange turns a code into a Login: tokens, ID token, userinfo.
func (rp *RP) exchange(ctx context.Context, wait pending, code string) (Login, error) {
	p, client, err := rp.parties(ctx, wait.Site)
	if err != nil {
		return Login{}, err
	}
	ctx = oidc.ClientContext(ctx, rp.http)
	token, err := rp.redeem(ctx, p, client, wait, code)
	if err != nil {
		return Login{}, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.VerifierContext(ctx, &oidc.Config{ClientID: client.ID, SupportedSigningAlgs: signingAlgs, Now: rp.cfg.Clock}).Verify(ctx, raw)
	if err != nil {
		return Login{}, stale(fmt.Errorf("ID token: %w", err))
	}
	said, err := rp.check(id, token, wait)
	if err != nil {
		return Login{}, stale(fmt.Errorf("ID token: %w", err))
	}
	who, err := userinfo(ctx, p, id.Subject, token)
	if err != nil {
		return Login{}, err
	}
	login := Login{
		Subject: id.Subject, Former: who.Former, GivenNames: who.GivenNames, Surname: who.Surname, BirthDate: who.BirthDate, Address: who.Address.Formatted,
		ACR: said.ACR, AMR: said.AMR, AuthTime: time.Unix(said.AuthTime, 0).UTC(), SessionID: said.SID, IDToken: raw,
	}
	if who.Number != "" {
		if login.Number, err = eid.ParseNationalNumber(who.Number); err != nil {
			return Login{}, stale(errors.New("userinfo: the national number is malformed"))
		}
	}
	if !client.accepts(login.ACR) {
		return Login{}, errLevel.Because(fmt.Errorf("acr %q", clip(login.ACR)))
	}
	return login, nil
}

func (rp *RP) redeem(ctx context.Context, p *provider, client Client, wait pending, code string) (*oauth2.Token, error) {
	assertion, err := rp.assertion(p, client)
	if err != nil {
		return nil, err
	}
	endpoint := p.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams
	flow := oauth2.Config{ClientID: client.ID, Endpoint: endpoint, RedirectURL: wait.Site.Origin + CallbackPath}
	token, err := flow.Exchange(ctx, code,
		oauth2.VerifierOption(wait.Verifier),
		oauth2.SetAuthURLParam("client_assertion_type", assertionType),
		oauth2.SetAuthURLParam("client_assertion", assertion))
	if said, ok := errors.AsType[*oauth2.RetrieveError](err); ok && said.ErrorCode != "" {
		return nil, stale(fmt.Errorf("token endpoint: %q: %q", clip(said.ErrorCode), clip(said.ErrorDescription)))
	}
	if err != nil {
		return nil, unreachable(fmt.Errorf("token endpoint: %w", err))
	}
	return token, nil
}

// check is what go-oidc leaves to the caller (OpenID Connect Core §3.1.3.7 and §3.1.3.8).
func (rp *RP) check(id *oidc.IDToken, token *oauth2.Token, wait pending) (claims, error) {
	var said claims
	if err := id.Claims(&said); err != nil {
		return said, err
	}
	now := rp.cfg.Clock()
	switch {
	case id.Subject == "":
		return said, errors.New("no subject")
	case len(id.Audience) != 1:
		return said, errors.New("more than one audience")
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(wait.Nonce)) != 1:
		return said, errors.New("the nonce is another")
	case id.IssuedAt.After(now.Add(clockSkew)) || id.IssuedAt.Before(wait.Asked.Add(-clockSkew)):
		return said, errors.New("not issued during this sign-in")
	case said.AuthTime == 0:
		return said, errors.New("no time of authentication")
	}
	authenticated := time.Unix(said.AuthTime, 0)
	if authenticated.After(now.Add(clockSkew)) {
		return said, errors.New("authenticated in the future")
	}
	if wait.MaxAge > 0 && authenticated.Add(wait.MaxAge+clockSkew).Before(wait.Asked) {
		return said, errors.New("authenticated longer ago than asked")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return said, err
		}
	}
	return said, nil
}

func userinfo(ctx context.Context, p *provider, subject string, token *oauth2.Token) (person, error) {
	var who person
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return who, unreachable(fmt.Errorf("userinfo: %w", err))
	}
	if info.Subject != subject { // OpenID Connect Core §5.3.2
		return who, stale(errors.New("userinfo is about somebody else"))
	}
	if err := info.Claims(&who); err != nil {
		return who, stale(errors.New("userinfo: claims of another shape"))
	}
	return who, nil
}

// SignOut is the provider's address that ends the session there too and sends the
// browser to SignedOutPath; "" where the provider has none.
func (rp *RP) SignOut(ctx context.Context, site Site, idToken string, l i18n.Language) (string, error) {
	p, client, err := rp.parties(ctx, site)
	if err != nil || p.endSession == "" {
		return "", err
	}
	q := url.Values{
		"client_id":                {client.ID},
		"post_logout_redirect_uri": {site.Origin + SignedOutPath},
		"state":                    {string(l)},
		"ui_locales":               {string(l)},
	}
	if idToken != "" {
		q.Set("id_token_hint", idToken)
	}
	return withQuery(p.endSession, q)
}

// LocalPath returns path where it is a path (and query) of our own site, else "/".
// A browser reads "//host" and "/\host" as another site's address.
func LocalPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || len(path) > 2000 || u.IsAbs() || u.Host != "" || u.User != nil || u.Opaque != "" {
		return "/"
	}
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}

func stateKey(state string) string {
	sum := sha256.Sum256([]byte(state))
	return "rp/state/" + hex.EncodeToString(sum[:])
}

func withQuery(address string, q url.Values) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", unreachable(fmt.Errorf("the provider's address: %w", err))
	}
	have := u.Query()
	for k, v := range q {
		have[k] = v
	}
	u.RawQuery = have.Encode()
	return u.String(), nil
}
