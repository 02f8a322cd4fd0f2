package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/blob/blobtest"
	"github.com/belfry-eid/belfry/internal/blob/s3"
	"github.com/belfry-eid/belfry/internal/blob/s3/s3test"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
)

func TestStore(t *testing.T) {
	server := s3test.New(t)
	scratch := t.TempDir()
	blobtest.Suite(t, server.Store(s3.Config{Prefix: "install/", Scratch: scratch}))
	if left, _ := os.ReadDir(scratch); len(left) > 0 {
		t.Errorf("%d files were left behind", len(left))
	}
}

// Two installs in one bucket see nothing of each other, and objects of others are left out.
func TestPrefix(t *testing.T) {
	server := s3test.New(t)
	one, two := server.Store(s3.Config{Prefix: "one/"}), server.Store(s3.Config{Prefix: "two/"})
	d, err := one.Put(t.Context(), "beaumarais", []byte("mine"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Read(t.Context(), "beaumarais", d); !errors.Is(err, blob.ErrMissing) {
		t.Errorf("another install reads it: %v", err)
	}
	if err := os.WriteFile(filepath.Join(server.Folder, "one", "notes.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := one.Each(t.Context(), func(commune.ID, blob.Digest) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d files, %v", n, err)
	}
}

func TestDamageIsNoticedAndMended(t *testing.T) {
	server := s3test.New(t)
	store, data := server.Store(s3.Config{}), []byte("a document")
	d, err := store.Put(t.Context(), "beaumarais", data)
	if err != nil {
		t.Fatal(err)
	}
	name, _ := blob.Name("beaumarais", d)
	if err := os.WriteFile(filepath.Join(server.Folder, name), []byte("a dokument"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Read(t.Context(), "beaumarais", d); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("read: %v", err)
	}
	if _, err := store.Open(t.Context(), "beaumarais", d); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("opened: %v", err)
	}
	if _, err := store.Put(t.Context(), "beaumarais", data); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Read(t.Context(), "beaumarais", d); err != nil || !bytes.Equal(got, data) {
		t.Errorf("after putting it again: %q, %v", got, err)
	}
}

// A store that is away, a wrong key and a missing bucket are three things: the first is
// waited for, the others are somebody's to mend.
func TestStoresThatDoNotServe(t *testing.T) {
	server := s3test.New(t)
	store := server.Store(s3.Config{})
	d, err := store.Put(t.Context(), "beaumarais", []byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]s3.Config{
		"a wrong key":    {AccessKey: server.AccessKey, SecretKey: "another"},
		"an unknown key": {AccessKey: "nobody", SecretKey: "another"},
		"no such bucket": {Bucket: "elsewhere"},
	} {
		bad := server.Store(cfg)
		if _, err := bad.Put(t.Context(), "beaumarais", []byte("x")); err == nil || fault.KindOf(err) == fault.Unreachable {
			t.Errorf("%s: %v", name, err)
		}
		if bad.Ping(t.Context()) == nil {
			t.Errorf("%s: answers", name)
		}
	}
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, put := store.Put(ctx, "beaumarais", []byte("x"))
	_, read := store.Read(ctx, "beaumarais", d)
	_, stream := store.PutFrom(ctx, "beaumarais", func(w io.Writer) error { _, err := w.Write([]byte("x")); return err })
	for _, err := range []error{put, read, stream, store.Ping(ctx), store.Each(ctx, func(commune.ID, blob.Digest) error { return nil })} {
		if fault.KindOf(err) != fault.Unreachable {
			t.Errorf("while it is away: %v", err)
		}
	}
	server.Start()
	if got, err := store.Read(t.Context(), "beaumarais", d); err != nil || string(got) != "before" {
		t.Errorf("when it is back: %q, %v", got, err)
	}
}
