// Package mark draws the visible part of a signature: a box with text, a picture and
// a QR code.
//
// It owns the drawing, as a form XObject of PDF (ISO 32000-1 clause 8.10) with its
// fonts and colours. It refuses to know who signs, where on which page the box goes
// and how a document's structure names it: signing/pades does. It guarantees that
// what is drawn keeps a PDF/A-2 file one (fonts embedded and mapped to Unicode, no
// device-dependent colour, no transparency; ISO 19005-2 clauses 6.2.4 and 6.2.11),
// that the same Mark always gives the same bytes, and that a letter the font lacks is
// an error and never a gap. A mark proves nothing: the signature does.
package mark

import (
	"image"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/qr"
)

// Mark is what a box shows. Lengths are in points, 1/72 inch.
type Mark struct {
	Lines   []string    // the first is a little larger; each is wrapped
	Picture image.Image // left of the text; nil for none; up to 1,000 by 1,000 pixels
	QR      string      // right of the text; "" for none
	Width   float64     // of the box; 0 means 200
}

const (
	defaultWidth = 200
	narrowest    = 60   // what the text may be squeezed to
	padding      = 5.0  // between the border, the parts and the text
	headSize     = 9.0  // of the first line's letters
	textSize     = 7.5  // of the others: the least that is read with ease on paper
	leading      = 1.3  // height of a line by the size of its letters
	module       = 1.15 // side of a QR code's module: 0.4 mm, as telephones like it
	tallest      = 48.0 // of a picture
)

// PixelsMax is how wide and how high a picture may be.
const PixelsMax = 1000

// Drawing is a box that only has to be put somewhere.
type Drawing struct {
	Width, Height float64
	Text          string // what the box says, for who does not see it
	content       []byte
	font          *subset
	picture       *pdf.Stream
}

// Draw lays the box out. Errors are faults of kind Invalid: mark.letter names a letter
// that the font lacks, mark.narrow and mark.picture say what does not fit.
func (m Mark) Draw() (*Drawing, error) {
	c := &canvas{font: newSubset()}
	d := &Drawing{Width: m.Width, font: c.font}
	if d.Width == 0 {
		d.Width = defaultWidth
	}
	left, right := padding, d.Width-padding
	height := 0.0
	var code qr.Code
	if m.QR != "" {
		var err error
		if code, err = qr.Encode(m.QR); err != nil {
			return nil, fault.New(fault.Invalid, "mark.code", err)
		}
		side := float64(code.Side) * module
		right -= side - padding // the code's own border is wide enough
		height = side - 2*padding
	}
	var w, h float64
	if m.Picture != nil {
		var err error
		if d.picture, err = picture(m.Picture); err != nil {
			return nil, err
		}
		w, h = fit(m.Picture.Bounds())
		left += w + padding
		height = max(height, h)
	}
	lines, tall, err := c.wrap(m.Lines, right-left)
	if err != nil {
		return nil, err
	}
	d.Height = max(height, tall) + 2*padding
	c.box(d.Width, d.Height)
	if d.picture != nil {
		c.image(padding, (d.Height-h)/2, w, h)
	}
	if m.QR != "" {
		side := float64(code.Side) * module
		c.code(code, d.Width-side, (d.Height+side)/2)
	}
	c.text(lines, left, (d.Height+tall)/2)
	d.content = c.Bytes()
	d.Text = strings.Join(m.Lines, " – ")
	return d, nil
}

// Add adds the drawing to an update and returns the form XObject. turned is the page's
// /Rotate: the box is drawn so that it stands upright on the turned page, and its
// bounding box lies at 0, 0 before it is turned.
func (d *Drawing) Add(u *pdf.Update, turned int) pdf.Ref {
	resources := pdf.Dict{
		"Font":       pdf.Dict{"F": d.font.add(u)},
		"ColorSpace": pdf.Dict{"C": colour},
	}
	if d.picture != nil {
		resources["XObject"] = pdf.Dict{"P": u.Add(d.picture)}
	}
	return u.Add(pdf.Deflate(pdf.Dict{
		"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "FormType": pdf.Integer(1),
		"BBox":   pdf.Array{pdf.Integer(0), pdf.Integer(0), pdf.Real(d.Width), pdf.Real(d.Height)},
		"Matrix": upright(turned), "Resources": resources,
	}, d.content))
}

// upright turns the box against the page. Viewers then move it into the annotation's
// rectangle (ISO 32000-1, algorithm 8.1), so no shift is needed.
func upright(turned int) pdf.Array {
	a := map[int][4]int64{90: {0, 1, -1, 0}, 180: {-1, 0, 0, -1}, 270: {0, -1, 1, 0}}
	m, ok := a[((turned%360)+360)%360]
	if !ok {
		m = [4]int64{1, 0, 0, 1}
	}
	return pdf.Array{pdf.Integer(m[0]), pdf.Integer(m[1]), pdf.Integer(m[2]), pdf.Integer(m[3]), pdf.Integer(0), pdf.Integer(0)}
}

// white is D65. Colours are named by it, since a file's own output intent may
// be of any kind (ISO 19005-2, 6.2.4).
var white = pdf.Array{pdf.Real(0.9505), pdf.Real(1), pdf.Real(1.089)}

// colour is sRGB, as near as CalRGB comes. Greys are named by it too: some viewers show
// the white of CalGray as cream.
var colour = pdf.Array{pdf.Name("CalRGB"), pdf.Dict{
	"WhitePoint": white, "Gamma": pdf.Array{pdf.Real(2.2), pdf.Real(2.2), pdf.Real(2.2)},
	"Matrix": pdf.Array{pdf.Real(0.4124), pdf.Real(0.2126), pdf.Real(0.0193), pdf.Real(0.3576), pdf.Real(0.7152), pdf.Real(0.1192), pdf.Real(0.1805), pdf.Real(0.0722), pdf.Real(0.9505)},
}}

// fit is the size of a picture in the box.
func fit(b image.Rectangle) (w, h float64) {
	h = min(tallest, float64(b.Dy()))
	return h * float64(b.Dx()) / float64(b.Dy()), h
}

// picture is an image XObject on white: transparency has no place in many files.
func picture(p image.Image) (*pdf.Stream, error) {
	b := p.Bounds()
	if b.Empty() || b.Dx() > PixelsMax || b.Dy() > PixelsMax || b.Dx() > 4*b.Dy() {
		return nil, fault.New(fault.Invalid, "mark.picture", nil).With("Pixels", PixelsMax)
	}
	data := make([]byte, 0, 3*b.Dx()*b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			red, green, blue, alpha := p.At(x, y).RGBA() // premultiplied
			for _, v := range []uint32{red, green, blue} {
				data = append(data, byte((v+0xffff-alpha)>>8))
			}
		}
	}
	return pdf.Deflate(pdf.Dict{
		"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Image"), "ColorSpace": colour, "BitsPerComponent": pdf.Integer(8),
		"Width": pdf.Integer(b.Dx()), "Height": pdf.Integer(b.Dy()), "Interpolate": false,
	}, data), nil
}

// clean is text as it is drawn: composed letters, one space between words. A no-break
// space stays one.
func clean(s string) string {
	words := strings.FieldsFunc(norm.NFC.String(s), func(r rune) bool { return r < ' ' || r == ' ' })
	return strings.Join(words, " ")
}
