// Package fakeoidc imitates OpenID providers that communes use: FranceConnect and
// FranceConnect+, itsme, and a directory of those who work at a commune. One chooses who
// one is and by which means.
//
// It owns their keys, their pages, what each is strict about and its answers, honest ones
// and those that a test has bent. It refuses to know Belfry: it learns of a client by its
// registration and by the keys that one publishes. It guarantees that an honest answer
// goes only to a registered address, once, to a client that has proved itself the way its
// service wants.
//
// The quirks are those that public documents and code of the services' partners show; the
// services themselves were never asked.
package fakeoidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Person is somebody the service knows.
type Person struct {
	Name       string // for programs
	GivenNames string
	Surname    string
	Number     string // national number, "" for those who have none
	BirthDate  string
	BirthPlace string // INSEE code
	Groups     []string
}

// Means is a way to identify oneself there, and the acr value that says so.
type Means struct{ ACR, Label string }

// Client is an application that is registered at the service.
type Client struct {
	ID     string
	Secret string
	// Redirects and PostLogouts are the registered addresses.
	Redirects, PostLogouts []string
	// JWKS is where the client publishes its keys.
	JWKS string
	// Keys are the client's, in place of those at JWKS.
	Keys func() (*jose.JSONWebKeySet, error)
}

// Shape is what one service is like.
type Shape struct {
	Title  string
	Issuer string // path of the issuer below Base
	Paths  Paths
	Means  []Means
	Auth   string // of clients: client_secret_basic, client_secret_post, private_key_jwt
	// IDAlg signs ID tokens and userinfo; Encrypted wraps both for the client.
	IDAlg     jose.SignatureAlgorithm
	Encrypted bool
	KeyAlg    jose.KeyAlgorithm
	// Userinfo is "json", "jwt", or "" for none.
	Userinfo string
	Iss      bool     // answers carry it
	Pairwise bool     // each client knows people under another subject
	Allowed  []string // parameters; all where empty
	OneACR   bool     // exactly one acr value must be asked for
	PKCE     bool     // is demanded
	Sessions bool     // who is signed in there is not asked again
	Scope    string   // prefix of a scope that must be there
	// Names of the claims of given names, surname and national number.
	Given, Family, Number string
	ByClaims              bool // the number must be asked for by the claims parameter
	NoLevel               bool // tokens state no acr
	Groups                bool
}

// Paths of the endpoints, below the issuer.
type Paths struct{ Authorize, Token, Userinfo, JWKS, Logout string }

// Provider is the service.
type Provider struct {
	Shape
	Base    string // its address, without a path
	People  []Person
	Clients []Client
	RSA     *rsa.PrivateKey
	EC      *ecdsa.PrivateKey
	Now     func() time.Time
	// Bend changes what the next codes stand for; nil is honest.
	Bend func(*Answer)

	mu       sync.Mutex
	asked    map[string]question
	codes    map[string]*Answer
	access   map[string]*Answer
	sessions map[string]string // cookie to person
	used     map[string]bool   // assertions
}

// question is an authorization request under way.
type question struct {
	client                                         Client
	redirect, state, nonce, challenge, mode, scope string
	acr                                            []string
	maxAge, number                                 bool
}

// New makes a service with keys of its own.
func New(shape Shape, base string, people []Person, clients ...Client) (*Provider, error) {
	p := &Provider{Shape: shape, Base: base, People: people, Clients: clients, Now: time.Now,
		asked: map[string]question{}, codes: map[string]*Answer{}, access: map[string]*Answer{}, sessions: map[string]string{}, used: map[string]bool{}}
	var err error
	if p.RSA, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, err
	}
	p.EC, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return p, err
}

// Issuer is the service's name.
func (p *Provider) Issuer() string { return p.Base + p.Shape.Issuer }

// ServeHTTP is the service's site.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 256<<10)
	w.Header().Set("Cache-Control", "no-store")
	var err error
	path, ours := strings.CutPrefix(r.URL.Path, p.Shape.Issuer)
	switch {
	case !ours:
		http.NotFound(w, r)
	case path == "/.well-known/openid-configuration":
		err = p.discovery(w)
	case path == p.Paths.JWKS:
		err = sendJSON(w, http.StatusOK, p.JWKS())
	case path == p.Paths.Authorize:
		err = p.authorize(w, r)
	case path == "/choose" && r.Method == http.MethodPost:
		err = p.choose(w, r)
	case path == p.Paths.Token && r.Method == http.MethodPost:
		err = p.token(w, r)
	case path == p.Paths.Userinfo && p.Userinfo != "":
		err = p.userinfo(w, r)
	case path == p.Paths.Logout:
		err = p.logout(w, r)
	default:
		http.NotFound(w, r)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func sendJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(v)
}

func (p *Provider) discovery(w http.ResponseWriter) error {
	i := p.Issuer()
	d := map[string]any{
		"issuer": i, "authorization_endpoint": i + p.Paths.Authorize, "token_endpoint": i + p.Paths.Token,
		"jwks_uri": i + p.Paths.JWKS, "end_session_endpoint": i + p.Paths.Logout,
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported":          []string{string(p.IDAlg)},
		"authorization_response_iss_parameter_supported": p.Iss,
	}
	if p.Userinfo != "" {
		d["userinfo_endpoint"] = i + p.Paths.Userinfo
	}
	return sendJSON(w, http.StatusOK, d)
}

// KeyID of the key that signs by an algorithm.
func KeyID(alg jose.SignatureAlgorithm) string { return "fake-" + strings.ToLower(string(alg)) }

// JWKS is the published key set.
func (p *Provider) JWKS() jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.RSA.Public(), KeyID: KeyID(jose.RS256), Use: "sig"}}}
	if p.IDAlg == jose.ES256 {
		set.Keys = []jose.JSONWebKey{{Key: p.EC.Public(), KeyID: KeyID(jose.ES256), Algorithm: "ES256", Use: "sig"}}
	}
	return set
}

func (p *Provider) client(id string) (Client, error) {
	for _, c := range p.Clients {
		if c.ID == id {
			return c, nil
		}
	}
	return Client{}, fmt.Errorf("no client is called %q", id)
}

const cookie = "fakeoidc"

// authorize reads a request as the service would, and is strict about what it is strict about.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) error {
	q, err := p.read(r)
	if err != nil {
		return err
	}
	c, _ := r.Cookie(cookie)
	p.mu.Lock()
	handle := rand.Text()
	p.asked[handle] = q
	who := ""
	if p.Sessions && c != nil && r.FormValue("prompt") != "login" {
		who = p.sessions[c.Value]
	}
	p.mu.Unlock()
	if who != "" {
		means := ""
		if len(p.Means) > 0 {
			means = p.Means[0].ACR
		}
		return p.answer(w, r, handle, who, means)
	}
	means := p.Means
	if len(q.acr) > 0 {
		means = slices.DeleteFunc(slices.Clone(p.Means), func(m Means) bool { return p.below(m.ACR, q.acr) })
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return ask.Execute(w, map[string]any{"Title": p.Title, "Client": q.client.ID, "Choose": p.Shape.Issuer + "/choose", "Handle": handle, "People": p.People, "Means": means, "Anew": r.FormValue("prompt") == "login"})
}

// below says whether a means is lower than every level asked for; Means stand from the
// highest to the lowest.
func (p *Provider) below(acr string, asked []string) bool {
	at := func(v string) int { return slices.IndexFunc(p.Means, func(m Means) bool { return m.ACR == v }) }
	return !slices.ContainsFunc(asked, func(a string) bool { return at(acr) <= at(a) })
}

func (p *Provider) read(r *http.Request) (question, error) {
	v := r.URL.Query()
	client, err := p.client(v.Get("client_id"))
	if err != nil {
		return question{}, err
	}
	for name, all := range v {
		if len(all) != 1 || len(p.Allowed) > 0 && !slices.Contains(p.Allowed, name) {
			return question{}, fmt.Errorf("the parameter %q is not accepted", name)
		}
	}
	q := question{
		client: client, redirect: v.Get("redirect_uri"), state: v.Get("state"), nonce: v.Get("nonce"), challenge: v.Get("code_challenge"),
		mode: v.Get("response_mode"), scope: v.Get("scope"), acr: strings.Fields(v.Get("acr_values")), maxAge: v.Has("max_age"),
		number: strings.Contains(v.Get("claims"), `"`+p.Number+`"`),
	}
	scopes := strings.Fields(q.scope)
	switch {
	case v.Get("response_type") != "code" || !slices.Contains(scopes, "openid"):
		return q, errors.New("only the code flow of OpenID Connect")
	case !slices.Contains(client.Redirects, q.redirect):
		return q, errors.New("redirect_uri is not registered")
	case len(q.state) < 22 || len(q.nonce) < 22:
		return q, errors.New("state and nonce need 22 characters")
	case p.OneACR && len(q.acr) != 1:
		return q, errors.New("exactly one acr value")
	case p.PKCE && (q.challenge == "" || v.Get("code_challenge_method") != "S256"):
		return q, errors.New("PKCE with S256 is demanded")
	case p.Scope != "" && !slices.ContainsFunc(scopes, func(s string) bool { return strings.HasPrefix(s, p.Scope) }):
		return q, fmt.Errorf("a scope that begins with %q is missing", p.Scope)
	}
	for _, a := range q.acr {
		if !slices.ContainsFunc(p.Means, func(m Means) bool { return m.ACR == a }) {
			return q, fmt.Errorf("no acr value %q", a)
		}
	}
	return q, nil
}

func (p *Provider) choose(w http.ResponseWriter, r *http.Request) error {
	if r.FormValue("do") == "stop" {
		return p.answer(w, r, r.FormValue("handle"), "", "")
	}
	return p.answer(w, r, r.FormValue("handle"), r.FormValue("person"), r.FormValue("means"))
}

// answer sends the browser back, with a code or with access_denied where who is nobody.
func (p *Provider) answer(w http.ResponseWriter, r *http.Request, handle, who, means string) error {
	p.mu.Lock()
	q, ok := p.asked[handle]
	delete(p.asked, handle)
	p.mu.Unlock()
	if !ok {
		return errors.New("this question is over")
	}
	back := url.Values{"state": {q.state}}
	if p.Iss {
		back.Set("iss", p.Issuer())
	}
	at := slices.IndexFunc(p.People, func(x Person) bool { return x.Name == who })
	if at < 0 {
		back.Set("error", "access_denied")
	} else {
		back.Set("code", p.code(q, p.People[at], means))
		if p.Sessions {
			p.signIn(w, who)
		}
	}
	if q.mode == "form_post" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		return post.Execute(w, map[string]any{"Title": p.Title, "To": q.redirect, "Fields": back})
	}
	to, err := url.Parse(q.redirect)
	if err != nil {
		return err
	}
	to.RawQuery = back.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
	return nil
}

func (p *Provider) signIn(w http.ResponseWriter, who string) {
	handle := rand.Text()
	p.mu.Lock()
	p.sessions[handle] = who
	p.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: handle, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// Subject is how a client knows a person.
func (p *Provider) Subject(client string, who Person) string {
	name := who.Name
	if p.Pairwise {
		name = client + " " + name
	}
	sum := sha256.Sum256([]byte(p.Issuer() + " " + name))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// logout ends the session there; only a registered address is gone back to.
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(cookie); err == nil {
		p.mu.Lock()
		delete(p.sessions, c.Value)
		p.mu.Unlock()
	}
	back := r.FormValue("post_logout_redirect_uri")
	if back == "" {
		_, err := io.WriteString(w, "signed out\n")
		return err
	}
	id, err := p.hinted(r.FormValue("id_token_hint"))
	if err != nil {
		return err
	}
	client, err := p.client(id)
	if err != nil {
		return err
	}
	if !slices.Contains(client.PostLogouts, back) {
		return errors.New("post_logout_redirect_uri is not registered")
	}
	http.Redirect(w, r, back+"?"+url.Values{"state": {r.FormValue("state")}}.Encode(), http.StatusSeeOther)
	return nil
}

// hinted is the audience of an ID token of ours.
func (p *Provider) hinted(hint string) (string, error) {
	jws, err := jose.ParseSignedCompact(hint, []jose.SignatureAlgorithm{p.IDAlg})
	if err != nil {
		return "", fmt.Errorf("id_token_hint: %w", err)
	}
	text, err := jws.Verify(p.JWKS().Keys[0].Key)
	if err != nil {
		return "", fmt.Errorf("id_token_hint: %w", err)
	}
	var said struct{ Aud string }
	return said.Aud, json.Unmarshal(text, &said)
}

var ask = template.Must(template.New("ask").Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}} (imitation)</title></head><body><main><h1>{{.Title}}: who are you?</h1>
<p>An imitation, for {{.Client}}.{{if .Anew}} You are asked anew.{{end}}</p>
<form method="post" action="{{.Choose}}"><input type="hidden" name="handle" value="{{.Handle}}">
<p><label>Person <select name="person">{{range .People}}<option value="{{.Name}}">{{.GivenNames}} {{.Surname}}</option>{{end}}</select></label></p>
{{with .Means}}<p><label>Means <select name="means">{{range .}}<option value="{{.ACR}}">{{.Label}}</option>{{end}}</select></label></p>{{end}}
<p><button name="do" value="go">Identify me</button> <button name="do" value="stop">Give up</button></p></form></main></body></html>
`))

var post = template.Must(template.New("post").Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}} (imitation)</title></head><body><main><h1>Back to the service</h1>
<form method="post" action="{{.To}}">{{range $name, $all := .Fields}}{{range $all}}<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}<button>Continue</button></form></main></body></html>
`))

// local reaches names under .localhost, which Go does not resolve everywhere.
var local = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !strings.HasSuffix(host, ".localhost") && host != "127.0.0.1" {
		return nil, errors.New("only clients of this machine are known")
	}
	return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}}}

// keys are those that a client publishes.
func (c Client) keys() (*jose.JSONWebKeySet, error) {
	if c.Keys != nil {
		return c.Keys()
	}
	answer, err := local.Get(c.JWKS)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&set); err != nil {
		return nil, fmt.Errorf("keys of %s (%s): %w", c.ID, answer.Status, err)
	}
	return &set, nil
}
