package pdf

import "fmt"

// Field is a field of the interactive form, ISO 32000-1, 12.7.3.
type Field struct {
	Ref   Ref
	Dict  Dict
	Name  string // fully qualified, "parent.kid"
	Type  Name   // /FT, its own or its parent's: Tx, Btn, Ch, Sig
	Value Object // /V, its own or its parent's
}

const maxFields = 10000

// Form is the interactive form dictionary, nil without one.
func (f *File) Form() (Dict, error) {
	c, err := f.Catalog()
	if err != nil {
		return nil, err
	}
	return f.Dict(c["AcroForm"])
}

// Fields lists every field that is an indirect object, parents before kids.
func (f *File) Fields() ([]Field, error) {
	form, err := f.Form()
	if err != nil || form == nil {
		return nil, err
	}
	var out []Field
	seen := map[Ref]bool{}
	if err := f.kids(form["Fields"], Field{}, seen, &out, 0); err != nil {
		return nil, err
	}
	return out, nil
}

func (f *File) kids(kids Object, parent Field, seen map[Ref]bool, out *[]Field, depth int) error {
	if depth > maxDepth {
		return limit("fields nested deeper than %d", maxDepth)
	}
	list, err := f.Array(kids)
	if err != nil {
		return err
	}
	for _, k := range list {
		r, ok := k.(Ref)
		if !ok || seen[r] {
			continue
		}
		if seen[r] = true; len(seen) > maxFields {
			return limit("more than %d fields", maxFields)
		}
		d, err := f.Dict(r)
		if err != nil {
			return fmt.Errorf("field %v: %w", r, err)
		}
		field := Field{Ref: r, Dict: d, Name: parent.Name, Type: parent.Type, Value: parent.Value}
		if t, ok := d["T"].(String); ok {
			if field.Name != "" {
				field.Name += "."
			}
			field.Name += t.Text()
		}
		if t, ok := d["FT"].(Name); ok {
			field.Type = t
		}
		if v, ok := d["V"]; ok {
			field.Value = v
		}
		*out = append(*out, field)
		if err := f.kids(d["Kids"], field, seen, out, depth+1); err != nil {
			return err
		}
	}
	return nil
}
