package verify

import (
	"crypto/x509"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing/seedvalue"
)

// seedValues says where a signature is not as its field asked, by the revision that was
// signed. It is no less a signature for that: whoever made the form may think otherwise.
func (c *checker) seedValues(s *examined, path []*x509.Certificate) {
	if s.revision == nil {
		return
	}
	f, d := s.revision.file, s.revision.dict
	v, err := seedvalue.Of(f, s.revision.field)
	if err != nil {
		s.find(SeedValue, "SV")
		return
	}
	if v == nil {
		return
	}
	catalog, err := f.Catalog()
	filter, _ := d["Filter"].(pdf.Name)
	reason, _ := d["Reason"].(pdf.String)
	answers, lists := s.signed.Revocation()
	broken := v.Broken(seedvalue.Made{
		Filter: string(filter), SubFilter: s.SubFilter, Hash: s.signed.Hash, Reason: reason.Text(), Certification: s.Certification,
		Stamped: s.signed.Stamp != nil, Revocation: len(answers)+len(lists) > 0, Attested: s.Certification == 0 || err == nil && catalog["Legal"] != nil,
		AnyAppearance: true, Chain: path,
	})
	if len(broken) > 0 {
		s.find(SeedValue, strings.Join(broken, ", "))
	}
}

// pathOf is the signer's certificate and those above it, as far as they are known.
func (s *examined) pathOf(paths [][]*x509.Certificate) []*x509.Certificate {
	if len(paths) > 0 {
		return paths[0]
	}
	return slices.Concat([]*x509.Certificate{s.signed.Signer}, s.signed.Certificates)
}
