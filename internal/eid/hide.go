package eid

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxGap is how many characters may separate two digits of a number that somebody wrote.
const maxGap = 3

// HideNumbers puts words in the place of every national number that somebody wrote into a
// text, with points, hyphens or spaces or without. What is part of a longer word or number
// is none.
func HideNumbers(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		if end := numberAt(text, i); end > 0 {
			out.WriteString(hidden)
			i = end
			continue
		}
		out.WriteByte(text[i])
		i++
	}
	return out.String()
}

// numberAt is where the number ends that begins at i; 0 where none does.
func numberAt(text string, i int) int {
	if !isDigit(text[i]) || isWord(utf8.DecodeLastRuneInString(text[:i])) {
		return 0
	}
	digits, gap := make([]byte, 0, 11), 0
	for ; i < len(text) && len(digits) < 11; i++ {
		switch c := text[i]; {
		case isDigit(c):
			digits, gap = append(digits, c), 0
		case strings.IndexByte(" .-/", c) >= 0 && gap < maxGap:
			gap++
		default:
			return 0
		}
	}
	if _, err := ParseNationalNumber(string(digits)); err != nil || isWord(utf8.DecodeRuneInString(text[i:])) {
		return 0
	}
	return i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWord(r rune, _ int) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
