package pdf

import (
	"bytes"
	"cmp"
	"io"
	"slices"
)

// Prefix opens the file as it was when it ended at size.
func (f *File) Prefix(size int64) (*File, error) {
	before := newFile(io.NewSectionReader(f.src, 0, size), size)
	before.shared = f.shared
	if err := before.header(); err != nil {
		return nil, err
	}
	start, err := before.start()
	if err != nil {
		return nil, err
	}
	return before, before.open(start, f.password)
}

// AsOf opens the file as it was when one of its cross-reference sections was the newest.
func (f *File) AsOf(section Section) (*File, error) {
	before := newFile(f.src, f.size)
	before.version, before.shared = f.version, f.shared
	return before, before.open(section.Offset, f.password)
}

// shared is what the revisions of one file have read of it.
type shared struct {
	objects map[int64]found // by where they begin
	held    int64           // bytes of the file that they stand for
}

// found is an object that was read, and where it ends.
type found struct {
	ref    Ref
	object Object
	end    int64
}

const (
	maxShared       = 2 << 20 // bytes of a file whose objects are kept
	maxSharedObject = 1 << 18 // of one of them
)

// Share makes f and the revisions that are opened from it read each object once. What
// they return is then one and the same, and must not be changed.
func (f *File) Share() {
	if f.crypt == nil { // else what an object is depends on the revision's key
		f.shared = &shared{objects: map[int64]found{}}
	}
}

// known is an object that was read before at an offset, by whichever revision.
func (f *File) known(offset int64, want *Ref) (found, bool) {
	if f.shared == nil || want == nil || f.crypt != nil {
		return found{}, false
	}
	o, ok := f.shared.objects[offset]
	return o, ok && o.ref == *want && o.end < f.size
}

// keep remembers an object. A stream's length may be another object's to say, which
// revisions differ on; what ends with the file may go on in a later revision.
func (f *File) keep(offset int64, o found) {
	_, stream := o.object.(*Stream)
	size := o.end - offset
	if f.shared == nil || f.crypt != nil || stream || o.end >= f.size || size > maxSharedObject || f.shared.held+size > maxShared {
		return
	}
	f.shared.objects[offset] = o
	f.shared.held += size
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
