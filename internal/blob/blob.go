// Package blob keeps immutable files, each under the SHA-256 of its content.
//
// It owns the digest type, the names, the store's contract and its implementation in a
// folder; another is in s3. It refuses to know what the files are. It guarantees that a Put that
// returned is on disk, that no half file is ever visible, and that what is read
// is what was put: content that no longer hashes to its name is an error, never
// an answer. Each commune has a folder of its own.
package blob

import (
	"context"
	"errors"
	"io"

	"github.com/belfry-eid/belfry/internal/commune"
)

var (
	// ErrMissing means that the commune has no such file.
	ErrMissing = errors.New("there is no such file")
	// ErrCorrupt means that the file no longer is what was put.
	ErrCorrupt = errors.New("the file's content is not what its name says")
)

// File is content that was checked when it was opened. The caller closes it.
type File interface {
	io.ReadCloser
	io.ReaderAt
	Size() int64
}

// Store keeps files. It is safe for concurrent use, by several processes too.
type Store interface {
	// Put keeps data and returns its name. It returns when the file would
	// survive a power cut. Putting the same content again changes nothing, and
	// mends a copy that has been damaged.
	Put(ctx context.Context, c commune.ID, data []byte) (Digest, error)
	// PutFrom keeps what write writes, as Put does, without having it in memory. Where
	// write fails nothing is kept.
	PutFrom(ctx context.Context, c commune.ID, write func(io.Writer) error) (Digest, error)
	// Open returns the content, which was checked just now; ErrMissing, ErrCorrupt.
	Open(ctx context.Context, c commune.ID, d Digest) (File, error)
	// Read returns the content; ErrMissing, ErrCorrupt.
	Read(ctx context.Context, c commune.ID, d Digest) ([]byte, error)
	// Each calls f with every file of every commune, in no order: for a backup, which is
	// all communes'. It ends with f's first error.
	Each(ctx context.Context, f func(commune.ID, Digest) error) error
}
