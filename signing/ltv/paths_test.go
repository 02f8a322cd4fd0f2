package ltv

import (
	"crypto/x509"
	"testing"
	"time"
)

// A path that was found is good as long as each certificate of it is valid.
func TestPaths(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	leaf := &x509.Certificate{Raw: []byte("leaf"), NotBefore: day(5), NotAfter: day(20)}
	root := &x509.Certificate{Raw: []byte("root"), NotBefore: day(1), NotAfter: day(15)}
	var p paths
	if p.at(day(10), leaf) != nil {
		t.Error("a path that nobody found")
	}
	p.add([]*x509.Certificate{leaf, root})
	for n, want := range map[int]bool{4: false, 5: true, 10: true, 15: true, 16: false, 21: false} {
		if got := p.at(day(n), leaf); (got != nil) != want {
			t.Errorf("day %d: %v", n, got)
		}
	}
	if p.at(day(10), root) != nil {
		t.Error("the root's own path")
	}
}
