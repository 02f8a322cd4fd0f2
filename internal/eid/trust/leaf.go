package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"time"
)

// maxCertificate is far above the 1,300 to 2,500 bytes that cards hold.
const maxCertificate = 8 << 10

// parse reads exactly one certificate with a key that an eID card can have.
func parse(der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertificate {
		return nil, because(ErrMalformed, "a certificate of %d bytes", len(der))
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, because(ErrMalformed, "parse certificate: %w", err)
	}
	if leaf.Version != 3 {
		return nil, because(ErrMalformed, "certificate of version %d", leaf.Version)
	}
	// RFC 5280 §4.2: what is critical and not understood must be refused.
	if len(leaf.UnhandledCriticalExtensions) > 0 {
		return nil, because(ErrMalformed, "unknown critical extension %v", leaf.UnhandledCriticalExtensions[0])
	}
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey: // applet 1.7 and before
		if bits := key.N.BitLen(); bits < 2048 || bits > 4096 {
			return nil, because(ErrMalformed, "RSA key of %d bits", bits)
		}
	case *ecdsa.PublicKey: // applet 1.8
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() && key.Curve != elliptic.P521() {
			return nil, because(ErrMalformed, "key on curve %s", key.Curve.Params().Name)
		}
	default:
		return nil, because(ErrMalformed, "key of type %T", key)
	}
	return leaf, nil
}

func current(c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) {
		return because(ErrNotYetValid, "valid from %s", c.NotBefore.Format(time.RFC3339))
	}
	if now.After(c.NotAfter) {
		return because(ErrExpired, "valid until %s", c.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// forAuthentication tells the authentication certificate from the signature
// certificate of the same card, from CAs and from certificates for other purposes.
func (v *Verifier) forAuthentication(c *x509.Certificate) error {
	if c.IsCA {
		return because(ErrWrongUse, "the certificate of a CA")
	}
	if c.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return because(ErrWrongUse, "key usage without digitalSignature: the card's signature certificate?")
	}
	// Older cards have no extended key usage at all; that is no restriction (RFC 5280 §4.2.1.12).
	restricted := len(c.ExtKeyUsage) > 0 || len(c.UnknownExtKeyUsage) > 0
	if restricted && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return because(ErrWrongUse, "extended key usage without clientAuth")
	}
	if hasPolicy(c, v.policies) {
		return nil
	}
	return because(ErrWrongUse, "no policy of an authentication certificate among %v", c.PolicyIdentifiers)
}

// forSignature wants the certificate of a card that signs documents: for nothing but
// that (nonRepudiation, as RFC 5280 §4.2.1.3 calls contentCommitment too), under the
// policy beside that of authentication.
func (v *Verifier) forSignature(c *x509.Certificate) error {
	switch {
	case c.IsCA:
		return because(ErrWrongUse, "the certificate of a CA")
	case c.KeyUsage&x509.KeyUsageContentCommitment == 0 || c.KeyUsage&x509.KeyUsageDigitalSignature != 0:
		return because(ErrWrongUse, "key usage other than nonRepudiation: the card's authentication certificate?")
	}
	var list []asn1.ObjectIdentifier
	for _, p := range v.policies {
		sibling := slices.Clone(p)
		sibling[len(sibling)-1] = 1
		list = append(list, sibling)
	}
	if hasPolicy(c, list) {
		return nil
	}
	return because(ErrWrongUse, "no policy of a signature certificate among %v", c.PolicyIdentifiers)
}

func hasPolicy(c *x509.Certificate, among []asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(c.PolicyIdentifiers, func(have asn1.ObjectIdentifier) bool {
		return slices.ContainsFunc(among, have.Equal)
	})
}
