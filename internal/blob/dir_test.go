package blob_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/blob/blobtest"
	"github.com/belfry-eid/belfry/internal/commune"
)

func TestDir(t *testing.T) {
	root := filepath.Join(t.TempDir(), "blobs")
	s, err := blob.NewDir(root)
	if err != nil {
		t.Fatal(err)
	}
	blobtest.Suite(t, s)
	if left, err := os.ReadDir(filepath.Join(root, ".new")); err != nil || len(left) > 0 {
		t.Errorf("%d files were left behind, %v", len(left), err)
	}
	if err := os.WriteFile(filepath.Join(root, "beaumarais", "notes.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Each(t.Context(), func(commune.ID, blob.Digest) error { return nil }); err == nil {
		t.Error("somebody else's file among the documents is passed over")
	}
}
