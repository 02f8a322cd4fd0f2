// Package qc reads what a certificate says of its own legal standing.
//
// It owns the statements of ETSI EN 319 412-5 in the extension of RFC 3739. It
// refuses to know who may say such things: that is for the trusted lists. It
// guarantees that a statement it cannot read counts as none.
package qc

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
)

var (
	oidStatements = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}
	oidCompliance = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 1} // 4.2.1
	oidDevice     = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 4} // 4.2.2
	oidType       = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6} // 4.2.3
	oidSignature  = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6, 1}
	oidSeal       = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6, 2}
)

// Statements are what a certificate says.
type Statements struct {
	Qualified bool // it is a qualified certificate
	Device    bool // its key is in a qualified device
	Signature bool // it is for electronic signatures, of a person
	Seal      bool // it is for electronic seals, of an organisation
}

// Read reads a certificate's statements.
func Read(c *x509.Certificate) (s Statements) {
	i := slices.IndexFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidStatements) })
	if i < 0 {
		return s
	}
	var list []struct {
		ID   asn1.ObjectIdentifier
		Info asn1.RawValue `asn1:"optional"`
	}
	if rest, err := asn1.Unmarshal(c.Extensions[i].Value, &list); err != nil || len(rest) > 0 {
		return s
	}
	for _, statement := range list {
		switch {
		case statement.ID.Equal(oidCompliance):
			s.Qualified = true
		case statement.ID.Equal(oidDevice):
			s.Device = true
		case statement.ID.Equal(oidType):
			var types []asn1.ObjectIdentifier
			if rest, err := asn1.Unmarshal(statement.Info.FullBytes, &types); err != nil || len(rest) > 0 {
				continue
			}
			for _, t := range types {
				s.Signature = s.Signature || t.Equal(oidSignature)
				s.Seal = s.Seal || t.Equal(oidSeal)
			}
		}
	}
	return s
}
