// Package code makes the codes that people read aloud and type: references of orders,
// check codes of papers, invitations, the reference on an error page.
//
// It owns their alphabet and how they are written and read. It refuses to know what a
// code is for, and so how many characters make it hard to guess (five bits each). It
// guarantees that each character is as likely as any other, and that reading is
// forgiving: lower case, spaces, hyphens and points do not count.
package code

import (
	"crypto/rand"
	"strings"
)

// alphabet has 32 characters, without 0 O 1 I, which people mistake for each other.
const alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

// New returns random characters, as they are stored and compared.
func New(length int) string {
	b := make([]byte, length)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]&31] // 256 is a multiple of 32, so each is as likely
	}
	return string(b)
}

// Parse reads a code as people type it; false where it is none of this length.
func Parse(typed string, length int) (string, bool) {
	if len(typed) > 64 {
		return "", false
	}
	s := strings.ToUpper(strings.NewReplacer(" ", "", "-", "", ".", "").Replace(typed))
	if len(s) != length || strings.Trim(s, alphabet) != "" {
		return "", false
	}
	return s, true
}

// Grouped writes a code for people, with a hyphen between groups of size characters.
func Grouped(s string, size int) string {
	var groups []string
	for ; len(s) > size; s = s[size:] {
		groups = append(groups, s[:size])
	}
	return strings.Join(append(groups, s), "-")
}
