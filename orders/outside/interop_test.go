package outside_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/verapdf"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/orders/outside"
)

// A file that keeps PDF/A-2a and PDF/UA-1 keeps both with the mark, in each corner and as a
// specimen of two pages.
func TestInteropMarkKeepsTheStandards(t *testing.T) {
	modules, err := filepath.Abs(filepath.Join("..", "..", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(modules); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	typst, err := document.NewTypst(document.TypstConfig{Modules: modules})
	if err != nil {
		t.Fatal(err)
	}
	defer typst.Close()
	d := document.Document{
		Template: "residence", Language: i18n.French, Commune: document.Commune{Name: "Beaumarais"}, Title: "Composition de ménage", Number: "-",
		Date: time.Date(2026, 2, 3, 11, 0, 0, 0, time.UTC), Intro: "La commune certifie.", Facts: []document.Fact{{Label: "Nom", Value: "Lambert"}}, Legal: "Arrêté royal du 16 juillet 1992.",
	}
	for range 45 {
		d.Facts = append(d.Facts, document.Fact{Label: "Membre", Value: "Marie"})
	}
	file, err := typst.Render(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := (outside.Reader{}).Check(ctx, file); err != nil || !a.Full() || a.Pages < 2 || a.Title != "Composition de ménage -" {
		t.Errorf("our own file reads as %+v, %v", a, err)
	}
	pdfs := map[string][]byte{"before": file}
	for _, corner := range outside.Corners {
		m := someMark
		m.Corner = corner
		if pdfs[string(corner)], err = (outside.Reader{}).Mark(ctx, file, m); err != nil {
			t.Fatal(err)
		}
		m.Specimen = "SPECIMEN"
		if pdfs[string(corner)+"-specimen"], err = (outside.Reader{}).Mark(ctx, file, m); err != nil {
			t.Fatal(err)
		}
	}
	verapdf.Validate(t, pdfs)
}
