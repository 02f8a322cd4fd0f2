package p11

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"unsafe"
)

// PIN is a secret number or word that opens a token. It cannot print itself: fmt,
// slog, JSON and text all show "[PIN]". Copies share one secret, so that wiping one wipes all.
// The zero PIN means "none": a token with a keypad or a dialog of its own asks for it.
type PIN struct{ s *secret }

// secret keeps the digits behind a pointer, so that %+v of a struct with a PIN in an
// unexported field shows an address.
type secret struct{ b []byte }

const redactedPIN = "[PIN]"

// NewPIN copies b; the caller wipes its own copy.
func NewPIN(b []byte) PIN {
	if len(b) == 0 {
		return PIN{}
	}
	return PIN{&secret{bytes.Clone(b)}}
}

// ParsePIN is NewPIN for a value that is a string already, such as one from a form.
func ParsePIN(s string) PIN { return NewPIN([]byte(s)) }

// ReadPINFile reads a PIN from a file that nobody but its owner may read (threat T9).
// One line end is cut off; the rest is the PIN.
func ReadPINFile(path string) (PIN, error) {
	f, err := os.Open(path)
	if err != nil {
		return PIN{}, fmt.Errorf("PIN file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return PIN{}, fmt.Errorf("PIN file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return PIN{}, fmt.Errorf("PIN file %s: its mode is %#o, others than its owner may read it; make it 0400", path, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, 257))
	if err != nil {
		return PIN{}, fmt.Errorf("PIN file: %w", err)
	}
	defer clear(b)
	cut := bytes.TrimRight(b, "\r\n")
	if len(cut) == 0 || len(cut) > 255 {
		return PIN{}, fmt.Errorf("PIN file %s: 1 to 255 bytes expected", path)
	}
	return NewPIN(cut), nil
}

// IsZero says whether there is no PIN, or none any more.
func (p PIN) IsZero() bool { return p.s == nil || len(p.s.b) == 0 }

// Len is the number of bytes.
func (p PIN) Len() int {
	if p.s == nil {
		return 0
	}
	return len(p.s.b)
}

// Wipe overwrites the secret. The PIN and all its copies are zero afterwards.
func (p PIN) Wipe() {
	if p.s != nil {
		clear(p.s.b)
		p.s.b = nil
	}
}

// clone is a second secret, to outlive a Wipe of the first.
func (p PIN) clone() PIN {
	if p.IsZero() {
		return PIN{}
	}
	return NewPIN(p.s.b)
}

// reveal is the PIN for the C library, without another copy on Go's heap. The binding
// copies it into C memory and frees that without clearing it; this is beyond our reach.
func (p PIN) reveal() string {
	if p.IsZero() {
		return ""
	}
	return unsafe.String(&p.s.b[0], len(p.s.b))
}

func (p PIN) Format(f fmt.State, _ rune)   { io.WriteString(f, redactedPIN) }
func (p PIN) String() string               { return redactedPIN }
func (p PIN) GoString() string             { return redactedPIN }
func (p PIN) LogValue() slog.Value         { return slog.StringValue(redactedPIN) }
func (p PIN) MarshalText() ([]byte, error) { return nil, errors.New("a PIN is never written out") }
func (p PIN) MarshalJSON() ([]byte, error) { return nil, errors.New("a PIN is never written out") }

// pinMark recognises the PIN a token was opened with, so that a second opener in this
// process must know it too, without spending a try of the token.
type pinMark struct{ key, sum []byte }

func markPIN(p PIN) pinMark {
	m := pinMark{key: make([]byte, 32)}
	rand.Read(m.key)
	m.sum = m.of(p)
	return m
}

func (m pinMark) of(p PIN) []byte {
	h := hmac.New(sha256.New, m.key)
	if !p.IsZero() {
		h.Write(p.s.b)
	}
	return h.Sum(nil)
}

func (m pinMark) matches(p PIN) bool { return hmac.Equal(m.sum, m.of(p)) }
