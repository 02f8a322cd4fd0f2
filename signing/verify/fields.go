package verify

import (
	"github.com/belfry-eid/belfry/internal/pdf"
)

// form is the interactive form of both revisions.
type form struct {
	was, is pdf.Dict
	fields  []*field        // those that were there
	names   map[string]bool // of those that are no signature's
}

// field is a field, or a widget of one, that both revisions have (ISO 32000-2, 12.7.4).
type field struct {
	at            *trail
	name          string // fully qualified
	kind          pdf.Name
	flags         int // /Ff
	widget        bool
	before, after pdf.Object
	was, is       pdf.Dict
	kids          []*field
}

const (
	maxFields      = 10000
	maxFieldLevels = 64
	pushbutton     = 1 << 16 // of /Ff, ISO 32000-2 table 229
)

// aligned is what became of a list of references.
type aligned struct {
	kept    [][2]int // places of what both lists have
	added   []int
	removed []int
	moved   bool
}

// align tells what came into a list and what went. What is no reference stands for
// itself by its place among such, what is there twice for itself by its order.
func align(was, is pdf.Array) (a aligned) {
	at := map[pdf.Ref][]int{}
	var direct []int
	for i, o := range is {
		if r, ok := o.(pdf.Ref); ok {
			at[r] = append(at[r], i)
		} else {
			direct = append(direct, i)
		}
	}
	taken := map[int]bool{}
	last := -1
	for i, o := range was {
		places := &direct
		r, ok := o.(pdf.Ref)
		if ok {
			list := at[r]
			places = &list
		}
		if len(*places) == 0 {
			a.removed = append(a.removed, i)
			continue
		}
		j := (*places)[0]
		if *places = (*places)[1:]; ok {
			at[r] = *places
		}
		taken[j] = true
		a.kept = append(a.kept, [2]int{i, j})
		a.moved = a.moved || j < last
		last = j
	}
	for j := range is {
		if !taken[j] {
			a.added = append(a.added, j)
		}
	}
	return a
}

// readForm finds the fields of both revisions and what came and went of them.
func (c *comparison) readForm(root *trail, before, after pdf.Dict) error {
	var err error
	if c.form.was, c.form.is, err = c.bothDicts(before["AcroForm"], after["AcroForm"]); err != nil {
		return err
	}
	c.form.names = map[string]bool{}
	at := root.to("AcroForm").to("Fields")
	return c.fields(at, nil, c.form.was["Fields"], c.form.is["Fields"], &c.form.fields, map[pdf.Ref]bool{})
}

// fields reads one list of fields. What came and went is a change at once.
func (c *comparison) fields(at *trail, parent *field, before, after pdf.Object, out *[]*field, seen map[pdf.Ref]bool) error {
	was, is, err := c.bothArrays(before, after)
	if err != nil {
		return err
	}
	a := align(was, is)
	if a.moved {
		c.change(Change{Kind: FieldAltered, Field: nameOf(parent), Object: at.String()})
	}
	for _, k := range a.kept {
		f := &field{at: at.nth(k[0]), before: was[k[0]], after: is[k[1]]}
		if r, ok := f.before.(pdf.Ref); ok {
			if seen[r] {
				continue // as readers of circles do
			}
			if seen[r] = true; len(seen) > maxFields {
				return pdf.ErrLimit
			}
		}
		if err := c.readField(f, parent, seen); err != nil {
			return err
		}
		*out = append(*out, f)
	}
	for _, i := range a.removed {
		if err := c.removedField(parent, was[i]); err != nil {
			return err
		}
	}
	for _, j := range a.added {
		if err := c.addedField(parent, is[j]); err != nil {
			return err
		}
	}
	return nil
}

func nameOf(f *field) string {
	if f == nil {
		return ""
	}
	return f.name
}

// below is the name of a field by what it says itself, and whether it is no field but a
// widget of one.
func below(parent *field, d pdf.Dict) (name string, widget bool) {
	own, ok := d["T"].(pdf.String)
	switch {
	case !ok:
		return nameOf(parent), parent != nil
	case nameOf(parent) == "":
		return own.Text(), false
	}
	return parent.name + "." + own.Text(), false
}

func (c *comparison) readField(f, parent *field, seen map[pdf.Ref]bool) (err error) {
	if f.was, f.is, err = c.bothDicts(f.before, f.after); err != nil {
		return err
	}
	f.name, f.widget = below(parent, f.was)
	if parent != nil {
		f.kind, f.flags = parent.kind, parent.flags
	}
	if t, ok := f.was["FT"].(pdf.Name); ok {
		f.kind = t
	}
	if n, ok := c.before.Number(f.was["Ff"]); ok {
		f.flags = int(n)
	}
	if f.kind != "Sig" && !f.widget {
		c.form.names[f.name] = true
	}
	a, ok := f.before.(pdf.Ref)
	b, also := f.after.(pdf.Ref)
	if _, stream := c.isStream(f.before); ok && also && !stream {
		c.handled[pair{a, b}] = true
	}
	return c.fields(f.at.to("Kids"), f, f.was["Kids"], f.is["Kids"], &f.kids, seen)
}

func (c *comparison) isStream(o pdf.Object) (*pdf.Stream, bool) {
	v, err := c.before.Resolve(o)
	st, ok := v.(*pdf.Stream)
	return st, ok && err == nil
}

func (c *comparison) removedField(parent *field, o pdf.Object) error {
	d, err := c.before.Dict(o)
	if err != nil {
		return err
	}
	ch := Change{Kind: FieldRemoved}
	ch.Field, _ = below(parent, d)
	if d["FT"] == pdf.Name("Sig") && d["V"] != nil {
		ch.Kind = SignatureTaken
	}
	c.change(ch)
	return nil
}

// addedField checks a field that was not there: a signature or time stamp that does
// nothing else is one; everything else is a field more.
func (c *comparison) addedField(parent *field, o pdf.Object) error {
	r, ok := o.(pdf.Ref)
	d, err := c.after.Dict(o)
	if err != nil {
		return err
	}
	name, _ := below(parent, d)
	was, err := c.before.Resolve(o)
	if err != nil {
		return err
	}
	switch {
	case !ok || was != nil || parent != nil || d["FT"] != pdf.Name("Sig") || d["A"] != nil || d["AA"] != nil || d["Kids"] != nil || d["Parent"] != nil || c.form.names[name]:
		c.change(Change{Kind: FieldAdded, Field: name})
		return nil
	case d["V"] == nil:
		c.change(Change{Kind: SignatureFieldAdded, Field: name})
		return nil
	}
	c.added[r] = true
	c.grown = append(c.grown, r)
	ch := Change{Kind: SignaturePut, Field: name, visible: !c.invisible(d)}
	return c.signature(ch, d["V"])
}

// signature records what was added. Whether it is any good is said in its own report.
func (c *comparison) signature(ch Change, o pdf.Object) error {
	d, err := c.after.Dict(o)
	if err != nil {
		return err
	}
	if d["Type"] == pdf.Name("DocTimeStamp") && d["SubFilter"] == pdf.Name("ETSI.RFC3161") {
		ch.Kind = DocumentStamped
	}
	c.grown = append(c.grown, o)
	c.change(ch)
	return nil
}

// invisible says whether a widget has no area or is hidden.
func (c *comparison) invisible(d pdf.Dict) bool {
	if flags, ok := c.after.Number(d["F"]); ok && int64(flags)&2 != 0 {
		return true
	}
	rect, err := c.after.Array(d["Rect"])
	if err != nil {
		return false
	}
	if len(rect) == 0 {
		return d["Subtype"] == nil // a field without widget
	}
	n, ok := c.numbers(d["Rect"], 4)
	return ok && (n[0] == n[2] || n[1] == n[3])
}

// numbers reads an array of just so many numbers in the later revision.
func (c *comparison) numbers(o pdf.Object, count int) (out []float64, ok bool) {
	list, err := c.after.Array(o)
	if err != nil || len(list) != count {
		return nil, false
	}
	for _, o := range list {
		v, ok := c.after.Number(o)
		if !ok {
			return nil, false
		}
		out = append(out, v)
	}
	return out, true
}

// formKeys compares the form dictionary but for its fields. Fonts and the like may be
// added for what is filled in; a default appearance alone changes nothing that has one.
func (c *comparison) formKeys(root *trail, _, _ pdf.Dict) error {
	at := root.to("AcroForm")
	was, is := c.form.was, c.form.is
	for _, k := range unionOf(was, is) {
		_, had := was[k]
		looks := !had && (k == "DA" || k == "DR") && was["NeedAppearances"] != true
		switch {
		case k == "Fields" || k == "SigFlags" || looks:
		case k == "CO" && had && c.allHandled(was[k], is[k]):
		case k == "DR" && had:
			if err := c.resources(at.to(k), was[k], is[k]); err != nil {
				return err
			}
		default:
			if err := c.key(Change{Kind: FormSettings}, at, k, was, is); err != nil {
				return err
			}
		}
	}
	return nil
}

// resources compares the default resources: each that was there is the same, others may have come.
func (c *comparison) resources(at *trail, before, after pdf.Object) error {
	was, is, err := c.bothDicts(before, after)
	if err != nil {
		return err
	}
	area := Change{Kind: FormSettings}
	for _, category := range unionOf(was, is) {
		at := at.to(category)
		if _, had := was[category]; !had {
			c.change(Change{Kind: FormResources, Object: at.String()})
			continue
		}
		if _, ok := c.dictIn(c.before, was[category]); !ok {
			if err := c.walkOn(area, at, was[category], is[category]); err != nil {
				return err
			}
			continue
		}
		had, has, err := c.bothDicts(was[category], is[category])
		if err != nil {
			return err
		}
		for _, name := range unionOf(had, has) {
			if _, known := had[name]; !known {
				c.change(Change{Kind: FormResources, Object: at.to(name).String()})
				continue
			}
			if err := c.walkOn(area, at.to(name), had[name], has[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *comparison) dictIn(f *pdf.File, o pdf.Object) (pdf.Dict, bool) {
	v, err := f.Resolve(o)
	d, ok := v.(pdf.Dict)
	return d, ok && err == nil
}
