package pdf

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Page is one page of a document.
type Page struct {
	Ref     Ref
	Dict    Dict // its own dictionary
	Inherit Dict // what it takes from the nodes above it, where it says nothing itself
}

// Pages lists the pages in their order; an error of ErrLimit where there are more than most.
func (f *File) Pages(most int) ([]Page, error) {
	catalog, err := f.Catalog()
	if err != nil {
		return nil, err
	}
	var list []Page
	err = f.pages(catalog["Pages"], Dict{}, map[Ref]bool{}, most, &list)
	return list, err
}

func (f *File) pages(o Object, inherit Dict, above map[Ref]bool, most int, list *[]Page) error {
	r, ok := o.(Ref)
	if !ok {
		return nil // pages are indirect objects; readers pass over anything else
	}
	if above[r] || len(above) > maxDepth {
		return fmt.Errorf("%w: the page tree turns in a circle at %v", ErrSyntax, r)
	}
	d, err := f.Dict(r)
	if err != nil {
		return err
	}
	inherit = maps.Clone(inherit)
	for _, k := range inherited {
		if v, ok := d[k]; ok {
			inherit[k] = v
		}
	}
	kids, err := f.Array(d["Kids"])
	if err != nil {
		return err
	}
	if d["Type"] == Name("Page") {
		if len(*list) == most {
			return limit("more than %d pages", most)
		}
		*list = append(*list, Page{r, d, inherit})
		return nil
	}
	above[r] = true
	defer delete(above, r)
	for _, k := range kids {
		if err := f.pages(k, inherit, above, most, list); err != nil {
			return err
		}
	}
	return nil
}

// Edges are left, bottom, right and top of what is shown of a page, by what it inherits.
func (f *File) Edges(inherit Dict) (edges [4]float64, ok bool) {
	for _, key := range []Name{"CropBox", "MediaBox"} {
		box, err := f.Array(inherit[key])
		if err != nil || len(box) != 4 {
			continue
		}
		var n [4]float64
		ok := true
		for i := range n {
			v, number := f.Number(box[i])
			n[i], ok = v, ok && number
		}
		if ok {
			return [4]float64{min(n[0], n[2]), min(n[1], n[3]), max(n[0], n[2]), max(n[1], n[3])}, true
		}
	}
	return edges, false
}

// Turned is by how many quarters a page is turned clockwise before it is seen.
func (f *File) Turned(inherit Dict) int {
	n, ok := f.Number(inherit["Rotate"])
	if !ok {
		return 0
	}
	return ((int(n)%360 + 360) % 360) / 90
}

// Corner is a corner of a page as it is seen.
type Corner struct{ Top, Right bool }

// Place is the rectangle of a box of w by h in a corner of a page with these edges that is
// turned by so many quarters; ok is false where it does not fit. The corners are counted
// clockwise from the upper left.
func (c Corner) Place(edges [4]float64, turned int, w, h, margin float64) (rect Array, ok bool) {
	if turned%2 == 1 {
		w, h = h, w
	}
	seen := map[Corner]int{{true, false}: 0, {true, true}: 1, {false, true}: 2, {false, false}: 3}[c]
	corner := (seen - turned + 4) % 4
	x, y := edges[0]+margin, edges[1]+margin
	if corner == 1 || corner == 2 {
		x = edges[2] - margin - w
	}
	if corner == 0 || corner == 1 {
		y = edges[3] - margin - h
	}
	ok = x >= edges[0] && y >= edges[1] && x+w <= edges[2] && y+h <= edges[3]
	return Array{Real(x), Real(y), Real(x + w), Real(y + h)}, ok
}

// Walk visits every object that the trailer leads to, each once, in an order of its own.
func (f *File) Walk(visit func(o Object) error) error {
	seen := map[Ref]bool{}
	waiting := []Object{f.Trailer()}
	for len(waiting) > 0 {
		o := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		if r, ok := o.(Ref); ok {
			if seen[r] {
				continue
			}
			seen[r] = true
			var err error
			if o, err = f.Get(r); err != nil {
				return err
			}
			if _, again := o.(Ref); again {
				waiting = append(waiting, o)
				continue
			}
		}
		if err := visit(o); err != nil {
			return err
		}
		waiting = append(waiting, inside(o)...)
	}
	return nil
}

// inside are the objects that an object holds, references unresolved.
func inside(o Object) []Object {
	switch o := o.(type) {
	case Array:
		return slices.DeleteFunc(slices.Clone(o), leaf)
	case Dict:
		var list []Object
		for _, k := range slices.SortedFunc(maps.Keys(o), func(a, b Name) int { return cmp.Compare(a, b) }) {
			if !leaf(o[k]) {
				list = append(list, o[k])
			}
		}
		return list
	case *Stream:
		return inside(o.Dict)
	}
	return nil
}

// leaf says whether an object holds no other.
func leaf(o Object) bool {
	switch o.(type) {
	case Ref, Array, Dict, *Stream:
		return false
	}
	return true
}
