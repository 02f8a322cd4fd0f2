package commune

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// Regime says which languages a commune uses with people. In Belgium the coordinated laws
// of 18 July 1966 decide: by the region the commune lies in, and whether the people of the
// other language have facilities there.
//
//   - An official language comes first everywhere, and alone where there is one (articles
//     11 to 14). Brussels has two that are equal: where nobody knows yet which a person
//     wants, both are used (articles 18 to 20).
//   - A language on request (the facilities, and French in the German-speaking region) is
//     there for whoever chooses it, page by page and paper by paper. Nothing of ours chooses
//     it for them: an address without a language leads to the official one at each visit,
//     no cookie, session or earlier order tells otherwise, and nobody at the desk can.
//   - Inside its own services a commune uses the official languages (articles 10 and 17).
//
// Papers are issued in no other language, and never in English.
type Regime string

type languages struct {
	official  []i18n.Language
	onRequest []i18n.Language
}

var regimes = map[Regime]languages{
	"fr":       {official: []i18n.Language{i18n.French}},
	"nl":       {official: []i18n.Language{i18n.Dutch}},
	"de":       {official: []i18n.Language{i18n.German}, onRequest: []i18n.Language{i18n.French}},
	"fr-nl":    {official: []i18n.Language{i18n.French}, onRequest: []i18n.Language{i18n.Dutch}},
	"fr-de":    {official: []i18n.Language{i18n.French}, onRequest: []i18n.Language{i18n.German}},
	"nl-fr":    {official: []i18n.Language{i18n.Dutch}, onRequest: []i18n.Language{i18n.French}},
	"brussels": {official: []i18n.Language{i18n.French, i18n.Dutch}},
	"france":   {official: []i18n.Language{i18n.French}},
}

const underFrenchLaw Regime = "france"

// Official lists the commune's official languages: two, which are equal, in Brussels.
// Their order is that of the setting languages, where it names them.
func (c *Commune) Official() []i18n.Language {
	return common(c.Languages(), regimes[c.LanguageRegime].official)
}

// OnRequest lists the languages that are used with whoever chooses them, and with nobody else.
func (c *Commune) OnRequest() []i18n.Language {
	return common(c.Languages(), regimes[c.LanguageRegime].onRequest)
}

// Languages of the pages: the official ones first, English as a courtesy last. The first is
// that of whoever has chosen none, but where Official lists two.
func (c *Commune) Languages() []i18n.Language {
	list := slices.Clone(c.PagesOnly)
	if len(list) == 0 {
		list = regimes[c.LanguageRegime].all()
	}
	if c.EnglishPages {
		list = append(list, i18n.English)
	}
	return list
}

// DocumentLanguages in which a document may be issued, the official ones first; never English.
func (c *Commune) DocumentLanguages() []i18n.Language {
	if len(c.DocumentsOnly) > 0 {
		return slices.Clone(c.DocumentsOnly)
	}
	return regimes[c.LanguageRegime].all()
}

// StaffLanguages of the clerks' desk.
func (c *Commune) StaffLanguages() []i18n.Language {
	if len(c.StaffOnly) > 0 {
		return slices.Clone(c.StaffOnly)
	}
	return slices.Clone(regimes[c.LanguageRegime].official)
}

// Offers says whether the commune's pages exist in l.
func (c *Commune) Offers(l i18n.Language) bool { return slices.Contains(c.Languages(), l) }

// Issues says whether the commune issues documents in l.
func (c *Commune) Issues(l i18n.Language) bool { return slices.Contains(c.DocumentLanguages(), l) }

// SpeaksOf is a line for an operator: the regime, and what follows from it.
func (c *Commune) SpeaksOf() string {
	of := regimes[c.LanguageRegime]
	line := fmt.Sprintf("regime %s: pages %s, papers %s, desk %s", c.LanguageRegime,
		listed(c.Languages()), listed(c.DocumentLanguages()), listed(c.StaffLanguages()))
	if asked := c.OnRequest(); len(asked) > 0 {
		line += fmt.Sprintf("; %s for whoever chooses it", listed(asked))
	}
	for _, l := range of.onRequest {
		if !c.Offers(l) {
			line += fmt.Sprintf("; no pages in %s: whoever wants them has to be served at the counter", l)
		}
		if !c.Issues(l) {
			line += fmt.Sprintf("; no papers in %s: whoever wants one has to be served at the counter", l)
		}
	}
	if c.EnglishPages {
		line += "; English as a courtesy, for pages alone"
	}
	return line
}

func (r languages) all() []i18n.Language { return slices.Concat(r.official, r.onRequest) }

// common are those of list that are in other, in the order of list.
func common(list, other []i18n.Language) []i18n.Language {
	return slices.DeleteFunc(slices.Clone(list), func(l i18n.Language) bool { return !slices.Contains(other, l) })
}

func listed(list []i18n.Language) string {
	var codes []string
	for _, l := range list {
		codes = append(codes, string(l))
	}
	return strings.Join(codes, ", ")
}

// checkLanguages calls bad for each setting of languages that contradicts the regime or the
// country; each names its key.
func (c *Commune) checkLanguages(bad func(format string, args ...any)) {
	of, ok := regimes[c.LanguageRegime]
	switch {
	case !ok:
		bad("language_regime %q: one of fr, nl, de, fr-nl, fr-de, nl-fr, brussels and france", c.LanguageRegime)
		return
	case (c.LanguageRegime == underFrenchLaw) != c.French():
		bad("language_regime %q: the regime france goes with country \"fr\", and with no other", c.LanguageRegime)
	case c.EnglishPages && c.French():
		// A public body that translates does so into two languages at least.
		bad("english_pages: not in France, where one translation alone is not allowed (law 94-665, article 4)")
	}
	for _, s := range []struct {
		key        string
		list       []i18n.Language
		may, must  []i18n.Language
		notEnglish string
	}{
		{"languages", c.PagesOnly, of.all(), of.official, "English pages are a courtesy, turned on by english_pages = true"},
		{"document_languages", c.DocumentsOnly, of.all(), of.official, "no document is issued in English"},
		{"staff_languages", c.StaffOnly, of.official, nil, "the desk has no English"},
	} {
		for i, l := range s.list {
			switch {
			case l == i18n.English:
				bad("%s: %s", s.key, s.notEnglish)
			case !slices.Contains(s.may, l):
				bad("%s: %q is none of what language_regime %q gives (%s)", s.key, l, c.LanguageRegime, listed(s.may))
			case slices.Contains(s.list[:i], l):
				bad("%s: %q is there twice", s.key, l)
			}
		}
		if len(s.list) > 0 && !startsWith(s.list, s.must) {
			bad("%s: %s must come first, the official language of language_regime %q", s.key, listed(s.must), c.LanguageRegime)
		}
	}
	for _, l := range of.official {
		if c.Name[l] == "" {
			bad("name.%s is missing", l)
		}
	}
}

// startsWith says whether list begins with all of first, in any order.
func startsWith(list, first []i18n.Language) bool {
	return len(list) >= len(first) && len(common(list[:len(first)], first)) == len(first)
}
