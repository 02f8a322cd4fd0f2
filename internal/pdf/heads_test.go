package pdf

import (
	"slices"
	"testing"
)

// Whatever the expression finds is found without it too.
func FuzzHeads(f *testing.F) {
	for _, s := range []string{
		"1 0 obj\n<<>>\nendobj\n12 0 obj", "x1 0 obj", "1 2 3 obj", "1 %5 0%z\nobj", "1\t0 obj 4 0 obj", "obj", " obj", "0obj", "9 0  obj", "1 0 objobj", "5 obj", "a 5 obj", "%\n5 obj", "1 %\n5 obj",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := heads(text)
		for _, start := range slowHeads(text) {
			if !slices.Contains(got, start) {
				t.Errorf("%q: %v, the expression finds %v", text, got, slowHeads(text))
			}
		}
	})
}
