package pdf

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// File is an open PDF. It is not safe for use by several goroutines at once.
type File struct {
	src      io.ReaderAt
	size     int64
	version  string
	end      int64     // behind the last %%EOF and white space
	sections []Section // the newest first
	entries  map[uint32]entry
	placed   map[place]bool // what any section ever named
	count    int            // entries read in all sections
	packs    map[uint32]*pack
	packed   int64  // bytes held in packs
	work     int64  // bytes decoded so far
	lengths  int    // streams being read whose length is itself an object
	crypt    *crypt // nil where the file is not encrypted
	password string
	shared   *shared // nil where nothing is
}

// Open reads the cross-reference sections of a file of this size. It does not
// close src, and src must not change while the File is used. An encrypted file is read
// where no password is needed to do so.
func Open(src io.ReaderAt, size int64) (*File, error) { return OpenWith(src, size, "") }

// OpenWith is Open with a password, the user's or the owner's; ErrPassword where it is
// neither.
func OpenWith(src io.ReaderAt, size int64, password string) (*File, error) {
	f := newFile(src, size)
	if err := f.header(); err != nil {
		return nil, err
	}
	start, err := f.start()
	if err != nil {
		return nil, err
	}
	return f, f.open(start, password)
}

func newFile(src io.ReaderAt, size int64) *File {
	return &File{src: src, size: size, entries: map[uint32]entry{}, placed: map[place]bool{}, packs: map[uint32]*pack{}}
}

// open reads the sections from the one at start on.
func (f *File) open(start int64, password string) error {
	if err := f.chain(start); err != nil {
		return err
	}
	if _, ok := f.Trailer()["Root"].(Ref); !ok {
		return syntax(f.sections[0].Offset, "the trailer names no /Root")
	}
	f.password = password
	if f.Trailer()["Encrypt"] != nil {
		return f.unlock(password)
	}
	return nil
}

// Bytes opens a file that is in memory.
func Bytes(b []byte) (*File, error) { return Open(bytes.NewReader(b), int64(len(b))) }

func (f *File) header() error {
	var b [16]byte
	n, err := f.src.ReadAt(b[:min(int64(len(b)), f.size)], 0)
	if err != nil && err != io.EOF {
		return err
	}
	rest, ok := strings.CutPrefix(string(b[:n]), "%PDF-")
	if !ok || len(rest) < 3 || rest[1] != '.' || !isDigit(rest[0]) || !isDigit(rest[2]) {
		return ErrNotPDF
	}
	f.version = rest[:3]
	return nil
}

// start finds the last startxref.
func (f *File) start() (int64, error) {
	end, err := f.lastByte()
	if err != nil {
		return 0, err
	}
	tail := make([]byte, min(end, maxTail))
	if _, err := f.src.ReadAt(tail, end-int64(len(tail))); err != nil && err != io.EOF {
		return 0, err
	}
	i := bytes.LastIndex(tail, []byte("startxref"))
	if i < 0 {
		return 0, syntax(end, "no startxref in the last %d bytes", maxTail)
	}
	s := newScanner(f.src, f.size, end-int64(len(tail)-i)+int64(len("startxref")))
	start, err := s.integer()
	if err != nil {
		return 0, err
	}
	f.end = s.eof()
	return start, nil
}

// isTail says whether a byte behind the end of a file means nothing: white space, the
// padding of disks and tapes, the end-of-file character of old systems.
func isTail(c byte) bool { return isSpace(c) || c == 0x1a }

// lastByte is behind the last byte that means something.
func (f *File) lastByte() (int64, error) {
	var b [4096]byte
	for end := f.size; end > 0 && f.size-end <= maxBlank; {
		n := min(end, int64(len(b)))
		if _, err := f.src.ReadAt(b[:n], end-n); err != nil && err != io.EOF {
			return 0, err
		}
		for ; n > 0; n-- {
			if !isTail(b[n-1]) {
				return end, nil
			}
			end--
		}
	}
	return f.size, nil
}

// eof returns where a revision ends whose startxref ends at pos: behind %%EOF
// and the white space after it, or 0 where there is none.
func (s *scanner) eof() int64 {
	for c, ok := s.peek(0); ok && isSpace(c); c, ok = s.peek(0) {
		s.pos++
	}
	for i, want := range []byte("%%EOF") {
		if c, _ := s.peek(int64(i)); c != want {
			return 0
		}
	}
	s.pos += 5
	for c, ok := s.peek(0); ok && isTail(c); c, ok = s.peek(0) {
		s.pos++
	}
	return s.pos
}

// Size is the length of the file in bytes.
func (f *File) Size() int64 { return f.size }

// Trailer is the newest trailer dictionary, or the dictionary of the newest cross-reference stream.
func (f *File) Trailer() Dict { return f.sections[0].Trailer }

// Root is the reference of the document catalog.
func (f *File) Root() Ref { return f.Trailer()["Root"].(Ref) } // Open has checked it

// Catalog is the document catalog.
func (f *File) Catalog() (Dict, error) { return f.Dict(f.Root()) }

// Version is the PDF version: the catalog's where it is later than the header's. "1.7", "2.0".
func (f *File) Version() string {
	if c, err := f.Catalog(); err == nil {
		if v, ok := c["Version"].(Name); ok && len(v) == 3 && string(v) > f.version {
			return string(v)
		}
	}
	return f.version
}

// Sections lists the cross-reference sections, the newest first.
func (f *File) Sections() []Section { return f.sections }

// Closed says whether nothing but what means nothing follows the %%EOF that belongs to
// the file's last startxref, as in every complete revision.
func (f *File) Closed() bool { return f.end == f.size }

// Get reads an indirect object; a free or missing one is the null object.
func (f *File) Get(r Ref) (Object, error) {
	e, ok := f.entries[r.Number]
	switch {
	case !ok || e.kind == free:
		return nil, nil
	case e.kind == packed:
		if r.Generation != 0 {
			return nil, nil
		}
		return f.unpack(r.Number, e)
	case e.generation != r.Generation:
		return nil, nil
	}
	o, err := f.indirect(e.offset, &r)
	if err != nil {
		return nil, fmt.Errorf("object %v: %w", r, err)
	}
	return o, nil
}

// indirect reads "12 0 obj ... endobj" at an offset. Where want is not nil the
// object must be that one.
func (f *File) indirect(offset int64, want *Ref) (Object, error) {
	o, _, err := f.extent(offset, want)
	return o, err
}

// extent is indirect that says where the object ends.
func (f *File) extent(offset int64, want *Ref) (Object, int64, error) {
	if o, ok := f.known(offset, want); ok {
		return o.object, o.end, nil
	}
	o, end, err := f.extentBy(newScanner(f.src, f.size, offset), want)
	if err == nil && want != nil {
		f.keep(offset, found{*want, o, end})
	}
	return o, end, err
}

// extentBy is extent for a scanner that stands where the object begins.
func (f *File) extentBy(s *scanner, want *Ref) (Object, int64, error) {
	offset := s.pos
	number, err := s.integer()
	if err != nil {
		return nil, 0, err
	}
	generation, err := s.integer()
	if err != nil {
		return nil, 0, err
	}
	if want != nil && (number != int64(want.Number) || generation != int64(want.Generation)) {
		return nil, 0, syntax(offset, "object %d %d stands here", number, generation)
	}
	if err := s.keyword("obj"); err != nil {
		return nil, 0, err
	}
	o, err := s.object(0)
	if err != nil {
		return nil, 0, err
	}
	s.skip()
	at := s.pos
	if d, ok := o.(Dict); ok && s.word() == "stream" {
		st, err := f.stream(s, d)
		if err != nil {
			return nil, 0, err
		}
		o = st
	} else {
		s.pos = at
	}
	if err := s.keyword("endobj"); err != nil {
		return nil, 0, err
	}
	if f.crypt != nil {
		if o, err = f.crypt.plain(Ref{uint32(number), uint16(generation)}, o); err != nil {
			return nil, 0, err
		}
	}
	return o, s.pos, nil
}

// stream reads the bounds of a stream's bytes; s stands behind the keyword.
func (f *File) stream(s *scanner, d Dict) (*Stream, error) {
	c, _ := s.peek(0)
	n, _ := s.peek(1)
	switch {
	case c == '\n':
		s.pos++
	case c == '\r' && n == '\n':
		s.pos += 2
	default:
		return nil, s.fail("no end of line after stream")
	}
	length, err := f.length(d["Length"])
	if err != nil {
		return nil, err
	}
	if length < 0 || length > f.size-s.pos {
		return nil, s.fail("a stream of %d bytes does not fit", length)
	}
	st := &Stream{Dict: d, offset: s.pos, length: length}
	s.pos += length
	if err := s.keyword("endstream"); err != nil {
		return nil, err
	}
	return st, nil
}

func (f *File) length(o Object) (int64, error) {
	if n, ok := o.(Integer); ok {
		return int64(n), nil
	}
	r, ok := o.(Ref)
	if !ok {
		return 0, fmt.Errorf("%w: a stream without /Length", ErrSyntax)
	}
	if f.lengths >= 4 {
		return 0, limit("the length of a stream depends on that of another")
	}
	f.lengths++
	defer func() { f.lengths-- }()
	o, err := f.Get(r)
	if err != nil {
		return 0, err
	}
	n, ok := o.(Integer)
	if !ok {
		return 0, fmt.Errorf("%w: the /Length %v is no number", ErrSyntax, r)
	}
	return int64(n), nil
}

// Resolve follows references until it has the object itself.
func (f *File) Resolve(o Object) (Object, error) {
	for range maxRefs {
		r, ok := o.(Ref)
		if !ok {
			return o, nil
		}
		var err error
		if o, err = f.Get(r); err != nil {
			return nil, err
		}
	}
	return nil, limit("a chain of more than %d references", maxRefs)
}

// Dict resolves o to a dictionary, of a stream too; nil where o is the null object.
func (f *File) Dict(o Object) (Dict, error) {
	v, err := f.Resolve(o)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case Dict:
		return v, nil
	case *Stream:
		return v.Dict, nil
	}
	return nil, fmt.Errorf("%w: want a dictionary, have %T", ErrSyntax, v)
}

// Array resolves o to an array; nil where o is the null object.
func (f *File) Array(o Object) (Array, error) {
	v, err := f.Resolve(o)
	if err != nil || v == nil {
		return nil, err
	}
	a, ok := v.(Array)
	if !ok {
		return nil, fmt.Errorf("%w: want an array, have %T", ErrSyntax, v)
	}
	return a, nil
}

// Number resolves o to a number.
func (f *File) Number(o Object) (float64, bool) {
	v, _ := f.Resolve(o)
	switch v := v.(type) {
	case Integer:
		return float64(v), true
	case Real:
		return float64(v), true
	}
	return 0, false
}

// inherited are the attributes that a page takes from the nodes above it, ISO 32000-1 table 30.
var inherited = []Name{"Resources", "MediaBox", "CropBox", "Rotate"}

// FirstPage finds the first page. The dictionary is the page's own; inherit has
// what it takes from the nodes above it, where it says nothing itself.
func (f *File) FirstPage() (ref Ref, page, inherit Dict, err error) {
	return f.outerPage(func(kids Array) {})
}

// LastPage finds the last page, as FirstPage the first.
func (f *File) LastPage() (ref Ref, page, inherit Dict, err error) {
	return f.outerPage(slices.Reverse)
}

// outerPage goes down the first of the kids, once they are in order.
func (f *File) outerPage(order func(kids Array)) (ref Ref, page, inherit Dict, err error) {
	catalog, err := f.Catalog()
	if err != nil {
		return Ref{}, nil, nil, err
	}
	inherit = Dict{}
	seen := map[Ref]bool{}
	node, _ := catalog["Pages"].(Ref)
	for !seen[node] && len(seen) < maxDepth {
		seen[node] = true
		d, err := f.Dict(node)
		if err != nil {
			return Ref{}, nil, nil, err
		}
		for _, k := range inherited {
			if v, ok := d[k]; ok {
				inherit[k] = v
			}
		}
		if d["Type"] == Name("Page") {
			return node, d, inherit, nil
		}
		if node, err = f.firstKid(d, order, seen); err != nil {
			return Ref{}, nil, nil, err
		}
	}
	return Ref{}, nil, nil, fmt.Errorf("%w: no page", ErrSyntax)
}

// firstKid is the first child that is a page or has pages below it.
func (f *File) firstKid(node Dict, order func(Array), seen map[Ref]bool) (Ref, error) {
	kids, err := f.Array(node["Kids"])
	if err != nil {
		return Ref{}, err
	}
	kids = slices.Clone(kids)
	order(kids)
	for _, k := range kids {
		r, ok := k.(Ref)
		if !ok || seen[r] {
			continue
		}
		d, err := f.Dict(r)
		if err != nil {
			return Ref{}, err
		}
		if n, ok := f.Number(d["Count"]); d["Type"] == Name("Page") || (ok && n > 0) {
			return r, nil
		}
	}
	return Ref{}, nil
}

// Span is where an object that is not in an object stream stands: from its
// number up to and with endobj. ok is false for any other.
func (f *File) Span(r Ref) (from, to int64, ok bool) {
	e, known := f.entries[r.Number]
	if !known || e.kind != plain || e.generation != r.Generation {
		return 0, 0, false
	}
	_, to, err := f.extent(e.offset, &r)
	return e.offset, to, err == nil
}
