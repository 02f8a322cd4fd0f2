package verify

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// comparison walks two revisions of a file side by side from their trailers.
// Whatever can be reached must be the same, but for what a later revision may
// add: validation data (/DSS), time stamps and signatures, the latter two in
// fields of their own that show nothing. Objects that nothing reaches are not shown
// by any reader and do not matter.
type comparison struct {
	before, after *pdf.File
	certification int
	seen          map[pair]bool
	todo          []step
	added         map[pdf.Ref]bool // fields that a later revision may add
	found         []Finding
}

type pair struct{ before, after pdf.Ref }

type step struct {
	path          string
	before, after pdf.Object
}

const (
	maxPairs    = 1 << 20 // pairs of objects compared
	maxFindings = 10      // one suffices; ten help an expert
)

// compare returns what a later revision changed. The certification is that of the earlier one.
func compare(before, after *pdf.File, certification int) []Finding {
	c := &comparison{before: before, after: after, certification: certification, seen: map[pair]bool{}, added: map[pdf.Ref]bool{}}
	if err := c.run(); err != nil {
		c.find(Broken, err.Error()) // what cannot be read cannot be compared
	}
	return c.found
}

func (c *comparison) find(code Code, detail string) {
	if len(c.found) < maxFindings {
		c.found = append(c.found, Finding{code, detail})
	}
}

func (c *comparison) run() error {
	was, is := c.before.Trailer(), c.after.Trailer()
	before, err := c.before.Catalog()
	if err != nil {
		return err
	}
	after, err := c.after.Catalog()
	if err != nil {
		return err
	}
	if err := c.form(before["AcroForm"], after["AcroForm"]); err != nil {
		return err
	}
	c.seen[pair{c.before.Root(), c.after.Root()}] = true
	if err := c.dicts("/Root", before, after); err != nil {
		return err
	}
	if err := c.info(was["Info"], is["Info"]); err != nil {
		return err
	}
	for len(c.todo) > 0 && len(c.found) < maxFindings {
		next := c.todo[len(c.todo)-1]
		c.todo = c.todo[:len(c.todo)-1]
		if err := c.step(next); err != nil {
			return err
		}
	}
	return nil
}

// info compares what the file says of itself, but for when and with what it was saved last.
func (c *comparison) info(before, after pdf.Object) error {
	was, is, err := c.bothDicts(before, after)
	if err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(was)) {
		if k != "ModDate" && k != "Producer" {
			c.push("/Info/"+string(k), was[k], is[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(is)) {
		if _, had := was[k]; !had && k != "ModDate" && k != "Producer" {
			c.find(Changed, "/Info/"+string(k))
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

func (c *comparison) push(path string, before, after pdf.Object) {
	c.todo = append(c.todo, step{path, before, after})
}

// step compares two values. References are followed once per pair, so that
// circles end; a pair under comparison counts as the same.
func (c *comparison) step(s step) error {
	a, isRef := s.before.(pdf.Ref)
	b, alsoRef := s.after.(pdf.Ref)
	if isRef && alsoRef {
		p := pair{a, b}
		if c.seen[p] {
			return nil
		}
		if c.seen[p] = true; len(c.seen) > maxPairs {
			return pdf.ErrLimit
		}
	}
	before, err := c.before.Resolve(s.before)
	if err != nil {
		return err
	}
	after, err := c.after.Resolve(s.after)
	if err != nil {
		return err
	}
	return c.values(s.path, before, after)
}

func (c *comparison) values(path string, before, after pdf.Object) error {
	switch a := before.(type) {
	case pdf.Dict:
		b, ok := after.(pdf.Dict)
		if !ok {
			break
		}
		return c.dicts(path, a, b)
	case pdf.Array:
		b, ok := after.(pdf.Array)
		if !ok || len(a) != len(b) {
			break
		}
		for i := range a {
			c.push(path+"/"+strconv.Itoa(i), a[i], b[i])
		}
		return nil
	case *pdf.Stream:
		b, ok := after.(*pdf.Stream)
		if !ok || !c.sameBytes(a, b) {
			break
		}
		return c.dicts(path, a.Dict, b.Dict)
	default:
		if sameScalar(before, after) {
			return nil
		}
	}
	c.find(Changed, path)
	return nil
}

// sameScalar compares what is no container; 612 and 612.0 are the same number.
func sameScalar(a, b pdf.Object) bool {
	switch b.(type) { // types that == cannot compare
	case pdf.Dict, pdf.Array, *pdf.Stream:
		return false
	}
	x, isNumber := number(a)
	y, alsoNumber := number(b)
	return a == b || (isNumber && alsoNumber && x == y)
}

func number(o pdf.Object) (float64, bool) {
	switch o := o.(type) {
	case pdf.Integer:
		return float64(o), true
	case pdf.Real:
		return float64(o), true
	}
	return 0, false
}

func (c *comparison) sameBytes(a, b *pdf.Stream) bool {
	at, length := a.Span()
	alsoAt, alsoLength := b.Span()
	if length != alsoLength {
		return false
	}
	if at == alsoAt { // the earlier revision is the beginning of the later file
		return true
	}
	x, y := c.before.Raw(a), c.after.Raw(b)
	var p, q [4096]byte
	for {
		n, err := io.ReadFull(x, p[:])
		m, _ := io.ReadFull(y, q[:])
		if n != m || !bytes.Equal(p[:n], q[:m]) {
			return false
		}
		if err != nil {
			return true
		}
	}
}

// samePlace says whether two references are to one object that no update has replaced.
func (c *comparison) samePlace(before, after pdf.Object) bool {
	a, ok1 := before.(pdf.Ref)
	b, ok2 := after.(pdf.Ref)
	was, _, ok3 := c.before.Span(a)
	is, _, ok4 := c.after.Span(b)
	return ok1 && ok2 && ok3 && ok4 && a == b && was == is
}

func (c *comparison) dicts(path string, before, after pdf.Dict) error {
	allowed := func(pdf.Name) bool { return false }
	switch {
	case path == "/Root":
		if after["DSS"] != nil && !c.samePlace(before["DSS"], after["DSS"]) {
			c.find(ValidationDataAdded, "")
		}
		// the form has been compared; extensions only name what a file may use
		allowed = func(k pdf.Name) bool { return k == "DSS" || k == "Extensions" || k == "AcroForm" }
	case before["Type"] == pdf.Name("Page") && after["Type"] == pdf.Name("Page"):
		if err := c.annotations(path, before["Annots"], after["Annots"]); err != nil {
			return err
		}
		_, tabs := before["Tabs"]
		allowed = func(k pdf.Name) bool { return k == "Annots" || (k == "Tabs" && !tabs) }
	}
	for _, k := range slices.Sorted(maps.Keys(before)) { // sorted, so that a report is always the same
		if !allowed(k) {
			c.push(path+"/"+string(k), before[k], after[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if _, had := before[k]; !had && !allowed(k) {
			c.find(Changed, path+"/"+string(k))
		}
	}
	return nil
}

// annotations wants those of before, in their order, and then added fields only.
func (c *comparison) annotations(path string, before, after pdf.Object) error {
	was, is, err := c.bothArrays(before, after)
	if err != nil {
		return err
	}
	if len(is) < len(was) {
		c.find(Changed, path+"/Annots")
		return nil
	}
	for i := range was {
		c.push(path+"/Annots/"+strconv.Itoa(i), was[i], is[i])
	}
	for _, o := range is[len(was):] {
		if r, ok := o.(pdf.Ref); !ok || !c.added[r] {
			c.find(Overlay, path+"/Annots")
		}
	}
	return nil
}

// form compares the interactive forms: the fields of before in their order, then
// signatures and time stamps. It runs first, so that pages know what was added.
func (c *comparison) form(before, after pdf.Object) error {
	was, is, err := c.bothDicts(before, after)
	if err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(was)) {
		if k != "Fields" && k != "SigFlags" {
			c.push("/Root/AcroForm/"+string(k), was[k], is[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(is)) {
		_, had := was[k]
		// a default appearance alone changes nothing that has one
		looks := (k == "DA" || k == "DR") && was["NeedAppearances"] != true
		if !had && k != "Fields" && k != "SigFlags" && !looks {
			c.find(Changed, "/Root/AcroForm/"+string(k))
		}
	}
	old, now, err := c.bothArrays(was["Fields"], is["Fields"])
	if err != nil {
		return err
	}
	if len(now) < len(old) {
		c.find(FieldSet, "/Root/AcroForm/Fields")
		return nil
	}
	for i := range old {
		if err := c.field("/Root/AcroForm/Fields/"+strconv.Itoa(i), old[i], now[i]); err != nil {
			return err
		}
	}
	for _, o := range now[len(old):] {
		if err := c.addedField(o); err != nil {
			return err
		}
	}
	return nil
}

// field compares a field that was there. An empty signature field may have been
// signed, nothing else of it may have changed.
func (c *comparison) field(path string, before, after pdf.Object) error {
	was, is, err := c.bothDicts(before, after)
	if err != nil {
		return err
	}
	if was["FT"] != pdf.Name("Sig") || was["V"] != nil || is["V"] == nil {
		if kids, err := c.before.Array(was["Kids"]); err == nil && len(kids) > 0 {
			// a parent: its kids are fields or widgets, and compared as objects
			c.push(path, before, after)
			return nil
		}
		return c.terminal(path, before, after, was, is)
	}
	unsigned := pdf.Dict{}
	for k, v := range is {
		if k != "V" {
			unsigned[k] = v
		}
	}
	if err := c.dicts(path, was, unsigned); err != nil {
		return err
	}
	if a, ok := before.(pdf.Ref); ok {
		if b, ok := after.(pdf.Ref); ok {
			c.seen[pair{a, b}] = true
		}
	}
	return c.newSignature(is["V"])
}

// terminal compares a field whose value a person may have filled in, to give that its own name.
func (c *comparison) terminal(path string, before, after pdf.Object, was, is pdf.Dict) error {
	n := len(c.found)
	if err := c.values(path+"/V", was["V"], is["V"]); err != nil {
		return err
	}
	if len(c.found) > n {
		c.found[n].Code = FieldSet
	}
	c.push(path, before, after)
	return nil
}

// addedField checks a field that was not there: a signature or time stamp that
// does nothing. One that shows something may hide something else: that takes an eye.
func (c *comparison) addedField(o pdf.Object) error {
	r, ok := o.(pdf.Ref)
	d, err := c.after.Dict(o)
	if err != nil {
		return err
	}
	switch {
	case !ok || d["FT"] != pdf.Name("Sig") || d["V"] == nil || d["A"] != nil || d["AA"] != nil || d["Kids"] != nil:
		c.find(FieldSet, "a field that is no signature")
		return nil
	}
	if !c.invisible(d) {
		c.find(Visible, "")
	}
	if was, err := c.before.Get(r); err != nil || was != nil { // an old object, used anew
		c.find(Changed, r.String())
		return err
	}
	c.added[r] = true
	return c.newSignature(d["V"])
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
	if len(rect) != 4 {
		return false
	}
	var n [4]float64
	for i := range n {
		v, ok := c.after.Number(rect[i])
		if !ok {
			return false
		}
		n[i] = v
	}
	return n[0] == n[2] || n[1] == n[3]
}

// newSignature records what was added. Whether it is any good is said in its own report.
func (c *comparison) newSignature(o pdf.Object) error {
	d, err := c.after.Dict(o)
	if err != nil {
		return err
	}
	switch {
	case d["Type"] == pdf.Name("DocTimeStamp") && d["SubFilter"] == pdf.Name("ETSI.RFC3161"):
		c.find(StampAdded, "")
	case c.certification == 1:
		c.find(Forbidden, "a signature after certification with P 1")
	default:
		c.find(SignatureAdded, "")
	}
	return nil
}
