package blob

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newDir(t *testing.T) *Dir {
	t.Helper()
	s, err := NewDir(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDirNoticesAndMendsDamage(t *testing.T) {
	for _, size := range []int{10, inMemoryMax, inMemoryMax + 1} {
		s, ctx := newDir(t), context.Background()
		data := bytes.Repeat([]byte("d"), size)
		d, _ := s.Put(ctx, "beaumarais", data)
		path, _ := s.path("beaumarais", d)
		for what, damaged := range map[string][]byte{"changed": append([]byte("k"), data[1:]...), "cut": data[1:], "longer": append([]byte("d"), data...), "empty": nil} {
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Read(ctx, "beaumarais", d); !errors.Is(err, ErrCorrupt) {
				t.Errorf("Read of %d bytes, %s: %v", size, what, err)
			}
			if _, err := s.Open(ctx, "beaumarais", d); !errors.Is(err, ErrCorrupt) {
				t.Errorf("Open of %d bytes, %s: %v", size, what, err)
			}
		}
		if _, err := s.Put(ctx, "beaumarais", data); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(ctx, "beaumarais", d); err != nil || !bytes.Equal(got, data) {
			t.Errorf("after putting %d bytes again: %v", size, err)
		}
		f, err := s.Open(ctx, "beaumarais", d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) || f.Size() != int64(size) {
			t.Errorf("after putting %d bytes again: %d, %v", size, f.Size(), err)
		}
		f.Close()
	}
}

func TestDirOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		if os.Getenv("CI") == "true" && os.Getuid() == 0 {
			t.Fatalf("mount: %v", err)
		}
		t.Skipf("a small file system needs root: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	s, err := NewDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	large := bytes.Repeat([]byte("x"), 1<<20)
	if _, err := s.Put(context.Background(), "beaumarais", large); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put: %v", err)
	}
	if _, err := s.Read(context.Background(), "beaumarais", Sum(large)); !errors.Is(err, ErrMissing) {
		t.Errorf("half a file is visible: %v", err)
	}
	if _, err := s.Put(context.Background(), "beaumarais", []byte("small")); err != nil {
		t.Errorf("a small one afterwards: %v", err)
	}
}

func TestDigestTexts(t *testing.T) {
	d := Sum([]byte("x"))
	for in, ok := range map[string]bool{
		d.String():                     true,
		strings.ToUpper(d.String()):    false,
		d.String()[:62]:                false,
		d.String() + "00":              false,
		"":                             false,
		"zz" + strings.Repeat("0", 62): false,
	} {
		if got, err := ParseDigest(in); (err == nil) != ok || (ok && got != d) {
			t.Errorf("ParseDigest(%q): %v", in, err)
		}
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back Digest
	if err := json.Unmarshal(b, &back); err != nil || back != d {
		t.Errorf("%s: %v, %v", b, back, err)
	}
	var scanned Digest
	v, _ := d.Value()
	if err := scanned.Scan(v); err != nil || scanned != d {
		t.Error(scanned, err)
	}
	for _, none := range []any{nil, "", []byte{}} {
		if err := scanned.Scan(none); err != nil || !scanned.IsZero() {
			t.Errorf("Scan(%v): %v, %v", none, scanned, err)
		}
	}
	if scanned.Scan(7) == nil || scanned.Scan("7") == nil {
		t.Error("scanned nonsense")
	}
}

func TestWhatTheDeadLeftIsSwept(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewDir(dir); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"old": 2 * newMax, "young": 0} {
		path := filepath.Join(dir, ".new", name)
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := NewDir(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".new", "old")); !os.IsNotExist(err) {
		t.Errorf("the old one is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".new", "young")); err != nil {
		t.Errorf("somebody may be writing it: %v", err)
	}
}

// What is written piece by piece is kept as a whole or not at all.
func TestPutFrom(t *testing.T) {
	s, ctx := newDir(t), context.Background()
	pieces := func(fail error) func(io.Writer) error {
		return func(w io.Writer) error {
			for range 3 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1000)); err != nil {
					return err
				}
			}
			return fail
		}
	}
	want := Sum(bytes.Repeat([]byte("x"), 3000))
	broken := errors.New("no more")
	if _, err := s.PutFrom(ctx, "beaumarais", pieces(broken)); !errors.Is(err, broken) {
		t.Errorf("a writer that fails: %v", err)
	}
	if _, err := s.Open(ctx, "beaumarais", want); !errors.Is(err, ErrMissing) {
		t.Errorf("half of it is there: %v", err)
	}
	for range 2 {
		d, err := s.PutFrom(ctx, "beaumarais", pieces(nil))
		if err != nil || d != want {
			t.Fatalf("%s, %v", d, err)
		}
	}
	f, err := s.Open(ctx, "beaumarais", want)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	last := make([]byte, 2)
	if n, err := f.ReadAt(last, f.Size()-2); n != 2 || err != nil && !errors.Is(err, io.EOF) || f.Size() != 3000 {
		t.Errorf("%d of %d bytes, %v", n, f.Size(), err)
	}
	if _, err := s.PutFrom(ctx, "../x", pieces(nil)); err == nil {
		t.Error("a commune of another folder")
	}
	if left, _ := filepath.Glob(filepath.Join(s.fresh(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
