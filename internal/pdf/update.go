package pdf

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// Update collects new and changed objects to be appended to a file as one
// incremental update (ISO 32000-1, 7.5.6). The file itself is never written.
type Update struct {
	file    *File
	next    uint32
	objects map[Ref]Object
}

// Update begins an update of f.
func (f *File) Update() *Update {
	u := &Update{file: f, objects: map[Ref]Object{}}
	if n, ok := f.Trailer()["Size"].(Integer); ok && n > 0 && n <= maxNumber {
		u.next = uint32(n)
	}
	for n := range f.entries { // a wrong /Size must not make us overwrite an object
		u.next = max(u.next, n+1)
	}
	u.next = max(u.next, 1)
	return u
}

// Reserve returns the reference of a new object that will be Set later.
func (u *Update) Reserve() Ref {
	r := Ref{Number: u.next}
	u.next++
	return r
}

// Add adds a new object.
func (u *Update) Add(o Object) Ref {
	r := u.Reserve()
	u.Set(r, o)
	return r
}

// Set replaces an object, or sets a reserved one.
func (u *Update) Set(r Ref, o Object) { u.objects[r] = o }

// Encode returns the bytes to append: the objects in order of their numbers and
// a cross-reference section of the kind the file has. The same update of the
// same file always gives the same bytes.
func (u *Update) Encode() ([]byte, error) {
	w := &writer{base: u.file.size, crypt: u.file.crypt}
	if open, err := u.file.unfinishedLine(); err != nil {
		return nil, err
	} else if open {
		w.WriteByte('\n')
	}
	w.Grow(16 << 10) // which most updates need
	refs := slices.SortedFunc(maps.Keys(u.objects), func(a, b Ref) int { return cmp.Compare(a.Number, b.Number) })
	places := map[Ref]int64{}
	for _, r := range refs {
		at, err := w.indirect(r, u.objects[r])
		if err != nil {
			return nil, err
		}
		places[r] = at
	}
	var err error
	if u.file.sections[0].Stream {
		err = u.crossStream(w, refs, places)
	} else {
		err = u.table(w, refs, places)
	}
	if err != nil {
		return nil, err
	}
	if u.next >= maxNumber {
		return nil, limit("more than %d objects", maxNumber)
	}
	return w.Bytes(), nil
}

// unfinishedLine says whether the file does not end with an end of line.
func (f *File) unfinishedLine() (bool, error) {
	var last [1]byte
	if _, err := f.src.ReadAt(last[:], f.size-1); err != nil {
		return false, err
	}
	return last[0] != '\n' && last[0] != '\r', nil
}

// trailer is what the new section keeps of the old one. The second half of /ID
// changes with the contents, the first never does (ISO 32000-1, 14.4).
func (u *Update) trailer(w *writer) Dict {
	old := u.file.Trailer()
	d := Dict{"Prev": Integer(u.file.sections[0].Offset)}
	for _, k := range []Name{"Root", "Info", "Encrypt"} {
		if v, ok := old[k]; ok {
			d[k] = v
		}
	}
	id, err := u.file.Array(old["ID"])
	if err == nil && len(id) == 2 {
		first, ok1 := id[0].(String)
		second, ok2 := id[1].(String)
		if ok1 && ok2 {
			sum := sha256.Sum256(append([]byte(second), w.Bytes()...))
			d["ID"] = Array{first, String(sum[:16])}
		}
	}
	return d
}

// runs cuts sorted references into runs of consecutive numbers.
func runs(refs []Ref) [][]Ref {
	var out [][]Ref
	for i, r := range refs {
		if i == 0 || r.Number != refs[i-1].Number+1 {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], r)
	}
	return out
}

func (u *Update) table(w *writer, refs []Ref, places map[Ref]int64) error {
	if w.pos() > maxTableSize {
		return limit("a file of more than ten digits")
	}
	d := u.trailer(w)
	d["Size"] = Integer(u.next)
	start := w.pos()
	w.WriteString("xref\n")
	for _, run := range runs(refs) {
		fmt.Fprintf(w, "%d %d\n", run[0].Number, len(run))
		for _, r := range run {
			fmt.Fprintf(w, "%010d %05d n\r\n", places[r], r.Generation)
		}
	}
	w.WriteString("trailer\n")
	if err := w.dict(d, 0); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nstartxref\n%d\n%%%%EOF\n", start)
	return nil
}

func (u *Update) crossStream(w *writer, refs []Ref, places map[Ref]int64) error {
	d := u.trailer(w)
	self := Ref{Number: u.next}
	start := w.pos()
	places[self] = start
	refs = append(refs, self)
	width := 1
	for start>>(8*width) > 0 {
		width++
	}
	var rows bytes.Buffer
	index := Array{}
	for _, run := range runs(refs) {
		index = append(index, Integer(run[0].Number), Integer(len(run)))
		for _, r := range run {
			var place [8]byte
			binary.BigEndian.PutUint64(place[:], uint64(places[r]))
			rows.WriteByte(1)
			rows.Write(place[8-width:])
			rows.Write([]byte{byte(r.Generation >> 8), byte(r.Generation)})
		}
	}
	d["Type"] = Name("XRef")
	d["Size"] = Integer(u.next + 1)
	d["W"] = Array{Integer(1), Integer(width), Integer(2)}
	d["Index"] = index
	if _, err := w.indirect(self, NewStream(d, rows.Bytes())); err != nil {
		return err
	}
	fmt.Fprintf(w, "startxref\n%d\n%%%%EOF\n", start)
	return nil
}
