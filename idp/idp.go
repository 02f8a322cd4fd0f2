// Package idp is the OpenID provider.
//
// It owns the protocol: discovery, pushed requests, authorization code with PKCE,
// token, userinfo and sign-out, for clients of several communes on one address. It
// is made of small rooms: login (the dispatcher over stored login requests),
// method (ways to sign in), session, identity (persons and pairwise subjects),
// client (registrations), token (keys), logout, and idpsql (single-use facts). It
// refuses to know orders, documents and the portal, which is a client like any
// other. It guarantees that
//
//   - an answer goes only to an address that was registered, byte for byte;
//   - a code is exchanged once, by the client and the verifier it was made for, and
//     a second try takes back what the first gave;
//   - what a token says of a sign-in (acr, amr, auth_time) is what happened, judged
//     by the asking commune's own map;
//   - the national number leaves only through userinfo, to a client whose recorded
//     authorisation has not ended (docs/adr/0008).
//
// What a client is told: in the ID token iss, sub (pairwise), aud, exp, iat,
// auth_time, nonce, acr, amr, sid and at_hash; in userinfo sub and, with the scope
// profile, given_name, family_name and name; with the scope national_number,
// "https://belfry.eu/claims/national_number". Names and numbers are in no ID token,
// because ID tokens come back in addresses, as hints.
//
// Implements OpenID Connect Core 1.0 (code flow), Discovery 1.0, RP-Initiated Logout
// 1.0, Back-Channel Logout 1.0, OAuth 2.0 (RFC 6749, 6750, 7636, 7523, 9126, 9207) and its security best
// practice (RFC 9700).
package idp

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/identity"
	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/login"
	"github.com/belfry-eid/belfry/idp/logout"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/idp/session"
	"github.com/belfry-eid/belfry/idp/token"
	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
)

//go:embed templates
var templates embed.FS

// Config of New. All must be set but Audit, Proxies, Staff, Limits, Jobs and Client.
type Config struct {
	// Issuers are the provider's addresses (scheme and host, no path). A request
	// must come by one of them, and is answered as that one.
	Issuers  []string
	Communes *commune.Communes
	Clients  *client.Registry
	// Methods are the ways to sign in, in the order in which they are offered.
	Methods []method.Method
	// Store is the provider's tables (idpsql.New); methods share it.
	Store *idpsql.Store
	KV    kv.Store
	// Secret is derived from the install's key file.
	Secret *secret.Master
	Clock  clock.Clock
	Log    *slog.Logger
	// Audit records sign-ins per commune; nowhere where nil.
	Audit *audit.Log
	// Proxies may set X-Forwarded-Proto and X-Forwarded-For.
	Proxies []netip.Prefix
	// Staff may merge records; nobody where it is nil.
	Staff Staff
	// Limits of a session; 15 minutes idle and 8 hours at all where zero.
	Limits session.Limits
	// Jobs tells clients of a session's end, by Client; needed where one of Clients is
	// registered to be told. New registers the handler: start the queue afterwards.
	Jobs   *jobs.Queue
	Client *http.Client
}

// Provider is an http.Handler for its issuers' hosts.
type Provider struct {
	Config
	keys      *token.Keys
	persons   *identity.Persons
	sessions  *session.Sessions
	login     *login.Dispatcher
	exit      *logout.Endpoint
	parties   *logout.Parties
	methods   map[string]method.Method
	sids      secret.MAC
	documents map[string][]byte // discovery, by issuer
	pages     *page.Templates
	handler   http.Handler
}

// New checks the configuration, makes the signing keys where there are none and
// returns the provider.
func New(ctx context.Context, cfg Config) (*Provider, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	p := &Provider{
		Config:   cfg,
		sessions: session.New(session.Config{KV: cfg.KV, Secret: cfg.Secret, Clock: cfg.Clock, Limits: cfg.Limits}),
		methods:  map[string]method.Method{},
		sids:     cfg.Secret.MAC("sid"),
		pages:    page.Parse(templates),
	}
	p.persons = identity.New(cfg.Store, cfg.Secret, cfg.Clock, p.recordPerson)
	for _, m := range cfg.Methods {
		p.methods[m.Name()] = m
	}
	var err error
	if p.keys, err = token.New(ctx, cfg.Store, cfg.Secret, cfg.Clock, cfg.Log, cfg.algorithms()); err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	if p.documents, err = p.discover(); err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	p.login = login.New(login.Config{
		KV: cfg.KV, Clock: cfg.Clock, Sessions: p.sessions, Methods: cfg.Methods,
		Party: p.party, Standing: p.standing, Frame: p.frame, Proceed: p.proceed, Refuse: p.refuse, Failed: p.failedTry,
		Notices: p.notices, Told: p.told,
	})
	p.parties, err = logout.NewParties(logout.PartiesConfig{
		Store: cfg.Store, Clients: cfg.Clients, Clock: cfg.Clock, Log: cfg.Log, Sign: p.keys.SignLogout, SID: p.sid, Jobs: cfg.Jobs, Client: cfg.Client,
	})
	if err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	p.exit = p.logout()
	p.handler = p.routes()
	return p, nil
}

func (cfg Config) check() error {
	var faults []error
	if len(cfg.Issuers) == 0 {
		faults = append(faults, errors.New("no issuer"))
	}
	for _, issuer := range cfg.Issuers {
		if _, err := commune.HostOf(issuer); err != nil {
			faults = append(faults, err)
		}
	}
	if len(cfg.Methods) == 0 {
		faults = append(faults, errors.New("no way to sign in"))
	}
	for name, missing := range map[string]bool{
		"Communes": cfg.Communes == nil, "Clients": cfg.Clients == nil, "Store": cfg.Store == nil, "KV": cfg.KV == nil,
		"Secret": cfg.Secret == nil, "Clock": cfg.Clock == nil, "Log": cfg.Log == nil,
	} {
		if missing {
			faults = append(faults, fmt.Errorf("%s is not set", name))
		}
	}
	return errors.Join(faults...)
}

// algorithms are those that some client's ID tokens are signed with.
func (cfg Config) algorithms() []jose.SignatureAlgorithm {
	var algs []jose.SignatureAlgorithm
	for _, c := range cfg.Clients.All() {
		if !slices.Contains(algs, c.IDTokenAlg) {
			algs = append(algs, c.IDTokenAlg)
		}
	}
	if len(algs) == 0 {
		algs = append(algs, jose.ES256)
	}
	return algs
}

// ServeHTTP answers whatever comes to one of the issuers' hosts.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// Purge deletes what has expired; call it every few minutes.
func (p *Provider) Purge(ctx context.Context) error { return p.Store.Purge(ctx) }

// Paths of the endpoints, below the issuer.
const (
	pathDiscovery = "/.well-known/openid-configuration"
	pathJWKS      = "/jwks"
	pathAuthorize = "/authorize"
	pathPush      = "/par"
	pathToken     = "/token"
	pathUserinfo  = "/userinfo"
	pathLogout    = "/logout"
)

func (p *Provider) routes() http.Handler {
	site := &web.Site{
		Log: p.Log, Clock: p.Clock, Failed: p.failed, Proxies: p.Proxies,
		Parks: p.parks(),
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+pathDiscovery, site.Page(p.discovery))
	mux.Handle("GET "+pathJWKS, site.Page(p.jwks))
	mux.Handle("GET "+pathAuthorize, site.Page(p.authorize))
	mux.Handle("POST "+pathAuthorize, site.Page(p.parkAuthorize))
	mux.Handle("POST "+pathPush, p.api(p.push))
	mux.Handle("POST "+pathToken, p.api(p.token))
	mux.Handle("GET "+pathUserinfo, p.api(p.userinfo))
	mux.Handle("POST "+pathUserinfo, p.api(p.userinfo))
	mux.Handle("GET /static/", page.Static())
	mux.Handle("GET /theme/{commune}", site.Page(p.theme))
	for _, m := range p.Methods {
		if files, ok := m.(http.Handler); ok { // what its page needs
			mux.Handle("GET /method/"+m.Name()+"/", files)
		}
	}
	for _, m := range p.Methods {
		if far, ok := m.(method.Remote); ok {
			p.remote(mux, site, far)
		}
		if far, ok := m.(method.Dismissing); ok {
			p.dismissing(mux, site, far)
		}
	}
	p.people(mux, site)
	p.login.Routes(mux, site)
	p.exit.Routes(mux, site)
	mux.Handle("/", site.Page(web.NotFound))
	return site.Wrap(p.only(site, mux))
}

// only lets requests through that came by one of the issuers: the address in our
// tokens is never what a stranger wrote in a Host header.
func (p *Provider) only(site *web.Site, next http.Handler) http.Handler {
	elsewhere := site.Page(web.NotFound)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(p.Issuers, web.Origin(r)) {
			elsewhere.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Provider) logout() *logout.Endpoint {
	return logout.New(logout.Config{
		Path: pathLogout, KV: p.KV, Log: p.Log, Depart: p.depart, Clients: p.Clients, Communes: p.Communes, Sessions: p.sessions,
		Hint: func(ctx context.Context, hint string) (token.Hint, error) { return p.keys.Hint(ctx, hint, p.Issuers) },
		SID:  p.sid, Frame: p.frame, Plain: p.plain, Ended: p.ended,
	})
}
