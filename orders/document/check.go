package document

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// The most that fits on a paper of one or two pages, in characters. A text of
// more is a mistake or an attack; it is refused, never cut.
const (
	maxLine  = 200
	maxValue = 1000
	maxText  = 4000
	maxFacts = 60
	maxCols  = 8
	maxRows  = 400
	maxHead  = 6
	maxURL   = 300
)

var (
	colour       = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	templateName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,40}$`)
)

// checker cleans the texts of one Document and remembers the first fault.
type checker struct{ err error }

func (c *checker) refuse(key, field string) {
	if c.err == nil {
		c.err = fault.New(fault.Invalid, key, fmt.Errorf("document: field %s", field))
	}
}

// line cleans a text without line breaks.
func (c *checker) line(field string, s *string, limit int) { c.clean(field, s, limit, false) }

// text cleans a text whose line breaks are kept.
func (c *checker) text(field string, s *string) { c.clean(field, s, maxText, true) }

func (c *checker) clean(field string, s *string, limit int, breaks bool) {
	if !utf8.ValidString(*s) {
		c.refuse("document.unprintable", field)
		return
	}
	*s = Clean(*s, breaks)
	if utf8.RuneCountInString(*s) > limit {
		c.refuse("document.too_long", field)
	}
}

func (c *checker) need(field, s string) {
	if s == "" {
		c.refuse("document.incomplete", field)
	}
}

// Clean returns s as it is printed: in normal form C (UAX 15), without control,
// format (bidirectional, zero-width, soft hyphen: UAX 9, UTR 36), private-use and
// unassigned characters and variation selectors, with single spaces. Line breaks
// are kept where breaks is true and become spaces otherwise.
func Clean(s string, breaks bool) string {
	var out strings.Builder
	gap := "" // what separates the next word from the last one
	for _, r := range s {
		switch {
		case breaks && r == '\n':
			if gap != "\n\n" {
				gap = strings.TrimLeft(gap, " ") + "\n"
			}
		case r == '\u00a0' || r == '\u202f': // no-break spaces mean something in French
			if gap == "" {
				out.WriteRune(r)
			}
		case unicode.IsSpace(r):
			if gap == "" {
				gap = " "
			}
		case !printable(r):
		default:
			if out.Len() > 0 {
				out.WriteString(gap)
			}
			gap = ""
			out.WriteRune(r)
		}
	}
	// What was removed may have stood between a letter and its accent.
	return norm.NFC.String(strings.Trim(out.String(), " \n\u00a0\u202f"))
}

func printable(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S) && !unicode.Is(unicode.Variation_Selector, r) && r != utf8.RuneError
}

// checked returns d with clean texts, or why it cannot be printed.
func checked(d Document) (Document, error) {
	c := &checker{}
	if !templateName.MatchString(d.Template) {
		c.refuse("document.incomplete", "Template")
	}
	if d.Language != i18n.French && d.Language != i18n.Dutch && d.Language != i18n.German {
		c.refuse("document.incomplete", "Language")
	}
	if y := d.Date.UTC().Year(); y < 1900 || y > 9999 {
		c.refuse("document.incomplete", "Date")
	}
	c.line("Title", &d.Title, maxLine)
	c.line("NumberLabel", &d.NumberLabel, maxLine)
	c.line("Number", &d.Number, maxLine)
	c.line("Place", &d.Place, maxLine)
	c.line("Commune.Name", &d.Commune.Name, maxLine)
	c.line("Seal.Name", &d.Seal.Name, maxLine)
	c.line("Verify.Page", &d.Verify.Page, maxLine)
	c.line("Verify.Code", &d.Verify.Code, maxLine)
	c.text("Intro", &d.Intro)
	c.text("Legal", &d.Legal)
	c.lists(&d)
	c.need("Title", d.Title)
	c.need("Number", d.Number)
	c.need("Commune.Name", d.Commune.Name)
	if d.Commune.Colour != "" && !colour.MatchString(d.Commune.Colour) {
		c.refuse("document.incomplete", "Commune.Colour")
	}
	c.verify(d.Verify)
	return d, c.err
}

func (c *checker) lists(d *Document) {
	if len(d.Facts) > maxFacts || len(d.Commune.Address) > maxHead || len(d.Recipient) > maxHead {
		c.refuse("document.too_long", "Facts, Commune.Address or Recipient")
		return
	}
	d.Facts = append([]Fact(nil), d.Facts...)
	for i := range d.Facts {
		c.line("Facts.Label", &d.Facts[i].Label, maxLine)
		c.line("Facts.Value", &d.Facts[i].Value, maxValue)
	}
	c.list(&d.List)
	d.Recipient = append([]string(nil), d.Recipient...)
	for i := range d.Recipient {
		c.line("Recipient", &d.Recipient[i], maxLine)
	}
	d.Commune.Address = append([]string(nil), d.Commune.Address...)
	for i := range d.Commune.Address {
		c.line("Commune.Address", &d.Commune.Address[i], maxLine)
	}
}

func (c *checker) list(l *List) {
	if len(l.Columns) > maxCols || len(l.Rows) > maxRows {
		c.refuse("document.too_long", "List")
		return
	}
	c.line("List.Title", &l.Title, maxLine)
	l.Columns = append([]Column(nil), l.Columns...)
	for i := range l.Columns {
		c.line("List.Columns", &l.Columns[i].Label, maxLine)
		c.need("List.Columns", l.Columns[i].Label)
		l.Columns[i].Width = min(max(l.Columns[i].Width, 1), 20)
	}
	rows := make([][]string, len(l.Rows))
	for i, row := range l.Rows {
		if len(row) != len(l.Columns) {
			c.refuse("document.incomplete", "List.Rows")
			return
		}
		rows[i] = append([]string(nil), row...)
		for j := range rows[i] {
			c.line("List.Rows", &rows[i][j], maxValue)
		}
	}
	if l.Rows = rows; len(l.Columns) > 0 {
		c.need("List.Title", l.Title)
	}
}

func (c *checker) verify(v Verify) {
	if v.URL == "" {
		return
	}
	u, err := url.Parse(v.URL)
	if err != nil || len(v.URL) > maxURL || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		c.refuse("document.incomplete", "Verify.URL")
	}
	c.need("Verify.Page", v.Page)
	c.need("Verify.Code", v.Code)
}
