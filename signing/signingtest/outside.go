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

// Outside asks programs of others (qpdf, mutool, openssl, pdfsig) about every signature
// of a file: the first is a seal's of the world, the others are document time stamps.
func Outside(t *testing.T, w *Lasting, level string, file []byte) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.pdf")
	write(t, path, file)
	run := func(want string, command ...string) string {
		t.Helper()
		if _, err := exec.LookPath(command[0]); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed", command[0])
			}
			t.Skipf("%s is not installed", command[0])
		}
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s, %s: %v, want %q\n%s", level, command[0], err, want, out)
		}
		return string(out)
	}
	run("No syntax or stream encoding errors", "qpdf", "--check", path)
	run("Seal1", "mutool", "show", path, "trailer/Root/AcroForm/Fields/*/T")
	roots := w.WriteRoots(t)
	for i, m := range ranges.FindAllSubmatch(file, -1) {
		var b, c, d int
		fmt.Sscan(string(bytes.Join(m[1:], []byte(" "))), &b, &c, &d)
		der, err := hex.DecodeString(string(file[b+1 : c-1]))
		if err != nil {
			t.Fatal(err)
		}
		cms, signed := filepath.Join(dir, fmt.Sprint("cms", i)), filepath.Join(dir, fmt.Sprint("signed", i))
		write(t, cms, der)
		write(t, signed, append(append([]byte{}, file[:b]...), file[c:c+d]...))
		at := fmt.Sprint(w.Base.Unix())
		if i == 0 {
			run("Verification successful", "openssl", "cms", "-verify", "-cades", "-inform", "DER", "-in", cms, "-content", signed, "-binary",
				"-CAfile", roots, "-purpose", "any", "-attime", at, "-out", os.DevNull)
			continue
		}
		write(t, cms, trimDER(der))
		run("Verification: OK", "openssl", "ts", "-verify", "-data", signed, "-in", cms, "-token_in", "-CAfile", roots, "-attime", at)
	}
	sig := run("Signature is Valid", "pdfsig", "-nocert", path)
	// it has no code for document time stamps, but sees what they cover
	if level == signing.LevelBLTA && (!strings.Contains(sig, "Stamp1") || !strings.Contains(sig, "Total document signed")) {
		t.Errorf("pdfsig sees no document time stamp upon all:\n%s", sig)
	}
	if level == signing.LevelBLT || level == signing.LevelBLTA {
		run("[", "mutool", "show", path, "trailer/Root/DSS/OCSPs")
	}
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
