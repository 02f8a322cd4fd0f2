package pdf

import (
	"bytes"
	"compress/zlib"
	"maps"
)

// Deflate makes a stream for an update whose data is kept compressed (FlateDecode).
func Deflate(dict Dict, data []byte) *Stream {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(data) // a buffer does not fail
	z.Close()
	d := maps.Clone(dict)
	if d == nil {
		d = Dict{}
	}
	d["Filter"] = Name("FlateDecode")
	return NewStream(d, b.Bytes())
}
