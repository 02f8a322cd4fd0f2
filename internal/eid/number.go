// Package eid holds what a Belgian eID card says about a person.
//
// It owns the national number, with its rules (royal decrees of 3 April 1984 and
// 8 February 1991), and the citizen. It refuses to know certificates (package
// trust), readers (package card) and stores. It guarantees that a national number
// cannot print itself: not by fmt, not by a log, not by an encoder, and not from
// inside an unexported field of another struct; Reveal is the only way out, so
// that a search for its callers finds every place where the number leaves.
package eid

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unique"
)

// NationalNumber is a number of the National Register, or a bis number of the
// Crossroads Bank for Social Security. Its zero value is no number. Two of them
// are the same person's where they are == to each other.
//
// The digits lie behind a unique.Handle: fmt, where it cannot call methods
// (unexported fields), sees a pointer and prints an address.
type NationalNumber struct{ h unique.Handle[string] }

// ErrNumber is returned for what is no national number. It never holds the input.
var ErrNumber = errors.New("no national number: eleven digits with matching check digits wanted")

// hidden stands wherever a number would print itself.
const hidden = "[national number]"

// ParseNationalNumber reads eleven digits, without points or spaces, and checks
// their checksum for both centuries. The date in it need not exist: month and day
// may be 00 (unknown, or the day's counter is used up), and specimen cards have
// impossible months. The counter of a day runs from 001 to 998 (royal decree of
// 3 April 1984, article 1): 000 and 999 are nobody's, and some specimen's.
func ParseNationalNumber(s string) (NationalNumber, error) {
	if len(s) != 11 || strings.Trim(s, "0123456789") != "" {
		return NationalNumber{}, ErrNumber
	}
	if _, ok := century(s); !ok || !counted(s) {
		return NationalNumber{}, ErrNumber
	}
	return NationalNumber{unique.Make(strings.Clone(s))}, nil
}

// century tells 1900 from 2000 by the check digits: 97 less the remainder of the
// first nine digits by 97, with a 2 before them for those born from 2000 on. The
// two never coincide, for 2·10⁹ is no multiple of 97.
func century(s string) (int, bool) {
	head, check := decimal(s[:9]), decimal(s[9:])
	switch check {
	case 97 - head%97:
		return 1900, true
	case 97 - (2_000_000_000+head)%97:
		return 2000, true
	}
	return 0, false
}

// counted says whether somebody may have the counter of s.
func counted(s string) bool {
	raw := decimal(s[2:4])
	specimen := raw > 52 || raw > 12 && raw < 20 || raw > 32 && raw < 40
	return specimen || s[6:9] != "000" && s[6:9] != "999"
}

func decimal(digits string) int {
	n := 0
	for _, c := range digits {
		n = 10*n + int(c-'0')
	}
	return n
}

// Reveal returns the eleven digits.
func (n NationalNumber) Reveal() string {
	if n.IsZero() {
		return ""
	}
	return n.h.Value()
}

// Masked shows which number it is to somebody who knows it, and tells nobody else more than
// the year: "85.••.••-•••.•5". It is for pages on which people compare.
func (n NationalNumber) Masked() string {
	if n.IsZero() {
		return ""
	}
	s := n.h.Value()
	return s[:2] + ".••.••-•••.•" + s[10:]
}

// IsZero says whether n is no number.
func (n NationalNumber) IsZero() bool { return n == NationalNumber{} }

// Bis says whether n is a bis number, of somebody not in the National Register:
// its month is raised by 40, or by 20 where the sex was unknown.
func (n NationalNumber) Bis() bool {
	if n.IsZero() {
		return false
	}
	_, raised := month(n.h.Value())
	return raised
}

// month returns the month of s, 0 where there is none, and whether it was raised.
func month(s string) (int, bool) {
	switch m := decimal(s[2:4]); {
	case m <= 12:
		return m, false
	case m >= 20 && m <= 32:
		return m - 20, true
	case m >= 40 && m <= 52:
		return m - 40, true
	}
	return 0, false
}

// BirthDate returns the day of birth at midnight UTC, and false where the number
// does not say it.
func (n NationalNumber) BirthDate() (time.Time, bool) {
	if n.IsZero() {
		return time.Time{}, false
	}
	s := n.h.Value()
	from, _ := century(s)
	m, _ := month(s)
	day := decimal(s[4:6])
	t := time.Date(from+decimal(s[:2]), time.Month(m), day, 0, 0, 0, 0, time.UTC)
	if m == 0 || t.Day() != day || t.Month() != time.Month(m) {
		return time.Time{}, false
	}
	return t, true
}

// Format keeps every verb of fmt from printing the digits.
func (n NationalNumber) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// String is for those who ask without fmt.
func (n NationalNumber) String() string { return hidden }

// MarshalText serves encoding/json, encoding/xml and TOML.
func (n NationalNumber) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText fails: there is no way back, a number is parsed where it enters.
func (n *NationalNumber) UnmarshalText([]byte) error {
	return errors.New("a national number is parsed by ParseNationalNumber, not decoded")
}

// LogValue implements slog.LogValuer.
func (n NationalNumber) LogValue() slog.Value { return slog.StringValue(hidden) }
