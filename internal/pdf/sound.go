package pdf

import (
	"cmp"
	"fmt"
	"slices"
)

// maxTree bounds the nodes of a page tree that are visited.
const maxTree = 1 << 18

// Sound says why a file is none that all readers understand alike, nil where they do:
// each object in use stands whole where the cross-reference sections say, be it of use to
// the caller or not, and the page tree ends. A reader that finds an object elsewhere
// searches the file for objects and may show another document.
func (f *File) Sound() error {
	if err := f.standing(); err != nil {
		return err
	}
	if err := f.packing(); err != nil {
		return err
	}
	catalog, err := f.Catalog()
	if err != nil {
		return err
	}
	visited := 0
	return f.tree(catalog["Pages"], map[Ref]bool{}, &visited)
}

// standing reads each object that is not in an object stream, but no stream's bytes. They
// are taken in the order of the file, through one window.
func (f *File) standing() error {
	type head struct {
		offset int64
		ref    Ref
	}
	heads := make([]head, 0, len(f.entries))
	for n, e := range f.entries {
		if e.kind == plain && n != 0 {
			heads = append(heads, head{e.offset, Ref{n, e.generation}})
		}
	}
	slices.SortFunc(heads, func(a, b head) int { return cmp.Compare(a.offset, b.offset) })
	s := newScanner(f.src, f.size, 0)
	for _, h := range heads {
		if h.offset >= f.size {
			return syntax(h.offset, "object %v is outside the file", h.ref)
		}
		s.pos, s.nodes = h.offset, 0
		if _, _, err := f.extentBy(s, &h.ref); err != nil {
			return fmt.Errorf("object %v: %w", h.ref, err)
		}
	}
	return nil
}

// packing reads each object that is in an object stream, one stream after the other.
func (f *File) packing() error {
	inside := map[uint32][]uint32{}
	for n, e := range f.entries {
		if e.kind == packed {
			inside[uint32(e.offset)] = append(inside[uint32(e.offset)], n)
		}
	}
	for _, objects := range inside {
		for _, n := range objects {
			if _, err := f.unpack(n, f.entries[n]); err != nil {
				return fmt.Errorf("object %d: %w", n, err)
			}
		}
	}
	return nil
}

// tree walks the page tree. A page may be named twice, a node never below itself.
func (f *File) tree(o Object, above map[Ref]bool, visited *int) error {
	r, ok := o.(Ref)
	if !ok {
		return nil // pages are indirect objects; readers pass over anything else
	}
	if above[r] {
		return fmt.Errorf("%w: the page tree turns in a circle at %v", ErrSyntax, r)
	}
	if *visited++; *visited > maxTree || len(above) > maxDepth {
		return limit("a page tree of more than %d nodes or %d levels", maxTree, maxDepth)
	}
	d, err := f.Dict(r)
	if err != nil {
		return err
	}
	kids, err := f.Array(d["Kids"])
	if err != nil {
		return err
	}
	page, node := d["Type"] == Name("Page"), d["Type"] == Name("Pages")
	if d["Type"] != nil && !page && !node || page && len(kids) > 0 { // readers go by the one or by the other
		return fmt.Errorf("%w: %v with %d kids is a %v in the page tree", ErrSyntax, r, len(kids), d["Type"])
	}
	above[r] = true
	defer delete(above, r)
	for _, k := range kids {
		if err := f.tree(k, above, visited); err != nil {
			return err
		}
	}
	return nil
}
