package pdf

import (
	"bytes"
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

// heads is where objects begin. The usual form "12 0 obj" is found without the
// expression, which is slow on the long hexadecimal strings of signatures: whatever
// it would match ends with the word, and before a word in the usual form it can
// only begin with that object's own number.
func heads(text []byte) (starts []int) {
	word := []byte("obj")
	for i := bytes.Index(text, word); i >= 0; {
		at, plain := usualHead(text, i)
		if !plain {
			return slowHeads(text)
		}
		if at >= 0 {
			starts = append(starts, at)
		}
		next := bytes.Index(text[i+len(word):], word)
		if next < 0 {
			break
		}
		i += len(word) + next
	}
	return starts
}

func slowHeads(text []byte) (starts []int) {
	for _, m := range head.FindAllIndex(text, -1) {
		starts = append(starts, m[0])
	}
	return starts
}

// usualHead looks at what stands before a word at i: at is -1 where it begins no
// object, as in endobj; plain is false where only the expression can tell.
func usualHead(text []byte, i int) (at int, plain bool) {
	if i == 0 || !isSpace(text[i-1]) && !isDigit(text[i-1]) {
		return -1, true
	}
	digits := func(end int) int { // where the digits before end begin
		for end > 0 && isDigit(text[end-1]) {
			end--
		}
		return end
	}
	if text[i-1] != ' ' {
		return 0, false
	}
	generation := digits(i - 1)
	if generation == i-1 || generation < 1 || text[generation-1] != ' ' {
		return 0, false
	}
	number := digits(generation - 1)
	return number, number < generation-1
}

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
	for _, start := range heads(text) {
		named := false
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
