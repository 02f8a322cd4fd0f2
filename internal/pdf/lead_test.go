package pdf_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
)

// twoFaced is a PDF whose offsets, counted from the first of as many bytes before it as
// the decoy has, lead to the decoy.
func twoFaced(decoy string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n")
	var offsets []int
	for i, o := range pdftest.Plain() {
		if i == 3 {
			b.WriteString(decoy)
		} else {
			b.WriteString(strings.Repeat(" ", len(decoy)))
		}
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	b.WriteString(strings.Repeat(" ", len(decoy)))
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f\r\n", len(offsets)+1)
	for _, at := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n\r\n", at)
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, start)
	return b.Bytes()
}

// A file that is another one by where its offsets count from is none.
func TestTwoFacedFiles(t *testing.T) {
	for decoy, fine := range map[string]bool{
		"4 0 obj\n<</Length 17>>stream\nBT (Faux) Tj ET  \nendstream endobj\n": false,
		strings.Repeat(" ", 60):                 true,
		"% no object at all, nor white space\n": true,
		"7 0 obj\n<<>>\nendobj\n":               true, // of another number, so found by nobody
	} {
		file := append([]byte(strings.Repeat(" ", len(decoy))), twoFaced(decoy)...)
		n, blank, err := pdf.Lead(bytes.NewReader(file), int64(len(file)))
		if fine && (err != nil || n != int64(len(decoy)) || !blank) || !fine && !errors.Is(err, pdf.ErrSyntax) {
			t.Errorf("%q: %d bytes, blank %v, %v", decoy, n, blank, err)
		}
		if _, err := pdf.Bytes(file); !errors.Is(err, pdf.ErrNotPDF) {
			t.Errorf("%q is opened with what stands before it: %v", decoy, err)
		}
		if _, err := pdf.Bytes(file[len(decoy):]); err != nil {
			t.Errorf("%q: %v", decoy, err)
		}
	}
}
