package interop

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
)

// lined writes a file with line ends and spaces of another kind: each object, the table
// and the trailer.
func lined(end, space string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4" + end + "%\xe2\xe3\xcf\xd3" + end)
	objects := pdftest.Fields()
	offsets := make([]int, len(objects)+1)
	for i, o := range objects {
		offsets[i+1] = b.Len()
		if !strings.Contains(o, "stream") {
			o = strings.NewReplacer("/Kids[", "/Kids"+space+end+"[", "<</Type", "<<"+space+"%"+space+"a remark"+end+"/Type").Replace(o)
		}
		fmt.Fprintf(&b, "%d%s0%sobj%s%s%sendobj%s", i+1, space, space, end, o, end, end)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref%s0 %d%s0000000000 65535 f \n", end, len(offsets), end)
	for _, at := range offsets[1:] {
		fmt.Fprintf(&b, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&b, "trailer%s<</Size %d/Root 1%s0%sR/Info 6 0 R>>%sstartxref%s%d%s%%%%EOF%s", end, len(offsets), space, space, end, end, start, end, end)
	return b.Bytes()
}

// wide writes a cross-reference stream without filter, with fields of these widths.
func wide(w ...int) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-2.0\n%\xe2\xe3\xcf\xd3\n")
	objects := pdftest.Fields()
	offsets := make([]int, 0, len(objects)+2)
	offsets = append(offsets, 0)
	for i, o := range objects {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	offsets = append(offsets, start)
	var rows bytes.Buffer
	for n, at := range offsets {
		if n == 0 && w[0] == 0 {
			continue // a field of no width says "in use": the free one is left out
		}
		for i, v := range []int{min(n, 1), at, 0} {
			for j := w[i] - 1; j >= 0; j-- {
				rows.WriteByte(byte(v >> (8 * j)))
			}
		}
	}
	first := 0
	if w[0] == 0 {
		first = 1
	}
	fmt.Fprintf(&b, "%d 0 obj\n<</Type/XRef/Size %d/Index[%d %d]/Root 1 0 R/Info 6 0 R/W[%d %d %d]/Length %d>>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n",
		len(offsets)-1, len(offsets), first, len(offsets)-first, w[0], w[1], w[2], rows.Len(), rows.String(), start)
	return b.Bytes()
}

// chained is a file with several updates, which replace and add.
func chained() []byte {
	b := pdftest.Build(pdftest.Table, pdftest.Fields())
	for n := range 5 {
		b = pdftest.Append(b, 15, map[int]string{6: fmt.Sprintf("<</Title(Attestation %d)>>", n), 14: "<</Kind/Note>>"}, "/Info 6 0 R")
	}
	return b
}

func odd() []byte {
	o := pdftest.Fields()
	o[0] = "<</Type/Catalog/Pages 2 0 R/Lang(fr\\055BE)/Odd#20#2F#28Name(\\\\\\))/Ann#C3#A9e<E9>/AcroForm 7 0 R>>"
	o[8] = "<</Type/Annot/Subtype/Widget/FT/Tx/T<FEFF00E9006C00E80076006500290028>/V<FEFF0142>/Rect[72 600 272 620]/F 4/P 3 0 R>>"
	return pdftest.Build(pdftest.Stream, o)
}

// trailed writes a file whose trailer has this besides its size and root.
func trailed(version, trailer string, objects pdftest.Objects) []byte {
	b := pdftest.Build(pdftest.Table, objects)
	b = append([]byte("%PDF-"+version), b[len("%PDF-1.7"):]...)
	from := bytes.LastIndex(b, []byte("/Root 1 0 R")) + len("/Root 1 0 R")
	to := bytes.LastIndex(b, []byte(">>\nstartxref"))
	return append(append(bytes.Clone(b[:from]), trailer...), b[to:]...)
}

// locked has two empty signature fields; the first one locks others when it is signed.
func locked(lock string) []byte {
	o := pdftest.Fields()
	o[10] = "<</Type/Annot/Subtype/Widget/FT/Sig/T(first)/Rect[0 0 0 0]/F 132/P 3 0 R/Lock 14 0 R>>"
	o[12] = "<</Type/Annot/Subtype/Widget/FT/Sig/T(kid)/Parent 10 0 R/Rect[0 0 0 0]/F 132/P 3 0 R>>"
	return pdftest.Build(pdftest.Table, append(o, "<</Type/SigFieldLock"+lock+">>"))
}

// nested has one empty signature field, below a parent.
func nested() []byte {
	o := pdftest.Fields()
	o[9] = "<</T(area)/Kids[11 0 R 13 0 R]>>"
	o[7] = "[9 0 R 10 0 R]"
	o[10] = "<</Type/Annot/Subtype/Widget/FT/Sig/T(mayor)/Parent 10 0 R/Rect[0 0 0 0]/F 132/P 3 0 R>>"
	return pdftest.Build(pdftest.Stream, o)
}

// large is a file of so many bytes that nobody can make smaller.
func large(size int) []byte {
	noise := make([]byte, 1<<20)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	o := pdftest.Fields()
	for n := 0; n < size; n += len(noise) {
		o = append(o, fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(noise), noise))
	}
	return pdftest.Build(pdftest.Table, o)
}
