package verify

import (
	"math"
	"slices"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// note is an annotation that both revisions have.
type note struct {
	at            *trail
	page          int
	before, after pdf.Object
}

// annotations notes what came and went of a page's annotations. Fields that a later
// revision adds show theirs here, and are told of as fields.
func (c *comparison) annotations(at *trail, page int, before, after pdf.Object) error {
	was, is, err := c.bothArrays(before, after)
	if err != nil {
		return err
	}
	a := align(was, is)
	if a.moved { // what lies over what
		c.change(Change{Kind: PageContent, Page: page, Object: at.String()})
	}
	for _, k := range a.kept {
		n := &note{at.nth(k[0]), page, was[k[0]], is[k[1]]}
		r, ok := n.before.(pdf.Ref)
		p := pair{r, refOf(n.after)}
		if ok && c.handled[p] {
			continue // a field
		}
		if _, stream := c.isStream(n.before); ok && !stream {
			c.handled[p] = true
		}
		c.notes = append(c.notes, n)
	}
	for _, i := range a.removed {
		d, err := c.before.Dict(was[i])
		if err != nil {
			return err
		}
		c.change(Change{Kind: AnnotationRemoved, Page: page, Annotation: subtype(d)})
	}
	for _, j := range a.added {
		if r, ok := is[j].(pdf.Ref); ok && c.added[r] {
			continue
		}
		if err := c.addedNote(page, is[j]); err != nil {
			return err
		}
	}
	return nil
}

func subtype(d pdf.Dict) string {
	name, _ := d["Subtype"].(pdf.Name)
	return clean(string(name))
}

func (c *comparison) addedNote(page int, o pdf.Object) error {
	d, err := c.after.Dict(o)
	if err != nil {
		return err
	}
	ch := Change{Kind: AnnotationAdded, Page: page, Annotation: subtype(d)}
	if r, ok := o.(pdf.Ref); ok {
		was, err := c.before.Get(r)
		if err != nil {
			return err
		}
		if was != nil { // an old object, used anew
			ch.Object, ch.active = r.String(), true
		}
	}
	harmless, err := c.harmless(d)
	if err != nil {
		return err
	}
	ch.active = ch.active || !harmless
	c.grown = append(c.grown, o)
	c.change(ch)
	return nil
}

// compareNotes compares the annotations that are no fields.
func (c *comparison) compareNotes() error {
	for _, n := range c.notes {
		was, is, err := c.bothDicts(n.before, n.after)
		if err != nil {
			return err
		}
		for _, k := range unionOf(was, is) {
			if c.tied(k, was[k], is[k]) {
				continue
			}
			where, err := c.sameKey(n.at, k, was, is)
			if err != nil {
				return err
			}
			if where == nil {
				continue
			}
			ch := Change{Kind: AnnotationChanged, Page: n.page, Annotation: subtype(is), Object: where.String()}
			before, err := c.harmless(was)
			if err != nil {
				return err
			}
			after, err := c.harmless(is)
			if err != nil {
				return err
			}
			ch.active = !before || !after
			c.grown = append(c.grown, n.after)
			c.change(ch)
			break
		}
		if len(c.changes) > maxChanges {
			return errChanges
		}
	}
	return nil
}

// marks are the annotations that people write, and nothing else: no file, no film, no
// link, no field (ISO 32000-2 table 171).
var marks = []pdf.Name{"Text", "FreeText", "Line", "Square", "Circle", "Polygon", "PolyLine", "Highlight", "Underline", "Squiggly",
	"StrikeOut", "Caret", "Stamp", "Ink", "Popup"}

// harmless says whether an annotation of the later revision is a mark that does nothing
// and is drawn in its own rectangle.
func (c *comparison) harmless(d pdf.Dict) (bool, error) {
	name, _ := d["Subtype"].(pdf.Name)
	if !slices.Contains(marks, name) || d["FT"] != nil || d["T"] != nil && !isText(d["T"]) {
		return false, nil
	}
	for _, k := range []pdf.Name{"A", "AA", "PA", "FS", "Kids", "Dest"} {
		if d[k] != nil {
			return false, nil
		}
	}
	if d["AP"] == nil {
		return true, nil
	}
	return c.bounded(d)
}

func isText(o pdf.Object) bool {
	_, ok := o.(pdf.String)
	return ok
}

// drawn are the entries that an appearance may have: none that takes its picture from elsewhere.
var drawn = []pdf.Name{"Type", "Subtype", "FormType", "BBox", "Matrix", "Resources", "Length", "Filter", "DecodeParms", "Group",
	"LastModified", "StructParent", "StructParents", "Name"}

// bounded says whether the appearances of a widget or annotation are drawn in its
// rectangle and nowhere else: a form has a box, to which it is cut, and the box is laid
// upon the rectangle (ISO 32000-2, 12.5.5). Without one, or with one of no area, readers differ.
func (c *comparison) bounded(d pdf.Dict) (bool, error) {
	appearances, err := c.after.Dict(d["AP"])
	if err != nil {
		return false, err
	}
	for _, k := range unionOf(appearances, nil) {
		if k != "N" && k != "R" && k != "D" {
			return false, nil
		}
		v, err := c.after.Resolve(appearances[k])
		if err != nil {
			return false, err
		}
		states, ok := v.(pdf.Dict)
		if !ok {
			states = pdf.Dict{"N": v}
		}
		for _, o := range states {
			v, err := c.after.Resolve(o)
			if err != nil {
				return false, err
			}
			if st, ok := v.(*pdf.Stream); v != nil && (!ok || !c.boxed(st)) {
				return false, nil
			}
		}
	}
	return true, nil
}

func (c *comparison) boxed(st *pdf.Stream) bool {
	for k := range st.Dict {
		if !slices.Contains(drawn, k) {
			return false
		}
	}
	box, ok := c.numbers(st.Dict["BBox"], 4)
	if !ok || st.Dict["Subtype"] != pdf.Name("Form") || box[0] == box[2] || box[1] == box[3] {
		return false
	}
	if st.Dict["Matrix"] == nil {
		return true
	}
	m, ok := c.numbers(st.Dict["Matrix"], 6)
	return ok && math.Abs(m[0]*m[3]-m[1]*m[2]) > 1e-9
}
