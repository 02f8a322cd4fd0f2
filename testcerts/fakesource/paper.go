package fakesource

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/digitorus/pkcs7"
)

// paper is what stands on one.
type paper struct {
	language, product, reference string
	person                       Person
	at                           time.Time
}

// words of a paper, by language.
var words = map[string]map[string]string{
	"fr": {"title": "Registre national (essai) : certificat", "name": "Nom", "birth": "Date de naissance", "address": "Résidence principale", "reference": "Référence", "date": "Délivré le"},
	"nl": {"title": "Rijksregister (test): attest", "name": "Naam", "birth": "Geboortedatum", "address": "Hoofdverblijfplaats", "reference": "Referentie", "date": "Afgeleverd op"},
	"de": {"title": "Nationalregister (Test): Bescheinigung", "name": "Name", "birth": "Geburtsdatum", "address": "Hauptwohnort", "reference": "Zeichen", "date": "Ausgestellt am"},
}

// file is a PDF of one revision, with room for a signature where it has one.
type file struct {
	language, title string
	lines           []string
}

func layOut(p paper) file {
	w := words[p.language]
	return file{language: p.language, title: w["title"] + " " + p.product, lines: []string{
		w["title"] + " " + p.product, w["name"] + ": " + p.person.Name, w["birth"] + ": " + p.person.BirthDate,
		w["address"] + ": " + p.person.Address, w["reference"] + ": " + p.reference, w["date"] + ": " + p.at.Format("02/01/2006"), "SPECIMEN",
	}}
}

// latin is text in WinAnsiEncoding, with what a literal string escapes.
func latin(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '(' || r == ')' || r == '\\':
			b.WriteByte('\\')
			b.WriteByte(byte(r))
		case r < 0x100:
			b.WriteByte(byte(r))
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

const (
	room   = 8192 // hexadecimal digits for the signature
	ranges = "[0 0000000000 0000000000 0000000000]"
)

// bytes writes the file: tagged (a heading and paragraphs), with title and language. The
// signature's field is there where signature is not "".
func (f file) bytes(signature string) []byte {
	var content strings.Builder
	var tags, parents strings.Builder
	for i, line := range f.lines {
		kind, size := "P", 11
		if i == 0 {
			kind, size = "H1", 16
		}
		fmt.Fprintf(&content, "/%s <</MCID %d>> BDC BT /F %d Tf 1 0 0 1 72 %d Tm (%s) Tj ET EMC\n", kind, i, size, 740-24*i, latin(line))
		fmt.Fprintf(&tags, " %d 0 R", 20+i)
		fmt.Fprintf(&parents, " %d 0 R", 20+i)
	}
	objects := map[int]string{
		1: "<</Type/Catalog/Pages 2 0 R/Lang(" + f.language + "-BE)/MarkInfo<</Marked true>>/StructTreeRoot 6 0 R/ViewerPreferences<</DisplayDocTitle true>>%s>>",
		2: "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>/StructParents 0/Tabs/S%s>>",
		4: fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", content.Len(), content.String()),
		5: "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
		6: "<</Type/StructTreeRoot/K 7 0 R/ParentTree 8 0 R/ParentTreeNextKey 1>>",
		7: "<</Type/StructElem/S/Document/P 6 0 R/K[" + tags.String() + "]>>",
		8: "<</Nums[0[" + parents.String() + "]]>>",
		9: "<</Title(" + latin(f.title) + ")/Producer(a test)>>",
	}
	for i := range f.lines {
		kind := "P"
		if i == 0 {
			kind = "H1"
		}
		objects[20+i] = fmt.Sprintf("<</Type/StructElem/S/%s/P 7 0 R/Pg 3 0 R/K %d>>", kind, i)
	}
	form, annots := "", ""
	if signature != "" {
		form, annots = "/AcroForm<</Fields[10 0 R]/SigFlags 3>>", "/Annots[10 0 R]"
		objects[10] = "<</Type/Annot/Subtype/Widget/FT/Sig/T(Seal)/V 11 0 R/P 3 0 R/F 132/Rect[0 0 0 0]>>"
		objects[11] = signature
	}
	objects[1] = fmt.Sprintf(objects[1], form)
	objects[3] = fmt.Sprintf(objects[3], annots)
	return write(objects, 20+len(f.lines))
}

// write writes the objects with a cross-reference table.
func write(objects map[int]string, size int) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	at := make([]int, size)
	for n := 1; n < size; n++ {
		if o, ok := objects[n]; ok {
			at[n] = b.Len()
			fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", n, o)
		}
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", size)
	for n := 1; n < size; n++ {
		if at[n] == 0 {
			b.WriteString("0000000000 00000 f \n")
		} else {
			fmt.Fprintf(&b, "%010d 00000 n \n", at[n])
		}
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R/Info 9 0 R/ID[<%x><%[2]x>]>>\nstartxref\n%d\n%%%%EOF\n", size, "belfry-test-1234", start)
	return b.Bytes()
}

func (f file) unsealed() []byte { return f.bytes("") }

// sealed signs all of the file but the signature's own place (ISO 32000-1, 12.8.1).
func (f file) sealed(id identity, at time.Time) ([]byte, error) {
	b := f.bytes("<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/adbe.pkcs7.detached/M(D:" + at.UTC().Format("20060102150405") + "Z)/ByteRange " + ranges +
		"/Contents <" + strings.Repeat("0", room) + ">>>")
	begin := bytes.Index(b, []byte("/Contents <00")) + len("/Contents ")
	end := begin + room + 2
	copy(b[bytes.Index(b, []byte(ranges)):], fmt.Sprintf("[0 %010d %010d %010d]", begin, end, len(b)-end))
	signed, err := pkcs7.NewSignedData(append(append([]byte(nil), b[:begin]...), b[end:]...))
	if err != nil {
		return nil, err
	}
	signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := signed.AddSignerChain(id.cert, id.key, []*x509.Certificate{}, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, err
	}
	signed.Detach()
	der, err := signed.Finish()
	if err != nil {
		return nil, err
	}
	if 2*len(der) > room {
		return nil, fmt.Errorf("fakesource: a signature of %d bytes", len(der))
	}
	copy(b[begin+1:], fmt.Sprintf("%x", der))
	return b, nil
}

// alter changes what stands on the page.
func alter(b []byte) []byte {
	out := append([]byte(nil), b...)
	if at := bytes.Index(out, []byte("SPECIMEN")); at >= 0 {
		copy(out[at:], "GENUINE!")
	}
	return out
}
