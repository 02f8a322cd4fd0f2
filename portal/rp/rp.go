// Package rp makes the portal a relying party of Belfry's own provider.
//
// It owns the way to the provider and back: pushed authorization request, client
// assertion, code exchange, the checks of the ID token, userinfo and the address
// of the sign-out. It is the only door to go-oidc. It refuses to know pages,
// cookies, sessions and orders: whoever calls keeps the browser's secret and
// makes a session of the Login. It guarantees that
//
//   - an answer of the provider counts once, and only in the browser that asked
//     (threat T4),
//   - a Login exists only after state, issuer, signature, audience, nonce, time,
//     and where asked the age of the authentication, were checked,
//   - a notice that a session is over is believed of the provider alone,
//   - a return path never leads to another site.
//
// Implements OpenID Connect Core 1.0 §3.1 (code flow) and §5.3, RFC 7636 (PKCE,
// S256), RFC 9126 (PAR), RFC 7523 §2.2 (private_key_jwt), RFC 9207 (iss) and
// OpenID Connect RP-Initiated Logout 1.0 and Back-Channel Logout 1.0.
package rp

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
)

// Paths at the portal that a client's registration at the provider names.
const (
	CallbackPath  = "/sign-in/return"  // redirect_uri
	SignedOutPath = "/signed-out"      // post_logout_redirect_uri
	NoticePath    = "/sign-out/notice" // backchannel_logout_uri, below the commune's first origin
)

// Levels of assurance, as the provider states them in acr (Regulation (EU) 2015/1502).
const (
	Low         = "http://eidas.europa.eu/LoA/low"
	Substantial = "http://eidas.europa.eu/LoA/substantial"
	High        = "http://eidas.europa.eu/LoA/high"
)

// Client is a commune's registration at the provider.
type Client struct {
	ID    string            // client_id, for example "portal-beaumarais"
	Key   *ecdsa.PrivateKey // P-256, for private_key_jwt with ES256
	KeyID string            // kid of Key at the provider
	// Lowest level that people sign in with; Substantial where empty.
	Lowest string
	// Numberless clients do not ask for the national number: their people have none.
	Numberless bool
}

// levels from the lowest to the highest.
var levels = []string{Low, Substantial, High}

// Level is the acr value of "low", "substantial" or "high".
func Level(word string) string { return "http://eidas.europa.eu/LoA/" + word }

// Reaches says whether a level is lowest or more; what is no level reaches nothing.
func Reaches(level, lowest string) bool {
	at := slices.Index(levels, level)
	return at >= 0 && at >= slices.Index(levels, lowest)
}

// accepts says whether somebody may sign in at a level.
func (c Client) accepts(level string) bool { return Reaches(level, c.lowest()) }

func (c Client) lowest() string {
	if c.Lowest == "" {
		return Substantial
	}
	return c.Lowest
}

// acrValues are the levels that will do, the highest first.
func (c Client) acrValues() string {
	var list []string
	for _, l := range slices.Backward(levels) {
		if c.accepts(l) {
			list = append(list, l)
		}
	}
	return strings.Join(list, " ")
}

func (c Client) scopes() string {
	if c.Numberless {
		return scopes
	}
	return scopes + " " + NumberScope
}

// Config of a relying party. All fields but Roots and Transport are needed.
type Config struct {
	// Issuers lists, for each origin of a commune ("https://guichet.example.be"), the issuer
	// its citizens sign in at. An origin without one cannot sign anybody in.
	Issuers map[string]string
	Clients map[commune.ID]Client
	KV      kv.Store
	Clock   clock.Clock
	// Roots that vouch for the provider's TLS certificate; the system's where nil.
	Roots *x509.CertPool
	// Transport replaces the network, for tests.
	Transport http.RoundTripper
}

// RP signs people in for all communes of an install. Safe for concurrent use.
type RP struct {
	cfg       Config
	http      *http.Client
	mu        sync.Mutex
	providers map[string]*provider // by issuer, once discovered
}

// New checks the settings. It asks the provider nothing: discovery waits for the first sign-in.
func New(cfg Config) (*RP, error) {
	if cfg.KV == nil || cfg.Clock == nil {
		return nil, errors.New("rp: KV and Clock are needed")
	}
	for id, c := range cfg.Clients {
		if c.Lowest != "" && !slices.Contains(levels, c.Lowest) {
			return nil, fmt.Errorf("rp: client of commune %s: no level is called %q", id, c.Lowest)
		}
		if c.ID == "" || c.Key == nil || c.Key.Curve.Params().BitSize != 256 {
			return nil, fmt.Errorf("rp: client of commune %s: an id and a P-256 key are needed", id)
		}
	}
	return &RP{cfg: cfg, http: newHTTPClient(cfg), providers: map[string]*provider{}}, nil
}

// Site is where a request arrived: the commune and the origin it was asked under.
type Site struct {
	Commune commune.ID
	Origin  string // scheme, host and port
}

// Options of a sign-in.
type Options struct {
	Return   string        // local path to come back to, "/" where it is not local
	Language i18n.Language // of the provider's pages
	MaxAge   time.Duration // an older authentication is done again; 0 asks nothing
	Level    string        // that must be reached, or a higher one; the client's lowest where empty
	Staff    bool          // people who work at the commune are to sign in
	Address  bool          // the address on the card is wanted, if its holder agrees: the card is asked for anew
	// Subject is who is signed in already, and Carry what is kept for them and is to be
	// there afterwards. Whoever signs in as somebody else does not get it.
	Subject, Carry string
}

// Login is a checked sign-in.
type Login struct {
	Subject    string // pairwise: this commune's name for the person
	GivenNames string // as on the card, or as another service tells
	Surname    string
	Number     eid.NationalNumber // zero where the provider may not hand it to this commune
	BirthDate  string             // YYYY-MM-DD, "" where the provider does not know it
	Address    string             // as written on the card, on one line; "" where its holder did not agree
	ACR        string
	AMR        []string
	AuthTime   time.Time
	SessionID  string   // sid at the provider
	IDToken    string   // for the sign-out; secret
	Return     string   // local path
	Carry      string   // of the Options, where the same person has signed in
	Former     []string // other subjects of the same person, by which the commune may know them
}

const (
	// NumberScope asks for the national number and NumberClaim carries it, in userinfo only.
	NumberScope = "national_number"
	// AddressScope asks for the address that is written on the card.
	AddressScope = "address"
	NumberClaim  = "https://belfry.eu/claims/national_number"
	scopes       = "openid profile"

	stateLifetime = 15 * time.Minute // time to find the card reader
	clockSkew     = 30 * time.Second
)

var errNoIssuer = fault.New(fault.Internal, "portal.signin_unavailable", errors.New("rp: no issuer or client is set for this origin"))

func (rp *RP) parties(ctx context.Context, site Site) (*provider, Client, error) {
	issuer, ok := rp.cfg.Issuers[site.Origin]
	client, known := rp.cfg.Clients[site.Commune]
	if !ok || !known {
		return nil, Client{}, errNoIssuer
	}
	p, err := rp.provider(ctx, issuer)
	return p, client, err
}
