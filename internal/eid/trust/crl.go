package trust

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/revocation"
)

// list is a revocation list whose signature was checked.
type list struct {
	mu      sync.Mutex // held while one fetches for all
	fetched time.Time
	held    *revocation.List
}

// lookUp reads cert's status from its issuer's revocation list (RFC 5280 §6.3).
func (v *Verifier) lookUp(ctx context.Context, cert, ca *x509.Certificate, now time.Time) (statement, error) {
	addresses := v.fetch.Listed(cert.CRLDistributionPoints)
	if len(addresses) == 0 {
		return statement{}, errors.New("the certificate names no listed revocation list")
	}
	var causes []error
	for _, address := range addresses {
		s, err := v.lookUpAt(ctx, address, cert, ca, now)
		if err == nil {
			return s, nil
		}
		causes = append(causes, err)
	}
	return statement{}, errors.Join(causes...)
}

func (v *Verifier) lookUpAt(ctx context.Context, address string, cert, ca *x509.Certificate, now time.Time) (statement, error) {
	entry, _ := v.lists.LoadOrStore(fmt.Sprintf("%s %x", address, sha256.Sum256(ca.Raw)), &list{})
	l := entry.(*list)
	l.mu.Lock()
	defer l.mu.Unlock()
	var fetchErr error
	if l.held == nil || now.Sub(l.fetched) > v.reuse {
		// A newer list that cannot be had does not take away the one we hold, while it is fresh.
		fetchErr = v.refresh(ctx, l, address, ca, now)
	}
	if l.held == nil {
		return statement{}, fetchErr
	}
	said := l.held.About(cert.SerialNumber)
	s := statement{from: said.From, next: said.Next, revoked: said.Status == revocation.Revoked}
	if err := v.fresh(s, cert, now); err != nil {
		return statement{}, errors.Join(err, fetchErr)
	}
	return s, nil
}

func (v *Verifier) refresh(ctx context.Context, l *list, address string, ca *x509.Certificate, now time.Time) error {
	raw, err := v.fetch.Get(ctx, address)
	if err != nil {
		return err
	}
	crl, err := revocation.ParseCRL(raw, ca)
	if err != nil {
		return err
	}
	if l.held != nil && crl.From.Before(l.held.From) {
		return errors.New("an older list than the one we hold")
	}
	l.fetched, l.held = now, crl
	return nil
}
