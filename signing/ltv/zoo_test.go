package ltv_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// put writes a file that a program is to read.
func put(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// made has a program of others make a file of in.pdf, which is in the folder where it runs.
func made(command ...string) func(t *testing.T) []byte {
	return func(t *testing.T) []byte {
		t.Helper()
		if _, err := exec.LookPath(command[0]); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
		dir := t.TempDir()
		put(t, filepath.Join(dir, "in.pdf"), pdftest.Build(pdftest.Table, pdftest.Fields()))
		put(t, filepath.Join(dir, "in.html"), []byte("<!doctype html><html lang=fr><title>Attestation</title><h1>Attestation é</h1>"))
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, said)
		}
		b, err := os.ReadFile(filepath.Join(dir, "out.pdf"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

func always(b []byte) func(*testing.T) []byte { return func(*testing.T) []byte { return b } }

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

// zoo is one file of each kind that people bring.
var zoo = map[string]func(*testing.T) []byte{
	"qpdf, linearised":                     made("qpdf", "--linearize", "in.pdf", "out.pdf"),
	"qpdf, object streams":                 made("qpdf", "--object-streams=generate", "in.pdf", "out.pdf"),
	"qpdf, linearised with object streams": made("qpdf", "--linearize", "--object-streams=generate", "in.pdf", "out.pdf"),
	"qpdf, 1.4":                            made("qpdf", "--force-version=1.4", "in.pdf", "out.pdf"),
	"qpdf, 2.0":                            made("qpdf", "--force-version=2.0", "in.pdf", "out.pdf"),
	"qpdf, for people's eyes":              made("qpdf", "--qdf", "in.pdf", "out.pdf"),
	"qpdf, RC4":                            made("qpdf", "--allow-weak-crypto", "--encrypt", "", "owner", "40", "--", "in.pdf", "out.pdf"),
	"qpdf, AES-128":                        made("qpdf", "--encrypt", "", "owner", "128", "--use-aes=y", "--", "in.pdf", "out.pdf"),
	"qpdf, AES-256":                        made("qpdf", "--encrypt", "", "owner", "256", "--", "in.pdf", "out.pdf"),
	"qpdf, AES-256, object streams":        made("qpdf", "--object-streams=generate", "--encrypt", "", "owner", "256", "--", "in.pdf", "out.pdf"),
	"MuPDF, cleaned":                       made("mutool", "clean", "-gggz", "in.pdf", "out.pdf"),
	"MuPDF, converted":                     made("mutool", "convert", "-o", "out.pdf", "in.pdf"),
	"poppler, separated":                   made("pdfseparate", "in.pdf", "out.pdf"),
	"poppler, united":                      made("pdfunite", "in.pdf", "in.pdf", "out.pdf"),
	"poppler, by cairo":                    made("pdftocairo", "-pdf", "in.pdf", "out.pdf"),
	"Chromium":                             made("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", "--print-to-pdf=out.pdf", "in.html"),
	"CR at the end of lines":               always(lined("\r", " ")),
	"CR LF at the end of lines":            always(lined("\r\n", " ")),
	"odd spaces":                           always(lined("\n\n", "\t \f")),
	"fields of 1, 2 and 0":                 always(wide(1, 2, 0)),
	"fields of 0, 4 and 0":                 always(wide(0, 4, 0)),
	"fields of 2, 8 and 2":                 always(wide(2, 8, 2)),
	"a chain of updates":                   always(chained()),
	"odd names":                            always(odd()),
	"a hybrid file":                        always(pdftest.Build(pdftest.Hybrid, pdftest.Fields())),
}

// Whatever people bring is sealed at every level, stays as it was in front, and is
// believed by programs of others and by our own.
func TestZoo(t *testing.T) {
	w := newWorld(t, signingtest.SharedLasting(), nil)
	for name, file := range zoo {
		t.Run(name, func(t *testing.T) {
			content := file(t)
			one := *w
			one.t = t
			files := map[string][]byte{signing.LevelBB: one.sign(content, "P-256", true, false), signing.LevelBT: one.sign(content, "P-256", true, true)}
			files[signing.LevelBLT], _ = one.mustExtend(files[signing.LevelBT], signing.LevelBLT)
			files[signing.LevelBLTA], _ = one.mustExtend(files[signing.LevelBT], signing.LevelBLTA)
			for level, sealed := range files {
				if !bytes.HasPrefix(sealed, content) {
					t.Errorf("%s: the file does not begin with the content", level)
				}
				r := verify.File(bytes.NewReader(sealed), int64(len(sealed)), verify.Options{Roots: w.Roots(), Now: w.clock.Now()})
				if r.Result != verify.Valid || r.Signatures[0].Level != level {
					t.Errorf("%s: %s %+v", level, r.Result, r.Signatures)
				}
				if name != "a hybrid file" { // others take none
					signingtest.Outside(t, w.Lasting, level, sealed)
				}
			}
		})
	}
}
