// Package form reads what people answer.
//
// It owns the questions that products may ask, the limits of each and the rules
// for text from outside (T13): Unicode NFC, at most a stated number of characters,
// and no control, bidirectional or invisible character, which could make a page or
// a paper say something else than was typed. It refuses to know products, people
// and pages. It guarantees that an Answers value holds only questions that were
// asked, each within its limits, and that a fault names its field.
package form

import (
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// Name is a question's name: in the catalogue, in the page's form and among the answers.
// Its words are "orders.field.NAME.label" and "orders.field.NAME.hint".
type Name string

const (
	DocumentLanguage Name = "document_language" // one of those in which the commune issues
	// Email asks how to tell the person that the paper is ready, which is three answers:
	// Contact, Email and Phone.
	Email       Name = "email"
	Contact     Name = "contact"      // ByEmail, ByPhone or NoContact
	Phone       Name = "phone"        // in the form of E.164: "+32470123456"
	BirthPlace  Name = "birth_place"  // where no register tells it
	HomeAddress Name = "home_address" // likewise
	// Delivery, Copies and Purpose are asked where the commune's tariff has them matter;
	// fee.Tariff reads the answers.
	Delivery Name = "delivery"
	Copies   Name = "copies"
	Purpose  Name = "purpose"
)

// Names lists every question there is.
var Names = []Name{DocumentLanguage, Contact, Email, Phone, BirthPlace, HomeAddress, Delivery, Copies, Purpose}

// Known says whether there is such a question.
func (n Name) Known() bool { return slices.Contains(Names, n) }

// LabelKey and HintKey are the message keys of the question's words.
func (n Name) LabelKey() string { return "orders.field." + string(n) + ".label" }

// HintKey is the message key of the line under the label.
func (n Name) HintKey() string { return "orders.field." + string(n) + ".hint" }

// Answers are the answers by question; an optional question left open is not there.
type Answers map[Name]string

// Errors are the faults by question, as message keys ("orders.form.email_wrong").
// The page shows each at its field and all of them at its top.
type Errors map[Name]string

// Parse reads the answers to the questions asked. Languages are those in which the
// commune issues papers; a single one needs no answer. A phone number without a country is
// one of country ("fr", or Belgium). Values of other names are ignored (the page's own: its
// key, its token). Where Errors is not empty the
// answers are good for filling the form again and for nothing else.
func Parse(asked []Name, values url.Values, languages []i18n.Language, country string) (Answers, Errors) {
	answers, faults := Answers{}, Errors{}
	for _, name := range asked {
		switch name {
		case Email:
			parseContact(values, country, answers, faults)
			continue
		case Contact, Phone, Delivery, Copies, Purpose:
			continue // with Email; of a tariff
		}
		answer, key := parse(name, values[string(name)], languages)
		if answer != "" {
			answers[name] = answer
		}
		if key != "" {
			faults[name] = key
		}
	}
	return answers, faults
}

func parse(name Name, given []string, languages []i18n.Language) (answer, fault string) {
	if len(given) > 1 {
		return "", "orders.form.twice"
	}
	raw := ""
	if len(given) == 1 {
		raw = given[0]
	}
	switch name {
	case DocumentLanguage:
		return parseLanguage(raw, languages)
	case BirthPlace:
		return parseLine(raw, maxPlace)
	case HomeAddress:
		return parseLine(raw, maxAddress)
	}
	return "", "orders.form.unknown"
}

// Longest place and address, in characters.
const (
	maxPlace   = 100
	maxAddress = 200
)

// parseLine takes one line that must be there.
func parseLine(raw string, max int) (string, string) {
	text, fault := Text(raw, 1, max)
	if fault == "" && strings.Contains(text, "\n") {
		fault = "orders.form.characters"
	}
	return text, fault
}

func parseLanguage(raw string, languages []i18n.Language) (string, string) {
	if raw == "" && len(languages) == 1 {
		return string(languages[0]), ""
	}
	if raw == "" {
		return "", "orders.form.language_missing"
	}
	if !slices.Contains(languages, i18n.Language(raw)) {
		return "", "orders.form.language_wrong"
	}
	return raw, ""
}

// maxEmail is the longest address a mail server must take (RFC 5321 §4.5.3.1.3, less the brackets).
const maxEmail = 254

// parseEmail takes one plain address. The name part and quoted local parts of RFC 5322
// are refused: nobody has them and they carry what they like.
func parseEmail(raw string) (string, string) {
	text, fault := Text(raw, 0, maxEmail)
	if fault != "" || text == "" {
		return "", fault
	}
	address, err := mail.ParseAddress(text)
	if err != nil || address.Name != "" || address.Address != text || strings.ContainsAny(text, " \"<>()[]\\,;:") {
		return text, "orders.form.email_wrong"
	}
	_, domain, _ := strings.Cut(text, "@")
	if !strings.Contains(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, "..") {
		return text, "orders.form.email_wrong"
	}
	return text, ""
}

// Text is a line or paragraph typed by a person: trimmed, in NFC, with Unix line ends.
// It has at least min characters (0: may be left open) and at most max. The fault is
// a message key: orders.form.missing, orders.form.too_long or orders.form.characters.
func Text(raw string, min, max int) (text, fault string) {
	// Four bytes a character and its marks at most: longer cannot fit, and is not worth normalising.
	if len(raw) > 8*max {
		return "", "orders.form.too_long"
	}
	if !utf8.ValidString(raw) {
		return "", "orders.form.characters"
	}
	text = norm.NFC.String(strings.TrimSpace(strings.ReplaceAll(raw, "\r\n", "\n")))
	if !Clean(text) {
		return "", "orders.form.characters"
	}
	switch n := utf8.RuneCountInString(text); {
	case n > max:
		return "", "orders.form.too_long"
	case n < min:
		return text, "orders.form.missing"
	}
	return text, ""
}

// Clean says whether every character of s shows as itself: no control character but the
// line feed, no format character (bidirectional marks and overrides, zero-width joiners,
// tags, soft hyphen), none that is private, a surrogate or unassigned, no line or paragraph
// separator, no invisible filler or variation selector.
func Clean(s string) bool {
	for _, r := range s {
		if r == '\n' {
			continue
		}
		if r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) || !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs) {
			return false
		}
	}
	return true
}

// Line makes one printable line of a text from a source that we do not correct, such as
// the register: NFC, characters that Clean refuses dropped, white space folded. It is for
// names and addresses, which must be printed even where somebody once pasted rubbish.
func Line(s string) string {
	kept := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !Clean(string(r)) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return norm.NFC.String(strings.Join(strings.Fields(kept), " "))
}

// Fold is a text as people compare it: lower case, no accents, everything that is
// neither letter nor digit a space. "Groß-Château’s" and "gross chateau s" are equal.
func Fold(s string) string {
	s = strings.NewReplacer("ß", "ss", "œ", "oe", "æ", "ae", "ø", "o", "ł", "l").Replace(strings.ToLower(s))
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			return r
		}
		return ' '
	}, norm.NFD.String(s))
}
