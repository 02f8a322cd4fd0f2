package verify

import (
	"bufio"
	"io"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// WriteText writes a report in words, for a terminal.
func WriteText(w io.Writer, lang i18n.Language, r *Report) error {
	b := bufio.NewWriter(w)
	line := func(indent, key string, args ...any) {
		b.WriteString(indent)
		b.WriteString(i18n.T(lang, key, args...))
		b.WriteString("\n")
	}
	line("", "verify.result."+string(r.Result))
	for _, f := range r.Findings {
		line("  ", f.Code.Key())
	}
	for i := range r.Signatures {
		b.WriteString("\n")
		r.Signatures[i].write(lang, line)
	}
	return b.Flush()
}

func (s *Signature) write(lang i18n.Language, line func(indent, key string, args ...any)) {
	const in = "  "
	line("", "verify."+string(s.Kind), "Field", clean(s.Field), "Verdict", i18n.T(lang, "verify.verdict."+string(s.Result)))
	if c := s.Signer; c != nil {
		name := c.Name
		if c.Organization != "" && c.Organization != c.Name {
			name += " (" + c.Organization + ")"
		}
		line(in, "verify.by", "Name", name)
		line(in, "verify.issuer", "Issuer", c.Issuer, "From", i18n.Date(lang, c.NotBefore), "To", i18n.Date(lang, c.NotAfter))
	}
	switch {
	case s.StampedAt != nil:
		line(in, "verify.time_stamped", "Time", i18n.DateTime(lang, *s.StampedAt), "Authority", s.StampedBy)
	case s.ClaimedAt != nil:
		line(in, "verify.time_claimed", "Time", i18n.DateTime(lang, *s.ClaimedAt))
	}
	if s.Level != "" {
		line(in, "verify.level", "Level", s.Level)
	}
	if s.Reason != "" {
		line(in, "verify.reason", "Reason", s.Reason)
	}
	if s.Location != "" {
		line(in, "verify.location", "Location", s.Location)
	}
	if s.Changes != "" {
		line(in, "verify.changes."+string(s.Changes))
	}
	for _, f := range s.Findings {
		line(in, f.Code.Key())
	}
}
