package ltv

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// Algorithms names what a certificate rests on, for Policy.Ends: its key and the
// hash of its issuer's signature.
func Algorithms(c *x509.Certificate) []string {
	var names []string
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		names = append(names, fmt.Sprintf("RSA-%d", k.N.BitLen()))
	case *ecdsa.PublicKey:
		names = append(names, k.Curve.Params().Name)
	}
	switch c.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		names = append(names, "SHA-256")
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		names = append(names, "SHA-384")
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		names = append(names, "SHA-512")
	}
	return names
}
