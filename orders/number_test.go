package orders

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseNumber(t *testing.T) {
	for in, want := range map[string]Number{
		"2026-000123": "2026-000123", " 2026-123 ": "2026-000123", "2026 000123": "2026-000123",
		"2026-1234567": "2026-1234567", "2026-0": "", "26-1": "", "2026-": "", "2026-12a": "", "2026-9999999999": "",
	} {
		if got, ok := ParseNumber(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v", in, got, ok)
		}
	}
}

func TestCodesAreReadAsTyped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := random(codeLength)
		typed := strings.ToLower(grouped(code))
		if rapid.Bool().Draw(t, "spaces") {
			typed = " " + strings.ReplaceAll(typed, "-", " ") + " "
		}
		if got, ok := ParseCode(typed); !ok || got != code {
			t.Errorf("%q is read as %q", typed, got)
		}
	})
	for _, bad := range []string{"", "ABCDEFGH", "O2345ABCDE", "I2345ABCDE", "12345ABCDE", "02345ABCDE", strings.Repeat("A", 11), strings.Repeat("-", 1000)} {
		if _, ok := ParseCode(bad); ok {
			t.Errorf("%q is taken for a code", bad)
		}
	}
}

// Every character of the alphabet comes up about as often as the others.
func TestRandomIsEven(t *testing.T) {
	count := map[rune]int{}
	for range 3200 {
		for _, r := range random(10) {
			count[r]++
		}
	}
	for _, r := range alphabet {
		if count[r] < 800 || count[r] > 1200 { // 1000 expected, 6 standard deviations
			t.Errorf("%c comes %d times", r, count[r])
		}
	}
	if len(count) != 32 {
		t.Errorf("%d characters", len(count))
	}
}

func TestSameName(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"Peeters", "PEETERS", true}, {"El Idrissi", "El-Idrissi", true}, {"Müller", "MULLER", true},
		{"Van den Bossche de Montpellier", "Van den Bossche de Mont", true},
		{"Peeters", "Janssens", false}, {"", "Janssens", false}, {"", "", true}, {"Groß", "GROSS", true},
	} {
		if got := sameName(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}
