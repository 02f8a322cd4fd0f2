package eid

import "testing"

func TestNumbersInTextsAreHidden(t *testing.T) {
	const n = "85073003328"
	if _, err := ParseNationalNumber(n); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		n:                              hidden,
		"no 85.07.30-033.28, merci":    "no " + hidden + ", merci",
		"le 3 85 07 30 033 28 2026":    "le 3 " + hidden + " 2026",
		"85/07/30 - 033.28.":           hidden + ".",
		n + " et " + n:                 hidden + " et " + hidden,
		"85073003327":                  "85073003327", // wrong check digits
		"BE" + n:                       "BE" + n,
		n + "1":                        n + "1",
		"1" + n:                        "1" + n,
		"85073003\n328":                "85073003\n328",
		"+32 470 12 34 56":             "+32 470 12 34 56",
		"é" + n:                        "é" + n, // part of a word
		"":                             "",
		"«" + n + "»":                  "«" + hidden + "»",
		"rien":                         "rien",
		"85.07.30" + "....." + "03328": "85.07.30.....03328",
	} {
		if got := HideNumbers(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzHideNumbers(f *testing.F) {
	f.Add("no 85.07.30-033.28, merci")
	f.Fuzz(func(t *testing.T, text string) {
		once := HideNumbers(text)
		if HideNumbers(once) != once {
			t.Errorf("%q: %q holds another", text, once)
		}
	})
}
