package pdf

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// writer writes objects at known places of the file.
type writer struct {
	bytes.Buffer
	base  int64  // where in the file the buffer begins
	crypt *crypt // encrypts what stands in objects; nil where the file is not encrypted
	ref   *Ref   // the object that is being written; nil outside of objects
}

func (w *writer) pos() int64 { return w.base + int64(w.Len()) }

// object writes o; a stream only at depth 0, where it is an indirect object.
func (w *writer) object(o Object, depth int) error {
	if depth > maxDepth {
		return limit("objects nested deeper than %d", maxDepth)
	}
	switch o := o.(type) {
	case nil:
		w.WriteString("null")
	case bool:
		w.WriteString(strconv.FormatBool(o))
	case Integer:
		w.WriteString(strconv.FormatInt(int64(o), 10))
	case Real:
		if math.IsNaN(float64(o)) || math.IsInf(float64(o), 0) {
			return fmt.Errorf("pdf: %v cannot be written", float64(o))
		}
		text := strconv.FormatFloat(float64(o), 'f', -1, 64)
		w.WriteString(text)
		if !strings.Contains(text, ".") {
			w.WriteString(".0") // a real number stays one
		}
	case Name:
		w.name(o)
	case String:
		return w.sealed(o)
	case Ref:
		w.WriteString(o.String())
	case Array:
		return w.array(o, depth)
	case Dict:
		return w.dict(o, depth)
	case *Hole:
		o.offset = w.pos()
		w.WriteString(o.Text)
	default:
		return fmt.Errorf("pdf: a %T cannot be written here", o)
	}
	return nil
}

func (w *writer) array(a Array, depth int) error {
	w.WriteByte('[')
	for i, o := range a {
		if i > 0 {
			w.WriteByte(' ')
		}
		if err := w.object(o, depth+1); err != nil {
			return err
		}
	}
	w.WriteByte(']')
	return nil
}

func (w *writer) dict(d Dict, depth int) error {
	w.WriteString("<<")
	for _, k := range slices.Sorted(maps.Keys(d)) {
		w.name(k)
		w.WriteByte(' ')
		if err := w.object(d[k], depth+1); err != nil {
			return err
		}
	}
	w.WriteString(">>")
	return nil
}

func (w *writer) name(n Name) {
	w.WriteByte('/')
	for i := range len(n) {
		if c := n[i]; c < '!' || c > '~' || c == '#' || isDelimiter(c) {
			fmt.Fprintf(w, "#%02X", c)
		} else {
			w.WriteByte(c)
		}
	}
}

// sealed writes a string as the file's own are.
func (w *writer) sealed(s String) error {
	if w.crypt == nil || w.ref == nil {
		w.string(s)
		return nil
	}
	b, err := w.crypt.seal(w.crypt.strings, *w.ref, []byte(s))
	w.string(String(b))
	return err
}

// string writes printable ASCII as a literal, all else in hexadecimal.
func (w *writer) string(s String) {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			w.WriteByte('<')
			w.WriteString(hex.EncodeToString([]byte(s)))
			w.WriteByte('>')
			return
		}
	}
	w.WriteByte('(')
	for i := range len(s) {
		if c := s[i]; c == '(' || c == ')' || c == '\\' {
			w.WriteByte('\\')
		}
		w.WriteByte(s[i])
	}
	w.WriteByte(')')
}

// indirect writes an object with its number and returns where it begins. The
// line ends are those that PDF/A asks for (ISO 19005-2, 6.1.9).
func (w *writer) indirect(r Ref, o Object) (int64, error) {
	at := w.pos()
	fmt.Fprintf(w, "%d %d obj\n", r.Number, r.Generation)
	st, isStream := o.(*Stream)
	if !isStream || st.Dict["Type"] != Name("XRef") {
		w.ref = &r
		defer func() { w.ref = nil }()
	}
	if !isStream {
		if err := w.object(o, 0); err != nil {
			return 0, err
		}
		w.WriteString("\nendobj\n")
		return at, nil
	}
	if st.data == nil && st.length > 0 {
		return 0, fmt.Errorf("pdf: the stream of %v belongs to a file", r)
	}
	d := maps.Clone(st.Dict)
	if d == nil {
		d = Dict{}
	}
	data := st.data
	if w.crypt != nil && w.ref != nil {
		var err error
		if data, err = w.crypt.seal(w.crypt.methodOf(d), r, data); err != nil {
			return 0, err
		}
	}
	d["Length"] = Integer(len(data))
	if err := w.dict(d, 0); err != nil {
		return 0, err
	}
	w.WriteString("\nstream\n")
	w.Write(data)
	w.WriteString("\nendstream\nendobj\n")
	return at, nil
}
