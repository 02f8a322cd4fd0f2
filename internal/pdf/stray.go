package pdf

import (
	"io"
	"regexp"
)

// place is where a cross-reference section says an object is: an offset and 0, or
// the number of an object stream and that of the object in it.
type place struct {
	at     int64
	packed uint32
}

// maxStray bounds the bytes that Stray reads.
const maxStray = 64 << 20

// head is how an object begins, as readers recognise it that search a damaged file.
var head = regexp.MustCompile(`[0-9]+(?:[\x00\t\n\f\r ]|%[^\r\n]*[\r\n])+[0-9]+(?:[\x00\t\n\f\r ]|%[^\r\n]*[\r\n])*obj`)

// Stray looks behind an offset for the beginning of an object that no
// cross-reference section ever named, and for one in an object stream there, and
// returns where the first stands, -1 where there is none. Such an object is not
// there for readers of the table, but for those that find the file damaged, search
// it for objects and take the last of each number.
func (f *File) Stray(from int64) (int64, error) {
	if f.size-from > maxStray {
		return 0, limit("more than %d bytes of updates", maxStray)
	}
	text := make([]byte, f.size-from)
	if _, err := io.ReadFull(io.NewSectionReader(f.src, from, f.size-from), text); err != nil {
		return 0, err
	}
	for _, m := range head.FindAllIndex(text, -1) {
		named := false
		start := m[0]
		for at := start; !named && at >= 0; at-- { // some writers point at the line end before it
			named = f.placed[place{from + int64(at), 0}]
			if at == 0 || !isSpace(text[at-1]) {
				break
			}
		}
		if !named {
			return from + int64(start), nil
		}
		stray, err := f.strayInside(from + int64(start))
		if err != nil {
			return 0, err
		}
		if stray {
			return from + int64(start), nil
		}
	}
	return -1, nil
}

// strayInside says whether the object at an offset is an object stream with an
// object in it that no section looks for there.
func (f *File) strayInside(at int64) (bool, error) {
	number, err := newScanner(f.src, f.size, at).integer()
	if err != nil {
		return false, err
	}
	o, err := f.indirect(at, nil)
	if err != nil {
		return false, err
	}
	st, ok := o.(*Stream)
	if !ok || st.Dict["Type"] != Name("ObjStm") {
		return false, nil
	}
	p, err := f.contents(st)
	if err != nil {
		return false, err
	}
	for _, n := range p.numbers {
		if !f.placed[place{number, n}] {
			return true, nil
		}
	}
	return false, nil
}
