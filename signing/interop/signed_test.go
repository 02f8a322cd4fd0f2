package interop

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/plain"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

// signedBefore signs n times, each with another key.
func signedBefore(n int) func(*testing.T, *signingtest.Maker) []byte {
	return func(_ *testing.T, w *signingtest.Maker) []byte {
		file := pdftest.Build(pdftest.Table, pdftest.Fields())
		for i := range n {
			file = w.Sign(file, []string{"RSA-2048", "P-521"}[i], []string{signing.LevelBT, signing.LevelBB}[i], pades.Options{})
		}
		return file
	}
}

// TestMain makes this program the child that signs plainly.
func TestMain(m *testing.M) {
	plain.RunIfChild()
	os.Exit(m.Run())
}

// signedByPDFSign is signed by digitorus/pdfsign, in the older form.
func signedByPDFSign(t *testing.T, w *signingtest.Maker) []byte {
	t.Helper()
	id := w.Seal("P-256")
	file, err := plain.Sign(t.Context(), pdftest.Build(pdftest.Table, pdftest.Plain()), id.Key, plain.Options{Chain: id.Chain, At: w.Clock.Now(), Name: "Beaumarais"})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// lockedBefore signs the field that has a lock.
func lockedBefore(lock string) func(*testing.T, *signingtest.Maker) []byte {
	return func(_ *testing.T, w *signingtest.Maker) []byte {
		return w.Sign(locked(lock), "P-384", signing.LevelBT, pades.Options{Field: "first"})
	}
}

// certifiedElsewhere is signed by openssl, and certified where p is not 0. Where the
// signature goes is laid out by us, its form is adbe.pkcs7.detached.
func certifiedElsewhere(p int) func(*testing.T, *signingtest.Maker) []byte {
	return func(t *testing.T, w *signingtest.Maker) []byte {
		t.Helper()
		content := pdftest.Build(pdftest.Stream, pdftest.Fields())
		file := w.Sign(content, "RSA-2048", signing.LevelBB, pades.Options{Certify: p > 0})
		tail := bytes.Replace(file[len(content):], []byte("/P 1"), fmt.Appendf(nil, "/P %d", p), 1)
		tail = bytes.Replace(tail, []byte("ETSI.CAdES.detached"), []byte("adbe.pkcs7.detached"), 1)
		copy(file[len(content):], tail)

		var from, to, rest int
		if _, err := fmt.Sscanf(string(file[bytes.LastIndex(file, []byte("/ByteRange")):]), "/ByteRange [0 %d %d %d", &from, &to, &rest); err != nil || to+rest != len(file) {
			t.Fatal(err, "byte range")
		}
		dir := t.TempDir()
		signingtest.WritePEM(t, dir, "seal", w.Seal("RSA-2048"))
		put(t, filepath.Join(dir, "signed"), append(bytes.Clone(file[:from]), file[to:]...))
		cmd := exec.Command(signingtest.Program(t, "openssl"), "cms", "-sign", "-binary", "-cades", "-md", "sha512", "-in", "signed",
			"-signer", "seal.crt", "-inkey", "seal.key", "-certfile", "seal.chain", "-outform", "DER", "-out", "cms")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		room := to - from - 2
		digits := hex.EncodeToString(read(t, filepath.Join(dir, "cms")))
		copy(file[from+1:], digits+strings.Repeat("0", room-len(digits)))
		return file
	}
}

// typeset is a document that Typst made by one of its standards. One process makes all.
func typeset(standard string) animal {
	return animal{file: func(t *testing.T, _ *signingtest.Maker) []byte {
		t.Helper()
		files, err := typst()
		if err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
		return files[standard]
	}}
}

var typst = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "typst")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	modules, err := filepath.Abs(filepath.Join("..", "..", "node_modules"))
	if err != nil {
		return nil, err
	}
	standards := []string{"1.4", "1.7", "2.0", "a-1b", "a-2a", "a-3a", "a-4", "ua-1"}
	if out, err := exec.Command("node", append([]string{filepath.Join("testdata", "typst.js"), modules, dir}, standards...)...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("typst: %w: %s", err, out)
	}
	files := map[string][]byte{}
	for _, s := range standards {
		if files[s], err = os.ReadFile(filepath.Join(dir, s+".pdf")); err != nil {
			return nil, err
		}
	}
	return files, nil
})
