package verify

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/signing/trustlist"
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
func (c *checker) listed(s *examined, paths [][]*x509.Certificate, at time.Time) {
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

// stampListed says what the trusted lists make of a time-stamping unit whose paths hold,
// and whether it counts: one that only they name must have been granted when it stamped.
func (c *checker) stampListed(s *examined, paths [][]*x509.Certificate, at time.Time) bool {
	if len(c.o.Services) == 0 {
		return true
	}
	pinned := false
	for _, path := range paths {
		if found := trustlist.Judge(c.o.Services, trustlist.TSA, path, at); s.StampListed == nil || found != nil && found.Granted {
			s.StampListed = found
		}
		pinned = pinned || slices.ContainsFunc(c.o.pinnedStampRoots(), path[len(path)-1].Equal)
	}
	return pinned || s.StampListed != nil && s.StampListed.Granted
}
