package pdf_test

import (
	"fmt"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
)

// Readers differ on which of two objects of one number in a stream counts.
func TestAnObjectStreamHoldsEachNumberOnce(t *testing.T) {
	for second, want := range map[int]bool{31: true, 30: false} {
		file := pdftest.Build(pdftest.Table, pdftest.Plain())
		packed := fmt.Sprintf("30 0 %d 5 (one) (two)", second)
		stream, start := len(file), 0
		file = fmt.Appendf(file, "20 0 obj\n<</Type/ObjStm/N 2/First 10/Length %d>>\nstream\n%s\nendstream\nendobj\n", len(packed), packed)
		start = len(file)
		rows := []byte{1, byte(stream >> 8), byte(stream), 0, 2, 0, 20, 0}
		file = fmt.Appendf(file, "21 0 obj\n<</Type/XRef/Size 32/Root 1 0 R/W[1 2 1]/Index[20 1 30 1]/Length %d>>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n", len(rows), rows, start)
		f, err := pdf.Bytes(file)
		if err != nil {
			t.Fatal(err)
		}
		o, err := f.Get(pdf.Ref{Number: 30})
		if (err == nil && o == pdf.Object(pdf.String("one"))) != want {
			t.Errorf("beside object %d: %v, %v", second, o, err)
		}
	}
}
