package verify

import (
	"errors"
	"maps"
	"slices"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// comparison holds a revision of a file beside the next one, from their trailers.
// Whatever can be reached is compared, and each difference becomes a Change; which of
// them a signature permits is for its permission to say.
//
// Fields and annotations are compared on their own, because they may be permitted to
// change. What a page shows is compared first and without exception, so that nothing
// can be permitted as part of a field that is drawn as part of a page.
type comparison struct {
	before, after *pdf.File
	strict        walk
	clean         map[pair]bool // found equal beside fields and annotations; pages, which are compared by themselves
	handled       map[pair]bool // the dictionaries of fields and annotations, which are compared on their own
	pairs         int
	area          Change           // what a difference found now is
	strictly      int              // differences found by the strict walk
	added         map[pdf.Ref]bool // fields that the later revision adds
	grown         []pdf.Object     // what it adds, in it
	form          form
	pages         pages
	notes         []*note
	changes       []Change
}

// compare returns what the later revision changed, in the order of the file.
func compare(before, after *pdf.File) []Change {
	c := &comparison{before: before, after: after, clean: map[pair]bool{}, handled: map[pair]bool{}, added: map[pdf.Ref]bool{}}
	c.strict = walk{comparison: c, seen: map[pair]bool{}, differ: c.differs, skip: c.exempt,
		done: func() bool { return c.strictly >= maxStrict }}
	if err := c.run(); err != nil {
		c.change(Change{Kind: Unreadable, Object: err.Error()})
	}
	return c.changes
}

func (c *comparison) change(ch Change) {
	if !slices.Contains(c.changes, ch) {
		c.changes = append(c.changes, ch)
	}
}

// differs notes a difference in what may never change.
func (c *comparison) differs(at *trail) {
	c.strictly++
	ch := c.area
	ch.Object = at.String()
	c.change(ch)
}

// walkOn compares one thing and all below it strictly, as a change of a kind.
func (c *comparison) walkOn(area Change, at *trail, before, after pdf.Object) error {
	c.area = area
	c.strict.push(at, before, after)
	return c.strict.run()
}

var errChanges = errors.New("verify: more changes than are counted")

func (c *comparison) run() error {
	before, err := c.before.Catalog()
	if err != nil {
		return err
	}
	after, err := c.after.Catalog()
	if err != nil {
		return err
	}
	if !c.before.SameKey(c.after) {
		c.change(Change{Kind: SettingsChanged, Object: "/Encrypt"})
	}
	root := (*trail)(nil).to("Root")
	for _, part := range []func(*trail, pdf.Dict, pdf.Dict) error{c.readPages, c.readForm, c.comparePages, c.formKeys, c.catalog} {
		if err := part(root, before, after); err != nil {
			return err
		}
		if len(c.changes) > maxChanges {
			return errChanges
		}
	}
	if err := c.info(); err != nil {
		return err
	}
	if err := c.compareForm(); err != nil {
		return err
	}
	if err := c.compareNotes(); err != nil {
		return err
	}
	if len(c.changes) > maxChanges {
		return errChanges
	}
	return c.unused(after)
}

// areas are what the keys of the catalog are about.
var areas = map[pdf.Name]ChangeKind{
	"Pages": PageTree, "Parent": PageTree, "OpenAction": ActionChanged, "AA": ActionChanged, "Metadata": MetadataChanged, "Outlines": OutlineChanged,
	"OCProperties": LayersChanged, "StructTreeRoot": StructureChanged, "MarkInfo": StructureChanged, "AF": AttachmentChanged,
	"Collection": AttachmentChanged, "JavaScript": ActionChanged, "EmbeddedFiles": AttachmentChanged, "AcroForm": FormSettings,
}

func areaOf(key pdf.Name) Change {
	if kind, ok := areas[key]; ok {
		return Change{Kind: kind}
	}
	return Change{Kind: SettingsChanged}
}

// catalog compares all that is not a page, a form or validation data. /Extensions only
// names what a file may use.
func (c *comparison) catalog(root *trail, before, after pdf.Dict) error {
	if !c.sameDSS(before["DSS"], after["DSS"]) {
		c.change(Change{Kind: DSSAdded})
		c.grown = append(c.grown, after["DSS"])
	}
	c.clean[pair{c.before.Root(), c.after.Root()}] = true
	for _, k := range unionOf(before, after) {
		switch k {
		case "AcroForm", "Pages":
			continue
		case "DSS", "Extensions":
			if _, ok := c.dictIn(c.after, after[k]); ok || after[k] == nil {
				continue
			}
		case "Metadata":
			if err := c.metadata(root, before, after); err != nil {
				return err
			}
			continue
		case "Names":
			if err := c.names(root.to(k), before[k], after[k]); err != nil {
				return err
			}
			continue
		}
		if err := c.key(areaOf(k), root, k, before, after); err != nil {
			return err
		}
	}
	return nil
}

// key compares one entry of two dictionaries. One that was not there is a difference,
// whatever it is.
func (c *comparison) key(area Change, at *trail, k pdf.Name, before, after pdf.Dict) error {
	if _, had := before[k]; !had {
		c.area = area
		c.differs(at.to(k))
		return nil
	}
	return c.walkOn(area, at.to(k), before[k], after[k])
}

// names compares the name dictionary, whose parts are about different things.
func (c *comparison) names(at *trail, before, after pdf.Object) error {
	was, is, err := c.bothDicts(before, after)
	if err != nil {
		return err
	}
	if (was == nil) != (is == nil) && len(was)+len(is) == 0 {
		c.area = areaOf("Names")
		c.differs(at)
	}
	for _, k := range unionOf(was, is) {
		if err := c.key(areaOf(k), at, k, was, is); err != nil {
			return err
		}
	}
	return nil
}

// sameDSS says whether no update has replaced the document security store itself.
func (c *comparison) sameDSS(before, after pdf.Object) bool {
	a, ok := before.(pdf.Ref)
	b, also := after.(pdf.Ref)
	return after == nil || ok && also && a == b && c.before.Kept(c.after, a)
}

func unionOf(a, b pdf.Dict) []pdf.Name {
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, twice := a[k]; !twice {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// info compares what the file says of itself, but for when and with what it was saved last.
func (c *comparison) info() error {
	was, is, err := c.bothDicts(c.before.Trailer()["Info"], c.after.Trailer()["Info"])
	if err != nil {
		return err
	}
	for _, k := range unionOf(was, is) {
		if k == "ModDate" || k == "Producer" {
			continue
		}
		if err := c.key(Change{Kind: InformationChanged}, (*trail)(nil).to("Info"), k, was, is); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) bothDicts(before, after pdf.Object) (was, is pdf.Dict, err error) {
	if was, err = c.before.Dict(before); err != nil {
		return nil, nil, err
	}
	is, err = c.after.Dict(after)
	return was, is, err
}

func (c *comparison) bothArrays(before, after pdf.Object) (was, is pdf.Array, err error) {
	if was, err = c.before.Array(before); err != nil {
		return nil, nil, err
	}
	is, err = c.after.Array(after)
	return was, is, err
}

// exempt says whether the strict walk need not follow a reference: to a field or an
// annotation that is compared on its own, from where it is only named. In what is drawn
// nothing is exempt, and it is compared before.
func (c *comparison) exempt(key pdf.Name, in pdf.Dict, before, after pdf.Object) bool {
	if c.area.Kind != StructureChanged && c.area.Kind != ActionChanged && c.area.Kind != OutlineChanged {
		return false
	}
	switch {
	case key == "Obj" && in["Type"] == pdf.Name("OBJR"):
	case key == "T" && in["S"] == pdf.Name("Hide"):
	case key == "AN" && in["S"] == pdf.Name("Rendition"):
	case key == "Fields" && (in["S"] == pdf.Name("ResetForm") || in["S"] == pdf.Name("SubmitForm")):
	default:
		return false
	}
	return c.allHandled(before, after)
}

// allHandled is isHandled for a reference or a list of them.
func (c *comparison) allHandled(before, after pdf.Object) bool {
	if c.isHandled(before, after) {
		return true
	}
	was, errBefore := c.before.Array(before)
	is, errAfter := c.after.Array(after)
	if errBefore != nil || errAfter != nil || len(was) != len(is) || len(was) == 0 {
		return false
	}
	for i := range was {
		if !c.isHandled(was[i], is[i]) {
			return false
		}
	}
	return true
}

func (c *comparison) isHandled(before, after pdf.Object) bool {
	a, ok := before.(pdf.Ref)
	b, also := after.(pdf.Ref)
	return ok && also && c.handled[pair{a, b}]
}

// same is where two values, with all that they refer to, first differ; nil where they are equal.
func (c *comparison) same(at *trail, before, after pdf.Object) (where *trail, err error) {
	w := walk{comparison: c, seen: map[pair]bool{}, differ: func(at *trail) { where = at }, done: func() bool { return where != nil }}
	w.skip = func(pdf.Name, pdf.Dict, pdf.Object, pdf.Object) bool { return where != nil }
	w.todo = append(w.todo, step{at, before, after})
	if scalar(before) && scalar(after) {
		if w.todo = nil; !sameScalar(before, after) {
			where = at
		}
	}
	if err := w.run(); err != nil {
		return nil, err
	}
	if where == nil {
		maps.Copy(c.clean, w.seen)
	}
	return where, nil
}

// unused names the new objects that nothing uses: neither what was changed nor what was
// added leads to them. They show nothing, and may be there for a later hand.
func (c *comparison) unused(catalog pdf.Dict) error {
	fresh := map[pdf.Ref]bool{}
	list := c.after.Replaced(c.before)
	for _, r := range list {
		fresh[r] = true
	}
	used := map[pdf.Ref]bool{}
	todo := append([]pdf.Object{catalog, c.after.Trailer()}, c.grown...)
	for _, r := range list {
		if was, err := c.before.Get(r); err == nil && was != nil {
			todo = append(todo, r)
		}
	}
	for len(todo) > 0 {
		o := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch o := o.(type) {
		case pdf.Ref:
			if !fresh[o] || used[o] {
				continue
			}
			used[o] = true
			v, _ := c.after.Get(o) // one that cannot be read leads nowhere
			todo = append(todo, v)
		case pdf.Array:
			todo = append(todo, o...)
		case pdf.Dict:
			for _, v := range o {
				todo = append(todo, v)
			}
		case *pdf.Stream:
			todo = append(todo, o.Dict)
		}
	}
	for _, r := range list {
		if used[r] {
			continue
		}
		o, _ := c.after.Get(r)
		if st, ok := o.(*pdf.Stream); ok && (st.Dict["Type"] == pdf.Name("XRef") || st.Dict["Type"] == pdf.Name("ObjStm")) {
			continue
		}
		if c.change(Change{Kind: UnusedObject, Object: r.String()}); len(c.changes) > maxChanges {
			return errChanges
		}
	}
	return nil
}
