package outside

import (
	"errors"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing/mark"
)

// Sizes of the box in points.
const (
	boxWidth  = 215
	boxMargin = 14 // from the edges: what printers leave white
)

// draw is what is appended to a file for its mark: an update with a stamp (ISO 32000-1,
// 12.5.6.12) on the first page, which the structure names, and one across each page of a
// specimen.
func draw(file []byte, m Mark) ([]byte, error) {
	f, err := open(file)
	if err != nil {
		return nil, err
	}
	pages, err := f.Pages(MaxPages)
	if err != nil {
		return nil, err
	}
	if len(pages) == 0 {
		return nil, refuse("outside.pages", "no page")
	}
	u := f.Update()
	for i, p := range pages {
		var stamps []pdf.Object
		if m.Specimen != "" {
			s, err := across(f, u, p, m.Specimen)
			if err != nil {
				return nil, err
			}
			stamps = append(stamps, s)
		}
		if i == 0 {
			s, err := box(f, u, p, m)
			if err != nil {
				return nil, err
			}
			stamps = append(stamps, s)
		}
		if len(stamps) == 0 {
			continue
		}
		if err := u.Annotate(p.Ref, p.Dict, stamps...); err != nil {
			return nil, err
		}
	}
	return u.Encode()
}

// box is the stamp with the number.
func box(f *pdf.File, u *pdf.Update, p pdf.Page, m Mark) (pdf.Ref, error) {
	d, err := mark.Mark{Lines: m.Lines, QR: m.QR, Width: boxWidth}.Draw()
	if err != nil {
		return pdf.Ref{}, undrawn(err)
	}
	edges, ok := f.Edges(p.Inherit)
	if !ok {
		return pdf.Ref{}, refuse("outside.broken", "the page has no size")
	}
	corner := pdf.Corner{
		Top:   m.Corner == TopLeft || m.Corner == TopRight,
		Right: m.Corner != TopLeft && m.Corner != BottomLeft,
	}
	rect, ok := corner.Place(edges, f.Turned(p.Inherit), d.Width, d.Height, boxMargin)
	if !ok {
		return pdf.Ref{}, refuse("outside.no_room", "a page of %.0f", edges)
	}
	return stamp(f, u, p, d, rect)
}

// across is the stamp of a specimen, as large as the page.
func across(f *pdf.File, u *pdf.Update, p pdf.Page, text string) (pdf.Ref, error) {
	edges, ok := f.Edges(p.Inherit)
	if !ok {
		return pdf.Ref{}, refuse("outside.broken", "the page has no size")
	}
	w, h := edges[2]-edges[0], edges[3]-edges[1]
	if f.Turned(p.Inherit)%2 == 1 {
		w, h = h, w
	}
	d, err := mark.Across(text, w, h)
	if err != nil {
		return pdf.Ref{}, undrawn(err)
	}
	return stamp(f, u, p, d, pdf.Array{pdf.Real(edges[0]), pdf.Real(edges[1]), pdf.Real(edges[2]), pdf.Real(edges[3])})
}

// stamp adds a drawing as an annotation that is printed and that nobody can move.
func stamp(f *pdf.File, u *pdf.Update, p pdf.Page, d *mark.Drawing, rect pdf.Array) (pdf.Ref, error) {
	self := u.Reserve()
	const print, readOnly, locked, lockedContents = 4, 64, 128, 512 // ISO 32000-1, table 165
	a := pdf.Dict{
		"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Stamp"), "P": p.Ref, "Rect": rect, "Contents": pdf.Text(d.Text),
		"F":  pdf.Integer(print | readOnly | locked | lockedContents),
		"AP": pdf.Dict{"N": d.Add(u, 90*f.Turned(p.Inherit))},
	}
	key, ok, err := u.Describe(self, p.Ref, "Annot", d.Text)
	if err != nil {
		return pdf.Ref{}, err
	}
	if ok {
		a["StructParent"] = key
	}
	u.Set(self, a)
	return self, nil
}

// undrawn says what of a mark cannot be drawn, in the words of this package.
func undrawn(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Key == "mark.letter" {
		return refuse("outside.letter", "%v", err)
	}
	return refuse("outside.no_room", "%v", err)
}
