package document

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// household is a paper with a list of n people.
func household(l i18n.Language, n int) Document {
	d := residence(l)
	switch l {
	case i18n.Dutch:
		d.Title, d.List = "Attest van gezinssamenstelling", List{Title: "Leden van het gezin", Columns: []Column{{"Naam en voornamen", 4}, {"Geboortedatum", 3}, {"Verwantschap met de referentiepersoon", 4}, {"Lid sinds", 3}}}
	case i18n.German:
		d.Title, d.List = "Haushaltszusammensetzung", List{Title: "Mitglieder des Haushalts", Columns: []Column{{"Name und Vornamen", 4}, {"Geburtsdatum", 3}, {"Verhältnis zur Bezugsperson", 4}, {"Mitglied seit", 3}}}
	default:
		d.Title, d.List = "Composition de ménage", List{Title: "Membres du ménage", Columns: []Column{{"Nom et prénoms", 4}, {"Date de naissance", 3}, {"Lien avec la personne de référence", 4}, {"Membre depuis", 3}}}
	}
	for i := range n {
		d.List.Rows = append(d.List.Rows, []string{fmt.Sprintf("Vanden Eynde-Delacroix, Jean-Baptiste Maximilien %d", i+1), i18n.Date(l, d.Date.AddDate(-40+i, 0, 0)), "", i18n.Date(l, d.Date)})
	}
	return d
}

// A list is a table with header cells, on every page that it reaches.
func TestTheListIsATable(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	for _, l := range everyLanguage {
		if _, err := r.set(context.Background(), household(l, 4), "ua-1"); err != nil {
			t.Errorf("%s: the typesetter refuses PDF/UA-1: %v", l, err)
		}
		for _, n := range []int{4, 60} {
			d := household(l, n)
			pdf := render(t, r, d)
			tree := tool(t, pdf, "pdfinfo", "-struct-text", "FILE")
			if tables, headers := strings.Count(tree, "THead"), strings.Count(tree, "/Scope /Column"); tables != 2 || headers != 2+len(d.List.Columns) {
				t.Errorf("%s, %d rows: %d tables, %d header cells", l, n, tables, headers)
			}
			pages := strings.Split(strings.TrimSuffix(tool(t, pdf, "pdftotext", "-raw", "FILE", "-"), "\f"), "\f")
			if n < 5 && len(pages) != 1 {
				t.Errorf("%s, %d rows: %d pages", l, n, len(pages))
			}
			for i, p := range pages {
				if rows := strings.Contains(p, "Jean-Baptiste"); rows && !strings.Contains(squeeze(p), squeeze(d.List.Columns[3].Label)) {
					t.Errorf("%s: page %d has rows without their header", l, i+1)
				}
			}
			if text := squeeze(strings.Join(pages, " ")); !strings.Contains(text, squeeze(d.List.Rows[n-1][0])) || !strings.Contains(text, squeeze(d.List.Title)) {
				t.Errorf("%s: the last row or the heading is missing", l)
			}
		}
	}
}

func TestListsThatCannotBePrinted(t *testing.T) {
	for want, spoil := range map[string]func(*List){
		"document.incomplete":  func(l *List) { l.Rows[0] = l.Rows[0][:2] },
		"document.too_long":    func(l *List) { l.Rows = make([][]string, maxRows+1) },
		"document.unprintable": func(l *List) { l.Rows[0][0] = "\xff" },
	} {
		d := household(i18n.French, 2)
		spoil(&d.List)
		if _, err := checked(d); fault.KeyOf(err) != want {
			t.Errorf("want %s, got %v", want, err)
		}
	}
	d := household(i18n.French, 1)
	d.List.Rows[0][0] = "a\u202eb"
	if got, err := checked(d); err != nil || got.List.Rows[0][0] != "ab" || d.List.Rows[0][0] != "a\u202eb" {
		t.Errorf("%q, %v", got.List.Rows[0][0], err)
	}
	d.List.Title = ""
	if _, err := checked(d); fault.KeyOf(err) != "document.incomplete" {
		t.Errorf("a list without a heading: %v", err)
	}
}
