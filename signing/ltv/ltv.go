// Package ltv makes signatures last: it collects what proves them valid, while it
// can still be had, and has it stamped.
//
// It owns what a signature needs to be of level B-LT and B-LTA (EN 319 142-1,
// clause 6; EN 319 102-1): which certificates, which statements about them, from
// when, and in which order they and the time stamps are appended. It refuses to
// know where files come from and go to, and who may extend them. It guarantees
// that every statement it puts into a file was checked as a validator would (its
// issuer's signature, about this certificate, of the right time), that it was
// asked for after the stamp which it is to confirm, only at listed hosts, and that
// nothing is appended where a piece is missing: then the error says in words what
// is awaited.
package ltv

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/signing"
)

// Config is what an Extender needs. Roots and Fetch must be there.
type Config struct {
	Roots         []*x509.Certificate // where paths may end: of signers, authorities and responders
	Intermediates []*x509.Certificate // besides those in the files; others are fetched
	Fetch         *fetch.Fetcher      // which hosts may be asked
	Stamper       signing.Stamper     // for document time stamps; may be nil where none are wanted
	Clock         clock.Clock         // the system's where nil
	Password      string              // opens encrypted files; "" where none is needed
	Policy        Policy
}

// Policy says what is good enough. Its zero value is the usual one.
type Policy struct {
	// MaxAge is how much older than the stamp a statement about a signer or a
	// time-stamping unit may be; 24 hours where zero. A statement is always asked for
	// after the stamp, but lists are published some time before they are fetched.
	MaxAge time.Duration
	// AfterStamp wants such statements made after the stamp (the grace period of
	// EN 319 102-1, 5.2.5): a document then waits for the next list.
	AfterStamp bool
	// Ends are the days after which algorithms no longer prove anything, by the names
	// that Algorithms gives them: "SHA-256", "RSA-2048", "P-256". A file is renewed
	// before, and stamps are upon another hash as soon as the end of one is known.
	Ends map[string]time.Time
	// Lead is how long before its last stamp ends a file is due for renewal; 90 days
	// where zero.
	Lead time.Duration
}

// Extender extends files. It is safe for concurrent use.
type Extender struct {
	Config
	known    memory
	signers  paths // of any certificate
	stampers paths // of time-stamping units
}

// New checks the settings.
func New(cfg Config) (*Extender, error) {
	if len(cfg.Roots) == 0 || cfg.Fetch == nil {
		return nil, errors.New("ltv: roots and a list of hosts are needed")
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	if cfg.Policy.MaxAge == 0 {
		cfg.Policy.MaxAge = 24 * time.Hour
	}
	if cfg.Policy.Lead == 0 {
		cfg.Policy.Lead = 90 * 24 * time.Hour
	}
	return &Extender{Config: cfg}, nil
}

// Faults; each has its words in the catalogues.
var (
	// ErrAwaited: a responder, a list or an authority does not answer as it should. Later it may.
	ErrAwaited = fault.New(fault.Unreachable, "ltv.awaited", nil)
	// ErrRevoked: a certificate was revoked before the time that counts. Nothing helps.
	ErrRevoked = fault.New(fault.Conflict, "ltv.revoked", nil)
	// ErrUntrusted: a certificate or stamp leads to no root of ours.
	ErrUntrusted = fault.New(fault.Invalid, "ltv.untrusted", nil)
	// ErrUnreadable: a signature in the file cannot be read.
	ErrUnreadable = fault.New(fault.Invalid, "ltv.unreadable", nil)
	// ErrUnsigned: the file has no signature.
	ErrUnsigned = fault.New(fault.Invalid, "ltv.unsigned", nil)
)

// Revoked is the cause of ErrRevoked: which certificate was revoked, and when it was used.
type Revoked struct {
	Certificate *x509.Certificate
	At, Used    time.Time
}

func (r *Revoked) Error() string {
	return fmt.Sprintf("ltv: %q was revoked at %v, used at %v", r.Certificate.Subject.CommonName, r.At, r.Used)
}
