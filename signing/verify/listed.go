package verify

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/signing/trustlist"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// roots are those of signers: the pinned ones and what the trusted lists name.
func (o Options) roots() []*x509.Certificate {
	return slices.Concat(o.Roots, trustlist.Anchors(o.Services, trustlist.CA))
}

// pinnedStampRoots are those of time-stamping units that do not come from lists.
func (o Options) pinnedStampRoots() []*x509.Certificate {
	if o.StampRoots != nil {
		return o.StampRoots
	}
	return o.Roots
}

// listed says what the trusted lists make of a signer whose paths hold, at the time
// that counts. Where all end at listed authorities, such a one must have been in
// good standing then.
func (c *checker) listed(s *Signature, paths [][]*x509.Certificate, at time.Time) {
	if len(c.o.Services) == 0 {
		return
	}
	pinned := false
	for _, path := range paths {
		if found := trustlist.Judge(c.o.Services, trustlist.CA, path, at); s.Listed == nil || found != nil && found.Granted {
			s.Listed = found
		}
		pinned = pinned || slices.ContainsFunc(c.o.Roots, path[len(path)-1].Equal)
	}
	if !pinned && (s.Listed == nil || !s.Listed.Granted) {
		s.find(NotGranted, paths[0][len(paths[0])-1].Subject.CommonName)
	}
}

// believed checks a time stamp against the pinned roots and then the lists: a unit
// that only they name must have been granted when it stamped.
func (c *checker) believed(s *Signature, t *tsa.Token) error {
	pinned := t.Check(tsa.Trust{Roots: c.pinnedStamps, Intermediates: c.o.Intermediates})
	if len(c.o.Services) == 0 {
		return pinned
	}
	err := t.Check(c.stamps)
	if err != nil {
		return err
	}
	path := []*x509.Certificate{t.Signer}
	for _, ca := range slices.Concat(t.Certificates(), c.listedStamps) {
		if !ca.Equal(t.Signer) && t.Signer.CheckSignatureFrom(ca) == nil {
			path = append(path, ca)
		}
	}
	s.StampListed = trustlist.Judge(c.o.Services, trustlist.TSA, path, t.Time)
	if pinned != nil && (s.StampListed == nil || !s.StampListed.Granted) {
		return tsa.ErrUntrusted
	}
	return nil
}
