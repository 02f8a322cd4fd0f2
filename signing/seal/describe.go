package seal

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/signing"
)

// Describe says what the commune's seal is, from its certificate alone.
func (s *Sealer) Describe(c commune.ID) (signing.Seal, error) {
	k, ok := s.Keys[c]
	if !ok {
		return signing.Seal{}, fault.New(fault.Internal, "seal.no_key", fmt.Errorf("seal: %s has no key", c))
	}
	leaf := k.Chain[0]
	return signing.Seal{Name: leaf.Subject.CommonName, Level: levelOf(leaf), Specimen: s.Specimen(leaf), NotAfter: leaf.NotAfter}, nil
}

// Statements of ETSI EN 319 412-5, in the extension of RFC 3739.
var (
	oidQCStatements = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}
	oidQCCompliance = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 1} // 4.2.1: a qualified certificate
	oidQCSSCD       = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 4} // 4.2.2: the key is in a qualified device
	oidQCType       = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6} // 4.2.3
	oidQCTypeSeal   = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6, 2}
)

// levelOf is Qualified if the certificate says all three: qualified, for seals,
// key in a qualified device (Regulation (EU) 910/2014, article 3(27)). Whether its
// issuer may say so is for the trusted lists, which a verifier consults.
func levelOf(c *x509.Certificate) signing.SealLevel {
	statements := qcStatements(c)
	if statements[oidQCCompliance.String()] && statements[oidQCSSCD.String()] && statements[oidQCTypeSeal.String()] {
		return signing.Qualified
	}
	return signing.Advanced
}

// qcStatements are the identifiers of a certificate's statements and of its types.
func qcStatements(c *x509.Certificate) map[string]bool {
	found := map[string]bool{}
	i := slices.IndexFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidQCStatements) })
	if i < 0 {
		return found
	}
	var list []struct {
		ID   asn1.ObjectIdentifier
		Info asn1.RawValue `asn1:"optional"`
	}
	if rest, err := asn1.Unmarshal(c.Extensions[i].Value, &list); err != nil || len(rest) > 0 {
		return found
	}
	for _, statement := range list {
		if !statement.ID.Equal(oidQCTypeSeal) { // a type counts among the types only
			found[statement.ID.String()] = true
		}
		var types []asn1.ObjectIdentifier
		if statement.ID.Equal(oidQCType) {
			if rest, err := asn1.Unmarshal(statement.Info.FullBytes, &types); err == nil && len(rest) == 0 {
				for _, t := range types {
					found[t.String()] = true
				}
			}
		}
	}
	return found
}
