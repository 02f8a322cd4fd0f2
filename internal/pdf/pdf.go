// Package pdf reads PDF files strictly and appends incremental updates to them.
//
// It owns the syntax of ISO 32000-1 clause 7: objects, cross-reference tables
// and streams, object streams, hybrid files, chains of updates, Flate with PNG
// predictors, and the standard security handler (RC4, AES-128, AES-256). It refuses to
// know fonts, pages' contents and signatures, and repairs nothing that is broken. It
// guarantees that foreign bytes never panic it nor make it use more than the
// limits below, that it needs memory for the cross-reference entries and the
// object at hand only (it reads through an io.ReaderAt), and that an update
// leaves every earlier byte where it was.
package pdf

import (
	"errors"
	"fmt"
)

// Limits on what a file may ask for. They are far above what documents of a
// commune need, and low enough that a hostile file costs little.
const (
	maxNumber    = 8388607    // highest object number, ISO 32000-1 annex C
	maxEntries   = 1 << 20    // cross-reference entries read in all sections together
	maxSections  = 1024       // updates in one file
	maxDepth     = 64         // arrays and dictionaries inside one another
	maxNodes     = 1 << 19    // objects inside one indirect object
	maxName      = 1024       // bytes of a name; the standard says 127
	maxString    = 8 << 20    // bytes of a string; signatures with revocation data are long
	maxDecoded   = 64 << 20   // bytes that one stream decodes to
	maxWork      = 512 << 20  // bytes decoded from one file altogether
	maxRefs      = 32         // references to references
	maxTail      = 1024       // where startxref is looked for, as far as other readers do
	maxBlank     = 1 << 20    // bytes behind the end that mean nothing
	maxTableSize = 9999999999 // offsets have ten digits in a cross-reference table
)

var (
	// ErrEncrypted says that the file is encrypted in a way that this reader does not know.
	ErrEncrypted = errors.New("pdf: the file is encrypted")
	// ErrPassword says that the file needs another password.
	ErrPassword = errors.New("pdf: the file needs a password")
	// ErrNotPDF says that the file does not begin as a PDF does.
	ErrNotPDF = errors.New("pdf: the file does not begin with %PDF-")
	// ErrSyntax says that the file breaks the syntax of ISO 32000-1.
	ErrSyntax = errors.New("pdf: broken syntax")
	// ErrLimit says that the file asks for more than this reader gives.
	ErrLimit = errors.New("pdf: the file asks for too much")
	// ErrUnsupported says that the file uses a filter this reader does not have.
	ErrUnsupported = errors.New("pdf: not supported")
)

func syntax(at int64, format string, args ...any) error {
	return fmt.Errorf("%w at byte %d: %s", ErrSyntax, at, fmt.Sprintf(format, args...))
}

func limit(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLimit, fmt.Sprintf(format, args...))
}

// Object is one of nil (the null object), bool, Integer, Real, Name, String,
// Array, Dict, *Stream, Ref, and in updates *Hole.
type Object any

// Integer is a whole number.
type Integer int64

// Real is a number with a fraction.
type Real float64

// Name is a name without its slash, #-escapes resolved.
type Name string

// String is the bytes of a literal or hexadecimal string. Text of people is encoded in it by Text.
type String string

// Array is a list of objects.
type Array []Object

// Dict is a dictionary. Written dictionaries have their keys in sorted order.
type Dict map[Name]Object

// Ref names an indirect object.
type Ref struct {
	Number     uint32
	Generation uint16
}

func (r Ref) String() string { return fmt.Sprintf("%d %d R", r.Number, r.Generation) }

// Stream is a dictionary with bytes. Those of a stream that was read stay in the file until asked for.
type Stream struct {
	Dict   Dict
	data   []byte // of a new stream
	offset int64  // of a read stream, in its file
	length int64
	ref    Ref    // whose key decrypts a read stream
	method method // by which it is encrypted
}

// NewStream makes a stream for an update; its /Length is written by the update.
func NewStream(dict Dict, data []byte) *Stream {
	return &Stream{Dict: dict, data: data, length: int64(len(data))}
}

// Span is where in its file a stream's bytes are.
func (s *Stream) Span() (offset, length int64) { return s.offset, s.length }

// Hole is a value whose text has a known place in the file, so that it can be
// filled in later: the ByteRange and the Contents of a signature.
type Hole struct {
	Text   string // what is written; any object's text
	offset int64
}

// Offset is where in the file the text begins, known after Update.Encode.
func (h *Hole) Offset() int64 { return h.offset }
