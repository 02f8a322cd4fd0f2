package pdf

import (
	"fmt"
	"math"
)

// Section is one cross-reference section: what a revision says about where its objects are.
type Section struct {
	Offset  int64 // of the keyword xref, or of the cross-reference stream's object
	Stream  bool  // a cross-reference stream
	Trailer Dict
	behind  int64 // where what follows it begins
}

type kind uint8

const (
	free kind = iota
	plain
	packed // in an object stream
)

// entry says where an object is.
type entry struct {
	offset     int64 // of a plain object; the number of the object stream of a packed one
	generation uint16
	kind       kind
	index      uint32 // in the object stream
}

// add keeps the entry of the newest section. maxEntries counts what was read, not what was kept.
func (f *File) add(number int64, e entry) error {
	if f.count++; f.count > maxEntries {
		return limit("more than %d cross-reference entries", maxEntries)
	}
	if number > maxNumber {
		return limit("object number %d", number)
	}
	switch e.kind {
	case plain:
		f.placed[place{e.offset, 0}] = true
	case packed:
		f.placed[place{e.offset, uint32(number)}] = true
	}
	if _, newer := f.entries[uint32(number)]; !newer {
		f.entries[uint32(number)] = e
	}
	return nil
}

// chain reads the section at start and all before it.
func (f *File) chain(start int64) error {
	seen := map[int64]bool{}
	for at := start; ; {
		if seen[at] {
			return syntax(at, "the cross-reference sections form a loop")
		}
		seen[at] = true
		if len(f.sections) >= maxSections {
			return limit("more than %d cross-reference sections", maxSections)
		}
		section, err := f.section(at)
		if err != nil {
			return err
		}
		f.sections = append(f.sections, section)
		prev, ok := section.Trailer["Prev"]
		if !ok {
			return nil
		}
		n, ok := prev.(Integer)
		if !ok {
			return syntax(at, "/Prev is no number")
		}
		at = int64(n)
	}
}

func (f *File) section(at int64) (Section, error) {
	if at <= 0 || at >= f.size {
		return Section{}, syntax(at, "a cross-reference section outside the file")
	}
	s := newScanner(f.src, f.size, at)
	s.skip() // some writers point at the line end before it
	if c, _ := s.peek(0); c == 'x' {
		return f.table(s, at)
	}
	trailer, behind, err := f.crossStream(at)
	return Section{Offset: at, Stream: true, Trailer: trailer, behind: behind}, err
}

// table reads "xref" up to the end of its trailer. The entries of a hybrid
// file's stream go before the table's free ones, which hide them from old
// readers (ISO 32000-1, 7.5.8.4).
func (f *File) table(s *scanner, at int64) (Section, error) {
	if err := s.keyword("xref"); err != nil {
		return Section{}, err
	}
	var hidden []int64
	for {
		s.skip()
		if c, _ := s.peek(0); !isDigit(c) {
			break
		}
		first, err := s.integer()
		if err != nil {
			return Section{}, err
		}
		count, err := s.integer()
		if err != nil {
			return Section{}, err
		}
		for i := range count {
			e, err := s.line()
			if err != nil {
				return Section{}, err
			}
			if e.kind == free {
				if hidden = append(hidden, first+i); len(hidden) > maxEntries {
					return Section{}, limit("more than %d cross-reference entries", maxEntries)
				}
				continue
			}
			if err := f.add(first+i, e); err != nil {
				return Section{}, err
			}
		}
	}
	if err := s.keyword("trailer"); err != nil {
		return Section{}, err
	}
	o, err := s.object(0)
	if err != nil {
		return Section{}, err
	}
	trailer, ok := o.(Dict)
	if !ok {
		return Section{}, s.fail("the trailer is no dictionary")
	}
	if v, ok := trailer["XRefStm"]; ok {
		n, ok := v.(Integer)
		if !ok {
			return Section{}, s.fail("/XRefStm is no number")
		}
		if _, _, err := f.crossStream(int64(n)); err != nil {
			return Section{}, err
		}
	}
	for _, n := range hidden {
		if err := f.add(n, entry{kind: free}); err != nil {
			return Section{}, err
		}
	}
	return Section{Offset: at, Trailer: trailer, behind: s.pos}, nil
}

// line reads one entry of a table.
func (s *scanner) line() (entry, error) {
	offset, err := s.integer()
	if err != nil {
		return entry{}, err
	}
	generation, err := s.integer()
	if err != nil {
		return entry{}, err
	}
	s.skip()
	switch w := s.word(); {
	case w == "n" && generation > 65535: // MuPDF writes 65536 for a free one
		return entry{}, s.fail("generation %d", generation)
	case w == "n" && offset > 0:
		return entry{kind: plain, offset: offset, generation: uint16(generation)}, nil
	case w == "n" || w == "f":
		return entry{kind: free}, nil
	default:
		return entry{}, s.fail("a cross-reference entry of kind %q", w)
	}
}

// crossStream reads a cross-reference stream and returns its dictionary, and where it ends.
func (f *File) crossStream(at int64) (Dict, int64, error) {
	if at <= 0 || at >= f.size {
		return nil, 0, syntax(at, "a cross-reference stream outside the file")
	}
	o, behind, err := f.extent(at, nil)
	if err != nil {
		return nil, 0, err
	}
	st, ok := o.(*Stream)
	if !ok || st.Dict["Type"] != Name("XRef") {
		return nil, 0, syntax(at, "no cross-reference section")
	}
	widths, err := fieldWidths(st.Dict["W"])
	if err != nil {
		return nil, 0, err
	}
	data, err := f.Data(st)
	if err != nil {
		return nil, 0, err
	}
	index, ok := st.Dict["Index"].(Array)
	if !ok {
		index = Array{Integer(0), st.Dict["Size"]}
	}
	for i := 0; i+1 < len(index); i += 2 {
		first, ok1 := index[i].(Integer)
		count, ok2 := index[i+1].(Integer)
		if !ok1 || !ok2 || first < 0 || count < 0 {
			return nil, 0, syntax(at, "a broken /Index")
		}
		if data, err = f.fields(data, widths, int64(first), int64(count)); err != nil {
			return nil, 0, err
		}
	}
	return st.Dict, behind, nil
}

func fieldWidths(o Object) (w [3]int, err error) {
	a, ok := o.(Array)
	if !ok || len(a) < 3 {
		return w, fmt.Errorf("%w: a cross-reference stream without /W", ErrSyntax)
	}
	for i := range w {
		n, ok := a[i].(Integer)
		if !ok || n < 0 || n > 8 {
			return w, fmt.Errorf("%w: a field of width %v", ErrSyntax, a[i])
		}
		w[i] = int(n)
	}
	if w[0]+w[1]+w[2] == 0 {
		return w, fmt.Errorf("%w: fields of no width", ErrSyntax)
	}
	return w, nil
}

// fields adds count entries from data and returns the rest of it.
func (f *File) fields(data []byte, w [3]int, first, count int64) ([]byte, error) {
	row := w[0] + w[1] + w[2]
	for i := range count {
		if len(data) < row {
			return nil, fmt.Errorf("%w: a cross-reference stream ends early", ErrSyntax)
		}
		var v [3]uint64
		at := 0
		for j := range v {
			for range w[j] {
				v[j] = v[j]<<8 | uint64(data[at])
				at++
			}
		}
		if w[0] == 0 {
			v[0] = 1 // the default, table 17
		}
		data = data[row:]
		e := entry{kind: free}
		switch {
		case v[0] == 1 && v[1] <= math.MaxInt64 && v[2] <= math.MaxUint16:
			e = entry{kind: plain, offset: int64(v[1]), generation: uint16(v[2])}
		case v[0] == 2 && v[1] <= maxNumber && v[2] <= maxEntries:
			e = entry{kind: packed, offset: int64(v[1]), index: uint32(v[2])}
		}
		if err := f.add(first+i, e); err != nil {
			return nil, err
		}
	}
	return data, nil
}
