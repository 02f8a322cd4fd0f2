package orders

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/belfry-eid/belfry/internal/code"
)

// Number is a paper's number within its commune: year and counter, "2026-000123".
type Number string

func numberOf(year int, counter int64) Number { return Number(fmt.Sprintf("%04d-%06d", year, counter)) }

var typedNumber = regexp.MustCompile(`^([0-9]{4})[ -]*([0-9]{1,9})$`)

// ParseNumber reads a number as people type it: spaces about it, zeros left out.
func ParseNumber(s string) (Number, bool) {
	m := typedNumber.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return "", false
	}
	year, err1 := strconv.Atoi(m[1])
	counter, err2 := strconv.ParseInt(m[2], 10, 64)
	if err1 != nil || err2 != nil || counter == 0 {
		return "", false
	}
	return numberOf(year, counter), true
}

const (
	codeLength      = 10 // 50 bits: with a limit on tries, not to be guessed (T18)
	referenceLength = 8
)

// grouped puts a hyphen in the middle, for reading.
func grouped(s string) string { return code.Grouped(s, len(s)/2) }

// ParseCode reads a check code as people type it: lower case, spaces, hyphens.
func ParseCode(s string) (string, bool) { return code.Parse(s, codeLength) }

// NewKey makes the key of a form: 128 random bits.
func NewKey() string { return newToken() }

func newToken() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

var tokenShape = regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`)
