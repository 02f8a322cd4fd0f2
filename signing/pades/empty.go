package pades

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing/cms"
	"github.com/belfry-eid/belfry/signing/seedvalue"
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

// seedValues refuses a field that asks for what we do not do, and certifies as it asks.
func (l *layout) seedValues() error {
	v, err := seedvalue.Of(l.file, l.fill.Dict)
	if err != nil {
		return readFault(err)
	}
	if v == nil {
		return nil
	}
	p, err := v.Certification()
	if err != nil {
		return readFault(err)
	}
	if l.permits > 0 && p >= 1 && p <= 3 {
		l.permits = p
	}
	hash, err := cms.HashFor(l.o.Chain[0].PublicKey)
	if err != nil {
		return err
	}
	broken := v.Broken(seedvalue.Made{
		Filter: handler, SubFilter: format, Hash: hash, Reason: l.o.Reason, Certification: l.permits, Stamped: l.o.StampRoom >= 0, Chain: l.o.Chain,
	})
	if len(broken) > 0 {
		return fault.New(fault.Conflict, "pades.seed_value", fmt.Errorf("pades: field %q asks for another %s", l.fill.Name, strings.Join(broken, ", ")))
	}
	return nil
}

// fillField puts the signature into the chosen field.
func (l *layout) fillField(signature pdf.Ref) {
	d := maps.Clone(l.fill.Dict)
	d["V"] = signature
	l.update.Set(l.fill.Ref, d)
}
