package outside_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/orders/outside"
)

func TestMain(m *testing.M) {
	outside.RunIfChild() // what reads files are children of this program
	os.Exit(m.Run())
}

var ctx = context.Background()

// with is the plain document with its objects changed; the first is number 1.
func with(change func(o pdftest.Objects) pdftest.Objects) []byte {
	return pdftest.Build(pdftest.Table, change(pdftest.Plain()))
}

// catalog is the plain document with more in its catalog, and more objects from number 7 on.
func catalog(more string, objects ...string) []byte {
	return with(func(o pdftest.Objects) pdftest.Objects {
		o[0] = strings.Replace(o[0], "<<", "<<"+more, 1)
		return append(o, objects...)
	})
}

// page is the same for the page.
func page(more string, objects ...string) []byte {
	return with(func(o pdftest.Objects) pdftest.Objects {
		o[2] = strings.Replace(o[2], "<<", "<<"+more, 1)
		return append(o, objects...)
	})
}

func stream(dict string, data []byte) string {
	return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", dict, len(data), data)
}

func zipped(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("a.exe")
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("MZ"))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Each thing that a hostile or an unfit file can be is refused, in words of its own.
func TestWhatIsRefused(t *testing.T) {
	plain := pdftest.Build(pdftest.Table, pdftest.Plain())
	action := func(a string) []byte { return page("/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A" + a + ">>]") }
	for name, c := range map[string]struct {
		file []byte
		key  string
	}{
		"nothing":                  {nil, "outside.not_pdf"},
		"a page":                   {[]byte("<!doctype html><title>x</title>"), "outside.not_pdf"},
		"an archive":               {zipped(t), "outside.not_pdf"},
		"a PDF that is a page":     {bytes.Replace(plain, []byte("%\xe2"), []byte("%<HTML><script>alert(1)</script>\xe2"), 1), "outside.not_pdf"},
		"a PDF that is an archive": {append(bytes.Clone(plain), zipped(t)...), "outside.not_pdf"},
		"something before it":      {append([]byte("MZ\n"), plain...), "outside.not_pdf"},
		"something behind it":      {append(bytes.Clone(plain), "#!/bin/sh\n"...), "outside.broken"},
		"half":                     {plain[:len(plain)/2], "outside.broken"},
		"no table":                 {bytes.Replace(plain, []byte("startxref"), []byte("startxxxx"), 1), "outside.broken"},
		"an object elsewhere":      {bytes.Replace(plain, []byte("4 0 obj"), []byte("9 0 obj"), 1), "outside.broken"},
		"encrypted":                {pdftest.Append(plain, 7, nil, "/Encrypt<</Filter/Standard/V 9/R 9/O()/U()/P 0>>"), "outside.encrypted"},
		"no page":                  {with(func(o pdftest.Objects) pdftest.Objects { o[1] = "<</Type/Pages/Kids[]/Count 0>>"; return o }), "outside.pages"},
		"many pages": {with(func(o pdftest.Objects) pdftest.Objects {
			o[1] = "<</Type/Pages/Kids[" + strings.Repeat("3 0 R ", 101) + "]/Count 101>>"
			return o
		}), "outside.pages"},
		"pages in a circle": {with(func(o pdftest.Objects) pdftest.Objects { o[1] = "<</Type/Pages/Kids[2 0 R]/Count 1>>"; return o }), "outside.broken"},
		"a bomb": {with(func(o pdftest.Objects) pdftest.Objects {
			o[3] = stream("/Filter/FlateDecode", pdftest.Bomb(100<<20))
			return o
		}), "outside.too_much"},
		"many bombs":                {catalog("/X[7 0 R 8 0 R 9 0 R 10 0 R 11 0 R 12 0 R 13 0 R 14 0 R 15 0 R 16 0 R]", times(10, stream("/Filter/FlateDecode", pdftest.Bomb(60<<20)))...), "outside.too_much"},
		"a picture of a billion":    {catalog("/X 7 0 R", stream("/Type/XObject/Subtype/Image/Width 100000/Height 100000", nil)), "outside.too_much"},
		"script on opening":         {catalog("/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>"), "outside.active"},
		"script by reference":       {catalog("/OpenAction 7 0 R", "<</S 8 0 R/JS 9 0 R>>", "/JavaScript", "(x)"), "outside.active"},
		"script by an escaped name": {catalog("/OpenAction<</S/J#61vaScript/#4AS(x)>>"), "outside.active"},
		"script by name tree":       {catalog("/Names<</JavaScript<</Names[(a)<</S/JavaScript/JS(x)>>]>>>>"), "outside.active"},
		"script packed away":        {pdftest.Build(pdftest.Stream, append(replaced(pdftest.Plain(), 2, "/Annots[7 0 R]"), "<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/AA<</E 8 0 R>>>>", "<</S/JavaScript/JS(x)>>")), "outside.active"},
		"a page's own action":       {page("/AA<</O<</S/GoTo/D[3 0 R/Fit]>>>>"), "outside.active"},
		"launch":                    {action("<</S/Launch/F(calc.exe)>>"), "outside.active"},
		"sends a form":              {action("<</S/SubmitForm/F(https://x.example)>>"), "outside.active"},
		"leads into another file":   {action("<</S/GoToR/F(other.pdf)/D[0/Fit]>>"), "outside.active"},
		"hides":                     {action("<</S/Hide/T(x)>>"), "outside.active"},
		"a script's address":        {action("<</S/URI/URI(JavaScript:alert\\(1\\))>>"), "outside.active"},
		"an action behind a link":   {action("<</S/URI/URI(https://x.example)/Next<</S/Launch/F(x)>>>>"), "outside.active"},
		"layers":                    {catalog("/OCProperties<</OCGs[]/D<<>>>>"), "outside.active"},
		"film":                      {page("/Annots[<</Type/Annot/Subtype/RichMedia/Rect[0 0 9 9]>>]"), "outside.active"},
		"another picture on paper":  {catalog("/X 7 0 R", stream("/Type/XObject/Subtype/Image/Width 1/Height 1/Alternates[8 0 R]", []byte("x")), "<<>>"), "outside.active"},
		"a page of another file":    {catalog("/X 7 0 R", stream("/Type/XObject/Subtype/Form/BBox[0 0 1 1]/Ref<</F(o.pdf)/Page 0>>", nil)), "outside.active"},
		"contents in another file": {with(func(o pdftest.Objects) pdftest.Objects {
			o[3] = stream("/F(http://x.example/a)", []byte("x"))
			return o
		}), "outside.active"},
		"an enclosed file":       {catalog("/Names<</EmbeddedFiles<</Names[(a)7 0 R]>>>>", "<</Type/Filespec/F(a.exe)/EF<</F 8 0 R>>>>", stream("/Type/EmbeddedFile", []byte("MZ"))), "outside.files"},
		"a file on the page":     {page("/Annots[<</Type/Annot/Subtype/FileAttachment/Rect[0 0 9 9]/FS(x)>>]"), "outside.files"},
		"a portfolio":            {catalog("/Collection<</View/T>>"), "outside.files"},
		"a form":                 {pdftest.Build(pdftest.Table, pdftest.Fields()), "outside.form"},
		"a form of another kind": {catalog("/AcroForm<</Fields[]/XFA(x)>>"), "outside.form"},
		"signed":                 {catalog("/AcroForm<</Fields[7 0 R]/SigFlags 3>>", "<</FT/Sig/T(s)/V 8 0 R>>", "<</Type/Sig/ByteRange[0 1 2 3]/Contents<00>>>"), "outside.signed"},
		"certified":              {catalog("/Perms<</DocMDP 7 0 R>>", "<</Contents<00>>>"), "outside.signed"},
	} {
		_, err := outside.Reader{}.Check(ctx, c.file)
		if err == nil || fault.KindOf(err) != fault.Invalid || fault.KeyOf(err) != c.key {
			t.Errorf("%s: %v, want %s", name, err, c.key)
		}
	}
	_, err := outside.Reader{}.Check(ctx, make([]byte, outside.MaxFile+1))
	if fault.KeyOf(err) != "outside.too_large" {
		t.Errorf("too large: %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := (outside.Reader{}).Check(gone, plain); fault.KeyOf(err) != "outside.unread" {
		t.Errorf("a request that is over: %v", err)
	}
}

func times(n int, o string) (list []string) {
	for range n {
		list = append(list, o)
	}
	return list
}

func replaced(o pdftest.Objects, i int, more string) pdftest.Objects {
	o[i] = strings.Replace(o[i], "<<", "<<"+more, 1)
	return o
}

// tagged is a document with structure, title and language.
func tagged() pdftest.Objects {
	o := pdftest.Plain()
	content := "/P <</MCID 0>> BDC BT /F1 24 Tf 72 720 Td (Attestation) Tj ET EMC"
	o[0] = "<</Type/Catalog/Pages 2 0 R/Lang(fr-BE)/MarkInfo<</Marked true>>/StructTreeRoot 7 0 R/Metadata 10 0 R/ViewerPreferences<</DisplayDocTitle true>>>>"
	o[2] = "<</Type/Page/Parent 2 0 R/Contents 4 0 R/StructParents 0/Resources<</Font<</F1 5 0 R>>>>>>"
	o[3] = stream("", []byte(content))
	return append(o,
		"<</Type/StructTreeRoot/K 8 0 R/ParentTree<</Nums[0[9 0 R]]>>>>", // 7
		"<</Type/StructElem/S/Document/P 7 0 R/K[9 0 R]>>",
		"<</Type/StructElem/S/P/P 8 0 R/Pg 3 0 R/K 0>>",
		stream("/Type/Metadata/Subtype/XML", []byte(`<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt><rdf:li xml:lang="x-default">Composition de ménage</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF></x:xmpmeta>`)),
	)
}

func TestHowAFileIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		want outside.Access
	}{
		"all there":    {pdftest.Build(pdftest.Stream, tagged()), outside.Access{Pages: 1, Tagged: true, Title: "Composition de ménage", Language: "fr-BE"}},
		"printed":      {pdftest.Build(pdftest.Table, pdftest.Plain()), outside.Access{Pages: 1, Title: "Attestation", Language: "fr-BE"}},
		"a link":       {page("/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI(https://www.belgium.be)>>>>]"), outside.Access{Pages: 1, Title: "Attestation", Language: "fr-BE"}},
		"opens at top": {catalog("/OpenAction[3 0 R/Fit]"), outside.Access{Pages: 1, Title: "Attestation", Language: "fr-BE"}},
		"an empty form, no language": {with(func(o pdftest.Objects) pdftest.Objects {
			o[0] = "<</Type/Catalog/Pages 2 0 R/Lang(not a language!)/AcroForm<</Fields[]>>>>"
			return o
		}), outside.Access{Pages: 1, Title: "Attestation"}},
		"tags without a structure": {with(func(o pdftest.Objects) pdftest.Objects {
			o[0] = "<</Type/Catalog/Pages 2 0 R/MarkInfo<</Marked true>>/StructTreeRoot 7 0 R>>"
			return append(o, "<</Type/StructTreeRoot/K[]>>")
		}), outside.Access{Pages: 1, Title: "Attestation"}},
	} {
		got, err := outside.Reader{}.Check(ctx, c.file)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

var someMark = outside.Mark{
	Lines: []string{"Document n° 2026-000123", "Muni du cachet électronique « Commune de Beaumarais »", "À vérifier sur", "https://guichet.beaumarais.example/verify", "avec ce numéro et le code 7KQ4-M2XW"},
	QR:    "https://guichet.beaumarais.example/verify/abcdefghijklmnopqrstuv", Corner: outside.BottomRight,
}

// A mark is appended, read aloud at the end, and hurts nothing: in every form of file, and
// on a page that lies on its side.
func TestMark(t *testing.T) {
	for form, kind := range pdftest.Forms {
		for _, corner := range outside.Corners {
			file := pdftest.Build(kind, tagged())
			m := someMark
			m.Corner, m.Specimen = corner, "SPECIMEN"
			marked, err := outside.Reader{}.Mark(ctx, file, m)
			if err != nil {
				t.Fatal(form, corner, err)
			}
			if again, err := (outside.Reader{}).Mark(ctx, file, m); err != nil || !bytes.Equal(again, marked) {
				t.Errorf("%s: the same mark has other bytes (%v)", form, err)
			}
			if !bytes.HasPrefix(marked, file) {
				t.Fatalf("%s: the file was changed", form)
			}
			if a, err := (outside.Reader{}).Check(ctx, marked); err != nil || !a.Full() {
				t.Errorf("%s: the marked file reads as %+v, %v", form, a, err)
			}
			stamps(t, marked, 2)
		}
	}
	tiny := with(func(o pdftest.Objects) pdftest.Objects {
		o[1] = "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 200 100]>>"
		return o
	})
	if _, err := (outside.Reader{}).Mark(ctx, tiny, someMark); fault.KeyOf(err) != "outside.no_room" {
		t.Errorf("a page that is too small: %v", err)
	}
	odd := someMark
	odd.Lines = []string{"ꙮ"}
	if _, err := (outside.Reader{}).Mark(ctx, pdftest.Build(pdftest.Table, tagged()), odd); fault.KeyOf(err) != "outside.letter" {
		t.Errorf("a letter that no font has: %v", err)
	}
}

// stamps looks at the annotations as a reader does: printed, named in the structure, found
// from there.
func stamps(t *testing.T, file []byte, want int) {
	t.Helper()
	f, err := pdf.Bytes(file)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := f.Pages(1)
	if err != nil {
		t.Fatal(err)
	}
	annots, err := f.Array(pages[0].Dict["Annots"])
	if err != nil || len(annots) != want || pages[0].Dict["Tabs"] != pdf.Name("S") {
		t.Fatalf("%d annotations, %v, tab order %v", len(annots), err, pages[0].Dict["Tabs"])
	}
	c, _ := f.Catalog()
	root, err := f.Dict(c["StructTreeRoot"])
	if err != nil {
		t.Fatal(err)
	}
	tree, err := f.Dict(root["ParentTree"])
	if err != nil {
		t.Fatal(err)
	}
	nums, _ := f.Array(tree["Nums"])
	for _, a := range annots {
		d, err := f.Dict(a)
		if err != nil {
			t.Fatal(err)
		}
		flags, _ := d["F"].(pdf.Integer)
		if d["Subtype"] != pdf.Name("Stamp") || flags&4 == 0 || flags&(1|2|32) != 0 || d["Contents"] == nil {
			t.Errorf("annotation %v", d)
		}
		found := false
		for i := 0; i+1 < len(nums); i += 2 {
			if nums[i] != d["StructParent"] {
				continue
			}
			element, err := f.Dict(nums[i+1])
			if err != nil {
				t.Fatal(err)
			}
			k, _ := f.Dict(element["K"])
			found = element["S"] == pdf.Name("Annot") && k["Obj"] == a && element["Alt"] != nil
		}
		if !found {
			t.Errorf("annotation %v is not found from the structure", a)
		}
	}
}

// Others read the marked file too: whole, and with its words on the page.
func TestOthersReadTheMark(t *testing.T) {
	file := filepath.Join(t.TempDir(), "marked.pdf")
	m := someMark
	m.Specimen = "SPECIMEN"
	marked, err := outside.Reader{}.Mark(ctx, pdftest.Build(pdftest.Stream, tagged()), m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, marked, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"qpdf", "--check", file}, {"pdftotext", file, "-"}} {
		if _, err := exec.LookPath(args[0]); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
		if args[0] == "pdftotext" && !(bytes.Contains(out, []byte("2026-000123")) && bytes.Contains(out, []byte("Attestation"))) {
			t.Errorf("the page says %q", out)
		}
	}
	if dir := os.Getenv("BELFRY_SHOTS"); dir != "" {
		os.WriteFile(filepath.Join(dir, "outside-marked.pdf"), marked, 0o644)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(pdftest.Build(pdftest.Table, pdftest.Plain()))
	f.Add(pdftest.Build(pdftest.Stream, tagged()))
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, err := range outside.Inside(file) {
			if err == nil {
				continue
			}
			if e, ok := errors.AsType[*fault.Error](err); !ok || e.Key == "" {
				t.Errorf("%v", err)
			}
		}
	})
}
