package verify

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/belfry-eid/belfry/internal/pdf"
)

const (
	maxHidden     = 16       // earlier ends of the file that are tried
	maxHiddenTail = 32 << 20 // bytes of the file in which they are looked for
)

// hidden looks, in a file that shows no signature, for an earlier state of it that had
// one: whoever takes a signature away by a later revision leaves it in the file.
func (c *checker) hidden(r *Report) {
	size := c.file.Size()
	from := max(0, size-maxHiddenTail)
	tail := make([]byte, size-from)
	if _, err := io.ReadFull(io.NewSectionReader(c.src, from, size-from), tail); err != nil {
		return
	}
	mark := []byte("%%EOF")
	for range maxHidden {
		at := bytes.LastIndex(tail, mark)
		if at < 0 {
			return
		}
		end := from + int64(at+len(mark))
		tail = tail[:at]
		f, err := c.file.Prefix(end)
		if err != nil {
			continue
		}
		if field := signedFieldOf(f); field != "" {
			r.Findings = append(r.Findings, Finding{Code: HiddenSignature, Detail: fmt.Sprintf("the first %d bytes are signed", end), Field: field})
			c.sinceHidden(r, f)
			return
		}
	}
}

func signedFieldOf(f *pdf.File) string {
	fields, err := f.Fields()
	if err != nil {
		return ""
	}
	for _, field := range fields {
		if d, err := f.Dict(field.Value); field.Type == "Sig" && err == nil && d["Contents"] != nil {
			return field.Name
		}
	}
	return ""
}

// sinceHidden tells what has become of the signed state, where the file still builds on it.
func (c *checker) sinceHidden(r *Report, signed *pdf.File) {
	section := slices.IndexFunc(c.file.Sections(), func(s pdf.Section) bool { return s.Offset == signed.Sections()[0].Offset })
	if section > 0 {
		r.Revisions, _ = c.revisions(section, nil)
	}
}
