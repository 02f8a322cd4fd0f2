package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/upstream"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// UpstreamSettings register a commune at an OpenID provider by which its people or its
// staff sign in; one [[upstream]] each. docs/sign-in-sources.md goes through them source
// by source. What is left out is the preset's.
type UpstreamSettings struct {
	Commune commune.ID `toml:"commune"`
	// Source names the provider, for addresses, records and sign_in: "franceconnect".
	// Communes that share one give it the same name and issuer.
	Source string `toml:"source"`
	// Preset the rest begins as: acm-idm, entra, fas-oidc, franceconnect,
	// franceconnect-plus, itsme or keycloak.
	Preset string `toml:"preset"`
	// Labels and Hints are what people call it and what they need, by language; the
	// preset's words where empty.
	Labels map[i18n.Language]string `toml:"label"`
	Hints  map[i18n.Language]string `toml:"hint"`

	ClientID   string `toml:"client_id"`
	SecretFile string `toml:"secret_file"` // mode 0400

	Issuer string `toml:"issuer"`
	// Addresses where the provider publishes none; all that are needed, or none.
	Authorize  string   `toml:"authorization_endpoint"`
	Token      string   `toml:"token_endpoint"`
	Userinfo   string   `toml:"userinfo_endpoint"`
	JWKS       string   `toml:"jwks_uri"`
	EndSession string   `toml:"end_session_endpoint"`
	Hosts      []string `toml:"hosts"`    // beside the issuer's, that its addresses name
	Internal   *bool    `toml:"internal"` // its hosts may have private addresses
	Roots      string   `toml:"roots"`    // PEM file of the CA of its TLS certificate, where the system does not know it

	Auth              string   `toml:"auth"`               // client_secret_basic, client_secret_post or private_key_jwt
	AssertionAlg      string   `toml:"assertion_alg"`      // RS256, PS256 or ES256
	AssertionAudience string   `toml:"assertion_audience"` // token or issuer
	Scopes            []string `toml:"scopes"`
	ACR               string   `toml:"acr"` // list, lowest, claims or none
	AskClaims         []string `toml:"ask_claims"`
	ResponseMode      string   `toml:"response_mode"` // query or form_post
	LeaveOut          []string `toml:"leave_out"`     // parameters that the provider refuses

	IDTokenAlgs      []string `toml:"id_token_algs"`
	IDTokenEncrypted *bool    `toml:"id_token_encrypted"`
	UserinfoForm     string   `toml:"userinfo"` // none, json, signed or encrypted
	UserinfoAlgs     []string `toml:"userinfo_algs"`
	KeyAlgs          []string `toml:"key_algs"`
	ContentAlgs      []string `toml:"content_algs"`
	Iss              *bool    `toml:"iss"`          // answers carry it, though discovery does not say so
	AlwaysFresh      *bool    `toml:"always_fresh"` // each sign-in there asks the person

	// Claims are their names there; number, given_names, surname, birth_date.
	Claims map[string]string `toml:"claims"`
	// Values replace values of claims, by claim.
	Values     map[string]map[string]string `toml:"values"`
	LevelClaim string                       `toml:"level_claim"`
	// Levels the commune accepts, the highest first; any other value is refused. The value
	// "" stands for a provider that states none.
	Levels []FederalLevel `toml:"level"`
	// Require names claims of which each must hold one of its values: a group.
	Require map[string][]string `toml:"require"`

	// RotateDays is how long a key of ours serves; 0 is for ever. Only for providers that
	// read our key set from its address.
	RotateDays int `toml:"rotate_days"`
	// Keys in PKCS#11, one for each purpose; others are made and lie sealed in the database.
	Keys []UpstreamKey `toml:"key"`
}

// UpstreamKey is a key of ours in a token.
type UpstreamKey struct {
	Purpose     string `toml:"purpose"` // sig, or enc-rsa
	Module      string `toml:"module"`
	Token       string `toml:"token"`
	Serial      string `toml:"serial"`
	Key         string `toml:"key"` // label
	PINFile     string `toml:"pin_file"`
	Certificate string `toml:"certificate"` // PEM file that tells the public key
}

func (u UpstreamSettings) name() string {
	return fmt.Sprintf("[[upstream]] %s of %s", u.Source, u.Commune)
}

func (s *Settings) checkUpstream() error {
	var faults []error
	for _, u := range s.Upstream {
		bad := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf(u.name()+": "+format, args...))
		}
		if !slices.ContainsFunc(s.Communes, func(c *commune.Commune) bool { return c.ID == u.Commune }) {
			bad("no such commune")
		}
		if slices.Contains([]string{"card", "fas"}, u.Source) {
			bad("another way to sign in has this name")
		}
		if _, _, ok := upstream.Preset(u.Preset); !ok {
			bad("preset %q: one of %s", u.Preset, strings.Join(upstream.Presets(), ", "))
		}
		for name := range u.Claims {
			if !slices.Contains(claimNames, name) {
				bad("claims.%s: one of %s", name, strings.Join(claimNames, ", "))
			}
		}
		if u.RotateDays != 0 && u.RotateDays < 14 {
			bad("rotate_days: 14 at least, for a key is published days before it is used")
		}
	}
	return errors.Join(faults...)
}

var claimNames = []string{"number", "given_names", "surname", "birth_date"}

// upstreams are the methods of [[upstream]], one for each source, in the order of the file.
func (in *install) upstreams(store *idpsql.Store, master *secret.Master) ([]*upstream.Source, error) {
	var names []string
	cfgs := map[string]*upstream.Config{}
	for _, u := range in.settings.Upstream {
		r, err := in.registration(u)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", u.name(), err)
		}
		cfg := cfgs[u.Source]
		if cfg == nil {
			cfg = &upstream.Config{
				Name: u.Source, Issuers: in.settings.Provider.Issuers, Store: store, KV: in.kv, Secret: master,
				Clock: clock.System, Log: in.log, Plain: in.settings.Test,
			}
			cfgs[u.Source] = cfg
			names = append(names, u.Source)
		}
		if u.Roots != "" && cfg.Roots == nil {
			roots, err := readCertificates(in.settings.path(u.Roots))
			if err != nil {
				return nil, fmt.Errorf("%s: roots: %w", u.name(), err)
			}
			cfg.Roots = x509.NewCertPool()
			for _, c := range roots {
				cfg.Roots.AddCert(c)
			}
		}
		cfg.Registrations = append(cfg.Registrations, r)
	}
	var list []*upstream.Source
	for _, name := range names {
		s, err := upstream.New(*cfgs[name])
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func (in *install) registration(u UpstreamSettings) (upstream.Registration, error) {
	p, levels, _ := upstream.Preset(u.Preset)
	r := upstream.Registration{
		Commune: u.Commune, Preset: u.Preset, Profile: u.over(p), ClientID: u.ClientID, Labels: u.Labels, Hints: u.Hints,
		Levels: levels, Rotate: time.Duration(u.RotateDays) * 24 * time.Hour,
	}
	if u.SecretFile != "" {
		var err error
		if r.Secret, err = readSecret(in.settings.path(u.SecretFile)); err != nil {
			return r, fmt.Errorf("secret_file: %w", err)
		}
	}
	if len(u.Levels) > 0 {
		r.Levels = nil
		for _, l := range u.Levels {
			r.Levels = append(r.Levels, upstream.Level{Value: l.Value, Level: levelPrefix + l.Level, AMR: l.Means})
		}
	}
	for claim, values := range u.Require {
		r.Required = append(r.Required, upstream.Requirement{Claim: claim, Values: values})
	}
	for _, k := range u.Keys {
		key, err := in.upstreamKey(k)
		if err != nil {
			return r, fmt.Errorf("key for %q: %w", k.Purpose, err)
		}
		r.TokenKeys = append(r.TokenKeys, upstream.TokenKey{Purpose: k.Purpose, Key: key})
	}
	return r, nil
}

const levelPrefix = "http://eidas.europa.eu/LoA/"

// upstreamKey opens a key in a token. One that is away is no error here: it is needed
// when somebody signs in.
func (in *install) upstreamKey(k UpstreamKey) (crypto.Signer, error) {
	certs, err := readCertificates(in.settings.path(k.Certificate))
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key := in.tokenKey(SealSettings{Module: k.Module, Token: k.Token, Serial: k.Serial, Key: k.Key, PINFile: in.settings.path(k.PINFile)}, certs[0].PublicKey)
	in.onClose(key.Close)
	if err := key.Ready(); err != nil && !away(err) {
		return nil, err
	}
	return federalKey{key}, nil
}

// over is the preset's profile with what the settings say otherwise.
func (u UpstreamSettings) over(p upstream.Profile) upstream.Profile {
	for into, value := range map[*string]string{
		&p.Issuer: u.Issuer, &p.Authorize: u.Authorize, &p.Token: u.Token, &p.Userinfo: u.Userinfo, &p.JWKS: u.JWKS, &p.EndSession: u.EndSession,
		&p.Auth: u.Auth, &p.AssertionAudience: u.AssertionAudience, &p.ACR: u.ACR, &p.ResponseMode: u.ResponseMode, &p.UserinfoForm: u.UserinfoForm,
		&p.LevelClaim: u.LevelClaim,
	} {
		if value != "" {
			*into = value
		}
	}
	for into, value := range map[*[]string][]string{&p.Hosts: u.Hosts, &p.Scopes: u.Scopes, &p.AskClaims: u.AskClaims, &p.LeaveOut: u.LeaveOut} {
		if value != nil { // an empty list is a list
			*into = value
		}
	}
	for into, value := range map[*bool]*bool{&p.Internal: u.Internal, &p.IDTokenEncrypted: u.IDTokenEncrypted, &p.Iss: u.Iss, &p.AlwaysFresh: u.AlwaysFresh} {
		if value != nil {
			*into = *value
		}
	}
	for name, into := range map[string]*string{
		"number": &p.Claims.Number, "given_names": &p.Claims.GivenNames, "surname": &p.Claims.Surname,
		"birth_date": &p.Claims.BirthDate,
	} {
		if value, ok := u.Claims[name]; ok { // an empty name takes the claim away
			*into = value
		}
	}
	if u.AssertionAlg != "" {
		p.AssertionAlg = jose.SignatureAlgorithm(u.AssertionAlg)
	}
	if u.Values != nil {
		p.Values = u.Values
	}
	p.IDTokenAlgs, p.UserinfoAlgs = named(u.IDTokenAlgs, p.IDTokenAlgs), named(u.UserinfoAlgs, p.UserinfoAlgs)
	p.KeyAlgs, p.ContentAlgs = named(u.KeyAlgs, p.KeyAlgs), named(u.ContentAlgs, p.ContentAlgs)
	return p
}

func named[T ~string](given []string, preset []T) []T {
	if given == nil {
		return preset
	}
	var list []T
	for _, g := range given {
		list = append(list, T(g))
	}
	return list
}

// upstreamQuestions ask each source for itself.
func (in *install) upstreamQuestions() ([]question, error) {
	if len(in.settings.Upstream) == 0 {
		return nil, nil
	}
	store, err := idpsql.New(context.Background(), in.db, clock.System)
	if err != nil {
		return nil, err
	}
	master, err := secret.New(in.derive("provider"))
	if err != nil {
		return nil, err
	}
	sources, err := in.upstreams(store, master)
	if err != nil {
		return nil, err
	}
	var list []question
	for _, u := range in.settings.Upstream {
		for _, s := range sources {
			if s.Name() == u.Source {
				list = append(list, question{"sign-in " + u.Source + " of " + string(u.Commune), func(ctx context.Context) (string, error) { return s.Check(ctx, u.Commune) }})
			}
		}
	}
	return list, nil
}

var _ method.Placed = (*upstream.Source)(nil)
