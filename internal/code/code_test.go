package code

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCodesAreReadAsTyped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		made := New(10)
		typed := strings.ToLower(Grouped(made, 5))
		if rapid.Bool().Draw(t, "spaces") {
			typed = " " + strings.ReplaceAll(typed, "-", " ") + " "
		}
		if got, ok := Parse(typed, 10); !ok || got != made {
			t.Errorf("%q is read as %q", typed, got)
		}
	})
	for _, bad := range []string{"", "ABCDEFGH", "O2345ABCDE", "I2345ABCDE", "12345ABCDE", "02345ABCDE", strings.Repeat("A", 11), strings.Repeat("-", 1000)} {
		if _, ok := Parse(bad, 10); ok {
			t.Errorf("%q is taken for a code", bad)
		}
	}
}

// Every character of the alphabet comes up about as often as the others.
func TestRandomIsEven(t *testing.T) {
	count := map[rune]int{}
	for range 3200 {
		for _, r := range New(10) {
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

func TestGrouped(t *testing.T) {
	for in, want := range map[string]string{"ABCD2345": "ABCD-2345", "ABCDE": "ABCD-E", "ABCD": "ABCD", "": ""} {
		if got := Grouped(in, 4); got != want {
			t.Errorf("%q is written %q, want %q", in, got, want)
		}
	}
}
