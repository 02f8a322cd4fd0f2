package seal

import (
	"crypto/x509"
	"fmt"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/qc"
)

// Describe says what the commune's seal is, from its certificate alone.
func (s *Sealer) Describe(c commune.ID) (signing.Seal, error) {
	k, ok := s.Keys[c]
	if !ok {
		return signing.Seal{}, fault.New(fault.Internal, "seal.no_key", fmt.Errorf("seal: %s has no key", c))
	}
	leaf := k.Tokens[0].Chain[0]
	return signing.Seal{Name: leaf.Subject.CommonName, Level: levelOf(leaf), Specimen: s.Specimen(c, leaf), NotAfter: leaf.NotAfter}, nil
}

// levelOf is Qualified if the certificate says all three: qualified, for seals,
// key in a qualified device (Regulation (EU) 910/2014, article 3(27)). Whether its
// issuer may say so is for the trusted lists, which a verifier consults.
func levelOf(c *x509.Certificate) signing.SealLevel {
	if says := qc.Read(c); says.Qualified && says.Device && says.Seal {
		return signing.Qualified
	}
	return signing.Advanced
}
