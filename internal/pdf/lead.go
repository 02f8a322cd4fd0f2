package pdf

import (
	"bytes"
	"io"
	"strings"
)

// maxLead is how many bytes may stand before the header (ISO 32000-1 annex H.3, note 13).
const maxLead = 1024

// Lead is how many bytes stand before a file's header, 0 where the file begins with it or
// has none in its first kilobyte, and whether they are white space only or a byte order
// mark. This package opens such a file without them: its offsets count from the header,
// as most readers have it. It is ErrSyntax where readers could differ on what the file
// is: where offsets from the first byte lead to a cross-reference section, or where the
// bytes before hold objects that a reader would find who searches the file for them.
func Lead(src io.ReaderAt, size int64) (n int64, blank bool, err error) {
	head := make([]byte, min(size, maxLead+int64(len("%PDF-"))))
	if _, err := src.ReadAt(head, 0); err != nil && err != io.EOF {
		return 0, false, err
	}
	at := bytes.Index(head, []byte("%PDF-"))
	if at <= 0 {
		return 0, false, nil
	}
	lead := string(head[:at])
	for _, word := range []string{"obj", "xref", "trailer", "stream", "%%EOF"} {
		if strings.Contains(lead, word) {
			return 0, false, syntax(0, "%q before the header", word)
		}
	}
	if at, two := otherwise(src, size, int64(at)); two {
		return 0, false, syntax(at, "this is found where offsets count from the first byte, which is not the header's")
	}
	rest := strings.TrimPrefix(lead, "\xef\xbb\xbf")
	return int64(at), strings.Trim(rest, "\x00\t\n\f\r ") == "", nil
}

// otherwise says whether a reader whose offsets count from the first byte finds another
// file than one whose offsets count from the header, and where: other cross-reference
// sections, or other objects by the same ones. White space before them makes no difference.
func otherwise(src io.ReaderAt, size, lead int64) (at int64, two bool) {
	f := newFile(src, size)
	start, err := f.start()
	if err != nil || f.chain(start) != nil {
		return 0, false
	}
	s := newScanner(src, size, 0)
	for _, section := range f.sections {
		s.pos = section.Offset
		if s.skip(); s.pos != section.Offset+lead {
			return section.Offset, true
		}
	}
	for n, e := range f.entries {
		if e.kind != plain {
			continue
		}
		s.pos, s.err = e.offset, nil
		if s.skip(); s.pos == e.offset+lead {
			continue
		}
		number, err := s.integer()
		if err != nil || number != int64(n) {
			continue
		}
		if _, err := s.integer(); err == nil && s.keyword("obj") == nil {
			return e.offset, true
		}
	}
	return 0, false
}
