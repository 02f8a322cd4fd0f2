package pdf

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Raw reads a stream's bytes as they stand in the file, not decoded.
func (f *File) Raw(s *Stream) io.Reader {
	if s.data != nil {
		return bytes.NewReader(s.data)
	}
	return io.NewSectionReader(f.src, s.offset, s.length)
}

// Data decodes a stream. It knows no filter but FlateDecode.
func (f *File) Data(s *Stream) ([]byte, error) {
	filters, parms, err := f.filters(s.Dict)
	if err != nil {
		return nil, err
	}
	in := f.Raw(s)
	if s.method != identity {
		sealed, err := f.read(in)
		if err != nil {
			return nil, err
		}
		if sealed, err = f.crypt.open(s.method, s.ref, sealed); err != nil {
			return nil, err
		}
		in = bytes.NewReader(sealed)
	}
	switch len(filters) {
	case 0:
		return f.read(in)
	case 1:
	default:
		return nil, fmt.Errorf("%w: a chain of filters", ErrUnsupported)
	}
	if filters[0] != Name("FlateDecode") {
		return nil, fmt.Errorf("%w: filter %v", ErrUnsupported, filters[0])
	}
	z, err := zlib.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrSyntax, err)
	}
	data, err := f.read(z)
	if err != nil {
		return nil, err
	}
	return f.unpredict(data, parms)
}

// filters returns a stream's filters and the parameters of the first.
func (f *File) filters(d Dict) (Array, Dict, error) {
	o, err := f.Resolve(d["Filter"])
	if err != nil {
		return nil, nil, err
	}
	p, err := f.Resolve(d["DecodeParms"])
	if err != nil {
		return nil, nil, err
	}
	if a, ok := p.(Array); ok && len(a) > 0 {
		p = a[0]
	}
	parms, err := f.Dict(p)
	if _, isArray := p.(Array); isArray {
		parms, err = nil, nil // an empty one
	}
	if err != nil {
		return nil, nil, err
	}
	switch o := o.(type) {
	case nil:
		return nil, parms, nil
	case Array:
		return o, parms, nil
	}
	return Array{o}, parms, nil
}

// read takes all of r within the limits.
func (f *File) read(r io.Reader) ([]byte, error) {
	room := min(maxDecoded, maxWork-f.work)
	data, err := io.ReadAll(io.LimitReader(r, room+1))
	f.work += int64(len(data))
	if int64(len(data)) > room {
		return nil, limit("a stream decodes to more than %d bytes", room)
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%w: %v", ErrSyntax, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: a stream's data end early", ErrSyntax)
	}
	return data, nil
}

// unpredict undoes a PNG predictor, ISO 32000-1 table 8 and PNG clause 9.
func (f *File) unpredict(data []byte, parms Dict) ([]byte, error) {
	parm := func(key Name, otherwise int) (int, error) {
		v, err := f.Resolve(parms[key])
		if err != nil {
			return 0, err
		}
		if v == nil {
			return otherwise, nil
		}
		n, ok := v.(Integer)
		if !ok || n < 1 || n > 1<<16 {
			return 0, fmt.Errorf("%w: /%s %v", ErrSyntax, key, v)
		}
		return int(n), nil
	}
	predictor, err := parm("Predictor", 1)
	if err != nil || predictor == 1 {
		return data, err
	}
	if predictor < 10 || predictor > 15 {
		return nil, fmt.Errorf("%w: predictor %d", ErrUnsupported, predictor)
	}
	colors, err := parm("Colors", 1)
	if err != nil {
		return nil, err
	}
	bits, err := parm("BitsPerComponent", 8)
	if err != nil {
		return nil, err
	}
	columns, err := parm("Columns", 1)
	if err != nil {
		return nil, err
	}
	if colors > 32 || bits > 16 {
		return nil, fmt.Errorf("%w: %d colours of %d bits", ErrSyntax, colors, bits)
	}
	return unfilterPNG(data, (colors*bits*columns+7)/8, max(1, colors*bits/8))
}

// unfilterPNG undoes the filter of each row, in place; pixel is the distance to the byte on the left.
func unfilterPNG(data []byte, width, pixel int) ([]byte, error) {
	if len(data)%(width+1) != 0 {
		return nil, fmt.Errorf("%w: the last row of a predicted stream is short", ErrSyntax)
	}
	out := data[:0]
	above := make([]byte, width)
	for len(data) > 0 {
		filter, row := data[0], data[1:width+1]
		data = data[width+1:]
		for i := range row {
			var left, corner byte
			if i >= pixel {
				left, corner = row[i-pixel], above[i-pixel]
			}
			switch filter {
			case 0:
			case 1:
				row[i] += left
			case 2:
				row[i] += above[i]
			case 3:
				row[i] += byte((int(left) + int(above[i])) / 2)
			case 4:
				row[i] += paeth(left, above[i], corner)
			default:
				return nil, fmt.Errorf("%w: PNG filter %d", ErrSyntax, filter)
			}
			// corner of the next pixel is read from above before it is replaced below
		}
		copy(above, row)
		out = append(out, row...)
	}
	return out, nil
}

func paeth(a, b, c byte) byte {
	p := int(a) + int(b) - int(c)
	pa, pb, pc := abs(p-int(a)), abs(p-int(b)), abs(p-int(c))
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// pack is a decoded object stream.
type pack struct {
	data    []byte
	numbers []uint32
	offsets []int64
	fixed   bool // what it decodes to depends on no other object
}

const maxPacked = 64 << 20 // bytes of object streams kept decoded

// unpack reads an object out of its object stream.
func (f *File) unpack(number uint32, e entry) (Object, error) {
	p, err := f.pack(uint32(e.offset))
	if err != nil {
		return nil, fmt.Errorf("object stream %d: %w", e.offset, err)
	}
	if int(e.index) >= len(p.numbers) || p.numbers[e.index] != number {
		return nil, fmt.Errorf("%w: object %d is not in object stream %d", ErrSyntax, number, e.offset)
	}
	s := newScanner(bytes.NewReader(p.data), int64(len(p.data)), p.offsets[e.index])
	return s.object(0)
}

func (f *File) pack(number uint32) (*pack, error) {
	if p, ok := f.packs[number]; ok {
		return p, nil
	}
	e := f.entries[number]
	if e.kind != plain {
		return nil, fmt.Errorf("%w: it is no object of its own", ErrSyntax)
	}
	o, err := f.Get(Ref{number, e.generation})
	if err != nil {
		return nil, err
	}
	st, ok := o.(*Stream)
	if !ok || st.Dict["Type"] != Name("ObjStm") {
		return nil, fmt.Errorf("%w: it is no object stream", ErrSyntax)
	}
	p, err := f.contents(st)
	if err != nil {
		return nil, err
	}
	if f.packed += int64(len(p.data)); f.packed > maxPacked {
		clear(f.packs)
		f.packed = int64(len(p.data))
	}
	f.packs[number] = p
	return p, nil
}

// refers says whether there is a reference in o.
func refers(o Object, depth int) bool {
	if depth > maxDepth {
		return true
	}
	switch o := o.(type) {
	case Ref:
		return true
	case Array:
		return slices.ContainsFunc(o, func(v Object) bool { return refers(v, depth+1) })
	case Dict:
		for k, v := range o {
			if k != "Extends" && refers(v, depth+1) { // of which we make no use
				return true
			}
		}
	}
	return false
}

// contents decodes an object stream.
func (f *File) contents(st *Stream) (*pack, error) {
	data, err := f.Data(st)
	if err != nil {
		return nil, err
	}
	count, ok1 := st.Dict["N"].(Integer)
	first, ok2 := st.Dict["First"].(Integer)
	if !ok1 || !ok2 || count < 0 || count > maxEntries || first < 0 || int64(first) > int64(len(data)) {
		return nil, fmt.Errorf("%w: a broken /N or /First", ErrSyntax)
	}
	p := &pack{data: data}
	p.fixed = !refers(st.Dict, 0)
	seen := map[int64]bool{}
	s := newScanner(bytes.NewReader(data), int64(first), 0)
	for range count {
		n, err := s.integer()
		if err != nil {
			return nil, err
		}
		at, err := s.integer()
		if err != nil {
			return nil, err
		}
		if n > maxNumber || at > int64(len(data))-int64(first) {
			return nil, fmt.Errorf("%w: object %d at %d", ErrSyntax, n, at)
		}
		if seen[n] { // readers differ on which one counts
			return nil, fmt.Errorf("%w: object %d is there twice", ErrSyntax, n)
		}
		seen[n] = true
		p.numbers = append(p.numbers, uint32(n))
		p.offsets = append(p.offsets, int64(first)+at)
	}
	return p, nil
}
