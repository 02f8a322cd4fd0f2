package seal

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/fault"
)

// whole is a file that lies in the store with what is appended to it: what is sealed may
// be large, what is appended is not.
type whole struct {
	base io.ReaderAt
	size int64 // of the base
	tail []byte
}

// Size is the length of all of it in bytes.
func (f whole) Size() int64 { return f.size + int64(len(f.tail)) }

// with is the file with more appended to it.
func (f whole) with(more []byte) whole {
	f.tail = append(f.tail[:len(f.tail):len(f.tail)], more...)
	return f
}

// ReadAt is that of io.ReaderAt.
func (f whole) ReadAt(p []byte, off int64) (n int, err error) {
	if off < f.size {
		n, err = f.base.ReadAt(p[:min(int64(len(p)), f.size-off)], off)
		if err != nil && !(errors.Is(err, io.EOF) && off+int64(n) == f.size) {
			return n, err
		}
	}
	if at := off + int64(n) - f.size; n < len(p) && at >= 0 && at < int64(len(f.tail)) {
		n += copy(p[n:], f.tail[at:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// wholeMax is the largest file that is had in memory.
const wholeMax = 64 << 20

// bytes is all of it, for what can do with nothing less.
func (f whole) bytes() ([]byte, error) {
	if f.Size() > wholeMax {
		return nil, fault.New(fault.Invalid, "pades.too_large", fmt.Errorf("seal: %d bytes, at most %d are taken in this form", f.Size(), wholeMax))
	}
	return io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
}

// sum is the SHA-256 of the first n bytes.
func (f whole) sum(n int64) (blob.Digest, error) {
	h := sha256.New()
	got, err := io.Copy(h, io.NewSectionReader(f, 0, n))
	if err == nil && got != n {
		err = io.ErrUnexpectedEOF
	}
	return blob.Digest(h.Sum(nil)), err
}

// writeTo copies all of it.
func (f whole) writeTo(w io.Writer) error {
	_, err := io.Copy(w, io.NewSectionReader(f, 0, f.Size()))
	return err
}
