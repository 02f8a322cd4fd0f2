package pades_test

import (
	"bytes"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

// mutate changes a few bytes of a copy of b.
func mutate(rng *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + rng.Intn(2) {
		const syntax = "0123456789<>[]/() R"
		i, j := rng.Intn(len(b)), rng.Intn(len(b))
		switch rng.Intn(3) {
		case 0:
			b[i] = byte(rng.Intn(256))
		case 1:
			b[i] = syntax[rng.Intn(len(syntax))]
		case 2:
			copy(b[i:min(len(b), i+9)], b[j:min(len(b), j+9)])
		}
	}
	return b
}

// A damaged file is refused, or what becomes of it has the same bytes in front and is a
// file that qpdf can read without repairing it.
func TestMutantsAreRefusedOrWhole(t *testing.T) {
	if _, err := exec.LookPath("qpdf"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	w := signingtest.Shared()
	rng := rand.New(rand.NewSource(4))
	path := filepath.Join(t.TempDir(), "a.pdf")
	const mutants = 600
	taken := 0
	for n := range mutants {
		form := []pdftest.Form{pdftest.Table, pdftest.Stream}[n%2]
		content := mutate(rng, pdftest.Build(form, pdftest.Fields()))
		p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), options(w.P256))
		if err != nil {
			continue
		}
		taken++
		signature, err := p.Sign(w.P256.Key)
		if err != nil {
			t.Fatal(err)
		}
		signed := embed(t, p, content, signature, nil)
		if !bytes.HasPrefix(signed, content) {
			t.Fatal("the content was changed")
		}
		write(t, path, signed)
		out, err := exec.Command("qpdf", "--check", path).CombinedOutput()
		if repaired(out) {
			t.Errorf("mutant %d: %v\n%s", n, err, out)
		}
	}
	if taken < mutants/20 || taken > mutants/2 {
		t.Errorf("%d of %d mutants are taken: the test tests nothing", taken, mutants)
	}
}

// repaired says whether qpdf had to rebuild the file, or found objects that it could not
// read. What is drawn on a page is not looked at.
func repaired(said []byte) bool {
	for line := range bytes.Lines(said) {
		if bytes.Contains(line, []byte("WARNING")) && !bytes.Contains(line, []byte("(content, ")) {
			return true
		}
	}
	return false
}
