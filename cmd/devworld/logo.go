package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"strconv"

	"github.com/belfry-eid/belfry/internal/commune"
)

// The communes' arms are drawn here: a shield of two of the commune's colours, with a
// figure of its own. A figure says of a point, each coordinate from -1 to 1, whether it
// is within.
var figures = map[commune.ID]func(x, y float64) bool{
	"beaumarais": func(x, y float64) bool { // waves of the marsh
		for _, at := range []float64{-.35, .05, .45} {
			if math.Abs(y-at-.09*math.Sin(7*x)) < .09 {
				return true
			}
		}
		return false
	},
	"zandvoorde": func(x, y float64) bool { return math.Abs(x)+math.Abs(y*.8) < .5 && math.Abs(x)+math.Abs(y*.8) > .28 }, // a lozenge
	"montclair":  func(x, y float64) bool { return y > -.45+1.2*math.Abs(x) && y < .45 },                                 // a mountain
	"ahornfeld":  func(x, y float64) bool { return math.Hypot(x, y) < .3+.2*math.Abs(math.Cos(2.5*math.Atan2(x, -y))) },  // a leaf of five lobes
	"wilgenrode": func(x, y float64) bool { // a willow
		return math.Hypot(x, y+.2) < .42 || math.Abs(x) < .09 && y > 0 && y < .65
	},
}

const logoSize = 240 // pixels

// writeLogos draws the communes' logos beside the settings, and names them there. The
// French mairie has none.
func (w *world) writeLogos(list []*commune.Commune) error {
	for _, c := range list {
		figure := figures[c.ID]
		if figure == nil {
			continue
		}
		brand, err := rgb(c.Theme.Brand)
		if err != nil {
			return err
		}
		accent, err := rgb(c.Theme.Accent)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := png.Encode(&b, drawLogo(brand, accent, figure)); err != nil {
			return err
		}
		c.Theme.Logo = "logo-" + string(c.ID) + ".png"
		if err := os.WriteFile(w.path(c.Theme.Logo), b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// drawLogo is a shield with a figure; each pixel is the mean of sixteen points.
func drawLogo(field, charge color.NRGBA, figure func(x, y float64) bool) image.Image {
	const fine = 4
	m := image.NewNRGBA(image.Rect(0, 0, logoSize, logoSize))
	for py := range logoSize {
		for px := range logoSize {
			var r, g, b, n int
			for i := range fine * fine {
				at := func(p, i int) float64 { return 2*(float64(p)+(float64(i)+.5)/fine)/logoSize - 1 }
				x, y := at(px, i%fine), at(py, i/fine)
				if !onShield(x, y) {
					continue
				}
				c := field
				if figure(x, y) {
					c = charge
				}
				r, g, b, n = r+int(c.R), g+int(c.G), b+int(c.B), n+1
			}
			if n > 0 {
				m.SetNRGBA(px, py, color.NRGBA{uint8(r / n), uint8(g / n), uint8(b / n), uint8(255 * n / (fine * fine))})
			}
		}
	}
	return m
}

// onShield is straight above and comes to a point below.
func onShield(x, y float64) bool {
	const half = .85
	if y < 0 {
		return y > -.97 && math.Abs(x) < half
	}
	return math.Abs(x) < half*math.Sqrt(max(0, 1-y*y/.94))
}

func rgb(s string) (color.NRGBA, error) {
	n, err := strconv.ParseUint(s[min(1, len(s)):], 16, 24)
	if err != nil || !commune.IsColour(s) {
		return color.NRGBA{}, fmt.Errorf("%q is no colour", s)
	}
	return color.NRGBA{uint8(n >> 16), uint8(n >> 8), uint8(n), 0xff}, nil
}
