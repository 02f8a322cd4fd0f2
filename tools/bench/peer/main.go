// Command peer is a minimal OpenID provider on luikyv/go-oidc, the peer that our
// sign-ins are measured beside: ES256, all in memory, one client with a secret, one
// person whom every browser with the cookie is taken for.
//
// It prints a line of JSON that says how to use it (see login.go of tools/bench) and
// ends with its standard input.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/go-jose/go-jose/v4"
	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/luikyv/go-oidc/pkg/provider"
)

const (
	session  = "session=known"
	redirect = "https://library.example/callback"
)

func main() {
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	issuer, secret := "http://"+l.Addr().String(), rand.Text()
	op, err := newProvider(issuer, secret)
	if err != nil {
		return err
	}
	go func() { log.Fatal(http.Serve(l, op.Handler())) }()
	err = json.NewEncoder(os.Stdout).Encode(map[string]string{
		"address": l.Addr().String(), "host": l.Addr().String(), "client": "library", "secret": secret, "redirect": redirect, "cookie": session,
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func newProvider(issuer, secret string) (*provider.Provider, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	keys := goidc.JSONWebKeySet{Keys: []goidc.JSONWebKey{{Key: key, KeyID: "key", Algorithm: string(jose.ES256), Use: "sig"}}}
	store := newMemory()
	return provider.New(issuer, store,
		func(context.Context) (goidc.JSONWebKeySet, error) { return keys, nil },
		provider.WithScopes(goidc.ScopeOpenID, goidc.ScopeProfile),
		provider.WithIDTokenSignatureAlgs(goidc.ES256),
		provider.WithSecretBasicAuthn(),
		provider.WithPKCE(goidc.CodeChallengeMethodSHA256),
		provider.WithAuthCodeGrant(store, goidc.ResponseTypeCode),
		provider.WithTokenOptions(func(context.Context, *goidc.Grant, *goidc.Client) goidc.TokenOptions {
			return goidc.NewJWTTokenOptions(goidc.ES256, 600)
		}),
		provider.WithUserInfoClaims(func(context.Context, *goidc.Grant) map[string]any {
			return map[string]any{"given_name": "Luc", "family_name": "Lambert"}
		}),
		provider.WithStaticClients(&goidc.Client{ID: "library", Secret: secret, ClientMeta: goidc.ClientMeta{
			RedirectURIs:     []string{redirect},
			GrantTypes:       []goidc.GrantType{goidc.GrantAuthorizationCode},
			ResponseTypes:    []goidc.ResponseType{goidc.ResponseTypeCode},
			ScopeIDs:         "openid profile",
			TokenAuthnMethod: goidc.AuthnMethodSecretBasic,
		}}),
		provider.WithPolicies(goidc.NewPolicy("session", func(*http.Request, *goidc.AuthnSession, *goidc.Client) bool { return true }, known)),
	)
}

// known lets in who brings the session's cookie.
func known(_ http.ResponseWriter, r *http.Request, as *goidc.AuthnSession, _ *goidc.Client) (goidc.Status, error) {
	if c, err := r.Cookie("session"); err != nil || c.Value != "known" {
		return goidc.StatusFailure, errors.New("no session")
	}
	as.Subject, as.GrantedScopes = "luc", as.Scopes
	return goidc.StatusSuccess, nil
}
