package trust

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/revocation"
)

// askResponder asks cert's OCSP responder and returns a statement that is signed,
// about cert, and fresh.
func (v *Verifier) askResponder(ctx context.Context, cert, ca *x509.Certificate, now time.Time) (statement, error) {
	addresses := v.fetch.Listed(cert.OCSPServer)
	if len(addresses) == 0 {
		return statement{}, errors.New("the certificate names no listed responder")
	}
	request, nonce, err := revocation.Request(cert, ca)
	if err != nil {
		return statement{}, err
	}
	var causes []error
	for _, address := range addresses {
		raw, err := v.fetch.Post(ctx, address, "application/ocsp-request", request)
		if err == nil {
			var s statement
			if s, err = v.readOCSP(raw, nonce, cert, ca, now); err == nil {
				return s, nil
			}
		}
		causes = append(causes, err)
	}
	return statement{}, errors.Join(causes...)
}

// readOCSP reads an answer (RFC 6960 §3.2 lists what a client checks).
func (v *Verifier) readOCSP(raw, nonce []byte, cert, ca *x509.Certificate, now time.Time) (statement, error) {
	answer, err := revocation.ParseOCSP(raw)
	if err != nil {
		return statement{}, err
	}
	said, err := answer.About(cert, ca)
	if err != nil {
		return statement{}, err
	}
	// "unknown" is no consent either: the issuer never heard of the card.
	s := statement{from: said.From, next: said.Next, revoked: said.Status != revocation.Good}
	if err := v.fresh(s, cert, now); err != nil {
		return statement{}, err
	}
	if answer.OtherNonce(nonce) {
		return statement{}, errors.New("the nonce is another request's")
	}
	// A responder's own status is not asked: its issuer keeps it short-lived or says
	// id-pkix-ocsp-nocheck.
	if _, err := answer.SignedBy(ca, now, &v.delegates); err != nil {
		return statement{}, err
	}
	return s, nil
}

// delegates remembers responders' certificates whose signature was checked.
type delegates struct{ recent[struct{}] }

func (d *delegates) key(issuer, cert *x509.Certificate) [32]byte {
	return sha256.Sum256(slices.Concat(issuer.Raw, cert.Raw))
}

func (d *delegates) Has(issuer, cert *x509.Certificate) bool {
	_, ok := d.get(d.key(issuer, cert))
	return ok
}

func (d *delegates) Add(issuer, cert *x509.Certificate) { d.put(d.key(issuer, cert), struct{}{}) }
