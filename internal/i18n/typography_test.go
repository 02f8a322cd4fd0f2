package i18n_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

func TestLinesDoNotBreakBadly(t *testing.T) {
	for _, c := range []struct {
		l          i18n.Language
		text, want string
	}{
		{i18n.French, "Prêt ? Oui : « bien » ; 20 Mo !", "Prêt\u00a0? Oui\u00a0: «\u00a0bien\u00a0»\u00a0; 20\u00a0Mo\u00a0!"},
		{i18n.French, "à https://a.be : fini", "à https://a.be\u00a0: fini"},
		{i18n.Dutch, "hoogstens 20 MB ? 12 345 67", "hoogstens 20\u00a0MB ? 12\u00a0345 67"},
		{i18n.German, "„So“ : 3 Tage", "„So“ : 3 Tage"},
	} {
		if got := i18n.Unbroken(c.l, c.text); got != c.want {
			t.Errorf("%s: %q", c.l, got)
		}
	}
	if got := i18n.T(i18n.French, "page.label", "Label", "Envoyée le"); got != "Envoyée le\u00a0:" {
		t.Errorf("a label in French: %q", got)
	}
	if got := i18n.Date(i18n.French, time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)); got != "1er\u00a0mai 2026" {
		t.Errorf("a date in French: %q", got)
	}
}

// Catalogues hold one kind of apostrophe, and of quotation marks per language.
func TestTextsAreWellSet(t *testing.T) {
	wrong := map[i18n.Language]string{i18n.French: `'"“”‘`, i18n.Dutch: `'"“”«»`, i18n.German: `'"”«»`, i18n.English: `'"«»„`}
	for room, languages := range read(t) {
		for l, messages := range languages {
			for key, forms := range messages {
				for _, text := range forms {
					if i := strings.IndexAny(text, wrong[l]); i >= 0 {
						t.Errorf("%s: %s in %s holds %q", room, key, l, text[i:min(len(text), i+12)])
					}
					if strings.Contains(text, "..") || strings.Contains(text, "  ") {
						t.Errorf("%s: %s in %s has a point or a space too many", room, key, l)
					}
				}
			}
		}
	}
}
