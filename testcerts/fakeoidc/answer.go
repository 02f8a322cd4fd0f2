package fakeoidc

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Answer is what a code stands for: honest, unless a test has bent it.
type Answer struct {
	// ID and Info are the claims of ID token and userinfo.
	ID, Info map[string]any
	// IDAlg, IDKey and IDKeyID sign the ID token; those of Info sign userinfo.
	IDAlg, InfoAlg     jose.SignatureAlgorithm
	IDKey, InfoKey     any
	IDKeyID, InfoKeyID string
	// Encrypted and InfoEncrypted wrap them for the client.
	Encrypted, InfoEncrypted bool
	KeyAlg                   jose.KeyAlgorithm
	ContentAlg               jose.ContentEncryption
	Zip                      bool
	EncryptTo                *jose.JSONWebKey // in place of the client's published key
	// InfoForm is "json" or "jwt".
	InfoForm string
	// RawID, RawInfo and InfoType replace what would be sent.
	RawID, RawInfo, InfoType string
	// Token is the whole answer of the token endpoint, with Status and Type.
	Token, Type string
	Status      int
	InfoStatus  int

	client              Client
	redirect, challenge string
	used                bool
}

// code makes a code for an honest answer.
func (p *Provider) code(q question, who Person, acr string) string {
	now := p.Now()
	sub := p.Subject(q.client.ID, who)
	a := &Answer{
		ID:    map[string]any{"iss": p.Issuer(), "sub": sub, "aud": q.client.ID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "nonce": q.nonce},
		Info:  map[string]any{"sub": sub, p.Given: who.GivenNames, p.Family: who.Surname},
		IDAlg: p.IDAlg, InfoAlg: p.IDAlg, IDKeyID: KeyID(p.IDAlg), InfoKeyID: KeyID(p.IDAlg), IDKey: any(p.RSA), InfoKey: any(p.RSA),
		Encrypted: p.Shape.Encrypted, InfoEncrypted: p.Shape.Encrypted, KeyAlg: p.Shape.KeyAlg, ContentAlg: jose.A256GCM,
		InfoForm: p.Userinfo, Status: http.StatusOK, InfoStatus: http.StatusOK,
		client: q.client, redirect: q.redirect, challenge: q.challenge,
	}
	if p.IDAlg == jose.ES256 {
		a.IDKey, a.InfoKey = p.EC, p.EC
	}
	if !p.NoLevel {
		a.ID["acr"] = acr
	}
	if q.maxAge || p.Sessions {
		a.ID["auth_time"] = now.Unix()
	}
	if p.Number != "" && who.Number != "" && (!p.ByClaims || q.number) {
		a.Info[p.Number] = who.Number
	}
	for scope, value := range map[string]string{"birthdate": who.BirthDate, "birthplace": who.BirthPlace} {
		if slices.Contains(strings.Fields(q.scope), scope) {
			a.Info[scope] = value
		}
	}
	if p.Groups {
		a.ID["groups"] = who.Groups
	}
	if p.Userinfo == "" { // all is in the ID token
		for name, v := range a.Info {
			a.ID[name] = v
		}
	}
	if p.Userinfo == "jwt" {
		a.Info["iss"], a.Info["aud"] = p.Issuer(), q.client.ID
	}
	if p.Bend != nil {
		p.Bend(a)
	}
	code := rand.Text() + rand.Text()
	p.mu.Lock()
	p.codes[code] = a
	p.mu.Unlock()
	return code
}

// token exchanges a code.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) error {
	client, err := p.prove(r)
	if err != nil {
		return sendJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client", "error_description": err.Error()})
	}
	p.mu.Lock()
	a := p.codes[r.PostFormValue("code")]
	fits := a != nil && !a.used && a.client.ID == client.ID && a.redirect == r.PostFormValue("redirect_uri") && r.PostFormValue("grant_type") == "authorization_code" && r.PostFormValue("scope") == ""
	if fits {
		a.used = true
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		fits = a.challenge == "" || a.challenge == base64.RawURLEncoding.EncodeToString(sum[:])
	}
	p.mu.Unlock()
	if !fits {
		return sendJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
	}
	if a.Token != "" {
		w.Header().Set("Content-Type", a.Type)
		w.WriteHeader(a.Status)
		_, err := io.WriteString(w, a.Token)
		return err
	}
	id, err := a.idToken()
	if err != nil {
		return err
	}
	access := rand.Text() + rand.Text()
	p.mu.Lock()
	p.access[access] = a
	p.mu.Unlock()
	return sendJSON(w, http.StatusOK, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 60, "id_token": id})
}

func (a *Answer) idToken() (string, error) {
	if a.RawID != "" {
		return a.RawID, nil
	}
	return a.seal(a.ID, a.IDAlg, a.IDKey, a.IDKeyID, a.Encrypted)
}

// seal signs claims and, where asked, encrypts the result.
func (a *Answer) seal(claims map[string]any, alg jose.SignatureAlgorithm, key any, kid string, encrypt bool) (string, error) {
	signed, err := Sign(claims, alg, key, kid)
	if err != nil || !encrypt {
		return signed, err
	}
	return a.encrypt(signed)
}

// Sign makes a compact JWT.
func Sign(claims map[string]any, alg jose.SignatureAlgorithm, key any, kid string) (string, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return SignText(text, alg, key, kid)
}

// SignText makes a compact JWS of any text. The algorithm "none" signs nothing.
func SignText(text []byte, alg jose.SignatureAlgorithm, key any, kid string) (string, error) {
	if alg == "none" {
		enc := base64.RawURLEncoding
		return enc.EncodeToString([]byte(`{"alg":"none"}`)) + "." + enc.EncodeToString(text) + ".", nil
	}
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		opts = opts.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(text)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

func (a *Answer) encrypt(signed string) (string, error) {
	to := a.EncryptTo
	if to == nil {
		set, err := a.client.keys()
		if err != nil {
			return "", err
		}
		ec := strings.HasPrefix(string(a.KeyAlg), "ECDH")
		for _, k := range set.Keys {
			if _, isRSA := rsaKey(k.Key); k.Use == "enc" && isRSA != ec {
				to = &k
			}
		}
	}
	if to == nil {
		return "", errors.New("the client publishes no key to encrypt to")
	}
	opts := (&jose.EncrypterOptions{}).WithContentType("JWT")
	if a.Zip {
		opts.Compression = jose.DEFLATE
	}
	e, err := jose.NewEncrypter(a.ContentAlg, jose.Recipient{Algorithm: a.KeyAlg, Key: to.Key, KeyID: to.KeyID}, opts)
	if err != nil {
		return "", err
	}
	jwe, err := e.Encrypt([]byte(signed))
	if err != nil {
		return "", err
	}
	return jwe.CompactSerialize()
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) error {
	p.mu.Lock()
	a := p.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	p.mu.Unlock()
	if a == nil {
		return sendJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
	}
	kind, text := "application/json", ""
	if a.InfoForm == "jwt" {
		kind = "application/jwt"
		var err error
		if text, err = a.seal(a.Info, a.InfoAlg, a.InfoKey, a.InfoKeyID, a.InfoEncrypted); err != nil {
			return err
		}
	} else {
		raw, err := json.Marshal(a.Info)
		if err != nil {
			return err
		}
		text = string(raw)
	}
	if a.RawInfo != "" {
		text = a.RawInfo
	}
	if a.InfoType != "" {
		kind = a.InfoType
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(a.InfoStatus)
	_, err := io.WriteString(w, text)
	return err
}

// prove is the client that proves itself in the request, the way this service wants.
func (p *Provider) prove(r *http.Request) (Client, error) {
	if err := r.ParseForm(); err != nil {
		return Client{}, err
	}
	f := r.PostForm
	switch p.Auth {
	case "client_secret_basic":
		name, pass, ok := r.BasicAuth()
		id, err1 := url.QueryUnescape(name)
		secret, err2 := url.QueryUnescape(pass)
		if !ok || err1 != nil || err2 != nil || f.Has("client_secret") {
			return Client{}, errors.New("client_secret_basic is wanted")
		}
		return p.bySecret(id, secret)
	case "client_secret_post":
		if r.Header.Get("Authorization") != "" {
			return Client{}, errors.New("client_secret_post is wanted")
		}
		return p.bySecret(f.Get("client_id"), f.Get("client_secret"))
	}
	return p.byAssertion(f)
}

func (p *Provider) bySecret(id, secret string) (Client, error) {
	c, err := p.client(id)
	if err == nil && (c.Secret == "" || c.Secret != secret) {
		err = errors.New("the secret is wrong")
	}
	return c, err
}

// byAssertion checks private_key_jwt by the keys that the client publishes.
func (p *Provider) byAssertion(f url.Values) (Client, error) {
	c, err := p.client(f.Get("client_id"))
	if err != nil {
		return c, err
	}
	if f.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return c, errors.New("private_key_jwt is wanted")
	}
	token, err := jwt.ParseSigned(f.Get("client_assertion"), []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256})
	if err != nil {
		return c, err
	}
	set, err := c.keys()
	if err != nil {
		return c, err
	}
	var claims jwt.Claims
	for _, k := range set.Key(token.Headers[0].KeyID) {
		if k.Use == "sig" && token.Claims(k.Key, &claims) == nil {
			p.mu.Lock()
			again := p.used[claims.ID]
			p.used[claims.ID] = true
			p.mu.Unlock()
			if again || claims.ID == "" {
				return c, errors.New("the assertion was used before")
			}
			return c, claims.ValidateWithLeeway(jwt.Expected{Issuer: c.ID, Subject: c.ID, AnyAudience: jwt.Audience{p.Issuer(), p.Issuer() + p.Paths.Token}, Time: p.Now()}, time.Minute)
		}
	}
	return c, fmt.Errorf("no published key is called %q, or the signature is wrong", token.Headers[0].KeyID)
}
