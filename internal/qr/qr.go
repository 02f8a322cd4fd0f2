// Package qr makes QR codes as runs of dark modules, for whoever draws them.
//
// It owns the level of correction and the quiet border. It refuses to know what is
// drawn on (a document, the box of a signature) and what the text means.
package qr

import (
	"fmt"

	goqr "github.com/piglig/go-qr"
)

// quiet is the empty border in modules that ISO/IEC 18004 §6.3.8 asks for.
const quiet = 4

// Run is a horizontal run of dark modules, one module high; X and Y count from the
// upper left corner of the quiet border.
type Run struct{ X, Y, Width int }

// Code is a QR code with its border.
type Code struct {
	Side int // in modules
	Runs []Run
}

// Encode makes the code of a text. Level M reads with an eighth of it damaged: paper
// gets folded and stamped. Text of more than about 2,300 bytes is an error.
func Encode(text string) (Code, error) {
	made, err := goqr.EncodeText(text, goqr.Medium)
	if err != nil {
		return Code{}, fmt.Errorf("qr: %w", err)
	}
	size := made.Size()
	c := Code{Side: size + 2*quiet}
	for y := 0; y < size; y++ {
		for x := 0; x < size; x++ {
			start := x
			for x < size && made.Module(x, y) {
				x++
			}
			if x > start {
				c.Runs = append(c.Runs, Run{X: start + quiet, Y: y + quiet, Width: x - start})
			}
		}
	}
	return c, nil
}
