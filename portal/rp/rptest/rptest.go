// Package rptest is a provider to test relying parties with: it checks what a client
// sends as strictly as the standard asks, and lies where it is told to.
//
// It owns its keys and the people it signs in. It shares no code with idp and with
// the relying party it tests. It is an http.RoundTripper: nothing listens.
package rptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/belfry-eid/belfry/internal/clock"
)

// Person is somebody the provider can sign in. Number is revealed in userinfo only.
type Person struct {
	Subject, GivenNames, Surname, Number string
	ACR                                  string    // high where empty
	AuthTime                             time.Time // now where zero
	Session                              string    // sid, one of the person's where empty
}

// Client is a registration.
type Client struct {
	ID        string
	Key       *ecdsa.PublicKey
	Redirects []string // exact addresses
}

// Provider is the fake. Its fields may be changed between requests.
type Provider struct {
	Issuer  string
	Clock   clock.Clock
	Clients []Client
	// Lie changes an ID token's claims before they are signed.
	Lie func(map[string]any)
	// Forge signs the ID token with a key that is not published.
	Forge bool
	// UserInfo changes what userinfo answers.
	UserInfo func(map[string]any)
	// Down answers every request with 503.
	Down bool

	mu       sync.Mutex
	key      *ecdsa.PrivateKey
	requests map[string]url.Values // by request_uri
	codes    map[string]grant
	tokens   map[string]Person
	Asked    []url.Values // every pushed request that was taken
}

type grant struct {
	request url.Values
	person  Person
}

// New makes a provider with a fresh key.
func New(issuer string, now clock.Clock, clients ...Client) *Provider {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return &Provider{Issuer: issuer, Clock: now, Clients: clients, key: key, requests: map[string]url.Values{}, codes: map[string]grant{}, tokens: map[string]Person{}}
}

// RoundTrip answers in memory.
func (p *Provider) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result(), nil
}

// ServeHTTP answers the back channel.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	switch strings.TrimPrefix(r.URL.Path, "/") {
	case ".well-known/openid-configuration":
		answer(w, 200, map[string]any{
			"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token",
			"userinfo_endpoint": p.Issuer + "/userinfo", "jwks_uri": p.Issuer + "/jwks", "end_session_endpoint": p.Issuer + "/logout",
			"pushed_authorization_request_endpoint": p.Issuer + "/par", "authorization_response_iss_parameter_supported": true,
			"id_token_signing_alg_values_supported": []string{"ES256", "RS256"},
		})
	case "jwks":
		answer(w, 200, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	case "par":
		p.par(w, r)
	case "token":
		p.token(w, r)
	case "userinfo":
		p.userinfo(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

func refuse(w http.ResponseWriter, code, why string) {
	answer(w, 400, map[string]string{"error": code, "error_description": why})
}

// client checks the client assertion of a request.
func (p *Provider) client(r *http.Request) (Client, error) {
	if err := r.ParseForm(); err != nil {
		return Client{}, err
	}
	if r.PostForm.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return Client{}, fmt.Errorf("assertion type %q", r.PostForm.Get("client_assertion_type"))
	}
	parsed, err := jwt.ParseSigned(r.PostForm.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return Client{}, err
	}
	for _, c := range p.Clients {
		var said jwt.Claims
		if parsed.Claims(c.Key, &said) != nil {
			continue
		}
		if said.Issuer != c.ID || said.Subject != c.ID || said.ID == "" || len(said.Audience) != 1 || said.Audience[0] != p.Issuer {
			return Client{}, fmt.Errorf("assertion claims: iss %q, aud %v", said.Issuer, said.Audience)
		}
		return c, said.ValidateWithLeeway(jwt.Expected{Time: p.Clock()}, 5*time.Second)
	}
	return Client{}, fmt.Errorf("no client's key fits")
}

func (p *Provider) par(w http.ResponseWriter, r *http.Request) {
	c, err := p.client(r)
	if err != nil {
		refuse(w, "invalid_client", err.Error())
		return
	}
	q := r.PostForm
	known := false
	for _, uri := range c.Redirects {
		known = known || uri == q.Get("redirect_uri")
	}
	if !known || q.Get("client_id") != c.ID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("state") == "" || q.Get("nonce") == "" {
		refuse(w, "invalid_request", "incomplete")
		return
	}
	uri := "urn:ietf:params:oauth:request_uri:" + rand.Text()
	p.requests[uri] = q
	p.Asked = append(p.Asked, q)
	answer(w, 201, map[string]any{"request_uri": uri, "expires_in": 60})
}

// SignIn is the browser's part: it follows location to the provider, signs person in
// and returns the address that the browser is sent back to.
func (p *Provider) SignIn(location string, person Person) (string, error) {
	return p.back(location, func(q url.Values, request url.Values) {
		code := rand.Text()
		p.codes[code] = grant{request, person}
		q.Set("code", code)
	})
}

// Refuse is SignIn that ends with an error code.
func (p *Provider) Refuse(location, code string) (string, error) {
	return p.back(location, func(q, _ url.Values) { q.Set("error", code) })
}

func (p *Provider) back(location string, fill func(q, request url.Values)) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, err := url.Parse(location)
	if err != nil {
		return "", err
	}
	request, ok := p.requests[u.Query().Get("request_uri")]
	if !ok || !strings.HasPrefix(location, p.Issuer+"/authorize?") || u.Query().Get("client_id") != request.Get("client_id") {
		return "", fmt.Errorf("no such request: %s", u.Path)
	}
	delete(p.requests, u.Query().Get("request_uri"))
	q := url.Values{"state": {request.Get("state")}, "iss": {p.Issuer}}
	fill(q, request)
	return request.Get("redirect_uri") + "?" + q.Encode(), nil
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	c, err := p.client(r)
	if err != nil {
		refuse(w, "invalid_client", err.Error())
		return
	}
	g, ok := p.codes[r.PostForm.Get("code")]
	delete(p.codes, r.PostForm.Get("code"))
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || g.request.Get("client_id") != c.ID || g.request.Get("redirect_uri") != r.PostForm.Get("redirect_uri") || base64.RawURLEncoding.EncodeToString(sum[:]) != g.request.Get("code_challenge") {
		refuse(w, "invalid_grant", "code")
		return
	}
	access := rand.Text()
	p.tokens[access] = g.person
	id, err := p.idToken(c, g, access)
	if err != nil {
		panic(err)
	}
	answer(w, 200, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": id})
}

func (p *Provider) idToken(c Client, g grant, access string) (string, error) {
	now, who := p.Clock(), g.person
	if who.ACR == "" {
		who.ACR = "http://eidas.europa.eu/LoA/high"
	}
	if who.AuthTime.IsZero() {
		who.AuthTime = now
	}
	if who.Session == "" {
		who.Session = "sid-" + who.Subject
	}
	half := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": p.Issuer, "sub": who.Subject, "aud": c.ID, "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(), "nonce": g.request.Get("nonce"),
		"acr": who.ACR, "amr": []string{"eid", "sc", "pin"}, "auth_time": who.AuthTime.Unix(), "sid": who.Session,
		"at_hash": base64.RawURLEncoding.EncodeToString(half[:16]),
	}
	if p.Lie != nil {
		p.Lie(claims)
	}
	return p.sign("JWT", claims)
}

func (p *Provider) sign(typ string, claims map[string]any) (string, error) {
	key := p.key
	if p.Forge {
		other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return "", err
		}
		key = other
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// Notice is a logout token to a client about a session; lie, where not nil, changes its
// type and its claims before it is signed.
func (p *Provider) Notice(client, session string, lie func(typ *string, claims map[string]any)) (string, error) {
	now := p.Clock()
	typ := "logout+jwt"
	claims := map[string]any{
		"iss": p.Issuer, "aud": client, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": rand.Text(), "sid": session,
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	if lie != nil {
		lie(&typ, claims)
	}
	return p.sign(typ, claims)
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	who, ok := p.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	claims := map[string]any{"sub": who.Subject, "given_name": who.GivenNames, "family_name": who.Surname}
	if who.Number != "" {
		claims["https://belfry.eu/claims/national_number"] = who.Number
	}
	if p.UserInfo != nil {
		p.UserInfo(claims)
	}
	answer(w, 200, claims)
}
