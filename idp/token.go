package idp

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/token"
	"github.com/belfry-eid/belfry/internal/web"
)

const (
	accessLifetime  = 10 * time.Minute
	idTokenLifetime = 10 * time.Minute
	pushedLifetime  = 5 * time.Minute
	clocksDiffer    = 5 * time.Minute // between two of our machines, at most
)

func invalid(code, format string, args ...any) *oauthError {
	return &oauthError{Code: code, Description: fmt.Sprintf(format, args...)}
}

// form reads the body's parameters; those of the address do not count.
func form(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		return nil, &oauthError{"invalid_request", "the body is no form", err}
	}
	for name, all := range r.PostForm {
		if len(all) > 1 {
			return nil, invalid("invalid_request", "a parameter is there more than once")
		}
		if len(name) > 100 {
			return nil, invalid("invalid_request", "a parameter's name is too long")
		}
	}
	return r.PostForm, nil
}

// caller is the client that proves itself in the request. The assertion, where it
// used one, is still to be used up, in the transaction of what it asks for.
func (p *Provider) caller(r *http.Request, v url.Values, audiences ...string) (*client.Client, idpsql.Assertion, error) {
	none := idpsql.Assertion{}
	basic := r.Header.Get("Authorization") != ""
	asserted := v.Get("client_assertion") != "" || v.Get("client_assertion_type") != ""
	if v.Get("client_secret") != "" || (basic && asserted) { // RFC 6749 §2.3: one way, and not this one
		return nil, none, invalid("invalid_client", "prove the client in one way: client_secret_basic or private_key_jwt")
	}
	if basic {
		c, err := p.bySecret(r)
		return c, none, err
	}
	if v.Get("client_assertion_type") != client.AssertionType {
		return nil, none, invalid("invalid_client", "client authentication is missing")
	}
	a, err := p.Clients.VerifyAssertion(v.Get("client_assertion"), audiences, p.Clock())
	if err != nil {
		return nil, none, &oauthError{"invalid_client", "the client assertion is not accepted", err}
	}
	if id := v.Get("client_id"); id != "" && id != a.Client.ID {
		return nil, none, invalid("invalid_client", "client_id is not the client of the assertion")
	}
	web.Note(r, "client", a.Client.ID)
	return a.Client, idpsql.Assertion{Client: a.Client.ID, JTI: a.JTI, Expires: a.Expires}, nil
}

// bySecret reads client_secret_basic; both parts are form-encoded first (RFC 6749 §2.3.1).
func (p *Provider) bySecret(r *http.Request) (*client.Client, error) {
	refused := invalid("invalid_client", "the client is unknown or its secret is wrong")
	name, pass, ok := r.BasicAuth()
	if !ok {
		return nil, refused
	}
	id, err1 := url.QueryUnescape(name)
	secret, err2 := url.QueryUnescape(pass)
	c, known := p.Clients.ByID(id)
	if err1 != nil || err2 != nil || !known || c.Method != client.SecretBasic || !c.KnowsSecret(secret) {
		return nil, refused
	}
	if given := r.PostForm.Get("client_id"); given != "" && given != c.ID {
		return nil, refused
	}
	web.Note(r, "client", c.ID)
	return c, nil
}

// push keeps an authorization request and answers with its handle (RFC 9126 §2).
func (p *Provider) push(w http.ResponseWriter, r *http.Request) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	issuer := web.Origin(r)
	c, assertion, err := p.caller(r, v, issuer, issuer+pathToken, issuer+pathPush)
	if err != nil {
		return err
	}
	asked := url.Values{}
	for _, name := range parameters { // what proves the client is not kept
		if v.Has(name) {
			asked[name] = v[name]
		}
	}
	if uri := asked.Get("request_uri"); uri != "" {
		return invalid("invalid_request", "request_uri does not go into a pushed request")
	}
	if id := asked.Get("client_id"); id != "" && id != c.ID {
		return invalid("invalid_request", "client_id is another client's")
	}
	if _, err := p.checked(r.Context(), c, issuer, asked); err != nil {
		return pushable(err)
	}
	handle := web.NewSecret()
	row := idpsql.Pushed{Handle: handle, Client: c.ID, Parameters: asked.Encode(), Expires: p.Clock().Add(pushedLifetime)}
	if err := p.Store.Push(r.Context(), row, assertion); err != nil {
		return replayed(err)
	}
	return answerJSON(w, http.StatusCreated, struct {
		RequestURI string `json:"request_uri"`
		ExpiresIn  int    `json:"expires_in"`
	}{pushedPrefix + handle, int(pushedLifetime / time.Second)})
}

// pushable is an error of checked for the program that pushed, which has no page to show.
func pushable(err error) error {
	switch {
	case errors.Is(err, errRedirect):
		return invalid("invalid_request", "redirect_uri is not one of those registered")
	case errors.Is(err, errTwice):
		return invalid("invalid_request", "redirect_uri is there more than once")
	}
	return err
}

func replayed(err error) error {
	if errors.Is(err, idpsql.ErrReplay) {
		return &oauthError{"invalid_client", "the client assertion was used before", err}
	}
	return err
}

// verifierShape: RFC 7636 §4.1.
func verifierShape(v string) bool {
	return len(v) >= 43 && len(v) <= 128 && strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == ""
}

// token exchanges a code (RFC 6749 §4.1.3, OpenID Connect Core 1.0 §3.1.3).
func (p *Provider) token(w http.ResponseWriter, r *http.Request) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	issuer := web.Origin(r)
	c, assertion, err := p.caller(r, v, issuer, issuer+pathToken)
	if err != nil {
		return err
	}
	switch v.Get("grant_type") {
	case "authorization_code":
	case "":
		return invalid("invalid_request", "grant_type is missing")
	default:
		return invalid("unsupported_grant_type", "only authorization_code is given")
	}
	if v.Get("code") == "" {
		return invalid("invalid_request", "code is missing")
	}
	g, accessToken, err := p.redeem(r, c, assertion, v, issuer)
	if err != nil {
		return err
	}
	idToken, err := p.idToken(r, c, g, accessToken)
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
		Scope       string `json:"scope"`
		IDToken     string `json:"id_token"`
	}{accessToken, "Bearer", int(accessLifetime / time.Second), strings.Join(g.Scopes, " "), idToken})
}

func (p *Provider) redeem(r *http.Request, c *client.Client, assertion idpsql.Assertion, v url.Values, issuer string) (grant, string, error) {
	accessToken := web.NewSecret()
	expires := p.Clock().Add(accessLifetime)
	content, err := p.Store.Redeem(r.Context(), idpsql.Redemption{
		Code: v.Get("code"), Client: c.ID, Assertion: assertion,
		Check: func(content string) (idpsql.Token, error) {
			g, err := unmarshal[grant](content)
			if err != nil {
				return idpsql.Token{}, err
			}
			if err := fits(g, issuer, v.Get("redirect_uri"), v.Get("code_verifier")); err != nil {
				return idpsql.Token{}, err
			}
			stands, err := marshal(access{g.Issuer, g.Client, g.Commune, g.Person, g.Subject, g.Scopes, g.Level, g.Upstream, g.AMR, g.At, g.Address})
			return idpsql.Token{Token: accessToken, Session: g.Session, Content: stands, Expires: expires}, err
		},
	})
	switch {
	case errors.Is(err, idpsql.ErrReplay):
		return grant{}, "", replayed(err)
	case errors.Is(err, idpsql.ErrNoCode), errors.Is(err, idpsql.ErrCodeUsed):
		return grant{}, "", &oauthError{"invalid_grant", "the code is unknown, used or too old", err}
	case err != nil:
		return grant{}, "", err
	}
	g, err := unmarshal[grant](content)
	return g, accessToken, err
}

// fits says whether a try has what its code was made for.
func fits(g grant, issuer, redirectURI, verifier string) *oauthError {
	sum := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case g.Issuer != issuer:
		return invalid("invalid_grant", "the code is another issuer's")
	case g.RedirectURI != redirectURI:
		return invalid("invalid_grant", "redirect_uri is not that of the request")
	case g.Challenge == "" && verifier != "": // somebody took the challenge out (RFC 9700 §4.8.2)
		return invalid("invalid_grant", "a code_verifier without a code_challenge")
	case g.Challenge == "":
		return nil
	case !verifierShape(verifier) || subtle.ConstantTimeCompare([]byte(challenge), []byte(g.Challenge)) != 1:
		return invalid("invalid_grant", "code_verifier does not fit the code_challenge")
	}
	return nil
}

// idClaims are those of OpenID Connect Core 1.0 §2.
type idClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	Expires  int64    `json:"exp"`
	Issued   int64    `json:"iat"`
	AuthTime int64    `json:"auth_time"`
	Nonce    string   `json:"nonce,omitempty"`
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	SID      string   `json:"sid"`
	AtHash   string   `json:"at_hash"`
	Upstream string   `json:"https://belfry.eu/claims/upstream_acr,omitempty"`
}

func (p *Provider) idToken(r *http.Request, c *client.Client, g grant, accessToken string) (string, error) {
	now := p.Clock()
	return p.keys.Sign(r.Context(), c.IDTokenAlg, idClaims{
		Issuer: g.Issuer, Subject: g.Subject, Audience: c.ID, Expires: now.Add(idTokenLifetime).Unix(), Issued: now.Unix(),
		AuthTime: g.At.Unix(), Nonce: g.Nonce, ACR: g.Level, AMR: g.AMR, SID: g.SID,
		AtHash: token.HalfHash(c.IDTokenAlg, accessToken), Upstream: g.Upstream,
	})
}

// userinfo tells a client what its access token allows (OpenID Connect Core 1.0 §5.3).
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) error {
	err := p.tell(w, r)
	if e, ok := errors.AsType[*oauthError](err); ok && (e.Code == "invalid_token" || e.Code == "insufficient_scope") {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="belfry", error=%q, error_description=%q`, e.Code, e.Description))
	}
	return err
}

func (p *Provider) tell(w http.ResponseWriter, r *http.Request) error {
	bearer, err := bearerOf(r)
	if err != nil {
		return err
	}
	dead := invalid("invalid_token", "the access token is unknown, expired or revoked")
	content, ok, err := p.Store.TokenContent(r.Context(), bearer, accessLifetime+clocksDiffer)
	if err != nil {
		return err
	}
	if !ok {
		return dead
	}
	a, err := unmarshal[access](content)
	if err != nil {
		return err
	}
	c, ok := p.Clients.ByID(a.Client)
	if !ok || c.Commune != a.Commune || a.Issuer != web.Origin(r) {
		return dead
	}
	web.Note(r, "client", c.ID)
	person, ok, err := p.persons.Get(r.Context(), a.Commune, a.Person)
	if err != nil {
		return err
	}
	if !ok {
		return dead
	}
	claims := map[string]any{"sub": a.Subject, "acr": a.Level, "amr": a.AMR, "auth_time": a.At.Unix()}
	if a.Upstream != "" {
		claims[ClaimUpstream] = a.Upstream
	}
	former, err := p.persons.Former(r.Context(), a.Commune, c.Sector, person.Root)
	if err != nil {
		return err
	}
	if len(former) > 0 && a.Subject == p.persons.Subject(c.Sector, person.Root) {
		claims[ClaimFormer] = former
	}
	if slices.Contains(a.Scopes, "profile") {
		claims["name"] = person.Citizen.Name()
		claims["given_name"], claims["family_name"] = person.Citizen.GivenNames, person.Citizen.Surname
	}
	if slices.Contains(a.Scopes, "profile") && person.Citizen.BirthDate != "" {
		claims["birthdate"] = person.Citizen.BirthDate
	}
	if slices.Contains(a.Scopes, client.ScopeNumber) && c.MayKnowNumber(p.Clock()) && !person.Citizen.Number.IsZero() {
		claims[ClaimNumber] = person.Citizen.Number.Reveal()
	}
	if len(a.Address) > 0 {
		if claims["address"], err = p.openAddress(a); err != nil {
			return err
		}
	}
	return answerJSON(w, http.StatusOK, claims)
}

// bearerOf takes the token from the header or, of a POST, from the form; never from
// the address, which ends in logs (RFC 6750 §2, RFC 9700 §4.3.2).
func bearerOf(r *http.Request) (string, error) {
	scheme, header, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		header = ""
	}
	posted := ""
	if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		v, err := form(r)
		if err != nil {
			return "", err
		}
		posted = v.Get("access_token")
	}
	switch {
	case header != "" && posted != "":
		return "", invalid("invalid_request", "the access token is there twice")
	case header+posted == "":
		return "", invalid("invalid_token", "the access token is missing")
	}
	return header + posted, nil
}

func marshal(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

func unmarshal[T any](text string) (T, error) {
	var v T
	err := json.Unmarshal([]byte(text), &v)
	return v, err
}
