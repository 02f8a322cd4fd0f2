package mark

import (
	"fmt"
	"math"

	"github.com/belfry-eid/belfry/internal/fault"
)

// Across draws a text in outlines from the lower left to the upper right of a page of this
// size, in points: what stands there is still read. An error is a fault as Draw's.
func Across(text string, width, height float64) (*Drawing, error) {
	c := &canvas{font: newSubset()}
	text = clean(text)
	ems, err := c.font.width(text)
	if err != nil {
		return nil, err
	}
	diagonal := math.Hypot(width, height)
	if ems == 0 || diagonal < narrowest {
		return nil, fault.New(fault.Invalid, "mark.narrow", fmt.Errorf("mark: %q across %.0f by %.0f points", text, width, height))
	}
	size := min(0.8*diagonal/ems, height/4)
	cos, sin := width/diagonal, height/diagonal
	along, below := ems*size/2, size/3 // from the middle of the page to where the text begins
	x, y := width/2-along*cos+below*sin, height/2-along*sin-below*cos
	fmt.Fprintf(c, "/C CS 0.6 0.15 0.15 SC %.2f w BT /F %.1f Tf 1 Tr %.4f %.4f %.4f %.4f %.2f %.2f Tm <%s> Tj ET\n",
		size/60, size, cos, sin, -sin, cos, x, y, c.font.codes(text))
	return &Drawing{Width: width, Height: height, Text: text, font: c.font, content: c.Bytes()}, nil
}
