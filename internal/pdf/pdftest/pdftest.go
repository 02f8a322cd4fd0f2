// Package pdftest makes small PDF files for tests, in each form a file can have.
//
// It owns nothing that ships. It shares no code with the reader it tests.
package pdftest

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
)

// Form is how a file says where its objects are.
type Form int

const (
	Table  Form = iota // a cross-reference table
	Stream             // a cross-reference stream with a PNG predictor, and object streams
	Hybrid             // a table, with a stream for what old readers shall not see
)

// Forms lists every Form by its name.
var Forms = map[string]Form{"table": Table, "stream": Stream, "hybrid": Hybrid}

// Objects are a file's objects, the first numbered 1: number 1 is the catalog,
// number 2 the page tree, number 3 the page, number 4 its contents. An object
// with the word "stream" in it never goes into an object stream.
type Objects []string

// Plain is a document of one page in A4, without a form.
func Plain() Objects {
	content := "BT /F1 24 Tf 72 720 Td (Attestation) Tj ET"
	return Objects{
		"<</Type/Catalog/Pages 2 0 R/Lang(fr-BE)>>",
		"<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595.276 841.89]>>",
		"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
		fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(content), content),
		"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
		"<</Title(Attestation)/Producer(pdftest)>>",
	}
}

// Fields is Plain with a form: a text field with a default appearance, a parent
// with a kid, an empty signature field, all listed in an indirect array.
func Fields() Objects {
	o := Plain()
	o[0] = "<</Type/Catalog/Pages 2 0 R/Lang(fr-BE)/AcroForm 7 0 R>>"
	o[2] = "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>/Annots 12 0 R/Tabs/S>>"
	return append(o,
		"<</Fields 8 0 R/DA(/Helv 0 Tf 0 g)/DR<</Font<</Helv 5 0 R>>>>>>", // 7
		"[9 0 R 10 0 R 11 0 R]", // 8
		"<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V(Luc)/Rect[72 600 272 620]/F 4/P 3 0 R>>", // 9
		"<</T(parent)/Kids[13 0 R]>>", // 10
		"<</Type/Annot/Subtype/Widget/FT/Sig/T(empty)/Rect[0 0 0 0]/F 4/P 3 0 R>>", // 11
		"[9 0 R 11 0 R 13 0 R]", // 12
		"<</Type/Annot/Subtype/Widget/FT/Tx/T(kid)/Parent 10 0 R/Rect[72 500 272 520]/F 4/P 3 0 R/V(\\(a\\\\b\\) c)>>", // 13
	)
}

// Build writes the objects as a complete file.
func Build(form Form, objects Objects) []byte {
	b := &builder{}
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	b.objects(form, objects)
	return b.Bytes()
}

// Append adds an update: objects by number, and a table. extra goes into the trailer.
func Append(file []byte, size int, objects map[int]string, extra string) []byte {
	b := &builder{}
	b.Write(file)
	prev := lastStart(file)
	offsets := map[int]int{}
	for n := 1; n < size; n++ {
		if o, ok := objects[n]; ok {
			offsets[n] = b.Len()
			fmt.Fprintf(b, "%d 0 obj\n%s\nendobj\n", n, o)
		}
	}
	start := b.Len()
	b.WriteString("xref\n")
	for n := 1; n < size; n++ {
		if at, ok := offsets[n]; ok {
			fmt.Fprintf(b, "%d 1\n%010d 00000 n\r\n", n, at)
		}
	}
	fmt.Fprintf(b, "trailer\n<</Size %d/Root 1 0 R/Prev %d%s>>\nstartxref\n%d\n%%%%EOF\n", size, prev, extra, start)
	return b.Bytes()
}

func lastStart(file []byte) int {
	var n int
	at := bytes.LastIndex(file, []byte("startxref"))
	fmt.Sscanf(string(file[at:]), "startxref\n%d", &n)
	return n
}

type builder struct{ bytes.Buffer }

const id = "/ID[<00112233445566778899aabbccddeeff><00112233445566778899aabbccddeeff>]"

func (b *builder) objects(form Form, objects Objects) {
	offsets := make([]int, len(objects)+1)
	var packed []int
	for i, o := range objects {
		n := i + 1
		if form != Table && n != 1 && n != 2 && !strings.Contains(o, "stream") {
			packed = append(packed, n)
			continue
		}
		offsets[n] = b.Len()
		fmt.Fprintf(b, "%d 0 obj\n%s\nendobj\n", n, o)
	}
	if form == Table {
		start := b.Len()
		b.table(offsets)
		b.trailer(len(offsets), start, "")
		return
	}
	pack := len(objects) + 1
	offsets = append(offsets, b.Len(), 0)
	b.pack(pack, objects, packed)
	stream := b.Len()
	offsets[pack+1] = stream
	b.crossStream(pack, offsets, packed)
	if form == Stream {
		fmt.Fprintf(b, "startxref\n%d\n%%%%EOF\n", stream)
		return
	}
	start := b.Len()
	b.table(offsets)
	b.trailer(len(offsets), start, fmt.Sprintf("/XRefStm %d", stream))
}

func (b *builder) table(offsets []int) {
	fmt.Fprintf(b, "xref\n0 %d\n0000000000 65535 f\r\n", len(offsets))
	for _, at := range offsets[1:] {
		if at == 0 {
			b.WriteString("0000000000 00000 f\r\n")
		} else {
			fmt.Fprintf(b, "%010d 00000 n\r\n", at)
		}
	}
}

func (b *builder) trailer(size, start int, extra string) {
	fmt.Fprintf(b, "trailer\n<</Size %d/Root 1 0 R/Info 6 0 R%s%s>>\nstartxref\n%d\n%%%%EOF\n", size, id, extra, start)
}

func (b *builder) pack(number int, objects Objects, packed []int) {
	var head, body bytes.Buffer
	for _, n := range packed {
		fmt.Fprintf(&head, "%d %d ", n, body.Len())
		body.WriteString(objects[n-1] + "\n")
	}
	data := deflate(append(head.Bytes(), body.Bytes()...))
	fmt.Fprintf(b, "%d 0 obj\n<</Type/ObjStm/N %d/First %d/Filter/FlateDecode/Length %d>>\nstream\n", number, len(packed), head.Len(), len(data))
	b.Write(data)
	b.WriteString("\nendstream\nendobj\n")
}

// crossStream writes the stream with PNG's "up" filter on each row, as most writers do.
func (b *builder) crossStream(pack int, offsets, packed []int) {
	const width = 5
	above := make([]byte, width)
	var rows bytes.Buffer
	for n, at := range offsets {
		row := []byte{1, byte(at >> 16), byte(at >> 8), byte(at), 0}
		if n == 0 {
			row = []byte{0, 0, 0, 0, 255}
		}
		for i, p := range packed {
			if p == n {
				row = []byte{2, 0, byte(pack >> 8), byte(pack), byte(i)}
			}
		}
		rows.WriteByte(2)
		for i := range row {
			rows.WriteByte(row[i] - above[i])
		}
		above = row
	}
	data := deflate(rows.Bytes())
	fmt.Fprintf(b, "%d 0 obj\n<</Type/XRef/Size %d/Root 1 0 R/Info 6 0 R%s/W[1 3 1]/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns %d>>/Length %d>>\nstream\n",
		pack+1, len(offsets), id, width, len(data))
	b.Write(data)
	b.WriteString("\nendstream\nendobj\n")
}

func deflate(data []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(data)
	z.Close()
	return b.Bytes()
}

// Bomb is a Flate stream that decodes to n zero bytes.
func Bomb(n int) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	zero := make([]byte, 1<<20)
	for ; n > 0; n -= len(zero) {
		z.Write(zero)
	}
	z.Close()
	return b.Bytes()
}
