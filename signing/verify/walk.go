package verify

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// step is a pair of values to compare, and the way there.
type step struct {
	at            *trail
	before, after pdf.Object
}

// walk compares two values and all that they refer to, each pair of objects once, so
// that circles end: a pair under comparison counts as the same.
type walk struct {
	*comparison
	seen   map[pair]bool
	todo   []step
	differ func(at *trail) // called for each place that is not the same
	done   func() bool     // enough was found
	skip   func(key pdf.Name, in pdf.Dict, before, after pdf.Object) bool
}

const maxPath = 300 // bytes of a way that is told

func (t *trail) String() string {
	var parts []string
	for ; t != nil; t = t.up {
		part := string(t.name)
		if t.name == "" {
			part = strconv.Itoa(t.index)
		}
		parts = append(parts, part)
	}
	slices.Reverse(parts)
	path := "/" + strings.Join(parts, "/")
	if len(path) > maxPath {
		path = strings.ToValidUTF8(path[:maxPath], "") + "…"
	}
	return path
}

func (t *trail) to(name pdf.Name) *trail { return &trail{up: t, name: name} }
func (t *trail) nth(i int) *trail        { return &trail{up: t, index: i} }

func (w *walk) push(at *trail, before, after pdf.Object) {
	if scalar(before) && scalar(after) {
		if !sameScalar(before, after) {
			w.differ(at)
		}
		return
	}
	w.todo = append(w.todo, step{at, before, after})
}

func scalar(o pdf.Object) bool {
	switch o.(type) {
	case pdf.Ref, pdf.Dict, pdf.Array, *pdf.Stream:
		return false
	}
	return true
}

func (w *walk) run() error {
	for len(w.todo) > 0 && !w.done() {
		next := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		if err := w.step(next); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) step(s step) error {
	a, isRef := s.before.(pdf.Ref)
	b, alsoRef := s.after.(pdf.Ref)
	if isRef && alsoRef {
		p := pair{a, b}
		if w.seen[p] || w.clean[p] {
			return nil
		}
		w.seen[p] = true
		if w.pairs++; w.pairs > maxPairs {
			return pdf.ErrLimit
		}
		if a == b && w.before.Kept(w.after, a) { // read once
			o, err := w.before.Get(a)
			if _, leadsOn := o.(pdf.Ref); err != nil || !leadsOn {
				if err != nil {
					return err
				}
				return w.values(s.at, o, o)
			}
		}
	}
	before, err := w.before.Resolve(s.before)
	if err != nil {
		return err
	}
	after, err := w.after.Resolve(s.after)
	if err != nil {
		return err
	}
	return w.values(s.at, before, after)
}

func (w *walk) values(at *trail, before, after pdf.Object) error {
	switch a := before.(type) {
	case pdf.Dict:
		if b, ok := after.(pdf.Dict); ok {
			w.dicts(at, a, b)
			return nil
		}
	case pdf.Array:
		if b, ok := after.(pdf.Array); ok && len(a) == len(b) {
			for i := range a {
				if !scalar(a[i]) || !scalar(b[i]) || !sameScalar(a[i], b[i]) {
					w.push(at.nth(i), a[i], b[i])
				}
			}
			return nil
		}
	case *pdf.Stream:
		if b, ok := after.(*pdf.Stream); ok && w.sameBytes(a, b) {
			w.dicts(at, a.Dict, b.Dict)
			return nil
		}
	default:
		if sameScalar(before, after) {
			return nil
		}
	}
	w.differ(at)
	return nil
}

// dicts compares two dictionaries, key by key in their order, so that a report is always the same.
func (w *walk) dicts(at *trail, before, after pdf.Dict) {
	keys := make([]pdf.Name, 0, len(before))
	for k, v := range before {
		if is := after[k]; !scalar(v) || !scalar(is) || !sameScalar(v, is) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if w.skip == nil || !w.skip(k, before, before[k], after[k]) {
			w.push(at.to(k), before[k], after[k])
		}
	}
	if len(after) <= len(before) && len(keys) == 0 && sameKeys(before, after) {
		return
	}
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if _, had := before[k]; !had {
			w.differ(at.to(k))
		}
	}
}

func sameKeys(before, after pdf.Dict) bool {
	for k := range after {
		if _, had := before[k]; !had {
			return false
		}
	}
	return true
}

// sameScalar compares what is no container; 612 and 612.0 are the same number.
func sameScalar(a, b pdf.Object) bool {
	if !scalar(a) || !scalar(b) { // types that == cannot compare
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
