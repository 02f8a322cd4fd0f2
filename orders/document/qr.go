package document

import (
	"fmt"
	"strings"

	qr "github.com/piglig/go-qr"
)

// quiet is the empty border in modules that ISO/IEC 18004 §6.3.8 asks for.
const quiet = 4

// qrSVG draws text as a QR code of one path, so that it is sharp at every size.
// Level M reads with an eighth of it damaged: paper gets folded and stamped.
func qrSVG(text string) (string, error) {
	code, err := qr.EncodeText(text, qr.Medium)
	if err != nil {
		return "", err
	}
	size := code.Size()
	var path strings.Builder
	for y := 0; y < size; y++ {
		for x := 0; x < size; x++ {
			start := x
			for x < size && code.Module(x, y) {
				x++
			}
			if x > start {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", start+quiet, y+quiet, x-start, x-start)
			}
		}
	}
	side := size + 2*quiet
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d"><path d="%s"/></svg>`, side, side, side, side, path.String()), nil
}
