package pades

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing/cms"
)

// OnlyEmpty is, as Options.Field, the one empty signature field of the file; where there
// is none, or several, a field is added. No field has this name: a dot separates names.
const OnlyEmpty = "."

// empty lists the fields that wait for a signature.
func (l *layout) empty() (out []pdf.Field) {
	for _, f := range l.fields {
		parent := func(kid pdf.Field) bool { return strings.HasPrefix(kid.Name, f.Name+".") }
		if f.Type == "Sig" && f.Value == nil && f.Dict["T"] != nil && !slices.ContainsFunc(l.fields, parent) {
			out = append(out, f)
		}
	}
	return out
}

// choose settles which field is filled, and keeps the rules that it brings.
func (l *layout) choose() error {
	if l.o.Field == "" {
		return nil
	}
	list := l.empty()
	if l.o.Field == OnlyEmpty {
		if l.o.Field = ""; len(list) != 1 {
			return nil
		}
		l.o.Field = list[0].Name
	}
	i := slices.IndexFunc(list, func(f pdf.Field) bool { return f.Name == l.o.Field })
	if i < 0 {
		return fault.New(fault.Invalid, "pades.no_such_field", fmt.Errorf("pades: no empty signature field %q", l.o.Field))
	}
	l.fill = &list[i]
	lock, err := l.file.Dict(l.fill.Dict["Lock"])
	if err != nil {
		return readFault(err)
	}
	l.lock = lock
	return l.seedValues()
}

// lockReference repeats in the signature what the field's lock says (ISO 32000-1, 12.8.2.4).
func (l *layout) lockReference() pdf.Dict {
	params := pdf.Dict{"Type": pdf.Name("TransformParams"), "V": pdf.Name("1.2")}
	for _, k := range []pdf.Name{"Action", "Fields"} {
		if v, ok := l.lock[k]; ok {
			params[k] = v
		}
	}
	return pdf.Dict{"Type": pdf.Name("SigRef"), "TransformMethod": pdf.Name("FieldMDP"), "TransformParams": params, "Data": l.file.Root()}
}

// Bits of a seed value dictionary's /Ff that make an entry a duty (ISO 32000-2, table 237).
const (
	mustFilter = 1 << iota
	mustSubFilter
	mustVersion
	mustReasons
	mustLegalAttestation
	mustRevocation
	mustDigest
	mustLockDocument
	mustAppearance
)

// seedValues refuses a field that asks for what we do not do.
func (l *layout) seedValues() error {
	v, err := l.file.Dict(l.fill.Dict["SV"])
	if err != nil {
		return readFault(err)
	}
	if v == nil {
		return nil
	}
	s := seed{l, v}
	for _, check := range []func() (string, error){s.kind, s.format, s.digest, s.reason, s.stamp, s.certificate} {
		why, err := check()
		if err != nil {
			return readFault(err)
		}
		if why != "" {
			return fault.New(fault.Conflict, "pades.seed_value", fmt.Errorf("pades: field %q asks for %s", l.fill.Name, why))
		}
	}
	return nil
}

type seed struct {
	*layout
	dict pdf.Dict
}

func (s seed) must(bit int) bool {
	n, _ := s.file.Number(s.dict["Ff"])
	return int(n)&bit != 0
}

// among says whether a name or text is in a list of the dictionary.
func (s seed) among(key pdf.Name, want ...string) (bool, error) {
	list, err := s.list(s.dict[key])
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(list, func(o pdf.Object) bool {
		v, _ := s.file.Resolve(o)
		switch v := v.(type) {
		case pdf.Name:
			return slices.Contains(want, string(v))
		case pdf.String:
			return slices.Contains(want, v.Text())
		}
		return false
	}), nil
}

// kind is whether the signature may certify, and what it would then allow.
func (s seed) kind() (string, error) {
	d, err := s.file.Dict(s.dict["MDP"])
	if err != nil || d == nil {
		return "", err
	}
	p, ok := s.file.Number(d["P"])
	if want := 0.0; ok {
		if s.o.Certify {
			want = 1
		}
		if p != want {
			return fmt.Sprintf("a certification of P %v", p), nil
		}
	}
	return "", nil
}

func (s seed) format() (string, error) {
	if n, ok := s.file.Number(s.dict["V"]); ok && s.must(mustVersion) && n > 3 {
		return "a newer signature handler", nil
	}
	for bit, what := range map[int]string{mustLegalAttestation: "a legal attestation", mustRevocation: "revocation data in the signature",
		mustLockDocument: "a lock of the document", mustAppearance: "an appearance"} {
		if s.must(bit) {
			return what, nil
		}
	}
	if s.must(mustFilter) {
		if ok, err := s.among("Filter", "Adobe.PPKLite"); err != nil || !ok {
			return "another handler", err
		}
	}
	if s.must(mustSubFilter) {
		if ok, err := s.among("SubFilter", "ETSI.CAdES.detached"); err != nil || !ok {
			return "another format", err
		}
	}
	return "", nil
}

func (s seed) digest() (string, error) {
	if !s.must(mustDigest) {
		return "", nil
	}
	hash, err := cms.HashFor(s.o.Chain[0].PublicKey)
	if err != nil {
		return "", err
	}
	names := map[crypto.Hash]string{crypto.SHA256: "SHA256", crypto.SHA384: "SHA384", crypto.SHA512: "SHA512"}
	if ok, err := s.among("DigestMethod", names[hash], hash.String()); err != nil || !ok {
		return "another digest", err
	}
	return "", nil
}

// reason follows table 234: a list that is empty or has a single full stop forbids any.
func (s seed) reason() (string, error) {
	if !s.must(mustReasons) {
		return "", nil
	}
	list, err := s.list(s.dict["Reasons"])
	if err != nil {
		return "", err
	}
	none, err := s.among("Reasons", ".")
	if err != nil {
		return "", err
	}
	if len(list) == 0 || (none && len(list) == 1) {
		if s.o.Reason != "" {
			return "no reason", nil
		}
		return "", nil
	}
	if ok, err := s.among("Reasons", s.o.Reason); err != nil || !ok {
		return "another reason", err
	}
	return "", nil
}

func (s seed) stamp() (string, error) {
	d, err := s.file.Dict(s.dict["TimeStamp"])
	if err != nil {
		return "", err
	}
	if n, _ := s.file.Number(d["Ff"]); int(n)&1 != 0 && s.o.StampRoom < 0 {
		return "a time stamp", nil
	}
	return "", nil
}

// certificate knows the duties Subject and Issuer (ISO 32000-2, table 238).
func (s seed) certificate() (string, error) {
	d, err := s.file.Dict(s.dict["Cert"])
	if err != nil {
		return "", err
	}
	n, _ := s.file.Number(d["Ff"])
	const subject, issuer = 1, 2
	if int(n)&^(subject|issuer) != 0 {
		return "a certificate of a kind", nil
	}
	for bit, of := range map[int]struct {
		key  pdf.Name
		ours []*x509.Certificate
	}{subject: {"Subject", s.o.Chain[:1]}, issuer: {"Issuer", s.o.Chain[1:]}} {
		if int(n)&bit == 0 {
			continue
		}
		list, err := s.file.Array(d[of.key])
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(list, func(o pdf.Object) bool {
			v, _ := s.file.Resolve(o)
			der, ok := v.(pdf.String)
			return ok && slices.ContainsFunc(of.ours, func(c *x509.Certificate) bool { return bytes.Equal(c.Raw, []byte(der)) })
		}) {
			return "a certificate of another", nil
		}
	}
	return "", nil
}

// fillField puts the signature into the chosen field.
func (l *layout) fillField(signature pdf.Ref) {
	d := maps.Clone(l.fill.Dict)
	d["V"] = signature
	l.update.Set(l.fill.Ref, d)
}
