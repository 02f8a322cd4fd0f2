package trust

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"
)

// list is a revocation list whose signature was checked.
type list struct {
	mu      sync.Mutex // held while one fetches for all
	fetched time.Time
	about   statement           // dates only
	revoked map[string]struct{} // serial numbers, big-endian bytes
}

// lookUp reads cert's status from its issuer's revocation list (RFC 5280 §6.3).
func (v *Verifier) lookUp(ctx context.Context, cert, ca *x509.Certificate, now time.Time) (statement, error) {
	addresses := v.fetch.listed(cert.CRLDistributionPoints)
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
	if l.revoked == nil || now.Sub(l.fetched) > v.reuse {
		// A newer list that cannot be had does not take away the one we hold, while it is fresh.
		fetchErr = v.refresh(ctx, l, address, ca, now)
	}
	if l.revoked == nil {
		return statement{}, fetchErr
	}
	if err := v.fresh(l.about, cert, now); err != nil {
		return statement{}, errors.Join(err, fetchErr)
	}
	s := l.about
	_, s.revoked = l.revoked[string(cert.SerialNumber.Bytes())]
	return s, nil
}

func (v *Verifier) refresh(ctx context.Context, l *list, address string, ca *x509.Certificate, now time.Time) error {
	raw, err := v.fetch.get(ctx, address)
	if err != nil {
		return err
	}
	crl, err := x509.ParseRevocationList(raw)
	if err != nil {
		return err
	}
	if !bytes.Equal(crl.RawIssuer, ca.RawSubject) {
		return errors.New("the list is another issuer's")
	}
	// A partial, indirect or delta list says so in a critical extension
	// (RFC 5280 §5.2.4, §5.2.5); its silence about a serial number means little.
	for _, e := range crl.Extensions {
		if e.Critical {
			return fmt.Errorf("unknown critical extension %v", e.Id)
		}
	}
	if crl.NextUpdate.IsZero() {
		return errors.New("the list does not say until when it holds")
	}
	if err := crl.CheckSignatureFrom(ca); err != nil {
		return err
	}
	if l.revoked != nil && crl.ThisUpdate.Before(l.about.from) {
		return errors.New("an older list than the one we hold")
	}
	revoked := make(map[string]struct{}, len(crl.RevokedCertificateEntries))
	for _, e := range crl.RevokedCertificateEntries {
		revoked[string(e.SerialNumber.Bytes())] = struct{}{}
	}
	l.fetched, l.about, l.revoked = now, statement{from: crl.ThisUpdate, next: crl.NextUpdate}, revoked
	return nil
}
