// Package trust decides whether a certificate is that of a Belgian eID card which
// its holder may use today.
//
// It owns the path to the pinned Belgian roots, the key usages, the policies and
// the revocation status (RFC 5280 §6, RFC 6960, RFC 9654); internal/revocation
// reads the answers, internal/fetch asks for them. It refuses to know tokens, nonces and sessions: whoever presents
// a certificate must still prove that they hold its key. It guarantees that a
// Certificate exists only for what passed every check at its instant, that a
// certificate whose status nobody vouches for is refused, and that no address is
// fetched whose host is not listed.
package trust

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/fetch"
)

// What Authentication and Signature return, wrapped around its cause; compare with errors.Is.
// No cause holds a name or number of the holder.
var (
	ErrMalformed     = fault.New(fault.Invalid, "card.malformed", nil)
	ErrNotYetValid   = fault.New(fault.Forbidden, "card.not_yet_valid", nil)
	ErrExpired       = fault.New(fault.Forbidden, "card.expired", nil)
	ErrWrongUse      = fault.New(fault.Invalid, "card.wrong_use", nil)
	ErrUnknownCA     = fault.New(fault.Forbidden, "card.unknown_ca", nil)
	ErrRevoked       = fault.New(fault.Forbidden, "card.revoked", nil)
	ErrResponderDown = fault.New(fault.Unreachable, "card.responder_down", nil)
)

// because is the failure e with its cause, for the log.
func because(e *fault.Error, format string, args ...any) error {
	return e.Because(fmt.Errorf(format, args...))
}

// BelgianPolicies are the policies of authentication certificates: of citizens
// (…1.1.2.2) and foreigners (…1.1.7.2), under the arcs of Belgium Root CA, CA2,
// CA3 and CA4/CA6. The signature certificate ends in .1.
var BelgianPolicies = policies(1, 9, 10, 12)

func policies(arcs ...int) []asn1.ObjectIdentifier {
	var list []asn1.ObjectIdentifier
	for _, arc := range arcs {
		list = append(list, asn1.ObjectIdentifier{2, 16, 56, arc, 1, 1, 2, 2}, asn1.ObjectIdentifier{2, 16, 56, arc, 1, 1, 7, 2})
	}
	return list
}

// BelgianHosts serve the certificates, revocation lists and OCSP answers of the Belgian eID.
var BelgianHosts = []string{
	"crt.eidpki.belgium.be", "crl.eidpki.belgium.be", "ocsp.eidpki.belgium.be",
	"certs.eid.belgium.be", "crl.eid.belgium.be", "ocsp.eid.belgium.be",
}

// Config says whom to believe. Only Roots has no default.
type Config struct {
	// Roots are the anchors. Whoever fills them compares fingerprints with those published.
	Roots []*x509.Certificate
	// Intermediates that are known beforehand; others are fetched where certificates
	// point to them. Several new ones come every year. Those that lead to no root are an error.
	Intermediates []*x509.Certificate
	// Policies of which a certificate must have one; BelgianPolicies where empty.
	Policies []asn1.ObjectIdentifier
	// Hosts, as "host" (its ports 80 and 443) or "host:port", from which answers
	// are fetched; BelgianHosts where empty. A listed name must lead to a public
	// address; a listed IP address, "localhost" or "NAME.localhost" may be private.
	Hosts []string
	// Client fetches; nil means one that refuses private addresses when it dials.
	// One given here, for a proxy for example, answers for that itself.
	Client *http.Client
	// Clock is the system's where nil.
	Clock clock.Clock
	// MaxAge is how old a statement about a card may be; 24 hours where zero. It
	// must exceed the responder's own update period. Statements about CAs, made
	// months ahead, hold until their own nextUpdate but are asked again after MaxAge.
	MaxAge time.Duration
	// Reuse is how long a statement about a card serves without asking again; 5
	// minutes where zero. A card reported stolen can sign in for that long.
	Reuse time.Duration
	// Limit is the size of the largest answer, in bytes; 1 MB where zero. Some
	// revocation lists are larger.
	Limit int64
}

// Certificate is a card's certificate that passed every check. Its zero
// value is none. It holds the holder's number and name: it is not for logs.
type Certificate struct {
	path []*x509.Certificate
	at   time.Time
}

// X509 is the certificate itself, nil of a zero Certificate.
func (c Certificate) X509() *x509.Certificate {
	if len(c.path) == 0 {
		return nil
	}
	return c.path[0]
}

// Path leads from the certificate to a root, both included. Callers do not change it.
func (c Certificate) Path() []*x509.Certificate { return c.path }

// At is the instant for which the checks hold.
func (c Certificate) At() time.Time { return c.at }

// Verifier checks certificates. It is safe for concurrent use; one serves a process.
type Verifier struct {
	now           clock.Clock
	roots         *x509.CertPool
	anchors       []*issuer // the roots themselves
	policies      []asn1.ObjectIdentifier
	fetch         *fetch.Fetcher
	maxAge, reuse time.Duration

	mu      sync.RWMutex
	issuers map[string][]*issuer // by raw subject

	statements recent[statement]
	delegates  delegates
	lists      sync.Map // CRL address and issuer -> *list
	turns      turns
}

// New returns a verifier, or an error that names what is wrong with cfg.
func New(cfg Config) (*Verifier, error) {
	if len(cfg.Roots) == 0 {
		return nil, errors.New("trust: no root certificate")
	}
	v := &Verifier{
		now:      cfg.Clock,
		roots:    x509.NewCertPool(),
		policies: cfg.Policies,
		maxAge:   cfg.MaxAge,
		reuse:    cfg.Reuse,
		issuers:  map[string][]*issuer{},
	}
	if v.now == nil {
		v.now = clock.System
	}
	if len(v.policies) == 0 {
		v.policies = BelgianPolicies
	}
	if v.maxAge == 0 {
		v.maxAge = 24 * time.Hour
	}
	if v.reuse == 0 {
		v.reuse = 5 * time.Minute
	}
	var err error
	hosts := cfg.Hosts
	if len(hosts) == 0 {
		hosts = BelgianHosts
	}
	if v.fetch, err = fetch.New(fetch.Config{Hosts: hosts, Client: cfg.Client, Clock: cfg.Clock, Limit: cfg.Limit}); err != nil {
		return nil, fmt.Errorf("trust: %w", err)
	}
	for _, r := range cfg.Roots {
		if !r.IsCA || r.CheckSignatureFrom(r) != nil {
			return nil, fmt.Errorf("trust: root %s is not a CA that signed itself", r.Subject)
		}
		v.roots.AddCert(r)
		root := &issuer{cert: r, path: []*x509.Certificate{r}, pool: x509.NewCertPool(), from: r.NotBefore, to: r.NotAfter}
		root.pool.AddCert(r)
		v.anchors = append(v.anchors, root)
	}
	return v, v.addIntermediates(cfg.Intermediates)
}

// Authentication checks the certificate der, which a stranger presented, as the
// authentication certificate of an eID card. It may ask the network, within ctx.
//
// The order is cheap before dear, and nothing is fetched on a stranger's word but
// an unknown issuer's certificate. That der's holder has its key, and consents,
// is not checked here: the signature over origin and nonce shows it.
func (v *Verifier) Authentication(ctx context.Context, der []byte) (Certificate, error) {
	return v.check(ctx, der, v.forAuthentication, v.status)
}

// Signature checks der as the certificate by which the holder of an eID card signs
// documents. Unlike a login a signature is looked at for decades: its own status is
// asked for each time, whatever was said of it a moment ago.
func (v *Verifier) Signature(ctx context.Context, der []byte) (Certificate, error) {
	return v.check(ctx, der, v.forSignature, func(ctx context.Context, cert, ca *x509.Certificate, now time.Time) error {
		if !cert.IsCA {
			v.statements.forget(sha256.Sum256(cert.Raw))
		}
		return v.status(ctx, cert, ca, now)
	})
}

// check is what both have in common: purpose tells the certificates of a card apart,
// status says whether one stands.
func (v *Verifier) check(ctx context.Context, der []byte, purpose func(*x509.Certificate) error,
	status func(ctx context.Context, cert, ca *x509.Certificate, now time.Time) error) (Certificate, error) {
	return v.checkBelow(ctx, der, purpose, status, v.issuerOf)
}

// checkBelow is check where above finds the issuer.
func (v *Verifier) checkBelow(ctx context.Context, der []byte, purpose func(*x509.Certificate) error,
	status func(ctx context.Context, cert, ca *x509.Certificate, now time.Time) error,
	above func(context.Context, *x509.Certificate, time.Time) (*issuer, error)) (Certificate, error) {
	now := v.now()
	leaf, err := parse(der)
	if err != nil {
		return Certificate{}, err
	}
	if err := purpose(leaf); err != nil {
		return Certificate{}, err
	}
	if err := current(leaf, now); err != nil {
		return Certificate{}, err
	}
	ca, err := above(ctx, leaf, now)
	if err != nil {
		return Certificate{}, err
	}
	path := append([]*x509.Certificate{leaf}, ca.path...)
	// From the top: a revoked CA's word about a card is worth nothing.
	for i := len(path) - 2; i >= 0; i-- {
		if err := status(ctx, path[i], path[i+1], now); err != nil {
			return Certificate{}, err
		}
	}
	return Certificate{path: path, at: now}, nil
}
