package pdf

import (
	"strings"
	"time"
	"unicode/utf16"
)

// Text encodes people's words as a text string: ASCII as it is, all else in
// UTF-16 with its mark (ISO 32000-1, 7.9.2.2).
func Text(s string) String {
	ascii := true
	for _, r := range s {
		if r > '~' || (r < ' ' && r != '\n' && r != '\r' && r != '\t') {
			ascii = false
		}
	}
	if ascii {
		return String(s)
	}
	var b strings.Builder
	b.WriteString("\xfe\xff")
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u >> 8))
		b.WriteByte(byte(u))
	}
	return String(b.String())
}

// docEncoding is PDFDocEncoding where it differs from Latin-1, ISO 32000-1 annex D.2.
var docEncoding = map[byte]rune{
	0x18: '˘', 0x19: 'ˇ', 0x1a: 'ˆ', 0x1b: '˙', 0x1c: '˝', 0x1d: '˛', 0x1e: '˚', 0x1f: '˜',
	0x80: '•', 0x81: '†', 0x82: '‡', 0x83: '…', 0x84: '—', 0x85: '–', 0x86: 'ƒ', 0x87: '⁄', 0x88: '‹', 0x89: '›',
	0x8a: '−', 0x8b: '‰', 0x8c: '„', 0x8d: '“', 0x8e: '”', 0x8f: '‘', 0x90: '’', 0x91: '‚', 0x92: '™', 0x93: 'ﬁ',
	0x94: 'ﬂ', 0x95: 'Ł', 0x96: 'Œ', 0x97: 'Š', 0x98: 'Ÿ', 0x99: 'Ž', 0x9a: 'ı', 0x9b: 'ł', 0x9c: 'œ', 0x9d: 'š', 0x9e: 'ž', 0xa0: '€',
}

// Text decodes a text string.
func (s String) Text() string {
	if rest, ok := strings.CutPrefix(string(s), "\xfe\xff"); ok {
		units := make([]uint16, len(rest)/2)
		for i := range units {
			units[i] = uint16(rest[2*i])<<8 | uint16(rest[2*i+1])
		}
		return string(utf16.Decode(units))
	}
	if rest, ok := strings.CutPrefix(string(s), "\xef\xbb\xbf"); ok {
		return strings.ToValidUTF8(rest, "\ufffd")
	}
	var b strings.Builder
	for i := range len(s) {
		if r, ok := docEncoding[s[i]]; ok {
			b.WriteRune(r)
		} else {
			b.WriteRune(rune(s[i]))
		}
	}
	return b.String()
}

// Date encodes an instant, in UTC and to the second (ISO 32000-1, 7.9.4).
func Date(t time.Time) String {
	return String(t.UTC().Format("D:20060102150405") + "+00'00'")
}

// ParseDate decodes a date; ok is false where it is none.
func ParseDate(s String) (t time.Time, ok bool) {
	v := strings.TrimPrefix(string(s), "D:")
	v = strings.TrimSuffix(strings.ReplaceAll(v, "'", ""), "Z")
	for _, layout := range []string{"20060102150405-0700", "20060102150405Z0000", "20060102150405", "200601021504", "20060102"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
