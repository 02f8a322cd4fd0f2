package document

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"

	"github.com/belfry-eid/belfry/internal/benchtest"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// BenchmarkRender makes documents one after the other, as a job does;
// BenchmarkTypstAlone is the typesetter without pipes and without our pass, in
// the same kind of process: the peer to compare with.
func BenchmarkRender(b *testing.B) {
	r := newTypst(b, TypstConfig{Workers: 1, Recycle: 1 << 30})
	d := residence(i18n.French)
	render(b, r, d) // and the process is there
	defer benchtest.CPU(b)()
	b.ResetTimer()
	for i := range b.N {
		d.Number = number(i)
		if _, err := r.Render(context.Background(), d); err != nil {
			b.Fatal(err)
		}
	}
}

func number(i int) string {
	const digits = "0123456789"
	n := []byte("2026-000000")
	for at := len(n) - 1; i > 0; at, i = at-1, i/10 {
		n[at] = digits[i%10]
	}
	return string(n)
}

//go:embed testdata/alone.js
var alone string

func BenchmarkTypstAlone(b *testing.B) {
	r := newTypst(b, TypstConfig{})
	asked, err := requestOf(residence(i18n.French), "a-2a")
	if err != nil {
		b.Fatal(err)
	}
	in, err := json.Marshal(map[string]any{"template": asked.Template, "document": asked.Document, "n": b.N})
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(r.cfg.Node, "-e", alone, r.cfg.Modules)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	var took, used float64 // without the start of node
	if _, err := fmt.Sscan(string(out), &took, &used); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(took/float64(b.N), "ns/op")
	b.ReportMetric(float64(b.N)/used*1e6, "ops/cpu-s")
}
