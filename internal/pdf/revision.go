package pdf

import (
	"bytes"
	"cmp"
	"io"
	"slices"
)

// OpenAt opens a file as it was when the cross-reference section at start was its newest
// one. size is how far it may be read.
func OpenAt(src io.ReaderAt, size, start int64, password string) (*File, error) {
	f := newFile(src, size)
	if err := f.header(); err != nil {
		return nil, err
	}
	return f, f.open(start, password)
}

// Ends is where the revision of a cross-reference section ends: behind its %%EOF and the
// white space there. It is 0 where none stands behind the section.
func (f *File) Ends(section Section) int64 {
	s := newScanner(f.src, f.size, section.behind)
	if s.keyword("startxref") != nil {
		return 0
	}
	if _, err := s.integer(); err != nil {
		return 0
	}
	return s.eof()
}

// Kept says whether an object is the same bytes of the same file in a later revision,
// decrypted by the same key. What it refers to may have changed.
func (f *File) Kept(later *File, r Ref) bool {
	if !f.SameKey(later) {
		return false
	}
	was, ok := f.entries[r.Number]
	is, also := later.entries[r.Number]
	if ok != also || was != is {
		return false
	}
	if was.kind != packed {
		return true
	}
	container := uint32(was.offset)
	if f.entries[container] != later.entries[container] {
		return false
	}
	p, err := f.pack(container)
	return err == nil && p.fixed
}

// SameKey says whether a later revision is encrypted as this one is, or neither is.
func (f *File) SameKey(later *File) bool {
	a, b := f.crypt, later.crypt
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.key, b.key) && a.streams == b.streams && a.strings == b.strings && a.metadata == b.metadata
}

// Replaced lists the objects that an earlier revision does not have, or has elsewhere, in
// the order of their numbers.
func (f *File) Replaced(earlier *File) (refs []Ref) {
	for n, e := range f.entries {
		if e.kind != free && earlier.entries[n] != e {
			refs = append(refs, Ref{n, e.generation})
		}
	}
	slices.SortFunc(refs, func(a, b Ref) int { return cmp.Compare(a.Number, b.Number) })
	return refs
}
