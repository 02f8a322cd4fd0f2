package verify

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/qc"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// judge decides, for signatures that are sorted by where their cover ends, who is
// to be believed about what (EN 319 102-1, 5.6.3): the newest document time stamp
// is held to the time of checking, each older one to the time that a newer one
// proves, and the signatures to the earliest time proved for them.
func (c *checker) judge(list []*examined) {
	for _, s := range slices.Backward(list) {
		if s.Kind == Stamping && s.token != nil {
			c.judgeStamp(s)
		}
	}
	for _, s := range list {
		if s.Kind == Signing && s.signed != nil {
			c.judgeSignature(s)
		}
	}
	for _, s := range list {
		s.conclude()
	}
}

func (c *checker) judgeStamp(s *examined) {
	v, ok := c.counts(s, s.token)
	s.Revocation = v.found
	if !ok {
		return
	}
	s.StampedAt, s.StampedBy = &s.token.Time, clean(s.token.Signer.Subject.CommonName)
	if !v.complete {
		s.find(RevocationNotChecked, v.missing)
	}
	// What it covers was found out in history; a stamp upon part of the file proves that part.
	c.proofs = append(c.proofs, proof{s.end(), s.token.Time})
}

// counts says whether a time stamp proves its time: its unit leads to a root that
// is believed, and had neither ended nor been revoked when the stamp is known to
// have existed. Otherwise it is left out of account, with the reason.
func (c *checker) counts(s *examined, t *tsa.Token) (verdict, bool) {
	if err := t.CheckSignature(); err != nil {
		s.find(stampFault(err), err.Error())
		return verdict{}, false
	}
	proved := c.provedAt(s.end())
	paths, err := c.chains(t.Signer, c.stampRoots, t.Certificates(), t.Time, x509.ExtKeyUsageTimeStamping)
	if err != nil {
		s.find(StampUntrusted, err.Error())
		return verdict{}, false
	}
	if !c.stampListed(s, paths, t.Time) {
		s.find(StampUntrusted, "not granted in the trusted lists")
		return verdict{}, false
	}
	path := paths[0]
	for _, cert := range path[:max(1, len(path)-1)] {
		if proved.After(cert.NotAfter) {
			s.find(StampExpired, cert.NotAfter.UTC().Format(time.RFC3339))
			return verdict{}, false
		}
	}
	v := c.standings(path, t.Time, "stamp")
	if v.revoked == nil {
		// Whoever has the key of a unit can stamp any time: that it was revoked later
		// matters too, unless the stamp is known to be older.
		if later := c.standings(path, proved, "stamp"); later.revoked != nil {
			v.revoked, v.found = later.revoked, later.found
		}
	}
	if v.revoked != nil {
		s.find(StampRevoked, v.revoked.RevokedAt.UTC().Format(time.RFC3339))
		return v, false
	}
	return v, true
}

func (c *checker) judgeSignature(s *examined) {
	baseline := s.Level != ""
	at, stamp, stamped := c.stampOf(s)
	if later := c.provedAt(s.end()); later.Before(at) || !stamped && later.Before(c.o.Now) {
		at, stamped = later, true
		stamp = verdict{complete: true, inFile: true, last: stamp.last}
	}
	if stamped && baseline {
		s.Level = signing.LevelBT
	}
	if at.Before(c.o.Now) {
		s.ProvedAt = &at
	}
	signer := s.signed.Signer
	s.Qualification = qualification(signer)
	if signer.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		s.find(NotForSigning, "")
	}
	paths, err := c.chains(signer, c.roots, s.signed.Certificates, at, x509.ExtKeyUsageAny)
	c.seedValues(s, s.pathOf(paths))
	switch {
	case err == nil:
		c.listed(s, paths, at)
		v := c.standings(paths[0], at, "signer")
		s.Revocation = append(v.found, stamp.found...)
		c.weigh(s, v, stamp, stamped && baseline)
	case !stamped && at.After(signer.NotAfter):
		s.find(Expired, err.Error())
	case at.Before(signer.NotBefore) || at.After(signer.NotAfter):
		s.find(OutOfTime, err.Error())
	case len(c.o.Roots) == 0 && len(c.o.Services) == 0:
		s.find(NobodyTrusted, "")
	default:
		s.find(Untrusted, err.Error())
	}
}

// weigh draws what follows from the statements about the signer's path and the stamp's.
func (c *checker) weigh(s *examined, v, stamp verdict, mayLast bool) {
	switch {
	case v.revoked != nil && v.revoker == 0:
		s.find(Revoked, v.revoked.RevokedAt.UTC().Format(time.RFC3339))
	case v.revoked != nil:
		s.find(IssuerRevoked, v.revoked.RevokedAt.UTC().Format(time.RFC3339))
	case !v.complete:
		s.find(RevocationNotChecked, v.missing)
	case !stamp.complete && stamp.missing != "":
		s.find(RevocationNotChecked, stamp.missing)
	}
	if !mayLast || !v.complete || !v.inFile || !stamp.complete || !stamp.inFile {
		return
	}
	last := max(v.last, stamp.last)
	if last == 0 { // there was nothing to prove: such a file holds no validation data
		return
	}
	s.Level = signing.LevelBLT
	if slices.ContainsFunc(c.proofs, func(p proof) bool { return p.end > last && p.end > s.end() }) {
		s.Level = signing.LevelBLTA
	}
}

// stampOf checks the signature's own time stamp and returns the time at which the
// signature is known to have existed: the stamp's, or that of checking.
func (c *checker) stampOf(s *examined) (at time.Time, v verdict, stamped bool) {
	if s.signed.Stamp == nil {
		if !slices.ContainsFunc(c.proofs, func(p proof) bool { return p.end > s.end() }) {
			s.find(NoStamp, "")
		}
		return c.o.Now, verdict{}, false
	}
	token, err := tsa.Parse(s.signed.Stamp)
	if err == nil && !token.Covers(s.signed.Signature) {
		err = tsa.ErrImprint
	}
	if err != nil {
		s.find(stampFault(err), err.Error())
		return c.o.Now, verdict{}, false
	}
	v, ok := c.counts(s, token)
	if !ok {
		return c.o.Now, v, false
	}
	s.StampedAt, s.StampedBy = &token.Time, clean(token.Signer.Subject.CommonName)
	return token.Time, v, true
}

// Qualification is what a certificate says of its legal standing under Regulation
// (EU) 910/2014. Whether its issuer may say so is for the trusted lists.
type Qualification struct {
	Use       string `json:"use"`       // "signature", "seal", "unknown"
	Qualified bool   `json:"qualified"` // a qualified certificate
	Device    bool   `json:"device"`    // its key is in a qualified device
	Level     string `json:"level"`     // "advanced", "advanced with a qualified certificate", "qualified"
}

func qualification(c *x509.Certificate) *Qualification {
	says := qc.Read(c)
	q := &Qualification{Use: "unknown", Qualified: says.Qualified, Device: says.Device, Level: "advanced"}
	switch {
	case says.Seal && !says.Signature:
		q.Use = "seal"
	case says.Signature && !says.Seal:
		q.Use = "signature"
	}
	switch {
	case q.Qualified && q.Device && q.Use != "unknown":
		q.Level = "qualified"
	case q.Qualified:
		q.Level = "advanced with a qualified certificate"
	}
	return q
}
