package trust

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"time"
)

// Registry checks der as the certificate by which the National Register signs what is
// written on cards: one of no holder, which a root has issued itself, under the policy
// …1.1.4 beside those of cards. That it signed something is for the caller to check.
func (v *Verifier) Registry(ctx context.Context, der []byte) (Certificate, error) {
	return v.checkBelow(ctx, der, v.forRegistry, v.status, v.issuingRoot)
}

func (v *Verifier) forRegistry(c *x509.Certificate) error {
	switch {
	case c.IsCA:
		return because(ErrWrongUse, "the certificate of a CA")
	case c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0:
		return because(ErrWrongUse, "key usage without a signature")
	case !v.isRegistry(c):
		return because(ErrWrongUse, "no policy of the Register's certificate among %v", c.PolicyIdentifiers)
	}
	return nil
}

func (v *Verifier) isRegistry(c *x509.Certificate) bool {
	var list []asn1.ObjectIdentifier
	for _, p := range v.policies {
		if len(p) > 2 {
			list = append(list, append(slices.Clone(p[:len(p)-2]), 4))
		}
	}
	return hasPolicy(c, list)
}

// issuingRoot returns the root that signed leaf, after checking that it did.
func (v *Verifier) issuingRoot(_ context.Context, leaf *x509.Certificate, now time.Time) (*issuer, error) {
	for _, root := range v.anchors {
		if !mayIssue(root.cert, leaf) || now.Before(root.from) || now.After(root.to) {
			continue
		}
		_, err := leaf.Verify(x509.VerifyOptions{Roots: root.pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err == nil {
			return root, nil
		}
	}
	return nil, because(ErrUnknownCA, "no root has issued it")
}
