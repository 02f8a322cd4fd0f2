package verify

import (
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// Lock is what a signature keeps from being changed in the form: a FieldMDP transform
// (ISO 32000-2, 12.8.2.4) or the /Lock of its field (12.7.5.5).
type Lock struct {
	Action string   `json:"action"` // "All", "Include" or "Exclude"; what cannot be read locks all
	Fields []string `json:"fields,omitempty"`
}

// locks says whether a field is locked. Naming a field names those below it.
func (l Lock) locks(field string) bool {
	named := slices.ContainsFunc(l.Fields, func(name string) bool {
		return field == name || strings.HasPrefix(field, name+".")
	})
	switch l.Action {
	case "Include":
		return named
	case "Exclude":
		return !named
	}
	return true
}

// lockOf reads a lock from the revision that was signed.
func lockOf(f *pdf.File, d pdf.Dict) Lock {
	all := Lock{Action: "All"}
	action, err := f.Resolve(d["Action"])
	if err != nil {
		return all
	}
	name, _ := action.(pdf.Name)
	if name != "Include" && name != "Exclude" {
		return all
	}
	list, err := f.Array(d["Fields"])
	if err != nil {
		return all
	}
	l := Lock{Action: string(name)}
	for _, o := range list {
		v, err := f.Resolve(o)
		text, ok := v.(pdf.String)
		if err != nil || !ok {
			return all
		}
		l.Fields = append(l.Fields, text.Text())
	}
	return l
}

// permission is what a signature lets later revisions do.
type permission struct {
	level int // of DocMDP: 1 nothing, 2 form filling, 3 annotations too; 0 where nobody certified
	locks []Lock
}

// Levels of DocMDP, ISO 32000-2 table 257.
const (
	noChanges = 1 + iota
	formFilling
	annotating
)

// strictest combines two levels; 0 is none.
func strictest(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// permissionOf reads what a signature says, from the revision that was signed.
func permissionOf(f *pdf.File, field, signature pdf.Dict) (certification int, p permission) {
	references, err := f.Array(signature["Reference"])
	if err != nil {
		return 0, permission{level: noChanges}
	}
	for _, o := range references {
		r, err := f.Dict(o)
		if err != nil {
			return certification, permission{level: noChanges}
		}
		params, err := f.Dict(r["TransformParams"])
		switch r["TransformMethod"] {
		case pdf.Name("DocMDP"):
			level := levelOf(f, params, err)
			if level == 0 {
				level = formFilling // the default
			}
			certification = strictest(certification, level)
		case pdf.Name("FieldMDP"):
			if err != nil {
				params = nil
			}
			p.locks = append(p.locks, lockOf(f, params))
			p.level = strictest(p.level, levelOf(f, params, err))
		}
	}
	if field["Lock"] != nil {
		lock, err := f.Dict(field["Lock"])
		if err != nil {
			lock = nil
		}
		p.locks = append(p.locks, lockOf(f, lock))
		p.level = strictest(p.level, levelOf(f, lock, err))
	}
	p.level = strictest(p.level, certification)
	return certification, p
}

// levelOf is the /P of a dictionary: 0 without one, the strictest where it is none that is known.
func levelOf(f *pdf.File, d pdf.Dict, err error) int {
	if err != nil {
		return noChanges
	}
	if d["P"] == nil {
		return 0
	}
	p, ok := f.Number(d["P"])
	if !ok || p != noChanges && p != formFilling && p != annotating {
		return noChanges
	}
	return int(p)
}

func (p permission) locked(field string) bool {
	return slices.ContainsFunc(p.locks, func(l Lock) bool { return l.locks(field) })
}

// judge is the finding that a change comes to: one that only informs where it is
// permitted; "" where it is nothing to speak of.
//
// A signature that certifies nothing and locks nothing lets empty fields be filled in,
// as others who sign the same form do; what the signer saw in a field stays.
func (p permission) judge(c Change) Code {
	filling := p.level != noChanges
	switch c.Kind {
	case DSSAdded:
		return ValidationDataAdded
	case UnusedObject:
		return ""
	case MetadataChanged:
		if c.resaved {
			return ""
		}
	case DocumentStamped, SignaturePut:
		return p.judgeSignature(c)
	case SignatureTaken:
		return SignatureRemoved
	case ValueSet, ValueChanged:
		open := p.level >= formFilling || c.Kind == ValueSet || len(p.locks) > 0
		switch {
		case p.locked(c.Field):
			return LockedField
		case filling && open:
			return FieldFilled
		}
		return FieldSet
	case FieldLook, FieldAltered:
		if p.locked(c.Field) {
			return LockedField
		}
		return Changed
	case FieldRemoved:
		if p.locked(c.Field) {
			return LockedField
		}
		return FieldSet
	case FieldAdded, SignatureFieldAdded:
		return FieldSet
	case FormResources:
		if filling {
			return ""
		}
	case PageInstantiated:
		if p.level >= formFilling {
			return FromTemplate
		}
	case AnnotationAdded, AnnotationChanged, AnnotationRemoved:
		return p.judgeAnnotation(c)
	case Unreadable:
		return Broken
	}
	return Changed
}

func (p permission) judgeSignature(c Change) Code {
	switch {
	case c.existing && p.locked(c.Field):
		return LockedField
	case c.Kind == SignaturePut && p.level == noChanges:
		return Forbidden
	case c.visible:
		return Visible
	case c.Kind == DocumentStamped:
		return StampAdded
	}
	return SignatureAdded
}

func (p permission) judgeAnnotation(c Change) Code {
	switch {
	case p.level == annotating && !c.active && slices.Contains(marks, pdf.Name(c.Annotation)):
		return Annotated
	case c.Kind == AnnotationAdded:
		return Overlay
	}
	return Changed
}

// permitted are the codes of changes that a signer let others make, beyond proofs and
// signatures.
var permitted = []Code{FieldFilled, Annotated, FromTemplate}
