package pades

import (
	"fmt"

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
	edges, ok := l.file.Edges(inherit)
	if !ok {
		return nil, broken(fmt.Errorf("pades: the page has no size"))
	}
	turned := l.file.Turned(inherit)
	rect, ok := pdf.Corner{Top: v.Top, Right: v.Right}.Place(edges, turned, d.Width, d.Height, v.Margin)
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

// show gives a widget the box as its appearance, and names it in the document's
// structure, so that it is read where others see it (ISO 14289-1, 7.18.1 and 7.18.4).
func (l *layout) show(widget pdf.Dict, self, page pdf.Ref, b *box) error {
	widget["Rect"] = b.rect
	widget["AP"] = pdf.Dict{"N": b.form}
	widget["Contents"] = pdf.Text(b.drawing.Text)
	key, ok, err := l.update.Describe(self, page, "Form", b.drawing.Text)
	if ok {
		widget["StructParent"] = key
	}
	return err
}
