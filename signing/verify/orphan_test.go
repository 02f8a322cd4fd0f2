package verify_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// forged is another text for the page, as an object that replaces object 4.
const forgedText = "BT /F1 24 Tf 72 720 Td (Forged) Tj ET"

var forged = fmt.Sprintf("4 0 obj\n<</Length %d>>\nstream\n%s\nendstream\nendobj\n", len(forgedText), forgedText)

// TestObjectsThatNoTableKnows: a reader that finds the file damaged looks for
// objects by their words "4 0 obj" and takes the last of each number. An update
// that carries such objects beside a table that names none of them shows nothing
// here and anything there.
func TestObjectsThatNoTableKnows(t *testing.T) {
	w := signingtest.Shared()
	sealed := sign(t, pdftest.Build(pdftest.Table, pdftest.Fields()), w.P256, how{certify: true, stamped: true})
	start := bytes.LastIndex(sealed, []byte("startxref"))
	var prev, size int
	fmt.Sscanf(string(sealed[start:]), "startxref\n%d", &prev)
	size = 40
	table := func(body, entries string) []byte {
		b := append(bytes.Clone(sealed), body...)
		return fmt.Appendf(b, "xref\n%strailer\n<</Size %d/Root 1 0 R/Info 6 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", entries, size, prev, len(b))
	}
	for name, file := range map[string][]byte{
		"before an old startxref":        fmt.Appendf(bytes.Clone(sealed), "%sstartxref\n%d\n%%%%EOF\n", forged, prev),
		"the same, far from the end":     fmt.Appendf(bytes.Clone(sealed), "%sstartxref\n%d\n%%%%EOF\n%s", forged, prev, strings.Repeat(" ", 1900)),
		"an update whose table is empty": table(forged, "0 0\n"),
		"a table with an odd entry":      table(forged, "999999 1\n0000000001 00000 n \n"),
		"other white space":              table(strings.Replace(forged, "4 0 obj", "4\t\t0\robj", 1), "0 0\n"),
		"a comment between":              table(strings.Replace(forged, "4 0 obj", "4 %\n0 %x\nobj", 1), "0 0\n"),
		"named, and named again":         table(forged+"30 0 obj\n"+forged+"endobj\n", fmt.Sprintf("30 1\n%010d 00000 n\r\n", len(sealed)+len(forged))),
		"in an object stream":            packedBeside(sealed, prev),
	} {
		r := check(file)
		if found := codes(r); r.Result == verify.Valid || !slices.Contains(found, "appended") && !slices.Contains(found, "broken") {
			t.Errorf("%s: %s %v", name, r.Result, codes(r))
		}
		if out := os.Getenv("SHOW"); out != "" {
			path := filepath.Join(out, strings.ReplaceAll(name, " ", "-")+".pdf")
			os.WriteFile(path, file, 0o600)
			for _, cmd := range [][]string{{"mutool", "draw", "-F", "txt", path}, {"pdftotext", path, "-"}} {
				text, _ := exec.Command(cmd[0], cmd[1:]...).CombinedOutput()
				t.Logf("%s: %s: forged shown: %v", name, cmd[0], bytes.Contains(text, []byte("Forged")))
			}
		}
	}
}

// packedBeside adds an object stream, in the table, whose page is not.
func packedBeside(sealed []byte, prev int) []byte {
	b := bytes.Clone(sealed)
	stream := len(b)
	page := "3 0 <</Type/Page/Parent 2 0 R/Contents 31 0 R/Resources<</Font<</F1 5 0 R>>>>>>"
	b = fmt.Appendf(b, "30 0 obj\n<</Type/ObjStm/N 1/First 4/Length %d>>\nstream\n%s\nendstream\nendobj\n", len(page), page)
	content := len(b)
	b = append(b, strings.Replace(forged, "4 0 obj", "31 0 obj", 1)...)
	start := len(b)
	return fmt.Appendf(b, "xref\n30 2\n%010d 00000 n\r\n%010d 00000 n\r\ntrailer\n<</Size 40/Root 1 0 R/Info 6 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", stream, content, prev, start)
}
