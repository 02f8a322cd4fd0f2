package verify

import (
	"fmt"
	"slices"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// signedRevision is what is known of the part of the file that a signature covers.
type signedRevision struct {
	file    *pdf.File
	end     int64
	section int // the place of its newest cross-reference section among the file's, the newest being 0
	field   pdf.Dict
	dict    pdf.Dict // of the signature
	permission
}

// revision checks that the signed part is a whole revision of this very file, and
// that it holds the signature itself.
func (c *checker) revision(s *examined, field pdf.Field, ref pdf.Ref, r ranges) {
	refuse := func(code Code, detail string) {
		s.find(code, detail)
		s.Changes = Altered
	}
	signed, err := c.file.Prefix(r.end)
	if err != nil {
		refuse(Uncovered, err.Error())
		return
	}
	if !signed.Closed() {
		refuse(Uncovered, "the signed part does not end with its %%EOF")
		return
	}
	own, section := holds(signed, c.file, field, ref)
	if own == nil {
		refuse(Wrapped, "the signed revision does not hold this signature")
		return
	}
	dict, err := signed.Dict(ref)
	if err != nil {
		refuse(Broken, err.Error())
		return
	}
	s.revision = &signedRevision{file: signed, end: r.end, section: section, field: own, dict: dict}
	s.Certification, s.revision.permission = permissionOf(signed, own, dict)
	s.Locks = s.revision.locks
	s.revision.level = strictest(s.revision.level, catalogLevel(signed))
	if s.Certification > 0 {
		s.find(Certified, "")
	}
}

// catalogLevel is what the certification that the catalog names permits, whether or not
// a field shows it; 0 without one.
func catalogLevel(f *pdf.File) int {
	catalog, err := f.Catalog()
	if err != nil {
		return noChanges
	}
	permissions, err := f.Dict(catalog["Perms"])
	if err != nil {
		return noChanges
	}
	if permissions["DocMDP"] == nil {
		return 0
	}
	signature, err := f.Dict(permissions["DocMDP"])
	if err != nil || signature == nil {
		return noChanges
	}
	level, _ := permissionOf(f, nil, signature)
	return level
}

// holds says whether the signed revision has the same signature in the same
// field at the same place, and its cross-reference section is one of the file's: its
// field there, and the place of the section.
func holds(signed, whole *pdf.File, field pdf.Field, ref pdf.Ref) (own pdf.Dict, section int) {
	from, to, ok := whole.Span(ref)
	wasFrom, wasTo, was := signed.Span(ref)
	if !ok || !was || from != wasFrom || to != wasTo {
		return nil, 0
	}
	section = slices.IndexFunc(whole.Sections(), func(s pdf.Section) bool { return s.Offset == signed.Sections()[0].Offset })
	if section < 0 {
		return nil, 0
	}
	fields, err := signed.Fields()
	if err != nil {
		return nil, 0
	}
	for _, f := range fields {
		if f.Ref == field.Ref && f.Name == field.Name && f.Dict["V"] == pdf.Object(ref) {
			return f.Dict, section
		}
	}
	return nil, 0
}

// history compares every revision since the oldest signature with the one before, and
// tells each signature what came after it. The signatures are sorted by where they end.
func (c *checker) history(list []*examined) []Revision {
	oldest := -1
	certified := 0
	for _, s := range list {
		if s.revision == nil {
			continue
		}
		oldest = max(oldest, s.revision.section)
		s.revision.level = strictest(s.revision.level, certified) // what an earlier one certified holds on
		certified = strictest(certified, s.Certification)
	}
	if oldest < 0 {
		return nil
	}
	revisions, changes := c.revisions(oldest, list)
	for _, s := range list {
		if s.revision != nil {
			c.since(s, changes[len(changes)-s.revision.section:])
		}
	}
	return revisions
}

// revisions compares each revision since the one of the section at oldest with the next.
// The changes are those of each, the oldest first.
func (c *checker) revisions(oldest int, list []*examined) (told []Revision, changes [][]Change) {
	if oldest > maxRevisions {
		limit := []Change{{Kind: Unreadable, Object: fmt.Sprintf("%d revisions since the oldest signature", oldest)}}
		return nil, slices.Repeat([][]Change{limit}, oldest)
	}
	before, from, err := c.state(oldest, list)
	for section := oldest - 1; section >= 0; section-- {
		var after *pdf.File
		var end int64
		var found []Change
		if err == nil {
			after, end, err = c.state(section, list)
		}
		if err != nil {
			found = []Change{{Kind: Unreadable, Object: err.Error()}}
		} else {
			found = compare(before, after)
		}
		changes = append(changes, found)
		told = append(told, tellRevision(from, end, signerOf(section, list), found))
		before, from = after, end
	}
	return told, changes
}

func signerOf(section int, list []*examined) string {
	for _, s := range list {
		if s.revision != nil && s.revision.section == section {
			return s.Field
		}
	}
	return ""
}

func tellRevision(from, to int64, signer string, found []Change) Revision {
	r := Revision{From: from, To: to, SignedBy: signer, Changes: found[:min(len(found), maxListed):min(len(found), maxListed)]}
	if r.Changes == nil {
		r.Changes = []Change{}
	}
	r.More = len(found) - len(r.Changes)
	return r
}

// state is the file as it was when the section at a place was its newest one: as far as
// its signature covers it where it has one, so that nothing behind may stand in for what
// was not there.
func (c *checker) state(section int, list []*examined) (*pdf.File, int64, error) {
	for _, s := range list {
		if s.revision != nil && s.revision.section == section && s.revision.end < c.file.Size() {
			return s.revision.file, s.revision.end, nil
		}
	}
	if section == 0 {
		return c.file, c.file.Size(), nil
	}
	at := c.file.Sections()[section]
	f, err := c.file.AsOf(at)
	return f, c.file.Ends(at), err
}

// since tells a signature what came after the part that it covers.
func (c *checker) since(s *examined, later [][]Change) {
	s.Changes = Unchanged
	if s.WholeFile {
		return
	}
	var found []Finding
	for _, changes := range later {
		for _, ch := range changes {
			if code := s.revision.judge(ch); code != "" {
				found = append(found, Finding{Code: code, Detail: ch.Object, Field: ch.Field, Page: ch.Page})
			}
		}
	}
	if !c.file.Closed() {
		found = append(found, Finding{Code: Appended, Detail: fmt.Sprintf("the file has %d bytes", c.file.Size())})
	}
	if at, err := c.file.Stray(s.revision.end); err != nil {
		found = append(found, Finding{Code: Broken, Detail: err.Error()})
	} else if at >= 0 {
		found = append(found, Finding{Code: Appended, Detail: fmt.Sprintf("an object at byte %d that no cross-reference section names", at)})
	}
	s.Changes = changes(found)
	if len(later) == 0 && len(found) == 0 {
		s.Changes = Unchanged
		s.find(BytesAfter, fmt.Sprintf("%d bytes", c.file.Size()-s.revision.end))
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return rank(b.Code) - rank(a.Code) })
	for _, f := range found[:min(len(found), maxFindings)] { // the worst first, none of which is lost
		s.add(f)
	}
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
		case sum == Extended && slices.Contains(permitted, f.Code):
			sum = Permitted
		}
	}
	return sum
}

// rank orders codes by what they lead to.
func rank(c Code) int {
	switch c.Result() {
	case NotValid:
		return 2
	case Unknown:
		return 1
	}
	return 0
}
