package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
)

// Dir is a Store in a folder: COMMUNE/ab/abcd…. What is being written lies in .new, a
// name that no commune can have.
type Dir struct{ root string }

// newMax is the age after which a file in .new is nobody's any more: its writer died.
const newMax = time.Hour

var _ Store = (*Dir)(nil)

// NewDir opens the folder, made where it does not exist.
func NewDir(dir string) (*Dir, error) {
	s := &Dir{dir}
	if err := os.MkdirAll(s.fresh(), 0o700); err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	return s, wrap(s.sweep())
}

func (s *Dir) fresh() string { return filepath.Join(s.root, ".new") }

// sweep removes what processes that died have left half written.
func (s *Dir) sweep() error {
	entries, err := os.ReadDir(s.fresh())
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && time.Since(info.ModTime()) > newMax {
			err = os.Remove(filepath.Join(s.fresh(), e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // another process sweeps too
			return err
		}
	}
	return nil
}

func (s *Dir) path(c commune.ID, d Digest) (string, error) {
	name, err := Name(c, d)
	return filepath.Join(s.root, filepath.FromSlash(name)), err
}

// Put implements Store. The order is the one that survives a power cut: write
// and sync a file under another name, rename it, sync its folder (and the
// folders above, where they are new).
func (s *Dir) Put(_ context.Context, c commune.ID, data []byte) (Digest, error) {
	d := Sum(data)
	path, err := s.path(c, d)
	if err != nil {
		return Digest{}, err
	}
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, data) {
		// Perhaps put by a process that died before it could sync: sync again.
		return d, wrap(errors.Join(syncPath(path), syncPath(filepath.Dir(path))))
	}
	if err := s.makeFolders(filepath.Dir(path)); err != nil {
		return Digest{}, wrap(err)
	}
	if err := s.writeFile(path, data); err != nil {
		return Digest{}, wrap(err)
	}
	return d, nil
}

func (s *Dir) writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(s.fresh(), "")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return finish(f, err, func() (string, error) { return path, nil })
}

// PutFrom implements Store: the name is known when all is written.
func (s *Dir) PutFrom(_ context.Context, c commune.ID, write func(io.Writer) error) (Digest, error) {
	f, err := os.CreateTemp(s.fresh(), "")
	if err != nil {
		return Digest{}, wrap(err)
	}
	h := sha256.New()
	var d Digest
	err = finish(f, write(io.MultiWriter(f, h)), func() (string, error) {
		d = Digest(h.Sum(nil))
		path, err := s.path(c, d)
		if err != nil {
			return "", err
		}
		return path, s.makeFolders(filepath.Dir(path))
	})
	return d, wrap(err)
}

// finish syncs a file that was written without err, gives it its name, and syncs the folder.
func finish(f *os.File, err error, name func() (string, error)) error {
	defer os.Remove(f.Name()) // after the rename there is nothing of this name
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	path, err := name()
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}

// makeFolders makes dir, which lies two levels under the root, and syncs the
// folders that hold new names.
func (s *Dir) makeFolders(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return errors.Join(syncPath(filepath.Dir(dir)), syncPath(s.root))
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// file is an open file of a known size.
type file struct {
	*os.File
	size int64
}

func (f file) Size() int64 { return f.size }

// inMemory is a File that was read as a whole.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// inMemoryMax is the largest: papers are had in memory, since whoever seals or checks one
// reads it in hundreds of small pieces.
const inMemoryMax = 1 << 20

// Open implements Store. A large file is read twice, so that no byte of a damaged
// one goes out.
func (s *Dir) Open(_ context.Context, c commune.ID, d Digest) (File, error) {
	path, err := s.path(c, d)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, wrap(err)
	}
	opened, err := checked(f, d)
	if err != nil {
		f.Close()
		return nil, wrap(fmt.Errorf("%s of %s: %w", d, c, err))
	}
	return opened, nil
}

// checked is f, or what it holds, once that is known to be what was put.
func checked(f *os.File, d Digest) (File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() <= inMemoryMax {
		data := make([]byte, info.Size())
		_, err := io.ReadFull(f, data)
		if err == nil && Sum(data) != d {
			err = ErrCorrupt
		}
		if err != nil {
			return nil, err
		}
		return inMemory{bytes.NewReader(data)}, f.Close()
	}
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err == nil && Digest(h.Sum(nil)) != d {
		err = ErrCorrupt
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	return file{f, size}, err
}

// Read implements Store.
func (s *Dir) Read(_ context.Context, c commune.ID, d Digest) ([]byte, error) {
	path, err := s.path(c, d)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, wrap(err)
	}
	if Sum(data) != d {
		return nil, wrap(fmt.Errorf("%w: %s of %s", ErrCorrupt, d, c))
	}
	return data, nil
}

// Each implements Store.
func (s *Dir) Each(ctx context.Context, f func(commune.ID, Digest) error) error {
	return filepath.WalkDir(s.root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || ctx.Err() != nil:
			return errors.Join(err, ctx.Err())
		case path == s.fresh():
			return fs.SkipDir
		case e.IsDir():
			return nil
		}
		name, err := filepath.Rel(s.root, path)
		if err != nil {
			return err
		}
		c, d, ok := ParseName(filepath.ToSlash(name))
		if !ok {
			return fmt.Errorf("blobs: %s is not ours", path)
		}
		return f(c, d)
	})
}

func wrap(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("blobs: %w: %w", ErrMissing, err)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fault.New(fault.Unreachable, "fault.full", err)
	}
	if err != nil {
		return fmt.Errorf("blobs: %w", err)
	}
	return nil
}
