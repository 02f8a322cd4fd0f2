// Package blobtest holds every blob.Store to its contract.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"sync"
	"testing"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
)

// Suite runs all tests on an empty store.
func Suite(t *testing.T, s blob.Store) {
	t.Run("keeps and tells communes apart", func(t *testing.T) { keeps(t, s) })
	t.Run("keeps what is written at length", func(t *testing.T) { streams(t, s) })
	t.Run("from many at once", func(t *testing.T) { many(t, s) })
	t.Run("lists all there is", func(t *testing.T) { lists(t, s) })
}

func keeps(t *testing.T, s blob.Store) {
	ctx := context.Background()
	for _, data := range [][]byte{[]byte("a document"), {}} {
		for range 2 { // the second time changes nothing
			if d, err := s.Put(ctx, "beaumarais", data); err != nil || d != blob.Sum(data) {
				t.Fatal(d, err)
			}
		}
		if got, err := s.Read(ctx, "beaumarais", blob.Sum(data)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %q, %v", got, err)
		}
		opened(t, s, data)
	}
	d := blob.Sum([]byte("a document"))
	if _, err := s.Read(ctx, "zandvoorde", d); !errors.Is(err, blob.ErrMissing) {
		t.Errorf("another commune reads it: %v", err)
	}
	if _, err := s.Open(ctx, "zandvoorde", d); !errors.Is(err, blob.ErrMissing) {
		t.Errorf("another commune opens it: %v", err)
	}
	for _, c := range []commune.ID{"", "..", "../beaumarais", "a/b"} {
		if _, err := s.Put(ctx, c, []byte("x")); err == nil {
			t.Errorf("commune %q is taken", c)
		}
		if _, err := s.Read(ctx, c, d); err == nil {
			t.Errorf("commune %q is read", c)
		}
	}
}

// opened reads a file as those do who cannot hold it in memory.
func opened(t *testing.T, s blob.Store, want []byte) {
	t.Helper()
	f, err := s.Open(context.Background(), "beaumarais", blob.Sum(want))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Size() != int64(len(want)) {
		t.Errorf("size %d, want %d", f.Size(), len(want))
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
		t.Errorf("opened: %d bytes, %v", len(got), err)
	}
	if len(want) > 4 {
		part := make([]byte, 3)
		if _, err := f.ReadAt(part, 1); err != nil || !bytes.Equal(part, want[1:4]) {
			t.Errorf("from within: %q, %v", part, err)
		}
	}
}

func streams(t *testing.T, s blob.Store) {
	ctx := context.Background()
	large := bytes.Repeat([]byte("0123456789abcdef"), 20<<16) // 20 MB, more than one part of an upload
	d, err := s.PutFrom(ctx, "beaumarais", func(w io.Writer) error {
		for at := 0; at < len(large); at += 1 << 16 {
			if _, err := w.Write(large[at:min(len(large), at+1<<16)]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || d != blob.Sum(large) {
		t.Fatal(d, err)
	}
	opened(t, s, large)

	half := errors.New("the writer failed")
	_, err = s.PutFrom(ctx, "beaumarais", func(w io.Writer) error {
		io.WriteString(w, "half a file")
		return half
	})
	if !errors.Is(err, half) {
		t.Errorf("a writer that fails: %v", err)
	}
	if _, err := s.Read(ctx, "beaumarais", blob.Sum([]byte("half a file"))); !errors.Is(err, blob.ErrMissing) {
		t.Errorf("half a file is kept: %v", err)
	}
}

func many(t *testing.T, s blob.Store) {
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			data := bytes.Repeat([]byte{byte(i % 5)}, 100_000)
			d, err := s.Put(ctx, "beaumarais", data)
			if err != nil {
				t.Error(err)
			}
			if got, err := s.Read(ctx, "beaumarais", d); err != nil || !bytes.Equal(got, data) {
				t.Error("read back something else", err)
			}
		})
	}
	wg.Wait()
}

func lists(t *testing.T, s blob.Store) {
	ctx := context.Background()
	before := listed(t, s)
	want := maps.Clone(before)
	for _, c := range []commune.ID{"beaumarais", "zandvoorde"} {
		d, err := s.Put(ctx, c, []byte("in a list of "+c))
		if err != nil {
			t.Fatal(err)
		}
		want[string(c)+" "+d.String()] = true
	}
	if got := listed(t, s); !maps.Equal(got, want) || len(got) != len(before)+2 {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	stop := errors.New("enough")
	if err := s.Each(ctx, func(commune.ID, blob.Digest) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a caller that has enough: %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Each(gone, func(commune.ID, blob.Digest) error { return nil }); err == nil {
		t.Error("a list that was called off is whole")
	}
}

func listed(t *testing.T, s blob.Store) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := s.Each(context.Background(), func(c commune.ID, d blob.Digest) error {
		all[string(c)+" "+d.String()] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
