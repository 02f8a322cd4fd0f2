package document

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// small is a PDF in the form that the typesetter writes, as short as it gets.
func small(viewer, xmp string) []byte {
	var b bytes.Buffer
	at := []int{0}
	object := func(format string, args ...any) {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n"+format+"\nendobj\n\n", append([]any{len(at) - 1}, args...)...)
	}
	b.WriteString("%PDF-1.7\n")
	object("<<\n  /Type /Pages\n  /Kids []\n  /Count 0\n>>")
	object("<<\n  /Length %d\n  /Type /Metadata\n  /Subtype /XML\n>>\nstream\n%s\nendstream", len(xmp), xmp)
	object("<<\n  /Type /Catalog\n  /Pages 1 0 R\n  /Metadata 2 0 R\n  %s\n>>", viewer)
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f\r\n", len(at))
	for _, offset := range at[1:] {
		fmt.Fprintf(&b, "%010d 00000 n\r\n", offset)
	}
	fmt.Fprintf(&b, "trailer\n<<\n  /Size %d\n  /Root 3 0 R\n>>\nstartxref\n%d\n%%%%EOF", len(at), table)
	return b.Bytes()
}

const (
	goodViewer = "/ViewerPreferences <<\n    /Direction /L2R\n  >>"
	goodXMP    = `<rdf:RDF><rdf:Description><pdfaExtension:schemas><rdf:Bag></rdf:Bag></pdfaExtension:schemas></rdf:Description></rdf:RDF>`
)

func TestIdentifyUAKeepsTheFileRight(t *testing.T) {
	pdf, err := identifyUA(small(goodViewer, goodXMP))
	if err != nil {
		t.Fatal(err)
	}
	tool(t, pdf, "qpdf", "--check", "FILE")
	if _, err := readLayout(pdf); err != nil {
		t.Error(err)
	}
}

func TestIdentifyUARefusesWhatItDoesNotKnow(t *testing.T) {
	good := small(goodViewer, goodXMP)
	for name, pdf := range map[string][]byte{
		"nothing":               nil,
		"no viewer preferences": small("/Lang (fr)", goodXMP),
		"a title already shown": small("/ViewerPreferences << /DisplayDocTitle false >>", goodXMP),
		"no extension schemas":  small(goodViewer, "<rdf:RDF></rdf:RDF>"),
		"identified already":    small(goodViewer, goodXMP+"<pdfuaid:part>1</pdfuaid:part>"),
		"a cut table":           bytes.Replace(good, []byte("xref\n0 4"), []byte("xref\n0 9"), 1),
		"a wrong offset":        bytes.Replace(good, []byte("00000 n"), []byte("00000 f"), 3),
		"a wrong length":        bytes.Replace(good, []byte("/Length "), []byte("/Length 9"), 1),
		"a filter":              bytes.Replace(good, []byte("/Type /Metadata"), []byte("/Filter /Metada"), 1),
		"a later startxref":     append(bytes.Clone(good), "\nstartxref\n999999\n%%EOF"...),
	} {
		if _, err := identifyUA(pdf); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func FuzzIdentifyUA(f *testing.F) {
	f.Add(small(goodViewer, goodXMP))
	f.Add([]byte("startxref\n0\n%%EOF"))
	f.Fuzz(func(t *testing.T, pdf []byte) {
		out, err := identifyUA(pdf)
		if err == nil && !bytes.Contains(out, []byte(uaIdentification)) {
			t.Error("no identification and no error")
		}
	})
}

// Nothing but the metadata, the viewer preferences and offsets differs.
func TestIdentifyUAChangesNothingElse(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	before, err := r.set(context.Background(), residence(i18n.French), "a-2a")
	if err != nil {
		t.Fatal(err)
	}
	after, err := identifyUA(before)
	if err != nil {
		t.Fatal(err)
	}
	back := strings.NewReplacer(uaSchema, "", uaIdentification, "", "\n    /DisplayDocTitle true", "").Replace(string(after))
	// What remains differs in digits only: /Length and the table.
	blank := func(s string) string {
		return strings.TrimSpace(strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return '0'
			}
			return r
		}, s))
	}
	if blank(back) != blank(string(before)) {
		t.Error("something else changed")
	}
}
