package document

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"Élise":                        "Élise",
		"E\u0301lise":                  "Élise",
		"  two   words \t":             "two words",
		"a\u202ebc\u202c\u2066d\u2069": "abcd",
		"zero\u200bwidth\u200d\ufeff":  "zerowidth",
		"soft\u00adhyphen":             "softhyphen",
		"line\u2028break\nhere":        "line break here",
		"bell\x07 null\x00":            "bell null",
		"private\ue000":                "private",
		"12\u00a0€":                    "12\u00a0€",
		"heart❤\ufe0f":                 "heart❤",
		"tag\U000e0041":                "tag",
		"\u200b \u2029":                "",
	} {
		if got := Clean(in, false); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Clean(" one \n\n\n\n two\r\nthree \n", true); got != "one\n\ntwo\nthree" {
		t.Errorf("line breaks: %q", got)
	}
}

func TestCleanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		breaks := rapid.Bool().Draw(t, "breaks")
		got := Clean(s, breaks)
		if again := Clean(got, breaks); again != got {
			t.Errorf("Clean is not settled: %q then %q", got, again)
		}
		checkClean(t, got, breaks)
	})
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "é", "\u202e", "a\n b", "\xff\xfe", strings.Repeat("\u0301", 50)} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, breaks bool) { checkClean(t, Clean(s, breaks), breaks) })
}

func checkClean(t interface{ Errorf(string, ...any) }, got string, breaks bool) {
	if !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) {
		t.Errorf("%q is not in normal form C", got)
	}
	for _, r := range got {
		if r == '\n' && breaks {
			continue
		}
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
			t.Errorf("%q keeps %U", got, r)
		}
	}
}
