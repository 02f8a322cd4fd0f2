// Package verapdf asks veraPDF, the validator of the PDF Association and the Open
// Preservation Foundation, whether a PDF is what it claims to be.
//
// It owns the call and nothing else; only tests import it. The jars come from
// Maven Central by `make interop`, which names their folder in BELFRY_VERAPDF.
// Without it a test that asks is skipped.
package verapdf

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Flavours of documents we make: PDF/A-2a and PDF/UA-1.
const Flavours = "2a,ua1"

// Validate fails the test where one of the files, named by their titles, breaks a
// rule of PDF/A-2a or of PDF/UA-1. One Java process checks them all.
func Validate(t testing.TB, pdfs map[string][]byte) {
	t.Helper()
	jars := os.Getenv("BELFRY_VERAPDF")
	if jars == "" {
		t.Skip("BELFRY_VERAPDF names no folder with veraPDF; make interop does")
	}
	args := []string{"-cp", jars + "/*", source(), Flavours}
	dir := t.TempDir()
	for name, pdf := range pdfs {
		file := filepath.Join(dir, name+".pdf")
		if err := os.WriteFile(file, pdf, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	if out, err := exec.Command("java", args...).CombinedOutput(); err != nil {
		t.Errorf("veraPDF: %v\n%s", err, out)
	}
}

// source is Check.java beside this file; Java runs it uncompiled.
func source() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "Check.java")
}
