package pades

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
)

// allowed refuses files that must not be signed, or not certified: what earlier
// signatures forbid, and forms whose pages a program makes when they are opened.
func (l *layout) allowed() error {
	if !l.file.Signable(l.fill != nil) {
		return fault.New(fault.Invalid, "pades.not_permitted", fmt.Errorf("pades: the file's restrictions"))
	}
	if err := l.staticForm(); err != nil {
		return err
	}
	permissions, err := l.file.Dict(l.catalog["Perms"])
	if err != nil {
		return readFault(err)
	}
	certification, err := l.file.Dict(permissions["DocMDP"]) // whether or not a field names it
	if err != nil {
		return readFault(err)
	}
	if permission(l.file, certification) == 1 && !l.o.Certify {
		return fault.New(fault.Conflict, "pades.certified", fmt.Errorf("pades: the document is certified with P 1"))
	}
	for _, f := range l.fields {
		if f.Type != "Sig" || f.Value == nil {
			continue
		}
		signature, err := l.file.Dict(f.Value)
		if err != nil {
			return readFault(err)
		}
		if signature == nil {
			continue
		}
		if l.o.Certify {
			return fault.New(fault.Conflict, "pades.already_signed", fmt.Errorf("pades: field %q is signed", f.Name))
		}
		if err := l.forbids(f, signature); err != nil {
			return err
		}
	}
	return nil
}

// staticForm refuses a dynamic XFA form: its pages are not those that were signed. A
// static one shows the file's own pages and fields, and is kept as it is.
func (l *layout) staticForm() error {
	form, err := l.file.Form()
	if err != nil {
		return readFault(err)
	}
	if form["XFA"] == nil {
		return nil
	}
	rendering, err := l.file.Resolve(l.catalog["NeedsRendering"])
	if err != nil {
		return readFault(err)
	}
	if rendering == true || len(l.fields) == 0 {
		return fault.New(fault.Invalid, "pades.dynamic_form", fmt.Errorf("pades: a dynamic XFA form"))
	}
	return nil
}

// forbids says whether a signature in a field forbids ours: as a certification without
// changes, or because it locks the field that we would fill (ISO 32000-2, 12.8.2).
func (l *layout) forbids(field pdf.Field, signature pdf.Dict) error {
	if permission(l.file, signature) == 1 {
		return fault.New(fault.Conflict, "pades.certified", fmt.Errorf("pades: field %q certifies with P 1", field.Name))
	}
	locks := []pdf.Object{field.Dict["Lock"]}
	references, err := l.file.Array(signature["Reference"])
	if err != nil {
		return readFault(err)
	}
	for _, r := range references {
		d, err := l.file.Dict(r)
		if err != nil {
			return readFault(err)
		}
		if d["TransformMethod"] == pdf.Name("FieldMDP") {
			locks = append(locks, d["TransformParams"])
		}
	}
	for _, lock := range locks {
		d, err := l.file.Dict(lock)
		if err != nil {
			return readFault(err)
		}
		if p, ok := l.file.Number(d["P"]); ok && p == 1 {
			return fault.New(fault.Conflict, "pades.certified", fmt.Errorf("pades: field %q locks the document", field.Name))
		}
		if l.o.Field == "" || d == nil {
			continue
		}
		locked, err := l.locks(d, l.o.Field)
		if err != nil {
			return readFault(err)
		}
		if locked {
			return fault.New(fault.Conflict, "pades.locked", fmt.Errorf("pades: field %q locks %q", field.Name, l.o.Field))
		}
	}
	return nil
}

// locks says whether a lock, or the parameters of a FieldMDP transform, is for a field.
// Naming a field names those below it. What cannot be read locks everything.
func (l *layout) locks(lock pdf.Dict, field string) (bool, error) {
	names, err := l.file.Array(lock["Fields"])
	if err != nil {
		return true, err
	}
	named := slices.ContainsFunc(names, func(o pdf.Object) bool {
		v, _ := l.file.Resolve(o)
		s, ok := v.(pdf.String)
		name := s.Text()
		return ok && (field == name || strings.HasPrefix(field, name+"."))
	})
	switch lock["Action"] {
	case pdf.Name("Include"):
		return named, nil
	case pdf.Name("Exclude"):
		return !named, nil
	}
	return true, nil
}

// permission is the P of a certification signature, 0 where it is none.
func permission(f *pdf.File, signature pdf.Dict) int {
	references, err := f.Array(signature["Reference"])
	if err != nil {
		return 0
	}
	for _, r := range references {
		d, err := f.Dict(r)
		if err != nil || d["TransformMethod"] != pdf.Name("DocMDP") {
			continue
		}
		params, err := f.Dict(d["TransformParams"])
		if err != nil {
			return 1 // unreadable: the strictest
		}
		if p, ok := f.Number(params["P"]); ok {
			return int(p)
		}
		return 2 // the default, ISO 32000-1 table 254
	}
	return 0
}
