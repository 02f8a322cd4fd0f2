package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// issuer is an intermediate CA whose path to a root was verified. Only signatures
// are remembered: dates and status are looked at each time.
type issuer struct {
	cert     *x509.Certificate
	path     []*x509.Certificate // cert first, root last
	pool     *x509.CertPool      // cert alone: one signature is checked for each card
	from, to time.Time           // in which the whole path is valid
}

// addIntermediates verifies the configured ones, each against the roots and all others.
func (v *Verifier) addIntermediates(certs []*x509.Certificate) error {
	among := x509.NewCertPool()
	for _, c := range certs {
		among.AddCert(c)
	}
	var faults []error
	for _, c := range certs {
		// At its own beginning, so that a list which holds old CAs still loads.
		ca, err := v.pathOf(c, among, c.NotBefore)
		if err != nil {
			faults = append(faults, fmt.Errorf("trust: intermediate %s: %w", c.Subject, err))
			continue
		}
		v.remember(ca)
	}
	return errors.Join(faults...)
}

// pathOf verifies that cert is a CA below one of the roots (RFC 5280 §6.1). The
// policies of Belgian CAs are not those of the cards they issue, so policies are
// compared on the card alone.
func (v *Verifier) pathOf(cert *x509.Certificate, among *x509.CertPool, at time.Time) (*issuer, error) {
	if !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, errors.New("not a CA that may sign certificates")
	}
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots: v.roots, Intermediates: among, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, err
	}
	ca := &issuer{cert: cert, path: chains[0], pool: x509.NewCertPool(), from: cert.NotBefore, to: cert.NotAfter}
	ca.pool.AddCert(cert)
	for _, c := range ca.path {
		if c.NotBefore.After(ca.from) {
			ca.from = c.NotBefore
		}
		if c.NotAfter.Before(ca.to) {
			ca.to = c.NotAfter
		}
	}
	return ca, nil
}

func (v *Verifier) remember(ca *issuer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	name := string(ca.cert.RawSubject)
	for _, have := range v.issuers[name] {
		if have.cert.Equal(ca.cert) {
			return
		}
	}
	v.issuers[name] = append(v.issuers[name], ca)
}

func (v *Verifier) known(leaf *x509.Certificate) []*issuer {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var found []*issuer
	for _, ca := range v.issuers[string(leaf.RawIssuer)] {
		if mayIssue(ca.cert, leaf) {
			found = append(found, ca)
		}
	}
	return found
}

// mayIssue compares names and, where both have them, key identifiers.
func mayIssue(ca, leaf *x509.Certificate) bool {
	if !bytes.Equal(ca.RawSubject, leaf.RawIssuer) {
		return false
	}
	return len(leaf.AuthorityKeyId) == 0 || len(ca.SubjectKeyId) == 0 || bytes.Equal(leaf.AuthorityKeyId, ca.SubjectKeyId)
}

// issuerOf returns the CA that signed leaf, after checking that it did.
func (v *Verifier) issuerOf(ctx context.Context, leaf *x509.Certificate, now time.Time) (*issuer, error) {
	candidates := v.known(leaf)
	if len(candidates) == 0 {
		ca, err := v.fetchIssuer(ctx, leaf, now)
		if err != nil {
			return nil, err
		}
		candidates = []*issuer{ca}
	}
	var causes []error
	for _, ca := range candidates {
		if now.Before(ca.from) || now.After(ca.to) {
			causes = append(causes, errors.New("the issuer's path is not valid now"))
			continue
		}
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots: ca.pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil {
			return ca, nil
		}
		causes = append(causes, err)
	}
	return nil, because(ErrUnknownCA, "no issuer verifies: %w", errors.Join(causes...))
}

// fetchIssuer asks for the issuer where leaf says it is (RFC 5280 §4.2.2.1). What
// comes is believed only below a root of ours; then it is kept.
func (v *Verifier) fetchIssuer(ctx context.Context, leaf *x509.Certificate, now time.Time) (*issuer, error) {
	var down []error
	for _, address := range v.fetch.Listed(leaf.IssuingCertificateURL) {
		raw, err := v.fetch.Get(ctx, address)
		if err != nil {
			down = append(down, err)
			continue
		}
		if block, _ := pem.Decode(raw); block != nil {
			raw = block.Bytes
		}
		cert, err := x509.ParseCertificate(raw)
		if err != nil || !mayIssue(cert, leaf) {
			continue
		}
		ca, err := v.pathOf(cert, nil, now)
		if err != nil {
			continue
		}
		v.remember(ca)
		return ca, nil
	}
	// The holder can try again later only where nobody said no.
	if len(down) > 0 {
		return nil, because(ErrResponderDown, "the issuer's certificate: %w", errors.Join(down...))
	}
	return nil, because(ErrUnknownCA, "no known issuer")
}
