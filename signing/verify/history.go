package verify

import (
	"fmt"
	"io"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// history checks that the signed part is a whole revision of this very file,
// that it holds the signature itself, and that what came later is harmless.
func (c *checker) history(s *Signature, field pdf.Field, ref pdf.Ref, r ranges) {
	signed, err := pdf.OpenWith(io.NewSectionReader(c.src, 0, r.end), r.end, c.o.Password)
	if err != nil {
		s.find(Uncovered, err.Error())
		s.Changes = Altered
		return
	}
	if !signed.Closed() {
		s.find(Uncovered, "the signed part does not end with its %%EOF")
		s.Changes = Altered
		return
	}
	if !holds(signed, c.file, field, ref) {
		s.find(Wrapped, "the signed revision does not hold this signature")
		s.Changes = Altered
		return
	}
	s.Changes = Unchanged
	if s.WholeFile {
		return
	}
	found := compare(signed, c.file, s.Certification)
	if !c.file.Closed() {
		found = append(found, Finding{Appended, fmt.Sprintf("the file has %d bytes", c.file.Size())})
	}
	if at, err := c.file.Stray(r.end); err != nil {
		found = append(found, Finding{Broken, err.Error()})
	} else if at >= 0 {
		found = append(found, Finding{Appended, fmt.Sprintf("an object at byte %d that no cross-reference section names", at)})
	}
	for _, f := range found {
		s.find(f.Code, f.Detail)
	}
	s.Changes = changes(found)
}

// changes sums up what came later; nothing where that could not be read.
func changes(found []Finding) Changes {
	sum := Extended // an update that changes nothing is one too
	for _, f := range found {
		switch {
		case f.Code.Result() == NotValid:
			return Altered
		case f.Code == Broken:
			sum = ""
		}
	}
	return sum
}

// holds says whether the signed revision has the same signature in the same
// field at the same place, and its cross-reference section is one of the file's.
func holds(signed, whole *pdf.File, field pdf.Field, ref pdf.Ref) bool {
	from, to, ok := whole.Span(ref)
	wasFrom, wasTo, was := signed.Span(ref)
	if !ok || !was || from != wasFrom || to != wasTo {
		return false
	}
	chained := false
	for _, section := range whole.Sections() {
		chained = chained || section.Offset == signed.Sections()[0].Offset
	}
	if !chained {
		return false
	}
	fields, err := signed.Fields()
	if err != nil {
		return false
	}
	for _, f := range fields {
		if f.Ref == field.Ref && f.Name == field.Name && f.Dict["V"] == pdf.Object(ref) {
			return true
		}
	}
	return false
}
