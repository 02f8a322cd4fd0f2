// Package trustlist reads the European Union's trusted lists: who may issue
// qualified certificates and time stamps, since when and until when.
//
// It owns ETSI TS 119 612 (the lists' XML and their XAdES signatures), the way from
// the list of the lists to those of the countries, and the question what a service
// was allowed to do at a time (TS 119 615, the parts that a seal or signature
// needs). It refuses to know PDF files and what a signature is worth otherwise. It
// guarantees that nothing of a list is looked at but what a pinned signer signed, or one
// whom a chain of pivots names that begins with a pinned one, read again from the very
// bytes that were hashed; that a chain once followed is never left; that a list past its next update
// is refused; that a list older than one seen before does not replace it; and that
// an extension it does not understand never makes anything qualified.
package trustlist

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
)

var (
	// ErrSigner: the list is signed by somebody who was not named. For the list of the
	// lists that also means that a notice in the Official Journal has begun a new chain
	// of pivots: the new certificates are there.
	ErrSigner = errors.New("this signer was not named as one of this list")
	// ErrExpired: the list's own next update is over.
	ErrExpired = errors.New("the list is out of date")
	// ErrMalformed: what was signed is no trusted list.
	ErrMalformed = errors.New("no trusted list of TS 119 612")
)

const (
	nsList      = "http://uri.etsi.org/02231/v2#"
	typeOfLists = "EUlistofthelists"
	typeGeneric = "EUgeneric"
)

// List is a list whose signature holds.
type List struct {
	Territory  string // of ISO 3166, "EU" of the list of the lists, "EL" and "UK" as the Union writes them
	Operator   string
	Kind       string // "EUgeneric", "EUlistofthelists"
	Sequence   int
	Issued     time.Time
	NextUpdate time.Time
	Signer     *x509.Certificate
	Pointers   []Pointer
	Services   []Service

	pivots []string // where they are, the oldest first
}

// Pointer leads to another list and names who signs it.
type Pointer struct {
	Territory string
	Location  string
	Kind      string
	XML       bool // lists are also published for people, as PDF
	Signers   []*x509.Certificate
}

// Service is one service of a provider.
type Service struct {
	Territory    string   `json:"territory"`
	Provider     string   `json:"provider"`
	Name         string   `json:"name"`
	Certificates [][]byte `json:"certificates"` // DER
	Periods      []Period `json:"periods"`      // the newest first
}

// Period is what was said of a service from a time on, until the next newer one.
type Period struct {
	From           time.Time       `json:"from"`
	Kind           string          `json:"kind"`   // "CA/QC", "TSA/QTST", ...
	Status         string          `json:"status"` // "granted", "withdrawn", ...
	Uses           []string        `json:"uses,omitempty"`
	Qualifications []Qualification `json:"qualifications,omitempty"`
}

// Qualification says more of some certificates of a service.
type Qualification struct {
	Qualifiers []string `json:"qualifiers"`
	Criteria   Criteria `json:"criteria"`
}

// Criteria choose certificates.
type Criteria struct {
	Assert   string            `json:"assert"` // "all", "atLeastOne", "none"
	Usages   []map[string]bool `json:"usages,omitempty"`
	Policies [][]string        `json:"policies,omitempty"`
	Inner    []Criteria        `json:"inner,omitempty"`
	Foreign  bool              `json:"foreign,omitempty"` // it asks for something this package does not know
}

// Read checks a list against those who may sign it, at a time.
func Read(xml []byte, signers []*x509.Certificate, now time.Time) (*List, error) {
	root, err := parse(xml)
	if err != nil {
		return nil, fmt.Errorf("trustlist: %w", err)
	}
	l, err := readSigned(root, signers, now)
	if err != nil {
		return nil, fmt.Errorf("trustlist: %w", err)
	}
	if !now.Before(l.NextUpdate) {
		return nil, fmt.Errorf("trustlist: %s of %s, next update %s: %w", l.Territory, l.Issued.Format(time.DateOnly), l.NextUpdate.Format(time.DateOnly), ErrExpired)
	}
	if l.Issued.After(now.Add(time.Hour)) {
		return nil, fmt.Errorf("trustlist: %s: issued in the future, %s", l.Territory, l.Issued.Format(time.RFC3339))
	}
	return l, nil
}

// readSigned reads a list of any time that one of these signed, whose certificate was good at a time.
func readSigned(root *etree.Element, signers []*x509.Certificate, at time.Time) (*List, error) {
	if !is(root, nsList, "TrustServiceStatusList") {
		return nil, ErrMalformed
	}
	signed, signer, err := authenticated(root, signers, at)
	if err != nil {
		return nil, err
	}
	if !is(signed, nsList, "TrustServiceStatusList") {
		return nil, ErrMalformed
	}
	l, err := read(signed)
	if err != nil {
		return nil, err
	}
	l.Signer = signer
	return l, nil
}

func read(root *etree.Element) (*List, error) {
	scheme := child(root, "SchemeInformation")
	l := &List{Territory: strings.ToUpper(text(scheme, "SchemeTerritory")), Operator: name(child(scheme, "SchemeOperatorName")), Kind: last(text(scheme, "TSLType"))}
	if v := text(scheme, "TSLVersionIdentifier"); v != "5" && v != "6" {
		return nil, fmt.Errorf("version %.10q: %w", v, ErrMalformed)
	}
	if l.Kind != typeOfLists && l.Kind != typeGeneric || l.Territory == "" {
		return nil, ErrMalformed
	}
	var err1, err2, err3 error
	l.Sequence, err1 = strconv.Atoi(text(scheme, "TSLSequenceNumber"))
	l.Issued, err2 = time.Parse(time.RFC3339, text(scheme, "ListIssueDateTime"))
	l.NextUpdate, err3 = time.Parse(time.RFC3339, text(scheme, "NextUpdate", "dateTime")) // a closed list has none, and says no more of today
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if l.Kind == typeOfLists {
		var err error
		if l.pivots, err = pivotsOf(root); err != nil {
			return nil, err
		}
	}
	for _, e := range children(child(scheme, "PointersToOtherTSL"), "OtherTSLPointer") {
		l.Pointers = append(l.Pointers, pointer(e))
	}
	for _, p := range children(child(root, "TrustServiceProviderList"), "TrustServiceProvider") {
		provider := name(child(p, "TSPInformation", "TSPName"))
		for _, e := range children(child(p, "TSPServices"), "TSPService") {
			if s, ok := service(e); ok {
				s.Territory, s.Provider = l.Territory, provider
				l.Services = append(l.Services, s)
			}
		}
	}
	return l, nil
}

// last is what stands behind the last slash of an address that is a name.
func last(uri string) string { return uri[strings.LastIndex(uri, "/")+1:] }

// name is the English one, else the first.
func name(e *etree.Element) string {
	var first string
	for _, n := range children(e, "Name") {
		t := printable(n.Text())
		if n.SelectAttrValue("xml:lang", "") == "en" {
			return t
		}
		if first == "" {
			first = t
		}
	}
	return first
}

// printable is text without line ends and characters that command a terminal.
func printable(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}), " ")
}

func pointer(e *etree.Element) Pointer {
	p := Pointer{Location: text(e, "TSLLocation")}
	for _, id := range children(child(e, "ServiceDigitalIdentities"), "ServiceDigitalIdentity") {
		for _, der := range certificates(id) {
			if c, err := x509.ParseCertificate(der); err == nil {
				p.Signers = append(p.Signers, c)
			}
		}
	}
	for _, other := range children(child(e, "AdditionalInformation"), "OtherInformation") {
		if t := text(other, "SchemeTerritory"); t != "" {
			p.Territory = strings.ToUpper(t)
		}
		if t := text(other, "TSLType"); t != "" {
			p.Kind = last(t)
		}
		if t := text(other, "MimeType"); t != "" {
			p.XML = t == "application/vnd.etsi.tsl+xml"
		}
	}
	return p
}

// certificates are those of a digital identity.
func certificates(id *etree.Element) (list [][]byte) {
	for _, d := range children(id, "DigitalId") {
		if der, err := decode(text(d, "X509Certificate")); err == nil && len(der) > 0 {
			list = append(list, der)
		}
	}
	return list
}

// service is one that issues qualified certificates or time stamps, now or once.
func service(e *etree.Element) (s Service, ok bool) {
	info := child(e, "ServiceInformation")
	s.Name = name(child(info, "ServiceName"))
	s.Certificates = certificates(child(info, "ServiceDigitalIdentity"))
	for _, p := range append([]*etree.Element{info}, children(child(e, "ServiceHistory"), "ServiceHistoryInstance")...) {
		from, err := time.Parse(time.RFC3339, text(p, "StatusStartingTime"))
		if err != nil {
			return s, false // an unknown beginning could hide a withdrawal
		}
		s.Periods = append(s.Periods, period(p, from))
	}
	slices.SortStableFunc(s.Periods, func(a, b Period) int { return b.From.Compare(a.From) })
	ok = len(s.Certificates) > 0 && slices.ContainsFunc(s.Periods, func(p Period) bool { return p.Kind == CA || p.Kind == TSA })
	return s, ok
}

func period(e *etree.Element, from time.Time) Period {
	_, kind, _ := strings.Cut(text(e, "ServiceTypeIdentifier"), "/Svctype/")
	p := Period{From: from, Kind: kind, Status: last(text(e, "ServiceStatus"))}
	for _, x := range children(child(e, "ServiceInformationExtensions"), "Extension") {
		for _, a := range children(x, "AdditionalServiceInformation") {
			p.Uses = append(p.Uses, last(text(a, "URI")))
		}
		for _, q := range children(child(x, "Qualifications"), "QualificationElement") {
			found := Qualification{Criteria: criteria(child(q, "CriteriaList"))}
			for _, u := range children(child(q, "Qualifiers"), "Qualifier") {
				found.Qualifiers = append(found.Qualifiers, last(u.SelectAttrValue("uri", "")))
			}
			p.Qualifications = append(p.Qualifications, found)
		}
	}
	return p
}

func criteria(e *etree.Element) Criteria {
	if e == nil {
		return Criteria{Foreign: true}
	}
	c := Criteria{Assert: e.SelectAttrValue("assert", "")}
	for _, x := range e.ChildElements() {
		switch x.Tag {
		case "KeyUsage":
			bits := map[string]bool{}
			for _, b := range children(x, "KeyUsageBit") {
				bits[b.SelectAttrValue("name", "")] = strings.TrimSpace(b.Text()) == "true"
			}
			c.Usages = append(c.Usages, bits)
		case "PolicySet":
			var set []string
			for _, id := range children(x, "PolicyIdentifier") {
				set = append(set, strings.TrimPrefix(text(id, "Identifier"), "urn:oid:"))
			}
			c.Policies = append(c.Policies, set)
		case "CriteriaList":
			c.Inner = append(c.Inner, criteria(x))
		case "Description":
		default:
			c.Foreign = true
		}
	}
	return c
}
