// Package tsa asks time-stamping authorities for stamps and checks each answer.
//
// It owns the protocol of RFC 3161 over HTTP (3.4) and what a stamp must prove
// (ETSI EN 319 422). It refuses to know PDF and signatures: it stamps a digest.
// It guarantees that a stamp it returns carries our nonce and our digest, is
// signed by a unit whose chain leads to the roots given for that authority, and
// states a time within five minutes of our own clock; that a lie is an error of
// its own name; and that a silent, slow or talkative authority costs a bounded
// time and memory before the next one is asked.
package tsa

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/signing"
)

// What an authority can do wrong. Stamp's error carries one of these per authority it asked.
var (
	ErrNoAnswer    = errors.New("tsa: no answer")
	ErrHTTPStatus  = errors.New("tsa: an HTTP status that is not 200")
	ErrContentType = errors.New("tsa: the answer is no timestamp-reply")
	ErrTooLarge    = errors.New("tsa: the answer is too large")
	ErrMalformed   = errors.New("tsa: the answer is malformed")
	ErrRejected    = errors.New("tsa: the request was rejected")
	ErrNonce       = errors.New("tsa: another nonce than ours")
	ErrImprint     = errors.New("tsa: another digest than ours")
	ErrPolicy      = errors.New("tsa: another policy than the one asked for")
	ErrSignature   = errors.New("tsa: the stamp's signature is wrong")
	ErrPurpose     = errors.New("tsa: the signer may not stamp time")
	ErrNotPinned   = errors.New("tsa: the signer is none of those expected")
	ErrUntrusted   = errors.New("tsa: the signer's chain leads to no trusted root")
	ErrTime        = errors.New("tsa: the stamp's time is too far from our clock")
)

const (
	// Window is how far a stamp's time may be from our clock.
	Window     = 5 * time.Minute
	maxAnswer  = 1 << 20
	maxTimeout = 10 * time.Second // where Config says nothing
)

// Authority is one time-stamping authority.
type Authority struct {
	URL    string
	Roots  []*x509.Certificate   // where the chain of its units must end
	Pinned []*x509.Certificate   // its units, where they are fixed; none means any unit under Roots
	Policy asn1.ObjectIdentifier // asked for and insisted on; nil means the authority's own
}

// Config is what a Client needs.
type Config struct {
	Authorities []Authority // asked in this order
	Clock       clock.Clock
	Transport   http.RoundTripper // nil means Go's default
	Timeout     time.Duration     // for one authority; 0 means ten seconds
}

// Client asks authorities. It is safe for use by several goroutines at once.
type Client struct {
	authorities []Authority
	trust       []Trust
	now         clock.Clock
	http        *http.Client
	timeout     time.Duration
}

var _ signing.Stamper = (*Client)(nil)

// New checks the settings; every authority needs an address and roots.
func New(cfg Config) (*Client, error) {
	if len(cfg.Authorities) == 0 {
		return nil, errors.New("tsa: no authority")
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	c := &Client{authorities: cfg.Authorities, now: cfg.Clock, timeout: cfg.Timeout}
	if c.timeout <= 0 {
		c.timeout = maxTimeout
	}
	for _, a := range cfg.Authorities {
		if u, err := url.Parse(a.URL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return nil, fmt.Errorf("tsa: %q is no address", a.URL)
		}
		if len(a.Roots) == 0 {
			return nil, fmt.Errorf("tsa: no roots for %s", a.URL)
		}
		roots := x509.NewCertPool()
		for _, r := range a.Roots {
			roots.AddCert(r)
		}
		c.trust = append(c.trust, Trust{Roots: roots, Pinned: a.Pinned})
	}
	c.http = &http.Client{
		Transport:     cfg.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Stamp asks one authority after the other for a stamp. If none gives an honest one
// the error is of kind fault.Unreachable and joins what each did wrong.
func (c *Client) Stamp(ctx context.Context, what signing.Imprint) (signing.Stamp, error) {
	var faults []error
	for i := range c.authorities {
		stamp, err := c.ask(ctx, i, what)
		if err == nil {
			return stamp, nil
		}
		faults = append(faults, fmt.Errorf("%s: %w", c.authorities[i].URL, err))
		if ctx.Err() != nil {
			break
		}
	}
	return signing.Stamp{}, fault.New(fault.Unreachable, "tsa.unavailable", errors.Join(faults...))
}

func (c *Client) ask(ctx context.Context, i int, what signing.Imprint) (signing.Stamp, error) {
	a := c.authorities[i]
	nonce, err := newNonce()
	if err != nil {
		return signing.Stamp{}, err
	}
	query, err := request(what, nonce, a.Policy)
	if err != nil {
		return signing.Stamp{}, err
	}
	answer, err := c.post(ctx, a.URL, query)
	if err != nil {
		return signing.Stamp{}, err
	}
	der, err := tokenOf(answer)
	if err != nil {
		return signing.Stamp{}, err
	}
	t, err := Parse(der)
	if err != nil {
		return signing.Stamp{}, err
	}
	switch {
	case t.Hash != what.Hash || !bytes.Equal(t.Imprint, what.Sum):
		return signing.Stamp{}, ErrImprint
	case t.Nonce == nil || t.Nonce.Cmp(nonce) != 0:
		return signing.Stamp{}, ErrNonce
	case a.Policy != nil && !t.Policy.Equal(a.Policy):
		return signing.Stamp{}, fmt.Errorf("%w: %v", ErrPolicy, t.Policy)
	}
	if err := t.Check(c.trust[i]); err != nil {
		return signing.Stamp{}, err
	}
	if off := t.Time.Sub(c.now()).Abs(); off > Window || t.Accuracy > Window {
		return signing.Stamp{}, fmt.Errorf("%w: %v away, accurate to %v", ErrTime, off, t.Accuracy)
	}
	return signing.Stamp{Token: der, Time: t.Time, Authority: t.Signer.Subject.CommonName}, nil
}

// newNonce is 64 random bits, as many as every authority takes, never 0.
func newNonce() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).SetUint64(1<<63-1))
	if err != nil {
		return nil, err
	}
	return n.Add(n, big.NewInt(1)), nil
}

// request is the DER of a TimeStampReq that asks for the unit's certificate too.
func request(what signing.Imprint, nonce *big.Int, policy asn1.ObjectIdentifier) ([]byte, error) {
	i := slices.Index(imprints, what.Hash)
	if i < 0 || len(what.Sum) != what.Hash.Size() {
		return nil, fmt.Errorf("tsa: no stamp upon %d bytes of %v", len(what.Sum), what.Hash)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(imprintOIDs[i])
				b.AddASN1NULL()
			})
			b.AddASN1OctetString(what.Sum)
		})
		if policy != nil {
			b.AddASN1ObjectIdentifier(policy)
		}
		b.AddASN1BigInt(nonce)
		b.AddASN1Boolean(true)
	})
	return b.Bytes()
}

func (c *Client) post(ctx context.Context, address string, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/timestamp-query")
	r.Header.Set("Accept", "application/timestamp-reply")
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %d", ErrHTTPStatus, answer.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); kind != "application/timestamp-reply" {
		return nil, fmt.Errorf("%w but %.60q", ErrContentType, kind)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, maxAnswer)
	}
	return body, nil
}

// tokenOf takes the token out of a TimeStampResp.
func tokenOf(answer []byte) ([]byte, error) {
	in := cryptobyte.String(answer)
	var response, status, token cryptobyte.String
	var code int64
	if !in.ReadASN1(&response, cbasn1.SEQUENCE) || !in.Empty() || !response.ReadASN1(&status, cbasn1.SEQUENCE) || !status.ReadASN1Integer(&code) {
		return nil, ErrMalformed
	}
	if code != 0 && code != 1 { // granted, granted with changes
		return nil, fmt.Errorf("%w: status %d", ErrRejected, code)
	}
	if !response.ReadASN1Element(&token, cbasn1.SEQUENCE) || !response.Empty() {
		return nil, fmt.Errorf("%w: granted without a token", ErrMalformed)
	}
	return token, nil
}
