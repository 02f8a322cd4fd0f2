package orders

import "testing"

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
