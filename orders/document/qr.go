package document

import (
	"fmt"
	"strings"

	"github.com/belfry-eid/belfry/internal/qr"
)

// qrSVG draws text as a QR code of one path, so that it is sharp at every size.
func qrSVG(text string) (string, error) {
	code, err := qr.Encode(text)
	if err != nil {
		return "", err
	}
	var path strings.Builder
	for _, r := range code.Runs {
		fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", r.X, r.Y, r.Width, r.Width)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" width="%[1]d" height="%[1]d"><path d="%[2]s"/></svg>`, code.Side, path.String()), nil
}
