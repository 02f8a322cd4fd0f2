package trustlist

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/signing/qc"
)

// Kinds of services that make something qualified.
const (
	CA  = "CA/QC"
	TSA = "TSA/QTST"
)

// eIDAS is when Regulation (EU) 910/2014 began to apply; before, the words for a
// service in good standing were others (TS 119 612, 5.5.4).
var eIDAS = time.Date(2016, 7, 1, 0, 0, 0, 0, time.UTC)

func (p Period) good(at time.Time) bool {
	switch p.Status {
	case "granted":
		return true
	case "undersupervision", "supervisionincessation", "accredited":
		return at.Before(eIDAS)
	}
	return false
}

// At is what was said of the service at a time; false where it was not listed yet.
func (s Service) At(at time.Time) (Period, bool) {
	for _, p := range s.Periods {
		if !p.From.After(at) {
			return p, true
		}
	}
	return Period{}, false
}

// Is says whether a certificate is one of the service's: itself, or another of the
// same name and key.
func (s Service) Is(c *x509.Certificate) bool {
	for _, der := range s.Certificates {
		if bytes.Equal(der, c.Raw) {
			return true
		}
		if !bytes.Contains(der, c.RawSubjectPublicKeyInfo) { // parsing is dear, and there are thousands
			continue
		}
		own, err := x509.ParseCertificate(der)
		if err == nil && bytes.Equal(own.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) && bytes.Equal(own.RawSubject, c.RawSubject) {
			return true
		}
	}
	return false
}

// Anchors are the certificates of the services that were ever in good standing as a
// kind. Whether they were at the time that counts is Judge's to say.
func Anchors(list []Service, kind string) (out []*x509.Certificate) {
	for _, s := range list {
		if !slices.ContainsFunc(s.Periods, func(p Period) bool { return p.Kind == kind && (p.good(p.From)) }) {
			continue
		}
		for _, der := range s.Certificates {
			if c, err := x509.ParseCertificate(der); err == nil {
				out = append(out, c)
			}
		}
	}
	return out
}

// Standing is what the lists say of a certificate at a time.
type Standing struct {
	Territory string    `json:"territory"`
	Provider  string    `json:"provider"`
	Service   string    `json:"service"`
	Kind      string    `json:"kind"`
	Status    string    `json:"status"` // at At
	Since     time.Time `json:"since"`
	At        time.Time `json:"at"`
	Granted   bool      `json:"granted"`   // the service was in good standing
	Qualified bool      `json:"qualified"` // so the certificate, or the time stamp, was qualified
	Device    bool      `json:"device"`    // its key is in a qualified device
	Use       string    `json:"use"`       // "signature", "seal", "unknown"; "stamp" of a time stamp
}

// Judge says what a certificate was at a time, by the lists: path leads from it
// upwards. nil means that no service of this kind is on the path.
func Judge(list []Service, kind string, path []*x509.Certificate, at time.Time) *Standing {
	var best *Standing
	for i, c := range path {
		if i == 0 && kind == CA && len(path) > 1 {
			continue // an authority is above what it issues
		}
		for _, s := range list {
			p, ok := s.At(at)
			if !ok || p.Kind != kind || !s.Is(c) {
				continue
			}
			found := &Standing{Territory: s.Territory, Provider: s.Provider, Service: s.Name, Kind: kind, Status: p.Status, Since: p.From.UTC(), At: at.UTC(), Granted: p.good(at), Use: "stamp"}
			found.Qualified = found.Granted
			if kind == CA {
				found.certificate(s, p, path[0])
			}
			// One certificate may be listed several times, for seals and for signatures.
			if best == nil || found.rank() > best.rank() {
				best = found
			}
		}
		if best != nil {
			return best // the nearest service counts
		}
	}
	return best
}

func (s *Standing) rank() int {
	rank := 0
	for i, b := range []bool{s.Granted, s.Qualified, s.Device} {
		if b {
			rank += 1 << i
		}
	}
	return rank
}

// certificate applies what the service's entry says to what the certificate says of itself.
func (s *Standing) certificate(service Service, p Period, c *x509.Certificate) {
	says := qc.Read(c)
	qualified, device := says.Qualified, says.Device
	signature, seal := says.Signature, says.Seal
	if says.Qualified && !signature && !seal {
		signature = true // before 2016 there were no others (EN 319 412-5, 4.2.3)
	}
	entry := p.said(c)
	switch {
	case entry["QCForESeal"], entry["QCForLegalPerson"]:
		signature, seal = false, true
	case entry["QCForESig"]:
		signature, seal = true, false
	case entry["QCForWSA"]:
		signature, seal = false, false
	}
	qualified = (qualified || entry["QCStatement"]) && !entry["NotQualified"]
	device = (device || entry["QCWithQSCD"] || entry["QCWithSSCD"]) && !entry["QCNoQSCD"] && !entry["QCNoSSCD"]
	s.Use = "unknown"
	switch {
	case seal && !signature:
		s.Use = "seal"
	case signature && !seal:
		s.Use = "signature"
	}
	// It must have been qualified when it was issued as well.
	then, listed := service.At(c.NotBefore)
	issued := listed && then.Kind == CA && then.good(c.NotBefore)
	s.Qualified = s.Granted && issued && qualified && p.serves(s.Use)
	s.Device = s.Qualified && device
}

// said are the qualifiers that apply to a certificate. What only takes away applies in doubt as well.
func (p Period) said(c *x509.Certificate) map[string]bool {
	all := map[string]bool{}
	for _, q := range p.Qualifications {
		matches, sure := q.Criteria.match(c)
		for _, name := range q.Qualifiers {
			takes := name == "NotQualified" || name == "QCNoQSCD" || name == "QCNoSSCD"
			all[name] = all[name] || matches || takes && !sure
		}
	}
	return all
}

// serves says whether the entry is for this use; one that names none is for signatures
// of before 2016 and whatever its certificates say.
func (p Period) serves(use string) bool {
	want := map[string]string{"signature": "ForeSignatures", "seal": "ForeSeals"}[use]
	if want == "" {
		return false
	}
	named := false
	for _, u := range p.Uses {
		if u == want {
			return true
		}
		named = named || u == "ForeSignatures" || u == "ForeSeals" || u == "ForWebSiteAuthentication"
	}
	return !named && use == "signature"
}

var usageBits = map[string]x509.KeyUsage{
	"digitalSignature": x509.KeyUsageDigitalSignature, "nonRepudiation": x509.KeyUsageContentCommitment,
	"keyEncipherment": x509.KeyUsageKeyEncipherment, "dataEncipherment": x509.KeyUsageDataEncipherment,
	"keyAgreement": x509.KeyUsageKeyAgreement, "keyCertSign": x509.KeyUsageCertSign, "crlSign": x509.KeyUsageCRLSign,
	"encipherOnly": x509.KeyUsageEncipherOnly, "decipherOnly": x509.KeyUsageDecipherOnly,
}

// match says whether a certificate is meant; sure is false where the criteria ask for
// something that is not known here.
func (k Criteria) match(c *x509.Certificate) (matches, sure bool) {
	if k.Foreign {
		return false, false
	}
	var each []bool
	for _, bits := range k.Usages {
		ok := true
		for name, want := range bits {
			bit, known := usageBits[name]
			ok = ok && known && (c.KeyUsage&bit != 0) == want
		}
		each = append(each, ok)
	}
	for _, set := range k.Policies {
		ok := true
		for _, want := range set {
			ok = ok && slices.ContainsFunc(c.Policies, func(o x509.OID) bool { return o.String() == want })
		}
		each = append(each, ok)
	}
	for _, inner := range k.Inner {
		ok, sure := inner.match(c)
		if !sure {
			return false, false
		}
		each = append(each, ok)
	}
	switch k.Assert {
	case "all":
		return len(each) > 0 && !slices.Contains(each, false), true
	case "atLeastOne":
		return slices.Contains(each, true), true
	case "none":
		return !slices.Contains(each, true), true
	}
	return false, false
}
