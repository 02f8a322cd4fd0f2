package pades_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/mark"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

// visible is a box of which the test knows what it was told of the document.
func visible(v pades.Visible, language *string) *pades.Visible {
	v.Draw = func(l string) (*mark.Drawing, error) {
		if language != nil {
			*language = l
		}
		return mark.Mark{Lines: []string{"Scellé", "par la commune"}, Width: 100}.Draw()
	}
	return &v
}

// seen renders a page and returns where ink is, as fractions of what is shown.
func seen(t *testing.T, file []byte, page int) (left, top, right, bottom float64) {
	t.Helper()
	if _, err := exec.LookPath("pdftoppm"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("pdftoppm", "-png", "-singlefile", "-r", "72", "-cropbox", "-f", fmt.Sprint(page), path, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(path + ".png")
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	ink := image.Rectangle{b.Max, b.Min}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if r, _, _, _ := img.At(x, y).RGBA(); r < 0xc000 {
				ink = image.Rect(min(ink.Min.X, x), min(ink.Min.Y, y), max(ink.Max.X, x+1), max(ink.Max.Y, y+1))
			}
		}
	}
	w, h := float64(b.Dx()), float64(b.Dy())
	return float64(ink.Min.X) / w, float64(ink.Min.Y) / h, float64(ink.Max.X) / w, float64(ink.Max.Y) / h
}

// pages are two empty pages, the first turned.
func pages(rotate int) []byte {
	o := pdftest.Plain()
	o[0] = "<</Type/Catalog/Pages 2 0 R/Lang(nl-BE)>>"
	o[1] = fmt.Sprintf("<</Type/Pages/Kids[3 0 R %d 0 R]/Count 2/Rotate %d/MediaBox[0 0 400 600]/CropBox[50 20 350 520]>>", len(o)+1, rotate)
	o[2] = "<</Type/Page/Parent 2 0 R>>"
	return pdftest.Build(pdftest.Table, append(o, "<</Type/Page/Parent 2 0 R>>"))
}

// Wherever a page is turned, the box stands upright in the corner that was asked for.
func TestTheBoxIsWherePeopleLook(t *testing.T) {
	w := signingtest.Shared()
	for _, rotate := range []int{0, 90, 180, 270, -90, 450} {
		for _, corner := range []pades.Visible{{}, {Right: true}, {Top: true}, {Top: true, Right: true}} {
			corner.Margin = 12
			o := options(w.P256)
			var language string
			o.Visible = visible(corner, &language)
			file := sign(t, pages(rotate), w.P256, o)
			if language != "nl-BE" {
				t.Errorf("the document is said to be in %q", language)
			}
			left, top, right, bottom := seen(t, file, 1)
			width, height := 300.0, 500.0
			if rotate%180 != 0 {
				width, height = height, width
			}
			gapX, gapY := left*width, (1-bottom)*height
			if corner.Right {
				gapX = (1 - right) * width
			}
			if corner.Top {
				gapY = top * height
			}
			name := fmt.Sprintf("turned by %d, top %v, right %v", rotate, corner.Top, corner.Right)
			if math.Abs(gapX-12) > 2 || math.Abs(gapY-12) > 2 {
				t.Errorf("%s: %.0f and %.0f points from the edges", name, gapX, gapY)
			}
			if w, h := (right-left)*width, (bottom-top)*height; math.Abs(w-100) > 2 || h > 50 {
				t.Errorf("%s: the box lies on its side: %.0f by %.0f", name, w, h)
			}
		}
	}
}

func TestTheBoxIsOnTheLastPage(t *testing.T) {
	w := signingtest.Shared()
	o := options(w.P256)
	o.Visible = visible(pades.Visible{Last: true, Margin: 10}, nil)
	file := sign(t, pages(0), w.P256, o)
	if left, _, right, _ := seen(t, file, 1); right > left {
		t.Error("there is ink on the first page")
	}
	if left, _, right, _ := seen(t, file, 2); right <= left {
		t.Error("there is none on the last")
	}
}

// A second signature shows nothing: what was signed is not drawn over.
func TestOnlyTheFirstSignatureIsSeen(t *testing.T) {
	w := signingtest.Shared()
	o := options(w.P256)
	o.Visible = visible(pades.Visible{Margin: 10}, nil)
	once := sign(t, pages(0), w.P256, o)
	o = options(w.RSA)
	o.Visible = visible(pades.Visible{Margin: 10, Top: true}, nil)
	twice := sign(t, once, w.RSA, o)
	if _, top, _, _ := seen(t, twice, 1); top < 0.5 {
		t.Error("the second signature has a box too")
	}
}

func TestNoRoomForTheBox(t *testing.T) {
	w := signingtest.Shared()
	o := options(w.P256)
	o.Visible = visible(pades.Visible{Margin: 250}, nil)
	content := pages(0)
	_, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), o)
	if fault.KeyOf(err) != "pades.no_room" {
		t.Errorf("%v", err)
	}
}

// structure is a tagged document whose parent tree has this shape.
func structure(tree string) []byte {
	o := pdftest.Plain()
	n := len(o)
	o[0] = strings.Replace(o[0], "/Type/Catalog", fmt.Sprintf("/Type/Catalog/MarkInfo<</Marked true>>/StructTreeRoot %d 0 R", n+1), 1)
	o = append(o,
		fmt.Sprintf("<</Type/StructTreeRoot/K %d 0 R/ParentTree %d 0 R>>", n+2, n+3),
		fmt.Sprintf("<</Type/StructElem/S/Document/P %d 0 R/K[]>>", n+1),
		strings.ReplaceAll(tree, "LEAF", fmt.Sprintf("%d 0 R", n+4)),
		"<</Limits[3 7]/Nums[3 null 7 null]>>")
	return pdftest.Build(pdftest.Table, o)
}

// A screen reader finds the box in the document's structure, at its end.
func TestTheBoxHasAPlaceInTheStructure(t *testing.T) {
	w := signingtest.Shared()
	for name, c := range map[string]struct {
		tree string
		key  pdf.Integer
	}{
		"an empty tree":     {"<<>>", 0},
		"a flat tree":       {"<</Nums[0 null 4 null]>>", 5},
		"a tree with kids":  {"<</Kids[LEAF]>>", 8},
		"a tree in circles": {"<</Kids[LEAF LEAF]>>", -1},
	} {
		content := structure(c.tree)
		o := options(w.P256)
		o.Visible = visible(pades.Visible{Margin: 10}, nil)
		if c.key < 0 {
			if _, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), o); err == nil {
				t.Errorf("%s: it was signed", name)
			}
			continue
		}
		f := open(t, sign(t, content, w.P256, o))
		widget := fields(t, f)["Seal1"]
		if widget.Dict["StructParent"] != c.key {
			t.Errorf("%s: key %v, want %v", name, widget.Dict["StructParent"], c.key)
		}
		root := dict(t, f, dict(t, f, f.Root())["StructTreeRoot"])
		if root["ParentTreeNextKey"] != c.key+1 {
			t.Errorf("%s: next key %v", name, root["ParentTreeNextKey"])
		}
		document := dict(t, f, root["K"])
		kids, _ := f.Array(document["K"])
		if len(kids) != 1 {
			t.Fatalf("%s: the document has %v", name, kids)
		}
		form := dict(t, f, kids[0])
		what := dict(t, f, form["K"])
		if form["S"] != pdf.Name("Form") || form["Alt"].(pdf.String).Text() != "Scellé – par la commune" || what["Obj"] != widget.Ref {
			t.Errorf("%s: element %v", name, form)
		}
		if found := lookUp(t, f, root["ParentTree"], c.key); found != kids[0] {
			t.Errorf("%s: the tree leads to %v, not to %v", name, found, kids[0])
		}
	}
}

// lookUp finds a key in a number tree as a reader would.
func lookUp(t *testing.T, f *pdf.File, node pdf.Object, key pdf.Integer) pdf.Object {
	t.Helper()
	d := dict(t, f, node)
	nums, _ := f.Array(d["Nums"])
	if i := slices.Index(nums, pdf.Object(key)); i >= 0 && i%2 == 0 {
		return nums[i+1]
	}
	kids, _ := f.Array(d["Kids"])
	for _, k := range kids {
		limits, _ := f.Array(dict(t, f, k)["Limits"])
		if key >= limits[0].(pdf.Integer) && key <= limits[1].(pdf.Integer) {
			return lookUp(t, f, k, key)
		}
	}
	return nil
}
