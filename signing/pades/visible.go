package pades

import (
	"fmt"
	"maps"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing/mark"
)

// Visible says what people see of a signature, and where. A box is drawn for the first
// signature of a file only: later ones would change the page under the earlier.
type Visible struct {
	// Draw makes the box for a document whose language is given as its /Lang says
	// ("fr-BE"), "" where it says nothing.
	Draw   func(language string) (*mark.Drawing, error)
	Last   bool    // on the last page, not the first
	Right  bool    // in a corner at the right of the page as it is seen, not the left
	Top    bool    // at the top, not the bottom
	Margin float64 // from the edges of the page, in points
}

// box is a drawing with its place on a page.
type box struct {
	drawing *mark.Drawing
	rect    pdf.Array // in the page's own coordinates
	form    pdf.Ref   // the drawing as it is in the file
}

// visible draws the signature's box on a page; nil where nothing is to be seen.
func (l *layout) visible(inherit pdf.Dict) (*box, error) {
	v := l.o.Visible
	if v == nil || l.kind == stamping || l.signed() {
		return nil, nil
	}
	language := ""
	if s, ok := l.catalog["Lang"].(pdf.String); ok {
		language = s.Text()
	}
	d, err := v.Draw(language)
	if err != nil {
		return nil, err
	}
	edges, ok := l.edges(inherit)
	if !ok {
		return nil, broken(fmt.Errorf("pades: the page has no size"))
	}
	turned := 0
	if n, ok := l.file.Number(inherit["Rotate"]); ok {
		turned = ((int(n)%360 + 360) % 360) / 90
	}
	rect, ok := v.place(edges, turned, d.Width, d.Height)
	if !ok {
		return nil, fault.New(fault.Invalid, "pades.no_room", fmt.Errorf("pades: a box of %.0f by %.0f points on a page of %.0f", d.Width, d.Height, edges))
	}
	return &box{drawing: d, rect: rect, form: d.Add(l.update, 90*turned)}, nil
}

// signed says whether the file carries a signature already.
func (l *layout) signed() bool {
	for _, f := range l.fields {
		if f.Type == "Sig" && f.Value != nil {
			return true
		}
	}
	return false
}

// place is the rectangle of a box of w by h on a page that is turned clockwise by so
// many quarters before it is seen. The corners are counted clockwise from the upper left.
func (v *Visible) place(edges [4]float64, turned int, w, h float64) (pdf.Array, bool) {
	if turned%2 == 1 {
		w, h = h, w
	}
	seen := map[[2]bool]int{{true, false}: 0, {true, true}: 1, {false, true}: 2, {false, false}: 3}[[2]bool{v.Top, v.Right}]
	corner := (seen - turned + 4) % 4
	x, y := edges[0]+v.Margin, edges[1]+v.Margin
	if corner == 1 || corner == 2 {
		x = edges[2] - v.Margin - w
	}
	if corner == 0 || corner == 1 {
		y = edges[3] - v.Margin - h
	}
	fits := x >= edges[0] && y >= edges[1] && x+w <= edges[2] && y+h <= edges[3]
	return pdf.Array{pdf.Real(x), pdf.Real(y), pdf.Real(x + w), pdf.Real(y + h)}, fits
}

// show gives a widget the box as its appearance, and names it in the document's
// structure, so that it is read where others see it (ISO 14289-1, 7.18.1 and 7.18.4).
func (l *layout) show(widget pdf.Dict, self, page pdf.Ref, b *box) error {
	widget["Rect"] = b.rect
	widget["AP"] = pdf.Dict{"N": b.form}
	widget["Contents"] = pdf.Text(b.drawing.Text)
	root, err := l.file.Dict(l.catalog["StructTreeRoot"])
	if err != nil || root == nil {
		return err
	}
	key, err := l.nextKey(root)
	if err != nil {
		return err
	}
	widget["StructParent"] = pdf.Integer(key)
	parent, err := l.structureParent(root)
	if err != nil {
		return err
	}
	element := l.update.Add(pdf.Dict{
		"Type": pdf.Name("StructElem"), "S": pdf.Name("Form"), "P": parent, "Alt": pdf.Text(b.drawing.Text),
		"K": pdf.Dict{"Type": pdf.Name("OBJR"), "Obj": self, "Pg": page},
	})
	return l.addElement(root, parent, element, key)
}

// nextKey is a key that the parent tree does not use yet (ISO 32000-1, table 322).
func (l *layout) nextKey(root pdf.Dict) (int, error) {
	if n, ok := l.file.Number(root["ParentTreeNextKey"]); ok && n >= 0 && n < 1<<31 {
		return int(n), nil
	}
	highest := -1
	if err := l.keys(root["ParentTree"], &highest, map[pdf.Ref]bool{}); err != nil {
		return 0, err
	}
	return highest + 1, nil
}

// keys finds the highest key of a number tree (ISO 32000-1, 7.9.7).
func (l *layout) keys(node pdf.Object, highest *int, seen map[pdf.Ref]bool) error {
	if r, ok := node.(pdf.Ref); ok {
		if seen[r] {
			return fmt.Errorf("%w: the parent tree turns in a circle", pdf.ErrSyntax)
		}
		seen[r] = true
	}
	d, err := l.file.Dict(node)
	if err != nil {
		return err
	}
	pairs, err := l.file.Array(d["Nums"])
	if err != nil {
		return err
	}
	for i := 0; i < len(pairs); i += 2 {
		if n, ok := l.file.Number(pairs[i]); ok {
			*highest = max(*highest, int(n))
		}
	}
	kids, err := l.file.Array(d["Kids"])
	if err != nil {
		return err
	}
	for _, k := range kids {
		if _, ok := k.(pdf.Ref); !ok {
			continue
		}
		if err := l.keys(k, highest, seen); err != nil {
			return err
		}
	}
	return nil
}

// structureParent is the element that the box is put at the end of: the one that holds
// the whole document, or the root where there are several.
func (l *layout) structureParent(root pdf.Dict) (pdf.Ref, error) {
	self, ok := l.catalog["StructTreeRoot"].(pdf.Ref)
	if !ok {
		return pdf.Ref{}, fmt.Errorf("%w: the structure's root is no object of its own", pdf.ErrSyntax)
	}
	k := root["K"]
	if list, err := l.file.Array(k); err == nil && len(list) == 1 {
		k = list[0]
	}
	if r, ok := k.(pdf.Ref); ok {
		if d, err := l.file.Dict(r); err == nil && d["S"] != nil {
			return r, nil
		}
	}
	return self, nil
}

// addElement adds an element to its parent, and to the tree that leads from the widget
// to it.
func (l *layout) addElement(root pdf.Dict, parent, element pdf.Ref, key int) error {
	self := l.catalog["StructTreeRoot"].(pdf.Ref) // structureParent has looked
	root = maps.Clone(root)
	root["ParentTreeNextKey"] = pdf.Integer(key + 1)
	holder := root
	if parent != self {
		d, err := l.file.Dict(parent)
		if err != nil {
			return err
		}
		holder = maps.Clone(d)
	}
	kids, err := l.list(holder["K"])
	if err != nil {
		return err
	}
	holder["K"] = append(kids, element)
	if parent != self {
		l.update.Set(parent, holder)
	}
	tree, err := l.file.Dict(root["ParentTree"])
	if err != nil {
		return err
	}
	tree, err = l.withKey(tree, key, element)
	if err != nil {
		return err
	}
	if r, ok := root["ParentTree"].(pdf.Ref); ok {
		l.update.Set(r, tree)
	} else {
		root["ParentTree"] = tree
	}
	l.update.Set(self, root)
	return nil
}

// list is an entry that may be one thing or several, as several.
func (l *layout) list(o pdf.Object) (pdf.Array, error) {
	resolved, err := l.file.Resolve(o)
	if err != nil {
		return nil, err
	}
	switch v := resolved.(type) {
	case nil:
		return pdf.Array{}, nil
	case pdf.Array:
		return append(pdf.Array{}, v...), nil
	}
	return pdf.Array{o}, nil
}

// withKey is a number tree with one more key, higher than all it has.
func (l *layout) withKey(tree pdf.Dict, key int, value pdf.Ref) (pdf.Dict, error) {
	out := with(tree, "Nums", nil)
	delete(out, "Nums")
	pair := pdf.Array{pdf.Integer(key), value}
	if tree["Kids"] != nil {
		kids, err := l.list(tree["Kids"])
		if err != nil {
			return nil, err
		}
		limits := pdf.Array{pdf.Integer(key), pdf.Integer(key)}
		out["Kids"] = append(kids, l.update.Add(pdf.Dict{"Limits": limits, "Nums": pair}))
		return out, nil
	}
	pairs, err := l.list(tree["Nums"])
	if err != nil {
		return nil, err
	}
	out["Nums"] = append(pairs, pair...)
	return out, nil
}
