package document

import (
	"context"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

func letter(l i18n.Language) Document {
	return Document{
		Template: "letter", Language: l, Title: "Votre document", Number: "2026-000123", Date: time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC),
		Commune:   Commune{Name: "Commune de Beaumarais", Address: []string{"Place du Marché 1", "7999 Beaumarais", "+32 00 00 00 01", "population@beaumarais.example"}, Colour: "#0f4c5c"},
		Recipient: []string{"Anne-Françoise Léopoldine van der Meulen-Vandenberghe", "Rue du Faubourg Saint-Honoré prolongée 112 boîte 3", "7999 Beaumarais"},
		Intro:     "Vous trouverez derrière cette feuille le document que vous avez demandé.", Legal: "Votre demande : 7K2M-QX4P.",
	}
}

// The address, and nothing else, stands in the window of an envelope: 100 to 195 mm from the
// left, 45 to 90 mm from the top. The cover sheet keeps the standards of the papers.
func TestTheAddressStandsInTheWindow(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	for _, l := range everyLanguage {
		if _, err := r.set(context.Background(), letter(l), "ua-1"); err != nil {
			t.Errorf("%s: %v", l, err)
		}
	}
	pdf := render(t, r, letter(i18n.French))
	if dir := os.Getenv("BELFRY_SHOTS"); dir != "" {
		if err := os.WriteFile(dir+"/letter.pdf", pdf, 0o600); err != nil {
			t.Error(err)
		}
	}
	if info := tool(t, pdf, "pdfinfo", "FILE"); !strings.Contains(info, "Pages:           1") {
		t.Errorf("%s", info)
	}
	words := regexp.MustCompile(`<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">([^<]*)</word>`)
	var inside []string
	for _, m := range words.FindAllStringSubmatch(tool(t, pdf, "pdftotext", "-bbox", "FILE", "-"), -1) {
		var at [4]float64 // in millimetres
		for i := range at {
			at[i], _ = strconv.ParseFloat(m[i+1], 64)
			at[i] *= 25.4 / 72
		}
		switch in := at[0] > 110 && at[1] > 48 && at[2] < 195 && at[3] < 88; {
		case in:
			inside = append(inside, m[5])
		case at[2] > 100 && at[3] > 45 && at[1] < 90:
			t.Errorf("%s stands at %.0f mm on the edge of the window", m[5], at)
		}
	}
	if got := strings.Join(inside, " "); got != strings.Join(letter(i18n.French).Recipient, " ") {
		t.Errorf("in the window: %q", got)
	}
}
