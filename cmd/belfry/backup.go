package main

import (
	"archive/tar"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// A backup is one tar file: what it is, the database, the documents, and at its end the
// SHA-256 of each, without which it is no backup but a part of one. The database comes
// first: whatever document it names was durable before it, and is there when the
// documents are copied. server.key_file is not in it: whoever holds only one of the two
// holds nothing, and whoever loses one has lost both.
const (
	backupFormat   = 1
	backupManifest = "manifest.json"
	backupDatabase = "database"
	backupSettings = "belfry.toml" // for the reader: a restore does not use it
	backupBlobs    = "blobs"
	backupSums     = "SHA256SUMS"
)

// manifest says what a backup is.
type manifest struct {
	Format int          `json:"format"`
	MadeAt time.Time    `json:"made_at"`
	Engine sqldb.Engine `json:"engine"`
	// Key tells one server.key_file from another, and nothing of what it holds.
	Key string `json:"key"`
}

type backupCmd struct {
	settingsFlag
	Out string `arg:"" help:"The file to write, never over another; - writes to the standard output, for example into a program that encrypts."`
}

// Run writes a backup of a service that goes on working meanwhile.
func (c *backupCmd) Run() error {
	ctx := context.Background()
	in, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	if c.Out == "-" {
		_, err := in.backup(ctx, os.Stdout)
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.Out), ".belfry-backup-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	files, err := in.backup(ctx, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), c.Out); err != nil {
		return err
	}
	info, err := os.Stat(c.Out)
	if err != nil {
		return err
	}
	fmt.Printf("%s: the database and %d documents, %d MB. Try it: belfry restore --try %s\n", c.Out, files, info.Size()>>20, c.Out)
	fmt.Printf("It is worth nothing without %s, which is not in it: keep that elsewhere.\n", in.settings.Server.KeyFile)
	return nil
}

// backup writes the archive and counts the documents in it.
func (in *install) backup(ctx context.Context, w io.Writer) (documents int, err error) {
	a := &archive{tar: tar.NewWriter(w), at: clock.System()}
	check, err := keyCheck(in.secret)
	if err != nil {
		return 0, err
	}
	text, err := json.MarshalIndent(manifest{backupFormat, a.at, in.db.Engine(), check}, "", "  ")
	if err != nil {
		return 0, err
	}
	if err := a.text(backupManifest, text); err != nil {
		return 0, err
	}
	if err := a.file(in.settings.file, backupSettings); err != nil {
		return 0, err
	}
	if err := in.backupDatabase(ctx, a); err != nil {
		return 0, err
	}
	err = in.blobs.Each(ctx, func(c commune.ID, d blob.Digest) error {
		documents++
		return a.blob(ctx, in.blobs, c, d)
	})
	if err != nil {
		return 0, fmt.Errorf("documents: %w", err)
	}
	return documents, a.close()
}

// backupDatabase puts a snapshot into the archive. It lies beside the data for a moment,
// where there is as much room as for the database.
func (in *install) backupDatabase(ctx context.Context, a *archive) error {
	dir, err := os.MkdirTemp(in.settings.Server.Data, ".backup-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	snapshot := filepath.Join(dir, "snapshot")
	if err := in.db.Snapshot(ctx, snapshot); err != nil {
		return err
	}
	return a.file(snapshot, backupDatabase)
}

// keyCheck is derived from the install's secret, and says nothing of it.
func keyCheck(secret []byte) (string, error) {
	sum, err := hkdf.Key(sha256.New, secret, nil, "belfry backup", 8)
	return hex.EncodeToString(sum), err
}

// archive is a tar file that sums up what it holds.
type archive struct {
	tar  *tar.Writer
	at   time.Time
	sums strings.Builder
}

func (a *archive) text(name string, content []byte) error {
	return a.entry(name, int64(len(content)), strings.NewReader(string(content)))
}

func (a *archive) file(from, name string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return a.entry(name, info.Size(), f)
}

// blob copies a document, which is checked on its way: a damaged one is no backup.
func (a *archive) blob(ctx context.Context, from blob.Store, c commune.ID, d blob.Digest) error {
	name, err := blob.Name(c, d)
	if err != nil {
		return err
	}
	f, err := from.Open(ctx, c, d)
	if err != nil {
		return err
	}
	defer f.Close()
	return a.entry(path.Join(backupBlobs, name), f.Size(), f)
}

func (a *archive) entry(name string, size int64, content io.Reader) error {
	if err := a.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: a.at, Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(a.tar, sum), content); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	a.sum(name, sum)
	return nil
}

func (a *archive) sum(name string, sum hash.Hash) {
	fmt.Fprintf(&a.sums, "%x  %s\n", sum.Sum(nil), name)
}

func (a *archive) close() error {
	sums := a.sums.String()
	if err := a.text(backupSums, []byte(sums)); err != nil {
		return err
	}
	return a.tar.Close()
}
