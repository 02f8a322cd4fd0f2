package outside_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/orders/outside"
)

// Letters become one file: each begins on a front, copies share what they show, a mark is
// printed, and nothing else of a paper comes along.
func TestBind(t *testing.T) {
	sheet := pdftest.Build(pdftest.Table, pdftest.Plain())
	paper, err := outside.Reader{}.Mark(ctx, pdftest.Build(pdftest.Stream, tagged()), outside.Mark{Lines: []string{"N 2026-000001"}, QR: "https://x.example", Corner: outside.BottomRight})
	if err != nil {
		t.Fatal(err)
	}
	made, err := outside.Reader{}.Bind(ctx, []outside.Letter{{Sheet: sheet, Paper: paper, Copies: 2}, {Sheet: sheet, Paper: sheet, Copies: 1}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdf.Bytes(made)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := f.Pages(20)
	if err != nil {
		t.Fatal(err)
	}
	// Sheet, empty back, paper, empty back, paper, empty back; sheet, empty back, paper, empty back.
	var seen []string
	for _, p := range pages {
		what := "empty"
		if p.Dict["Contents"] != nil {
			what = "page"
		}
		if p.Dict["Annots"] != nil {
			what += " with mark"
		}
		seen = append(seen, what)
	}
	if got := strings.Join(seen, ", "); got != "page, empty, page with mark, empty, page with mark, empty, page, empty, page, empty" {
		t.Errorf("bound %s", got)
	}
	if pages[2].Dict["Contents"] != pages[4].Dict["Contents"] || pages[2].Ref == pages[4].Ref {
		t.Error("two copies do not share their contents, or are one page")
	}
	if err := f.Walk(func(o pdf.Object) error {
		if d, ok := o.(pdf.Dict); ok && (d["StructParents"] != nil || d["Type"] == pdf.Name("StructTreeRoot") || d["Metadata"] != nil) {
			t.Errorf("%v came along", d)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if len(made) > 3*(len(sheet)+len(paper))+8<<10 {
		t.Errorf("%d bytes of %d and %d", len(made), len(sheet), len(paper))
	}
	if tool, err := exec.LookPath("qpdf"); err != nil {
		missing(t, err)
	} else {
		file := filepath.Join(t.TempDir(), "bound.pdf")
		if err := os.WriteFile(file, made, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(tool, "--check", file).CombinedOutput(); err != nil {
			t.Errorf("qpdf: %v: %s", err, out)
		}
	}
}

// What cannot be bound is refused, and the process says no more than why.
func TestBindRefuses(t *testing.T) {
	good := pdftest.Build(pdftest.Table, pdftest.Plain())
	for name, c := range map[string]struct {
		letter outside.Letter
		key    string
	}{
		"no paper":   {outside.Letter{Sheet: good, Paper: []byte("no"), Copies: 1}, "outside.not_pdf"},
		"no copy":    {outside.Letter{Sheet: good, Paper: good}, "outside.broken"},
		"many":       {outside.Letter{Sheet: good, Paper: good, Copies: 101}, "outside.broken"},
		"much":       {outside.Letter{Sheet: good, Paper: bytes.Repeat([]byte("x"), outside.MaxBound), Copies: 1}, "outside.bound_much"},
		"a circle":   {outside.Letter{Sheet: good, Paper: page("/Group 7 0 R", "<</X 7 0 R>>"), Copies: 1}, ""},
		"deep":       {outside.Letter{Sheet: good, Paper: page("/Group " + strings.Repeat("[", 70) + strings.Repeat("]", 70)), Copies: 1}, "outside.too_much"},
		"no more to": {outside.Letter{Sheet: good, Paper: page("/Annots [99 0 R 98 0 R]"), Copies: 1}, ""},
	} {
		_, err := outside.Reader{}.Bind(ctx, []outside.Letter{c.letter})
		if fault.KeyOf(err) != c.key && !(c.key == "" && err == nil) {
			t.Errorf("%s: %v, want %q", name, err, c.key)
		}
	}
}

// missing skips a test that lacks a tool, where CI does not say that everything is there.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}
