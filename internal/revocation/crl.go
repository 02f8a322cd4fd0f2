package revocation

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// List is a revocation list whose issuer has signed it.
type List struct {
	Raw        []byte
	From, Next time.Time // thisUpdate, nextUpdate

	revoked map[string]time.Time // serial numbers, big-endian bytes
}

// ParseCRL reads a complete list of the issuer ca and checks its signature.
func ParseCRL(raw []byte, ca *x509.Certificate) (*List, error) {
	crl, err := x509.ParseRevocationList(raw)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(crl.RawIssuer, ca.RawSubject) {
		return nil, errors.New("the list is another issuer's")
	}
	// A partial, indirect or delta list says so in a critical extension
	// (RFC 5280 §5.2.4, §5.2.5); its silence about a serial number means little.
	for _, e := range crl.Extensions {
		if e.Critical {
			return nil, fmt.Errorf("unknown critical extension %v", e.Id)
		}
	}
	if crl.NextUpdate.IsZero() {
		return nil, errors.New("the list does not say until when it holds")
	}
	if err := crl.CheckSignatureFrom(ca); err != nil {
		return nil, err
	}
	l := &List{Raw: raw, From: crl.ThisUpdate, Next: crl.NextUpdate, revoked: make(map[string]time.Time, len(crl.RevokedCertificateEntries))}
	for _, e := range crl.RevokedCertificateEntries {
		l.revoked[string(e.SerialNumber.Bytes())] = e.RevocationTime
	}
	return l, nil
}

// About is what the list says about a certificate of its issuer.
func (l *List) About(serial *big.Int) Statement {
	s := Statement{Status: Good, From: l.From, Next: l.Next}
	if at, ok := l.revoked[string(serial.Bytes())]; ok {
		s.Status, s.RevokedAt = Revoked, at
	}
	return s
}
