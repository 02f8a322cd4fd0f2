package pdf_test

import (
	"math/rand"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
)

// mutate changes a few bytes of a copy of b, as a hostile hand or a bad disk would.
func mutate(rng *rand.Rand, b []byte) []byte {
	b = append([]byte{}, b...)
	for range 1 + rng.Intn(6) {
		i, j := rng.Intn(len(b)), rng.Intn(len(b))
		switch rng.Intn(4) {
		case 0:
			b[i] = byte(rng.Intn(256))
		case 1:
			b = append(b[:i:i], b[min(len(b), i+rng.Intn(20)):]...)
		case 2:
			copy(b[i:min(len(b), i+20)], b[j:min(len(b), j+20)])
		case 3:
			const syntax = "0123456789<>[]/() R"
			b[i] = syntax[rng.Intn(len(syntax))]
		}
	}
	return b
}

func TestMutantsDoNotPanic(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	opened := 0
	const mutants = 6000
	for _, form := range pdftest.Forms {
		good := pdftest.Build(form, pdftest.Fields())
		for range mutants / len(pdftest.Forms) {
			f, err := pdf.Bytes(mutate(rng, good))
			if err != nil {
				continue
			}
			opened++
			walk(f)
			_, _, _, _ = f.FirstPage()
			u := f.Update()
			u.Add(pdf.Dict{"A": pdf.Integer(1)})
			_, _ = u.Encode()
		}
	}
	if opened == 0 || opened == mutants {
		t.Errorf("%d of %d mutants open: the test tests nothing", opened, mutants)
	}
}
