package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// largePDF writes a PDF of about so many bytes: pictures that nobody can make smaller.
func largePDF(t testing.TB, path string, size int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	at, offsets := 0, []int{}
	write := func(b []byte) {
		n, err := w.Write(b)
		if at += n; err != nil {
			t.Fatal(err)
		}
	}
	object := func(text string, data []byte) {
		offsets = append(offsets, at)
		write(fmt.Appendf(nil, "%d 0 obj\n%s", len(offsets), text))
		if data != nil {
			write([]byte("\nstream\n"))
			write(data)
			write([]byte("\nendstream"))
		}
		write([]byte("\nendobj\n"))
	}
	write([]byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"))
	object("<</Type/Catalog/Pages 2 0 R>>", nil)
	object("<</Type/Pages/Kids[3 0 R]/Count 1>>", nil)
	object("<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>", nil)
	noise := make([]byte, 1<<20)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	for at < size {
		object(fmt.Sprintf("<</Length %d>>", len(noise)), noise)
	}
	xref := at
	write(fmt.Appendf(nil, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1))
	for _, o := range offsets {
		write(fmt.Appendf(nil, "%010d 00000 n \n", o))
	}
	write(fmt.Appendf(nil, "trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, xref))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// peak is the most memory that a command held, in bytes, and how long it took.
func peak(t testing.TB, cmd *exec.Cmd) (int64, time.Duration) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, said.String())
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10, time.Since(begin)
}

// What sealing holds in memory does not grow with the file.
func TestSealingALargeFile(t *testing.T) {
	w := startWorld(t)
	dir := t.TempDir()
	sealed := func(size int) (int64, time.Duration) {
		in, out := filepath.Join(dir, fmt.Sprintf("%d.pdf", size)), filepath.Join(dir, fmt.Sprintf("%d-sealed.pdf", size))
		largePDF(t, in, size)
		used, took := peak(t, exec.Command(w.belfry, "seal", in, out, "--config", w.Belfry.Config, "--commune", "beaumarais", "--level", "B-LTA"))
		w.command(0, "verify", out, "--trust", filepath.Dir(w.PKI.Roots))
		begins(t, in, out)
		return used, took
	}
	small, _ := sealed(1 << 20)
	large, took := sealed(100 << 20)
	t.Logf("1 MB: %d MB of memory; 100 MB: %d MB, in %v", small>>20, large>>20, took.Round(10*time.Millisecond))
	if large > small+24<<20 {
		t.Errorf("100 MB take %d MB more than 1 MB", (large-small)>>20)
	}
}

// begins checks that one file begins with all of another.
func begins(t testing.TB, in, out string) {
	t.Helper()
	a, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, err := io.ReadFull(a, x)
		if m, _ := io.ReadFull(b, y[:n]); !bytes.Equal(x[:n], y[:m]) {
			t.Fatal("the sealed file does not begin with the file")
		}
		if err != nil {
			return
		}
	}
}
