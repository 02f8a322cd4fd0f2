package signingtest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/signing"
)

var ranges = regexp.MustCompile(`/ByteRange \[0 (\d+) (\d+) (\d+) *\]`)

// Claim is what a file is said to be.
type Claim struct {
	Level    string
	Field    string // what the seal's field is called, without its parents; "Seal1" where empty
	Password string // opens the file
}

// Outside asks programs of others about a file of a level in which Seal1 was added.
func Outside(t *testing.T, w *Lasting, level string, file []byte) {
	t.Helper()
	OutsideAs(t, w, Claim{Level: level}, file)
}

// OutsideAs asks qpdf, mutool, openssl and pdfsig about a file and every signature and
// document time stamp in it, all of which lead to the world's root.
func OutsideAs(t *testing.T, w *Lasting, c Claim, file []byte) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.pdf")
	write(t, path, file)
	run := func(want string, command ...string) string {
		t.Helper()
		out, err := exec.Command(Program(t, command[0]), command[1:]...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s, %s: %v, want %q\n%s", c.Level, command[0], err, want, out)
		}
		return string(out)
	}
	field := c.Field
	if field == "" {
		field = "Seal1"
	}
	run("No syntax or stream encoding errors", "qpdf", "--check", "--password="+c.Password, path)
	show := []string{"mutool", "show", "-p", c.Password, path}
	run("("+field+")", append(show, "grep")...)
	roots, signatures := w.WriteRoots(t), 0
	for i, m := range ranges.FindAllSubmatch(file, -1) {
		var b, c, d int
		fmt.Sscan(string(bytes.Join(m[1:], []byte(" "))), &b, &c, &d)
		der, err := hex.DecodeString(string(file[b+1 : c-1]))
		if err != nil {
			t.Fatal(err)
		}
		cms, signed := filepath.Join(dir, fmt.Sprint("cms", i)), filepath.Join(dir, fmt.Sprint("signed", i))
		write(t, cms, trimDER(der))
		write(t, signed, append(append([]byte{}, file[:b]...), file[c:c+d]...))
		at := fmt.Sprint(w.Base.Unix())
		if bytes.Contains(der[:100], stampInfo) {
			run("Verification: OK", "openssl", "ts", "-verify", "-data", signed, "-in", cms, "-token_in", "-CAfile", roots, "-attime", at)
			continue
		}
		signatures++
		run("Verification successful", "openssl", "cms", "-verify", "-cades", "-inform", "DER", "-in", cms, "-content", signed, "-binary",
			"-CAfile", roots, "-purpose", "any", "-attime", at, "-out", os.DevNull)
	}
	total := "Total document signed"
	if c.Level == signing.LevelBLT {
		total = "Not total document signed" // what proves the certificates stands behind
	}
	sig := run(total, "pdfsig", "-nocert", "-upw", c.Password, path)
	if n := strings.Count(sig, "Signature is Valid"); n != signatures || n == 0 {
		t.Errorf("%s: pdfsig finds %d of %d signatures valid\n%s", c.Level, n, signatures, sig)
	}
	// it has no code for document time stamps, but sees what they cover
	if c.Level == signing.LevelBLTA && !strings.Contains(sig, "Stamp1") {
		t.Errorf("pdfsig sees no document time stamp:\n%s", sig)
	}
	if c.Level == signing.LevelBLT || c.Level == signing.LevelBLTA {
		run("[", append(show, "trailer/Root/DSS/OCSPs")...)
	}
}

// stampInfo is the DER of id-ct-TSTInfo: what is inside is a time stamp.
var stampInfo = []byte{0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04}

// Program is the path of a program of others. Where it is missing the test is skipped,
// and fails in CI.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// trimDER is the one value at the beginning of b.
func trimDER(b []byte) []byte {
	n, head := int(b[1]), 2
	if n >= 0x80 {
		head += n & 0x7f
		n = 0
		for _, c := range b[2:head] {
			n = n<<8 | int(c)
		}
	}
	return b[:head+n]
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
