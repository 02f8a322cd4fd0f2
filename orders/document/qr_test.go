package document

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// The code on the paper is read by a decoder that others wrote, at the
// resolution of a mediocre scan, with SPECIMEN under it too.
func TestQRCodeIsRead(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	for _, specimen := range []bool{false, true} {
		d := residence(i18n.French)
		d.Specimen = specimen
		dir := t.TempDir()
		tool(t, render(t, r, d), "pdftoppm", "-r", "100", "-png", "FILE", dir+"/page")
		pages, err := filepath.Glob(dir + "/page*.png")
		if err != nil || len(pages) != 1 {
			t.Fatal(pages, err)
		}
		if got := decode(t, pages[0]); got != d.Verify.URL {
			t.Errorf("the code says %q", got)
		}
	}
}

func decode(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	bits, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	found, err := qrcode.NewQRCodeReader().Decode(bits, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		t.Fatal(err)
	}
	return found.GetText()
}
