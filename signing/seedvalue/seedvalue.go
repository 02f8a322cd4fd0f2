// Package seedvalue says what a signature field asks of the signature in it.
//
// It owns the seed value dictionary of ISO 32000-2, 12.7.5.5, tables 237 to 239: which
// of its entries are duties and whether a signature does them. It refuses to know how
// signatures are made (signing/pades) and who is to be believed (signing/verify). It
// guarantees that a duty that cannot be read, or that it does not know, is broken.
// Entries that are wishes only are nobody's concern. Addresses in it are never called.
package seedvalue

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// Made is what a signature is, or will be.
type Made struct {
	Filter, SubFilter string
	Hash              crypto.Hash
	Reason            string
	Certification     int                 // the P of DocMDP, 0 for none
	Stamped           bool                // it has a time stamp of its own
	Revocation        bool                // it has revocation data in it
	Attested          bool                // with a legal attestation, or none is needed
	AnyAppearance     bool                // whatever it was to look like cannot be told from it
	Chain             []*x509.Certificate // the signer's first, then its issuers
}

// Bits of /Ff that make an entry a duty, ISO 32000-2 table 237.
const (
	mustFilter = 1 << iota
	mustSubFilter
	mustVersion
	mustReasons
	mustAttest
	mustRevocation
	mustDigest
	mustLockDocument
	mustAppearance
	known = 1<<iota - 1
)

const newest = 3 // version of the parser that table 237 asks for

// Values are the seed values of a field.
type Values struct {
	file *pdf.File
	dict pdf.Dict
	made Made
}

// Of reads the seed values of a field; nil where it has none.
func Of(f *pdf.File, field pdf.Dict) (*Values, error) {
	d, err := f.Dict(field["SV"])
	if err != nil || d == nil {
		return nil, err
	}
	return &Values{file: f, dict: d}, nil
}

// Certification is the P of DocMDP that a certifying signature is to have: 1 to 3; 0 where
// it may not certify; -1 where it may do as it likes.
func (v *Values) Certification() (int, error) {
	d, err := v.file.Dict(v.dict["MDP"])
	if err != nil || d == nil {
		return -1, err
	}
	p, ok := v.file.Number(d["P"])
	if !ok {
		return -1, nil
	}
	return int(p), nil
}

// Broken lists the entries that ask for something else than what was made, in the order
// of their names; none where the signature is as the field asks.
func (v *Values) Broken(m Made) (entries []string) {
	with := &Values{v.file, v.dict, m}
	for entry, kept := range map[string]func() (bool, error){
		"Filter": with.filter, "SubFilter": with.subFilter, "V": with.version, "Reasons": with.reasons, "LegalAttestation": with.attestation,
		"AddRevInfo": with.revocation, "DigestMethod": with.digest, "LockDocument": with.lock, "AppearanceFilter": with.appearance,
		"MDP": with.certification, "TimeStamp": with.stamp, "Cert": with.certificate, "Ff": with.flags,
	} {
		if ok, err := kept(); err != nil || !ok {
			entries = append(entries, entry)
		}
	}
	slices.Sort(entries)
	return entries
}

func (v *Values) must(bit int) bool {
	o, err := v.file.Resolve(v.dict["Ff"])
	n, ok := o.(pdf.Integer)
	return err == nil && ok && int(n)&bit != 0
}

// flags wants none that this package does not know.
func (v *Values) flags() (bool, error) {
	o, err := v.file.Resolve(v.dict["Ff"])
	n, ok := o.(pdf.Integer)
	return o == nil || ok && n&^known == 0, err
}

// list is an entry that is a list, or one thing alone.
func (v *Values) list(d pdf.Dict, key pdf.Name) (pdf.Array, error) {
	o, err := v.file.Resolve(d[key])
	if err != nil || o == nil {
		return nil, err
	}
	list, ok := o.(pdf.Array)
	if !ok {
		return pdf.Array{o}, nil
	}
	out := make(pdf.Array, len(list))
	for i := range list {
		if out[i], err = v.file.Resolve(list[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// texts are the names and texts of a list.
func (v *Values) texts(d pdf.Dict, key pdf.Name) (out []string, err error) {
	list, err := v.list(d, key)
	for _, o := range list {
		switch o := o.(type) {
		case pdf.Name:
			out = append(out, string(o))
		case pdf.String:
			out = append(out, o.Text())
		}
	}
	return out, err
}

func (v *Values) among(bit int, key pdf.Name, has string) (bool, error) {
	if !v.must(bit) {
		return true, nil
	}
	list, err := v.texts(v.dict, key)
	return slices.Contains(list, has), err
}

func (v *Values) filter() (bool, error) { return v.among(mustFilter, "Filter", v.made.Filter) }

func (v *Values) subFilter() (bool, error) {
	return v.among(mustSubFilter, "SubFilter", v.made.SubFilter)
}

func (v *Values) version() (bool, error) {
	n, ok := v.file.Number(v.dict["V"])
	return !v.must(mustVersion) || !ok || n <= newest, nil
}

// reasons follows table 237: a list that is empty or has a single full stop forbids any.
func (v *Values) reasons() (bool, error) {
	if !v.must(mustReasons) {
		return true, nil
	}
	list, err := v.texts(v.dict, "Reasons")
	if len(list) == 0 || len(list) == 1 && list[0] == "." {
		return v.made.Reason == "", err
	}
	return slices.Contains(list, v.made.Reason), err
}

func (v *Values) attestation() (bool, error) { return !v.must(mustAttest) || v.made.Attested, nil }

func (v *Values) revocation() (bool, error) {
	o, err := v.file.Resolve(v.dict["AddRevInfo"])
	return !v.must(mustRevocation) || o == false || v.made.Revocation, err
}

func (v *Values) digest() (bool, error) {
	if !v.must(mustDigest) {
		return true, nil
	}
	list, err := v.texts(v.dict, "DigestMethod")
	plain := func(name string) string { return strings.ReplaceAll(strings.ToUpper(name), "-", "") }
	return slices.ContainsFunc(list, func(name string) bool { return plain(name) == plain(v.made.Hash.String()) }), err
}

// lock: a document is locked by a certification that permits nothing.
func (v *Values) lock() (bool, error) {
	list, err := v.texts(v.dict, "LockDocument")
	wanted := v.must(mustLockDocument) && !(len(list) == 1 && (list[0] == "false" || list[0] == "auto"))
	return !wanted || v.made.Certification == 1, err
}

func (v *Values) appearance() (bool, error) {
	return !v.must(mustAppearance) || v.made.AnyAppearance, nil
}

func (v *Values) certification() (bool, error) {
	p, err := v.Certification()
	return p < 0 || p == v.made.Certification, err
}

// stamp looks at the duty alone: who the stamps come from is the signer's to choose.
func (v *Values) stamp() (bool, error) {
	d, err := v.file.Dict(v.dict["TimeStamp"])
	n, _ := v.file.Number(d["Ff"])
	return int(n)&1 == 0 || v.made.Stamped, err
}

// Bits of the /Ff of the certificate's dictionary, table 238.
const (
	mustSubject = 1 << iota
	mustIssuer
	mustPolicy
	mustName
	_
	mustUsage
	mustURL             // where to get a certificate: nothing to keep
	knownOfCertificates = 1<<iota - 1
)

func (v *Values) certificate() (bool, error) {
	d, err := v.file.Dict(v.dict["Cert"])
	if err != nil || d == nil {
		return err == nil, err
	}
	n, _ := v.file.Number(d["Ff"])
	duties := int(n)
	if duties&^knownOfCertificates != 0 || duties != 0 && len(v.made.Chain) == 0 {
		return false, nil
	}
	for bit, kept := range map[int]func(pdf.Dict) (bool, error){
		mustSubject: v.subject, mustIssuer: v.issuer, mustPolicy: v.policy, mustName: v.name, mustUsage: v.usage,
	} {
		if duties&bit == 0 {
			continue
		}
		if ok, err := kept(d); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (v *Values) subject(d pdf.Dict) (bool, error) { return v.oneOf(d, "Subject", v.made.Chain[:1]) }

func (v *Values) issuer(d pdf.Dict) (bool, error) { return v.oneOf(d, "Issuer", v.made.Chain[1:]) }

// oneOf says whether the DER of some certificate is in a list.
func (v *Values) oneOf(d pdf.Dict, key pdf.Name, certificates []*x509.Certificate) (bool, error) {
	list, err := v.list(d, key)
	return slices.ContainsFunc(list, func(o pdf.Object) bool {
		der, ok := o.(pdf.String)
		return ok && slices.ContainsFunc(certificates, func(c *x509.Certificate) bool { return bytes.Equal(c.Raw, []byte(der)) })
	}), err
}

func (v *Values) policy(d pdf.Dict) (bool, error) {
	list, err := v.texts(d, "OID")
	return slices.ContainsFunc(v.made.Chain[0].PolicyIdentifiers, func(id asn1.ObjectIdentifier) bool {
		return slices.Contains(list, id.String())
	}), err
}

// attributes are the short names of those of a distinguished name (RFC 4519), as table 238 has them.
var attributes = map[string]string{
	"CN": "2.5.4.3", "SN": "2.5.4.4", "C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8", "O": "2.5.4.10", "OU": "2.5.4.11",
	"G": "2.5.4.42", "GN": "2.5.4.42", "SERIALNUMBER": "2.5.4.5", "E": "1.2.840.113549.1.9.1", "EMAIL": "1.2.840.113549.1.9.1", "DC": "0.9.2342.19200300.100.1.25",
}

// name wants one of the distinguished names, each of whose attributes the signer's has.
func (v *Values) name(d pdf.Dict) (bool, error) {
	list, err := v.list(d, "SubjectDN")
	return slices.ContainsFunc(list, func(o pdf.Object) bool {
		wanted, ok := o.(pdf.Dict)
		for key, o := range wanted {
			value, err := v.file.Resolve(o)
			text, isText := value.(pdf.String)
			ok = ok && err == nil && isText && v.named(string(key), text.Text())
		}
		return ok && len(wanted) > 0
	}), err
}

func (v *Values) named(key, value string) bool {
	id, short := attributes[strings.ToUpper(key)]
	if !short {
		id = key
	}
	for _, a := range v.made.Chain[0].Subject.Names {
		if text, ok := a.Value.(string); ok && a.Type.String() == id && text == value {
			return true
		}
	}
	return false
}

// usage wants one of the patterns of nine bits: 1 is set, 0 is not, X is either. What a
// pattern leaves out is either.
func (v *Values) usage(d pdf.Dict) (bool, error) {
	list, err := v.texts(d, "KeyUsage")
	return slices.ContainsFunc(list, func(pattern string) bool {
		for i, c := range pattern {
			set := v.made.Chain[0].KeyUsage&(1<<i) != 0
			if c == '1' && !set || c == '0' && set || !strings.ContainsRune("01Xx", c) {
				return false
			}
		}
		return true
	}), err
}
