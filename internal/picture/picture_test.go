package picture_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/picture"
)

func TestMain(m *testing.M) {
	picture.RunIfChild() // the drawings' children are this program
	os.Exit(m.Run())
}

func needProgram(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("pdftoppm"); err != nil || runtime.GOOS != "linux" {
		if os.Getenv("CI") == "true" && runtime.GOOS == "linux" {
			t.Fatal("pdftoppm is missing")
		}
		t.Skip("pdftoppm is missing")
	}
}

// document is a PDF of n pages of this size; the content is one black square.
func document(n int, width, height float64, content string) []byte {
	var b bytes.Buffer
	var at []int
	object := func(format string, args ...any) {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n"+format+"\nendobj\n", append([]any{len(at)}, args...)...)
	}
	b.WriteString("%PDF-1.4\n")
	var kids strings.Builder
	for i := range n {
		fmt.Fprintf(&kids, "%d 0 R ", i+4)
	}
	object("<</Type/Catalog/Pages 2 0 R>>")
	object("<</Type/Pages/Count %d/Kids[%s]>>", n, kids.String())
	object("<</Length %d>>stream\n%s\nendstream", len(content), content)
	for range n {
		object("<</Type/Page/Parent 2 0 R/MediaBox[0 0 %g %g]/Contents 3 0 R>>", width, height)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, o := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, start)
	return b.Bytes()
}

const square = "0 0 1 rg 0 0 100 100 re f"

func TestPagesAreDrawn(t *testing.T) {
	needProgram(t)
	for _, c := range []struct {
		pages, most, want int
		more              bool
	}{{1, 3, 1, false}, {3, 3, 3, false}, {5, 3, 3, true}} {
		got, more, err := picture.Draw(t.Context(), document(c.pages, 200, 400, square), c.most)
		if err != nil || len(got) != c.want || more != c.more {
			t.Errorf("%+v: %d pages, more: %v, %v", c, len(got), more, err)
			continue
		}
		drawn, err := png.Decode(bytes.NewReader(got[0].PNG))
		if err != nil || got[0].Height != 1000 || got[0].Width != 500 {
			t.Fatal(got[0].Width, got[0].Height, err)
		}
		if r, g, b, _ := drawn.At(10, 990).RGBA(); r != 0 || g != 0 || b != 0xffff {
			t.Errorf("the square is not blue: %x %x %x", r, g, b)
		}
		if r, _, _, _ := drawn.At(490, 10).RGBA(); r != 0xffff {
			t.Error("the paper is not white")
		}
	}
}

func TestWhatCannotBeDrawn(t *testing.T) {
	needProgram(t)
	for name, file := range map[string][]byte{
		"nothing": nil, "junk": []byte("<html>"), "a head": []byte("%PDF-1.4\n"), "too large": make([]byte, picture.MaxFile+1), "no page": document(0, 200, 200, square),
	} {
		if pages, _, err := picture.Draw(t.Context(), file, 3); !errors.Is(err, picture.ErrFailed) {
			t.Errorf("%s: %d pages, %v", name, len(pages), err)
		}
	}
	// An enormous page is drawn small.
	pages, _, err := picture.Draw(t.Context(), document(1, 14000, 14000, square), 1)
	if err != nil || pages[0].Width > 1001 {
		t.Errorf("an enormous page: %v", err)
	}
}

func TestADrawingThatHangsIsEnded(t *testing.T) {
	needProgram(t)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err := picture.Draw(ctx, document(1, 1000, 1000, strings.Repeat("0 0 1000 1000 re f\n", 500_000)), 1)
	if !errors.Is(err, picture.ErrFailed) || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// A program that was taken over reaches neither the network nor other processes nor
// other people's files: a shell in place of pdftoppm tries.
func TestTheCell(t *testing.T) {
	needProgram(t)
	dir := t.TempDir()
	left := filepath.Join(dir, "left")
	for name, command := range map[string]string{
		"write a file":    "echo x > " + left,
		"start a program": "/bin/true; /bin/true", // one must be forked
		"the network":     "exec 3<>/dev/tcp/127.0.0.1/9",
	} {
		script := filepath.Join(dir, "pdftoppm")
		if err := os.WriteFile(script, []byte("#!/bin/bash\n"+command+"\necho -n done >&2\nexit 7\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir)
		_, _, err := picture.Draw(t.Context(), document(1, 10, 10, square), 1)
		if !errors.Is(err, picture.ErrFailed) || !strings.Contains(err.Error(), "ermi") && !strings.Contains(err.Error(), "Resource") && !strings.Contains(err.Error(), "fork") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
}
