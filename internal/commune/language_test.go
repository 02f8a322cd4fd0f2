package commune_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// speaking is a commune under a regime, with a name in each language.
func speaking(r commune.Regime) *commune.Commune {
	c := beaumarais()
	c.LanguageRegime, c.EnglishPages = r, false
	c.Name = map[i18n.Language]string{i18n.French: "Beaumarais", i18n.Dutch: "Schoonmeers", i18n.German: "Schönbruch"}
	if r == "france" {
		c.Country = commune.France
	}
	return c
}

func codes(list []i18n.Language) string {
	var all []string
	for _, l := range list {
		all = append(all, string(l))
	}
	return strings.Join(all, " ")
}

func TestTheRegimeGivesTheLanguages(t *testing.T) {
	for _, k := range []struct {
		regime                                   commune.Regime
		official, asked, pages, documents, staff string
	}{
		{"fr", "fr", "", "fr", "fr", "fr"},
		{"nl", "nl", "", "nl", "nl", "nl"},
		{"de", "de", "fr", "de fr", "de fr", "de"},
		{"fr-nl", "fr", "nl", "fr nl", "fr nl", "fr"},
		{"fr-de", "fr", "de", "fr de", "fr de", "fr"},
		{"nl-fr", "nl", "fr", "nl fr", "nl fr", "nl"},
		{"brussels", "fr nl", "", "fr nl", "fr nl", "fr nl"},
		{"france", "fr", "", "fr", "fr", "fr"},
	} {
		c := speaking(k.regime)
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", k.regime, err)
		}
		got := []string{codes(c.Official()), codes(c.OnRequest()), codes(c.Languages()), codes(c.DocumentLanguages()), codes(c.StaffLanguages())}
		if want := []string{k.official, k.asked, k.pages, k.documents, k.staff}; !slices.Equal(got, want) {
			t.Errorf("%s: official, on request, pages, documents and desk are %q, want %q", k.regime, got, want)
		}
		if c.EnglishPages = true; k.regime != "france" && (c.Check() != nil || codes(c.Languages()) != k.pages+" en" || c.Issues(i18n.English) || codes(c.StaffLanguages()) != k.staff) {
			t.Errorf("%s, English pages: %q, %v", k.regime, codes(c.Languages()), c.Check())
		}
	}
}

func TestSettingsMayNarrowTheRegimeAndNotContradictIt(t *testing.T) {
	type list = []i18n.Language
	for _, k := range []struct {
		name   string
		regime commune.Regime
		change func(*commune.Commune)
		want   string // of the fault; none where empty
	}{
		{"no regime", "", nil, "language_regime"},
		{"a regime that is none", "en", nil, "language_regime"},
		{"Brussels, Dutch first", "brussels", func(c *commune.Commune) { c.PagesOnly = list{"nl", "fr"} }, ""},
		{"Brussels, one of two", "brussels", func(c *commune.Commune) { c.PagesOnly = list{"fr"} }, "languages: fr, nl must come first"},
		{"Brussels, papers in one of two", "brussels", func(c *commune.Commune) { c.DocumentsOnly = list{"nl"} }, "document_languages: fr, nl must come first"},
		{"Brussels, a desk in one of two", "brussels", func(c *commune.Commune) { c.StaffOnly = list{"nl"} }, ""},
		{"Brussels without its Dutch name", "brussels", func(c *commune.Commune) { delete(c.Name, "nl") }, "name.nl"},
		{"facilities left to the counter", "nl-fr", func(c *commune.Commune) { c.PagesOnly, c.DocumentsOnly = list{"nl"}, list{"nl"} }, ""},
		{"facilities first", "nl-fr", func(c *commune.Commune) { c.PagesOnly = list{"fr", "nl"} }, "languages: nl must come first"},
		{"facilities alone", "fr-nl", func(c *commune.Commune) { c.DocumentsOnly = list{"nl"} }, "document_languages: fr must come first"},
		{"facilities at the desk", "nl-fr", func(c *commune.Commune) { c.StaffOnly = list{"nl", "fr"} }, `staff_languages: "fr"`},
		{"another region's language", "nl", func(c *commune.Commune) { c.PagesOnly = list{"nl", "fr"} }, `languages: "fr"`},
		{"papers in another region's language", "fr", func(c *commune.Commune) { c.DocumentsOnly = list{"fr", "de"} }, `document_languages: "de"`},
		{"a language that is none", "fr", func(c *commune.Commune) { c.PagesOnly = list{"fr", "xx"} }, `languages: "xx"`},
		{"a language twice", "fr", func(c *commune.Commune) { c.PagesOnly = list{"fr", "fr"} }, `languages: "fr" is there twice`},
		{"English by the wrong key", "fr", func(c *commune.Commune) { c.PagesOnly = list{"fr", "en"} }, "english_pages = true"},
		{"papers in English", "fr", func(c *commune.Commune) { c.DocumentsOnly = list{"fr", "en"} }, "document_languages: no document is issued in English"},
		{"English at the desk", "fr", func(c *commune.Commune) { c.StaffOnly = list{"fr", "en"} }, "staff_languages: the desk has no English"},
		{"France under a Belgian regime", "fr", func(c *commune.Commune) { c.Country, c.NIS = commune.France, "59999" }, "language_regime"},
		{"Belgium under the French one", "france", func(c *commune.Commune) { c.Country = "" }, "language_regime"},
		{"one translation in France", "france", func(c *commune.Commune) { c.EnglishPages = true }, "english_pages"},
	} {
		c := speaking(k.regime)
		if k.change != nil {
			k.change(c)
		}
		err := c.Check()
		if (err == nil) != (k.want == "") || err != nil && !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v, want %q", k.name, err, k.want)
		}
	}
}

// belfry check says the regime, and which right has to be met at the counter.
func TestWhatAnOperatorIsTold(t *testing.T) {
	c := speaking("nl-fr")
	c.EnglishPages = true
	if got, want := c.SpeaksOf(), "regime nl-fr: pages nl, fr, en, papers nl, fr, desk nl; fr for whoever chooses it; English as a courtesy, for pages alone"; got != want {
		t.Errorf("%q", got)
	}
	c.DocumentsOnly = []i18n.Language{i18n.Dutch}
	if got := c.SpeaksOf(); !strings.Contains(got, "no papers in fr: whoever wants one has to be served at the counter") {
		t.Errorf("%q", got)
	}
}
