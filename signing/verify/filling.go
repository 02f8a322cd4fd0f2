package verify

import (
	"slices"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// compareForm compares the fields that both revisions have.
func (c *comparison) compareForm() error {
	todo := slices.Clone(c.form.fields)
	for len(todo) > 0 {
		f := todo[0]
		todo = todo[1:]
		if err := c.field(f); err != nil {
			return err
		}
		for _, kid := range f.kids {
			if !kid.widget {
				todo = append(todo, kid)
			}
		}
		if len(c.changes) > maxChanges {
			return errChanges
		}
	}
	return nil
}

// filling is what became of a field and its widgets.
type filling struct {
	value, look bool
	other       *trail   // the first other thing that changed
	looks       []*field // those that look different
}

// field compares one field with its widgets. Filling it in changes its value and, with
// it, its look; nothing else, and no look without a value.
func (c *comparison) field(f *field) error {
	if f.kind == "Sig" && f.was["V"] == nil && f.is["V"] != nil {
		return c.signedField(f)
	}
	var was filling
	if err := c.fill(f, &was, 0); err != nil {
		return err
	}
	ch := Change{Field: f.name, Object: f.at.String()}
	switch {
	case was.other != nil:
		ch.Kind, ch.Object = FieldAltered, was.other.String()
	case !was.value && !was.look:
		return nil
	case f.kind == "Sig":
		ch.Kind = FieldAltered
		if f.is["V"] == nil && f.was["V"] != nil {
			ch.Kind = SignatureTaken
		}
	case !was.value:
		ch.Kind = FieldLook
	case f.flags&pushbutton != 0 && f.kind == "Btn" || !c.plausibleValue(f.is["V"]):
		ch.Kind = FieldAltered
	default:
		ch.Kind = ValueChanged
		if c.isEmpty(f.was["V"]) {
			ch.Kind = ValueSet
		}
		for _, look := range was.looks {
			c.grown = append(c.grown, look.is["AP"])
			if ok, err := c.bounded(look.is); err != nil {
				return err
			} else if !ok {
				ch.Kind, ch.Object = FieldLook, look.at.to("AP").String()
			}
		}
	}
	c.change(ch)
	return nil
}

// fill compares the dictionaries of a field and its widgets.
func (c *comparison) fill(f *field, found *filling, depth int) error {
	if depth > maxFieldLevels {
		return pdf.ErrLimit
	}
	for _, k := range unionOf(f.was, f.is) {
		if found.other != nil {
			return nil
		}
		if k == "Kids" || c.tied(k, f.was[k], f.is[k]) {
			continue
		}
		where, err := c.sameKey(f.at, k, f.was, f.is)
		if err != nil {
			return err
		}
		switch {
		case where == nil:
		case k == "V" || k == "I" || k == "RV":
			found.value = true
		case k == "AP":
			found.look = true
			found.looks = append(found.looks, f)
		case k == "AS" && scalar(f.is[k]):
			found.look = true
		case k == "M" && scalar(f.is[k]): // when the widget was changed last
		default:
			found.other = where
		}
	}
	for _, kid := range f.kids {
		if kid.widget {
			if err := c.fill(kid, found, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameKey is same for one entry of two dictionaries.
func (c *comparison) sameKey(at *trail, k pdf.Name, was, is pdf.Dict) (*trail, error) {
	if _, had := was[k]; !had {
		return at.to(k), nil
	}
	return c.same(at.to(k), was[k], is[k])
}

// tied says whether an entry of an annotation only leads to another one, or to its page,
// as it did.
func (c *comparison) tied(k pdf.Name, before, after pdf.Object) bool {
	switch k {
	case "Parent", "Popup", "IRT":
		return c.isHandled(before, after)
	case "P":
		return sameRef(before, after) && c.clean[pair{refOf(before), refOf(after)}]
	}
	return false
}

func (c *comparison) isEmpty(value pdf.Object) bool {
	v, err := c.before.Resolve(value)
	if err != nil {
		return false
	}
	switch v := v.(type) {
	case pdf.String:
		return v.Text() == ""
	case pdf.Name:
		return v == "Off" || v == ""
	case pdf.Array:
		return len(v) == 0
	}
	return v == nil
}

// plausibleValue says whether a value is one that a field can have.
func (c *comparison) plausibleValue(o pdf.Object) bool {
	v, err := c.after.Resolve(o)
	if err != nil {
		return false
	}
	switch v := v.(type) {
	case nil, pdf.String, pdf.Name, *pdf.Stream:
		return true
	case pdf.Array:
		return !slices.ContainsFunc(v, func(o pdf.Object) bool {
			item, err := c.after.Resolve(o)
			_, text := item.(pdf.String)
			return err != nil || !text
		})
	}
	return false
}

// Bits of /F that a signature sets on its widget to keep it: printed, read only, locked.
const keeping = 4 | 64 | 128 | 512

// signedField compares an empty signature field that has been signed: it has a value,
// may show it in its own place, and may be kept from then on.
func (c *comparison) signedField(f *field) error {
	ch := Change{Kind: SignaturePut, Field: f.name, existing: true}
	for _, k := range unionOf(f.was, f.is) {
		if k == "V" || k == "Kids" || k == "M" && scalar(f.is[k]) || c.tied(k, f.was[k], f.is[k]) {
			continue
		}
		where, err := c.sameKey(f.at, k, f.was, f.is)
		if err != nil {
			return err
		}
		if where == nil {
			continue
		}
		ok := false
		switch k {
		case "AP":
			c.grown = append(c.grown, f.is["AP"])
			if ok, err = c.bounded(f.is); err != nil {
				return err
			}
		case "F":
			before, _ := c.before.Number(f.was["F"])
			after, _ := c.after.Number(f.is["F"])
			ok = int(after)&^keeping == int(before)&^keeping && int(before)&^int(after) == 0
		}
		if !ok {
			c.change(Change{Kind: FieldAltered, Field: f.name, Object: where.String()})
			return nil
		}
	}
	var rest filling
	for _, kid := range f.kids {
		if kid.widget {
			if err := c.fill(kid, &rest, 0); err != nil {
				return err
			}
		}
	}
	if rest.other != nil || rest.value || rest.look {
		c.change(Change{Kind: FieldAltered, Field: f.name, Object: f.at.String()})
		return nil
	}
	return c.signature(ch, f.is["V"])
}
