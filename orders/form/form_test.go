package form_test

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/form"
)

var both = []i18n.Language{i18n.French, i18n.Dutch}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		values    url.Values
		languages []i18n.Language
		answers   form.Answers
		faults    form.Errors
	}{
		"all answered": {url.Values{"document_language": {"nl"}, "email": {" sofie@example.be "}}, both,
			form.Answers{"document_language": "nl", "contact": "email", "email": "sofie@example.be"}, nil},
		"a single language is not asked": {url.Values{"contact": {"none"}}, both[:1], form.Answers{"document_language": "fr", "contact": "none"}, nil},
		"no language":                    {url.Values{"contact": {"none"}}, both, form.Answers{"contact": "none"}, form.Errors{"document_language": "orders.form.language_missing"}},
		"English is not issued":          {url.Values{"document_language": {"en"}, "contact": {"none"}}, both, form.Answers{"contact": "none"}, form.Errors{"document_language": "orders.form.language_wrong"}},
		"twice the same question":        {url.Values{"document_language": {"fr", "nl"}, "contact": {"none"}}, both, form.Answers{"contact": "none"}, form.Errors{"document_language": "orders.form.twice"}},
		"other fields are not answers":   {url.Values{"document_language": {"fr"}, "contact": {"none"}, "state": {"issued"}}, both, form.Answers{"document_language": "fr", "contact": "none"}, nil},
		"a wrong address comes back": {url.Values{"document_language": {"fr"}, "email": {"sofie"}}, both,
			form.Answers{"document_language": "fr", "contact": "email", "email": "sofie"}, form.Errors{"email": "orders.form.email_wrong"}},
	} {
		answers, faults := form.Parse([]form.Name{form.DocumentLanguage, form.Email}, c.values, c.languages, "")
		if len(answers) != len(c.answers) || len(faults) != len(c.faults) {
			t.Errorf("%s: %v %v", name, answers, faults)
		}
		for k, v := range c.answers {
			if answers[k] != v {
				t.Errorf("%s: %s is %q, want %q", name, k, answers[k], v)
			}
		}
		for k, v := range c.faults {
			if faults[k] != v {
				t.Errorf("%s: fault of %s is %q, want %q", name, k, faults[k], v)
			}
		}
	}
}

func TestEmail(t *testing.T) {
	for address, want := range map[string]string{
		"":                                       "",
		"jan.janssens@voorbeeld.be":              "",
		"rené@exämple.be":                        "",
		"a@b":                                    "orders.form.email_wrong",
		"a@b.":                                   "orders.form.email_wrong",
		"a@b..be":                                "orders.form.email_wrong",
		"Luc <luc@example.be>":                   "orders.form.email_wrong",
		"a@b.be, c@d.be":                         "orders.form.email_wrong",
		"a@b.be\nBcc: c@d.be":                    "orders.form.email_wrong",
		"\"a b\"@example.be":                     "orders.form.email_wrong",
		"a\u202e@example.be":                     "orders.form.characters",
		"a\x00@example.be":                       "orders.form.characters",
		strings.Repeat("a", 250) + "@example.be": "orders.form.too_long",
	} {
		_, faults := form.Parse([]form.Name{form.Email}, url.Values{"email": {address}}, both, "")
		if faults[form.Email] != want {
			t.Errorf("%q: %q, want %q", address, faults[form.Email], want)
		}
	}
}

// A line must be there, and be one.
func TestLines(t *testing.T) {
	for given, want := range map[string]string{
		" 12, rue du Beffroi, 59300 Saint-Aubin ": "", "": "orders.form.missing", "  ": "orders.form.missing",
		"12, rue\nX": "orders.form.characters", "a\u202eb": "orders.form.characters", strings.Repeat("é", 201): "orders.form.too_long",
	} {
		answers, faults := form.Parse([]form.Name{form.HomeAddress}, url.Values{"home_address": {given}}, both, "")
		if faults[form.HomeAddress] != want || want == "" && answers[form.HomeAddress] != strings.TrimSpace(given) {
			t.Errorf("%.20q: %q %q", given, answers[form.HomeAddress], faults[form.HomeAddress])
		}
	}
	if _, faults := form.Parse([]form.Name{form.BirthPlace}, url.Values{"birth_place": {"Lille", "Paris"}}, both, ""); faults[form.BirthPlace] == "" {
		t.Error("two places of birth")
	}
}

// What must never get into a page, a mail or a paper (T13).
var hidden = []string{"\u202e", "\u202a", "\u2066", "\u2069", "\u200b", "\u200d", "\u200e", "\ufeff", "\u00ad", "\u2028", "\u2029",
	"\x00", "\x1b", "\x7f", "\u0085", "\u034f", "\u115f", "\u3164", "\uffa0", "\ue000", "\ufe0f", "\U000e0041", "\ufffd", "\xff", "\t", "\r"}

func TestHiddenCharacters(t *testing.T) {
	for _, h := range hidden {
		if form.Clean("a" + h + "b") {
			t.Errorf("%+q is let through", h)
		}
		if _, fault := form.Text("a"+h+"b", 0, 10); fault != "orders.form.characters" {
			t.Errorf("%+q: fault %q", h, fault)
		}
		if got := form.Line("a" + h + "b"); got != "ab" && got != "a b" {
			t.Errorf("%+q stays in the line %+q", h, got)
		}
	}
	for _, good := range []string{"Zoë", "D’Hondt", "Łukasz", "Ġużè", "محمد", "李", "Đặng", "O'Neil-Smith", "rue de l’Église 12 bte 3", "a\nb"} {
		if !form.Clean(good) {
			t.Errorf("%q is refused", good)
		}
	}
}

func TestTextIsNormal(t *testing.T) {
	got, fault := form.Text("  Zoe\u0308\r\nb ", 1, 10)
	if got != "Zoë\nb" || fault != "" {
		t.Errorf("%q %q", got, fault)
	}
	if _, fault := form.Text(" \n ", 1, 10); fault != "orders.form.missing" {
		t.Errorf("blank: %q", fault)
	}
	if _, fault := form.Text(strings.Repeat("é", 11), 1, 10); fault != "orders.form.too_long" {
		t.Errorf("long: %q", fault)
	}
	if text, fault := form.Text(strings.Repeat("é", 10), 1, 10); fault != "" || len(text) != 20 {
		t.Errorf("exact: %q", fault)
	}
}

func TestFold(t *testing.T) {
	if got := form.Fold("Groß-Château’s Œuvre"); got != "gross chateau s oeuvre" {
		t.Errorf("%q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("nl", "sofie@example.be")
	f.Add("", "")
	for _, h := range hidden {
		f.Add("fr"+h, "a"+h+"@b.be")
	}
	f.Add("fr", strings.Repeat("\u0301", 300)+"@b.be")
	f.Fuzz(func(t *testing.T, language, email string) {
		answers, faults := form.Parse(form.Names, url.Values{"document_language": {language}, "email": {email}}, both, "")
		for name, v := range answers {
			if !utf8.ValidString(v) || !form.Clean(v) || !norm.NFC.IsNormalString(v) || utf8.RuneCountInString(v) > 254 {
				t.Errorf("%s: %+q", name, v)
			}
		}
		if l := answers[form.DocumentLanguage]; l != "" && l != "fr" && l != "nl" {
			t.Errorf("language %q", l)
		}
		if a := answers[form.Email]; faults[form.Email] == "" && strings.ContainsAny(a, "\r\n, <>") {
			t.Errorf("e-mail %q", a)
		}
	})
}

func FuzzLine(f *testing.F) {
	for _, h := range hidden {
		f.Add("Van" + h + " den Berg")
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := form.Line(s)
		if !form.Clean(got) || strings.Contains(got, "\n") || !norm.NFC.IsNormalString(got) || form.Line(got) != got {
			t.Errorf("%+q becomes %+q", s, got)
		}
	})
}
