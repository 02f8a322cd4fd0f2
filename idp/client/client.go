// Package client says which applications may ask the provider about people.
//
// It owns a client's registration (addresses, keys, profile, sector), the recorded
// authorisation to be told the national number, and how a client proves itself:
// private_key_jwt (OpenID Connect Core 1.0 §9, RFC 7523) or, for ordinary clients,
// client_secret_basic with a random secret. It refuses to know people, sessions and
// stores: that an assertion is used once is its caller's to hold. It guarantees that
// a registration that contradicts itself is refused at start, in words that name the
// setting, and that nobody is told a number without a legal basis and an end date
// (law of 8 August 1983, art. 8; docs/adr/0008).
package client

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/loopback"
)

// Profile says how strictly a client is held.
type Profile string

const (
	// High is the FAPI 2.0 Security Profile's part that is here: pushed requests
	// (RFC 9126) and private_key_jwt. Whoever handles national numbers must use it.
	High Profile = "high"
	// Ordinary clients may send their request through the browser and keep a secret.
	Ordinary Profile = "ordinary"
)

// Method is how a client proves itself at the token endpoint.
type Method string

const (
	PrivateKeyJWT Method = "private_key_jwt"
	SecretBasic   Method = "client_secret_basic"
)

// ScopeNumber asks for the national number.
const ScopeNumber = "national_number"

// ScopeAddress asks for the address that is written on the card, where its holder agrees
// (OpenID Connect Core 1.0 §5.4).
const ScopeAddress = "address"

// Settings is one client's registration, as the settings file has it.
type Settings struct {
	// ID is the client_id, for example "portal-beaumarais".
	ID string `toml:"id"`
	// Commune whose people it serves: languages, theme and person records are hers.
	Commune commune.ID `toml:"commune"`
	// Name as people read it on the sign-in page, by language; where there is
	// none, the commune's name stands alone.
	Name map[i18n.Language]string `toml:"name"`
	// RedirectURIs are compared byte for byte. https, or http on loopback.
	RedirectURIs []string `toml:"redirect_uris"`
	// PostLogoutRedirectURIs likewise, for the way back after signing out.
	PostLogoutRedirectURIs []string `toml:"post_logout_redirect_uris"`
	// BackchannelLogoutURI is told when a session ends in which the client was given a
	// code (OpenID Connect Back-Channel Logout 1.0 §2.2). https, or http on loopback.
	BackchannelLogoutURI string `toml:"backchannel_logout_uri"`
	// Profile is "high" where it says nothing.
	Profile Profile `toml:"profile"`
	// Method is "private_key_jwt" where it says nothing; "high" allows no other.
	Method Method `toml:"token_endpoint_auth_method"`
	// JWKSFile holds the client's public keys (RFC 7517), for private_key_jwt.
	JWKSFile string `toml:"jwks_file"`
	// JWKS is JWKSFile for registrations that the program itself makes.
	JWKS *jose.JSONWebKeySet `toml:"-"`
	// SecretSHA256 is the SHA-256 in hexadecimal of a secret of at least 128 random
	// bits, for client_secret_basic. Random secrets need no slow hash.
	SecretSHA256 string `toml:"secret_sha256"`
	// Sector within which a person keeps one subject (OpenID Connect Core 1.0 §8.1):
	// clients that share a sector can compare notes. The client's ID where it says nothing.
	Sector string `toml:"sector"`
	// IDTokenAlg signs the client's ID tokens: RS256 where it says nothing
	// (OpenID Connect Registration 1.0 §2), else ES256, PS256 or EdDSA.
	IDTokenAlg jose.SignatureAlgorithm `toml:"id_token_signed_response_alg"`
	// Scopes it may ask for besides openid: profile, address, national_number.
	Scopes []string `toml:"scopes"`
	// PKCEOptional lets an old client leave the code challenge out; never with "high".
	PKCEOptional bool `toml:"pkce_optional"`
	// NationalNumber is the recorded authorisation; none where it is nil.
	NationalNumber *Authorisation `toml:"national_number"`
}

// Authorisation to be told the national number.
type Authorisation struct {
	// LegalBasis in words: the law, decree or authorisation, for the record.
	LegalBasis string `toml:"legal_basis"`
	// Until is the day from which the number is told no more.
	Until time.Time `toml:"until"`
	// Exception is the reason for which the commune's administrator allows it to a
	// client whose profile is not "high"; belfry check shows it.
	Exception string `toml:"exception"`
}

// Client is a registration that was checked.
type Client struct {
	Settings
	secret []byte // SHA-256; nil where it uses its keys
}

// Scopes that a registration may list.
var knownScopes = []string{"profile", ScopeAddress, ScopeNumber}

// Algorithms for ID tokens, and for client assertions (FAPI 2.0 §5.4 and RS256 for old clients).
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA}

// NameIn is the application's name for people; c is its commune.
func (c *Client) NameIn(l i18n.Language, home *commune.Commune) string {
	if n := c.Name[l]; n != "" {
		return n
	}
	if n := c.Name[home.Languages()[0]]; n != "" {
		return n
	}
	return home.NameIn(l)
}

// May says whether the client may ask for scope.
func (c *Client) May(scope string) bool { return scope == "openid" || slices.Contains(c.Scopes, scope) }

// MayKnowNumber says whether the national number may be told to the client at now.
func (c *Client) MayKnowNumber(now time.Time) bool {
	return c.NationalNumber != nil && now.Before(c.NationalNumber.Until) && c.May(ScopeNumber)
}

// Redirects says whether uri is one of the registered addresses, byte for byte (RFC 9700 §2.1).
func (c *Client) Redirects(uri string) bool { return slices.Contains(c.RedirectURIs, uri) }

// Leaves says whether uri is one of the registered addresses for after sign-out.
func (c *Client) Leaves(uri string) bool { return slices.Contains(c.PostLogoutRedirectURIs, uri) }

// WithQuery is a registered address with parameters behind those it may have itself.
func WithQuery(uri string, v url.Values) string {
	if strings.Contains(uri, "?") {
		return uri + "&" + v.Encode()
	}
	return uri + "?" + v.Encode()
}

// KnowsSecret compares in constant time.
func (c *Client) KnowsSecret(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return c.secret != nil && subtle.ConstantTimeCompare(sum[:], c.secret) == 1
}

// Registry is the set of clients of an install.
type Registry struct {
	all  []*Client
	byID map[string]*Client
}

// New checks the registrations; the error names every setting that is wrong.
func New(list []Settings, communes *commune.Communes) (*Registry, error) {
	reg := &Registry{byID: map[string]*Client{}}
	var faults []error
	for _, s := range list {
		c, err := check(s, communes)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if reg.byID[c.ID] != nil {
			faults = append(faults, fmt.Errorf("client %s is there twice", c.ID))
		}
		reg.byID[c.ID], reg.all = c, append(reg.all, c)
	}
	return reg, errors.Join(faults...)
}

// ByID returns the client of this client_id.
func (reg *Registry) ByID(id string) (*Client, bool) { c, ok := reg.byID[id]; return c, ok }

// All lists the clients in the order of the settings.
func (reg *Registry) All() []*Client { return reg.all }

func check(s Settings, communes *commune.Communes) (*Client, error) {
	c := &Client{Settings: withDefaults(s)}
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("client %s: "+format, append([]any{s.ID}, args...)...))
	}
	if s.ID == "" || len(s.ID) > 100 || strings.ContainsAny(s.ID, ": \t\r\n") {
		bad("id: up to 100 characters, no space, no colon")
	}
	if _, ok := communes.ByID(s.Commune); !ok {
		bad("commune %q is not on this install", s.Commune)
	}
	if len(s.RedirectURIs) == 0 {
		bad("redirect_uris: at least one")
	}
	for _, u := range append(slices.Clone(s.RedirectURIs), s.PostLogoutRedirectURIs...) {
		if err := checkRedirect(u); err != nil {
			bad("%v", err)
		}
	}
	if s.BackchannelLogoutURI != "" {
		if err := checkRedirect(s.BackchannelLogoutURI); err != nil {
			bad("backchannel_logout_uri: %v", err)
		}
	}
	for _, scope := range s.Scopes {
		if !slices.Contains(knownScopes, scope) {
			bad("scopes: %q is none of %s", scope, strings.Join(knownScopes, ", "))
		}
	}
	if !slices.Contains(algorithms, c.IDTokenAlg) {
		bad("id_token_signed_response_alg %q: one of %v", c.IDTokenAlg, algorithms)
	}
	c.checkProfile(bad)
	c.checkProof(bad)
	c.checkNumber(bad)
	return c, errors.Join(faults...)
}

func withDefaults(s Settings) Settings {
	if s.Profile == "" {
		s.Profile = High
	}
	if s.Method == "" {
		s.Method = PrivateKeyJWT
	}
	if s.Sector == "" {
		s.Sector = s.ID
	}
	if s.IDTokenAlg == "" {
		s.IDTokenAlg = jose.RS256
	}
	return s
}

func (c *Client) checkProfile(bad func(string, ...any)) {
	switch {
	case c.Profile != High && c.Profile != Ordinary:
		bad("profile %q: high or ordinary", c.Profile)
	case c.Profile == High && c.Method != PrivateKeyJWT:
		bad("profile high goes with token_endpoint_auth_method private_key_jwt, not %s", c.Method)
	case c.Profile == High && c.PKCEOptional:
		bad("profile high and pkce_optional exclude each other")
	}
}

func (c *Client) checkProof(bad func(string, ...any)) {
	switch c.Method {
	case PrivateKeyJWT:
		if c.SecretSHA256 != "" {
			bad("secret_sha256 and token_endpoint_auth_method private_key_jwt exclude each other")
		}
		if err := c.readKeys(); err != nil {
			bad("%v", err)
		}
	case SecretBasic:
		sum, err := hex.DecodeString(c.SecretSHA256)
		if err != nil || len(sum) != sha256.Size {
			bad("secret_sha256: 64 hexadecimal digits")
		}
		c.secret = sum
	default:
		bad("token_endpoint_auth_method %q: private_key_jwt or client_secret_basic", c.Method)
	}
}

func (c *Client) readKeys() error {
	if c.JWKS == nil {
		text, err := os.ReadFile(c.JWKSFile)
		if err != nil {
			return fmt.Errorf("jwks_file: %w", err)
		}
		c.JWKS = &jose.JSONWebKeySet{}
		if err := json.Unmarshal(text, c.JWKS); err != nil {
			return fmt.Errorf("jwks_file: %w", err)
		}
	}
	if len(c.JWKS.Keys) == 0 {
		return errors.New("jwks: no key")
	}
	for _, k := range c.JWKS.Keys {
		if !k.Valid() || !k.IsPublic() {
			return fmt.Errorf("jwks: key %q is not a valid public key", k.KeyID)
		}
	}
	return nil
}

func (c *Client) checkNumber(bad func(string, ...any)) {
	a := c.NationalNumber
	if a == nil {
		if slices.Contains(c.Scopes, ScopeNumber) {
			bad("scopes: national_number needs an authorisation (national_number.legal_basis and until)")
		}
		return
	}
	if strings.TrimSpace(a.LegalBasis) == "" {
		bad("national_number.legal_basis is missing")
	}
	if a.Until.IsZero() {
		bad("national_number.until is missing: every authorisation ends")
	}
	if c.Profile != High && strings.TrimSpace(a.Exception) == "" {
		bad("national_number: only profile high is told it, or a client with national_number.exception")
	}
}

// checkRedirect wants an absolute https address without fragment, or http on this
// machine (RFC 6749 §3.1.2, RFC 9700 §2.1).
func checkRedirect(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.User != nil || strings.Contains(uri, "#") || strings.ContainsAny(uri, "* \t\r\n") {
		return fmt.Errorf("%q is no address to return to: absolute, without fragment, user or wildcard", uri)
	}
	if u.Scheme == "https" || (u.Scheme == "http" && loopback.Is(u.Hostname())) {
		return nil
	}
	return fmt.Errorf("%q: https is needed but on loopback", uri)
}
