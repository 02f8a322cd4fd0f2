package qr_test

import (
	"image"
	"image/color"
	"image/draw"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	reader "github.com/makiuchi-d/gozxing/qrcode"

	"github.com/belfry-eid/belfry/internal/qr"
)

// A decoder that others wrote reads what the runs draw.
func TestOthersReadIt(t *testing.T) {
	for _, text := range []string{"x", "http://verifier.beaumarais.be/v/8f2c", "é ŵ 中", strings.Repeat("0123456789", 60)} {
		c, err := qr.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		const scale = 4
		img := image.NewGray(image.Rect(0, 0, c.Side*scale, c.Side*scale))
		draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
		for _, r := range c.Runs {
			box := image.Rect(r.X, r.Y, r.X+r.Width, r.Y+1)
			box.Min, box.Max = box.Min.Mul(scale), box.Max.Mul(scale)
			draw.Draw(img, box, image.NewUniform(color.Black), image.Point{}, draw.Src)
		}
		bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
		if err != nil {
			t.Fatal(err)
		}
		got, err := reader.NewQRCodeReader().Decode(bitmap, nil)
		if err != nil {
			t.Fatalf("%.20q: %v", text, err)
		}
		if got.GetText() != text {
			t.Errorf("%q was read as %q", text, got.GetText())
		}
	}
}

func TestTooLong(t *testing.T) {
	if _, err := qr.Encode(strings.Repeat("x", 3000)); err == nil {
		t.Error("three thousand letters fit nowhere")
	}
}
