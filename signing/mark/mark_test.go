package mark_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing/mark"
)

// blank is a PDF of one empty page, without any font.
func blank(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	var at []int
	b.WriteString("%PDF-1.7\n")
	for i, o := range []string{"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]>>"} {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj%s endobj\n", i+1, o)
	}
	xref := b.Len()
	b.WriteString("xref\n0 4\n0000000000 65535 f \n")
	for _, offset := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&b, "trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", xref)
	return b.Bytes()
}

// page puts a drawing on a page of its own, as others will see it.
func page(t testing.TB, d *mark.Drawing) string {
	t.Helper()
	content := blank(t)
	f, err := pdf.Bytes(content)
	if err != nil {
		t.Fatal(err)
	}
	u := f.Update()
	form := d.Add(u, 0)
	u.Set(pdf.Ref{Number: 3}, pdf.Dict{
		"Type": pdf.Name("Page"), "Parent": pdf.Ref{Number: 2}, "MediaBox": pdf.Array{pdf.Integer(0), pdf.Integer(0), pdf.Integer(300), pdf.Integer(200)},
		"Resources": pdf.Dict{"XObject": pdf.Dict{"M": form}},
		"Contents":  u.Add(pdf.NewStream(nil, []byte("q 1 0 0 1 20 20 cm /M Do Q"))),
	})
	tail, err := u.Encode()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mark.pdf")
	if err := os.WriteFile(path, append(content, tail...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func output(t testing.TB, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func crest() image.Image {
	p := image.NewNRGBA(image.Rect(0, 0, 40, 50))
	for y := range 50 {
		for x := range 40 {
			p.Set(x, y, color.NRGBA{R: 180, G: 20, B: 40, A: uint8(5 * y)})
		}
	}
	return p
}

// Others read the text, with its accents, find the font embedded, and read the code.
func TestOthersSeeIt(t *testing.T) {
	const address = "http://beaumarais.belfry.localhost:8080/verify"
	d, err := mark.Mark{
		Lines:   []string{"Scellé électroniquement", "Commune de Beaumarais-l’Œuvre, le 24 novembre 2026 à 9 h 41", "Ειρήνη Ирина Łukasz Gärtner-Müllersbruck"},
		Picture: crest(), QR: address, Width: 240,
	}.Draw()
	if err != nil {
		t.Fatal(err)
	}
	file := page(t, d)
	text := output(t, "pdftotext", "-layout", file, "-")
	for _, want := range []string{"Scellé électroniquement", "l’Œuvre", "Ειρήνη", "Ирина", "Łukasz"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	fonts := output(t, "pdffonts", file)
	if !strings.Contains(fonts, "GoRegular") || !strings.Contains(fonts, "yes yes yes") {
		t.Errorf("the font is not embedded, cut down and mapped:\n%s", fonts)
	}
	output(t, "qpdf", "--check", file)
	picture := filepath.Join(t.TempDir(), "mark")
	output(t, "pdftoppm", "-r", "200", "-png", "-singlefile", file, picture)
	raw, err := os.ReadFile(picture + ".png")
	if err != nil {
		t.Fatal(err)
	}
	if keep := os.Getenv("BELFRY_SHOTS"); keep != "" {
		os.WriteFile(filepath.Join(keep, "mark.png"), raw, 0o600)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	got, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil || got.GetText() != address {
		t.Errorf("the code was read as %v: %v", got, err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() > 40<<10 {
		t.Errorf("a mark takes %d bytes", info.Size())
	}
}

func TestSameMarkSameBytes(t *testing.T) {
	encode := func() []byte {
		d, err := mark.Mark{Lines: []string{"Verzegeld door de gemeente"}, Picture: crest(), QR: "x"}.Draw()
		if err != nil {
			t.Fatal(err)
		}
		f, err := pdf.Bytes(blank(t))
		if err != nil {
			t.Fatal(err)
		}
		u := f.Update()
		d.Add(u, 90)
		tail, err := u.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return tail
	}
	if !bytes.Equal(encode(), encode()) {
		t.Error("two drawings of one mark differ")
	}
}

func TestWhatCannotBeDrawn(t *testing.T) {
	huge := image.NewGray(image.Rect(0, 0, 1200, 10))
	for name, m := range map[string]struct {
		mark mark.Mark
		want string
	}{
		"a letter that the font lacks": {mark.Mark{Lines: []string{"汉字"}}, "mark.letter"},
		"no room for text":             {mark.Mark{Lines: []string{"x"}, Width: 100, QR: "http://example.org/verify", Picture: crest()}, "mark.narrow"},
		"a picture too large":          {mark.Mark{Picture: huge}, "mark.picture"},
		"an empty picture":             {mark.Mark{Picture: image.NewGray(image.Rectangle{})}, "mark.picture"},
		"a text too long for a code":   {mark.Mark{QR: strings.Repeat("x", 3000)}, "mark.code"},
	} {
		_, err := m.mark.Draw()
		if got := fault.KeyOf(err); got != m.want || !errors.Is(err, fault.New(fault.Invalid, m.want, nil)) {
			t.Errorf("%s: %v, want %s", name, err, m.want)
		}
	}
}

// A word that no line can hold is broken, and the box grows with the text.
func TestLongWords(t *testing.T) {
	short, err := mark.Mark{Lines: []string{"x"}}.Draw()
	if err != nil {
		t.Fatal(err)
	}
	d, err := mark.Mark{Lines: []string{"x", strings.Repeat("Donaudampfschifffahrtsgesellschaft", 5)}}.Draw()
	if err != nil {
		t.Fatal(err)
	}
	if d.Height < short.Height+3*7 || d.Height > 200 {
		t.Errorf("%.0f points high, one line is %.0f", d.Height, short.Height)
	}
	text := strings.Join(strings.Fields(output(t, "pdftotext", "-layout", page(t, d), "-")), "")
	if !strings.Contains(text, "Donaudampfschifffahrtsgesellschaft") {
		t.Errorf("the word was lost:\n%s", text)
	}
}
