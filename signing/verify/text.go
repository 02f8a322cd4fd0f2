package verify

import (
	"bufio"
	"io"
	"slices"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/signing/trustlist"
)

// Account is a report in people's words, for pages and terminals.
type Account struct {
	Summary    string
	Findings   []string // about the file as a whole
	Signatures []Told   // the oldest first
	Revisions  []Later  // what came since the oldest signature, the oldest first
	Limits     []string // what the report does not prove
}

// Told is one signature in words.
type Told struct {
	Heading  string
	Lines    []string
	Findings []string // everything that was noticed
	Changes  []string // what later revisions changed, object by object, as PDF names it
	Expert   []string // what only experts ask for
}

// Later is one later revision in words.
type Later struct {
	Heading string
	Changes []string // what it did, object by object
}

// Tell puts a report into words.
func Tell(lang i18n.Language, r *Report) Account {
	a := Account{Summary: i18n.T(lang, "verify.result."+string(r.Result)), Findings: words(lang, r.Findings)}
	signed := false
	for i := range r.Signatures {
		s := &r.Signatures[i]
		a.Signatures = append(a.Signatures, s.tell(lang))
		signed = signed || s.Kind == Signing
	}
	for i := range r.Revisions {
		a.Revisions = append(a.Revisions, r.Revisions[i].tell(lang, i+1, r.coveredBy(i)))
	}
	if !signed || r.Result == NotValid {
		return a
	}
	a.Limits = []string{i18n.T(lang, "verify.limit.true"), i18n.T(lang, "verify.limit.entitled")}
	if r.notes(RevocationNotChecked) || r.notes(RevocationUnreachable) {
		a.Limits = append(a.Limits, i18n.T(lang, "verify.limit.revoked"))
	}
	if !slices.ContainsFunc(r.Signatures, func(s Signature) bool { return s.Listed != nil }) {
		a.Limits = append(a.Limits, i18n.T(lang, "verify.limit.unlisted"))
	}
	return a
}

func (r *Report) notes(code Code) bool {
	return slices.ContainsFunc(r.Signatures, func(s Signature) bool { return s.Notes(code) })
}

// Notes says whether a code is among the findings.
func (s *Signature) Notes(codes ...Code) bool {
	return slices.ContainsFunc(s.Findings, func(f Finding) bool { return slices.Contains(codes, f.Code) })
}

// Whole says whether the signed bytes are a revision of the file and those that the
// signature was made upon, whoever made it and whatever came later.
func (s *Signature) Whole() bool {
	return s.Kind == Signing && s.Signer != nil && !s.Notes(ByteRange, Wrapped, Uncovered, Content, SignatureMalformed, SignatureWrong, SignerMissing, AttributesWrong, NotBound, Weak, Unsupported, Broken)
}

// words are the findings' sentences, each once.
func words(lang i18n.Language, list []Finding) (out []string) {
	for _, f := range list {
		if text := i18n.T(lang, f.Code.Key(), "Field", clean(f.Field), "Page", f.Page, "Detail", clean(f.Detail)); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

func (s *Signature) tell(lang i18n.Language) Told {
	t := Told{
		Heading:  i18n.T(lang, s.what(), "Field", clean(s.Field), "Verdict", i18n.T(lang, "verify.verdict."+string(s.Result))),
		Findings: words(lang, s.Findings),
	}
	say := func(key string, args ...any) { t.Lines = append(t.Lines, i18n.T(lang, key, args...)) }
	expert := func(key string, args ...any) { t.Expert = append(t.Expert, i18n.T(lang, key, args...)) }
	if c := s.Signer; c != nil {
		name := c.Name
		if c.Organization != "" && c.Organization != c.Name {
			name += " (" + c.Organization + ")"
		}
		say("verify.by", "Name", name)
		say("verify.issuer", "Issuer", c.Issuer, "From", i18n.Date(lang, c.NotBefore), "To", i18n.Date(lang, c.NotAfter))
	}
	switch {
	case s.StampedAt != nil:
		say("verify.time_stamped", "Time", i18n.DateTime(lang, *s.StampedAt), "Authority", s.StampedBy)
	case s.ClaimedAt != nil:
		say("verify.time_claimed", "Time", i18n.DateTime(lang, *s.ClaimedAt))
	}
	if s.ProvedAt != nil && (s.StampedAt == nil || s.ProvedAt.Before(*s.StampedAt)) {
		say("verify.time_proved", "Time", i18n.DateTime(lang, *s.ProvedAt))
	}
	if l := s.StampListed; l != nil && l.Qualified {
		say("verify.listed.stamp", "Provider", l.Provider, "Territory", l.Territory)
	}
	s.tellStanding(lang, say)
	if s.Reason != "" {
		say("verify.reason", "Reason", s.Reason)
	}
	if s.Location != "" {
		say("verify.location", "Location", s.Location)
	}
	if s.Changes != "" && (s.Whole() || s.Kind == Stamping) { // else it says nothing of this file
		say("verify.changes." + string(s.Changes))
	}
	if i := string(s.Indication); i != "" {
		if s.SubIndication != "" {
			i += ", " + string(s.SubIndication)
		}
		expert("verify.standard", "Indication", i)
	}
	if s.Level != "" {
		expert("verify.level", "Level", s.Level)
	}
	for _, f := range s.Findings {
		if slices.Contains(changing, f.Code) && f.Detail != "" {
			t.Changes = append(t.Changes, clean(f.Detail))
		}
	}
	return t
}

// changing are the codes whose detail is an object of the file.
var changing = []Code{Changed, Overlay, FieldSet, LockedField, Appended, Forbidden}

// coveredBy is the field of the first signature that covers a revision: its own or a
// later one; "" where nobody signed it.
func (r *Report) coveredBy(revision int) string {
	for _, later := range r.Revisions[revision:] {
		if later.SignedBy != "" {
			return later.SignedBy
		}
	}
	return ""
}

// tell says what a revision did, and whose signature covers it.
func (r *Revision) tell(lang i18n.Language, number int, coveredBy string) Later {
	l := Later{Heading: i18n.T(lang, "verify.revision.unsigned", "Number", number)}
	if coveredBy != "" {
		l.Heading = i18n.T(lang, "verify.revision.signed", "Number", number, "Field", clean(coveredBy))
	}
	for _, c := range r.Changes {
		if text := c.tell(lang); !slices.Contains(l.Changes, text) {
			l.Changes = append(l.Changes, text)
		}
	}
	if r.More > 0 {
		l.Changes = append(l.Changes, i18n.T(lang, "verify.revision.more", "Number", r.More))
	}
	if len(l.Changes) == 0 {
		l.Changes = []string{i18n.T(lang, "verify.revision.nothing")}
	}
	return l
}

func (c Change) tell(lang i18n.Language) string {
	return i18n.T(lang, c.Kind.Key(), "Field", clean(c.Field), "Page", c.Page, "Object", clean(c.Object),
		"Annotation", i18n.T(lang, "verify.annotation."+annotationWord(c.Annotation)))
}

// annotationWord groups the subtypes of annotations (ISO 32000-2 table 171) as people know them.
func annotationWord(subtype string) string {
	for word, subtypes := range map[string][]string{
		"note": {"Text", "Popup"}, "text": {"FreeText"}, "highlight": {"Highlight", "Underline", "Squiggly", "StrikeOut", "Caret"},
		"drawing": {"Line", "Square", "Circle", "Polygon", "PolyLine", "Ink"}, "stamp": {"Stamp", "Watermark"}, "link": {"Link"},
		"file": {"FileAttachment"}, "media": {"Sound", "Movie", "Screen", "RichMedia", "3D"}, "redaction": {"Redact"}, "field": {"Widget"},
	} {
		if slices.Contains(subtypes, subtype) {
			return word
		}
	}
	return "other"
}

// what is the key of the heading: a seal or a signature where the lists or the
// certificate tell, else both.
func (s *Signature) what() string {
	if q := s.Qualification; s.Listed == nil && q != nil && q.Qualified && q.Use != "unknown" {
		return "verify.heading." + q.Use
	}
	if s.Listed != nil && (s.Listed.Use == "seal" || s.Listed.Use == "signature") {
		return "verify.heading." + s.Listed.Use
	}
	return "verify." + string(s.Kind)
}

// tellStanding says what the signature is worth in law, as far as the lists tell.
func (s *Signature) tellStanding(lang i18n.Language, say func(key string, args ...any)) {
	l := s.Listed
	if l == nil {
		if q := s.Qualification; q != nil && q.Qualified {
			say("verify.claims." + q.Use)
		}
		return
	}
	say("verify.worth."+worth(l), "Time", i18n.Date(lang, l.At))
	say("verify.listed."+map[bool]string{true: "granted", false: "not_granted"}[l.Granted], "Provider", l.Provider, "Service", l.Service, "Territory", l.Territory)
}

// worth names the legal standing of Regulation (EU) 910/2014, articles 3, 26 and 36.
func worth(l *trustlist.Standing) string {
	use := l.Use
	if use != "seal" && use != "signature" {
		return "advanced"
	}
	switch {
	case l.Qualified && l.Device:
		return "qualified_" + use
	case l.Qualified:
		return "advanced_" + use
	}
	return "advanced"
}

// WriteText writes a report in words, for a terminal.
func WriteText(w io.Writer, lang i18n.Language, r *Report) error {
	b := bufio.NewWriter(w)
	list := func(indent string, lines []string) {
		for _, line := range lines {
			b.WriteString(indent + line + "\n")
		}
	}
	a := Tell(lang, r)
	list("", []string{a.Summary})
	list("  ", a.Findings)
	for _, t := range a.Signatures {
		b.WriteString("\n")
		list("", []string{t.Heading})
		list("  ", t.Lines)
		list("  ", t.Expert)
		list("  ", t.Findings)
		list("    ", t.Changes)
	}
	if len(a.Revisions) > 0 {
		b.WriteString("\n" + i18n.T(lang, "verify.revisions") + "\n")
	}
	for _, l := range a.Revisions {
		list("  ", []string{l.Heading})
		list("    ", l.Changes)
	}
	if len(a.Limits) > 0 {
		b.WriteString("\n" + i18n.T(lang, "verify.limits") + "\n")
		list("  ", a.Limits)
	}
	return b.Flush()
}
