package blob

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
)

// Digest is the SHA-256 of a blob's bytes, by which it is found. The zero Digest names none.
type Digest [sha256.Size]byte

// Sum is the Digest of data.
func Sum(data []byte) Digest { return sha256.Sum256(data) }

// ParseDigest reads what String writes: 64 lower-case hexadecimal digits.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if b, err := hex.DecodeString(s); err != nil || len(b) != len(d) || hex.EncodeToString(b) != s {
		return Digest{}, fmt.Errorf("blob: %q is no digest: 64 lower-case hexadecimal digits", s)
	} else {
		copy(d[:], b)
	}
	return d, nil
}

// String is the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero says whether d names no blob.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText writes the digest as String does, so that JSON has it in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDigest(string(text))
	return err
}

// Value stores the digest as text; the zero Digest as the empty text.
func (d Digest) Value() (driver.Value, error) {
	if d.IsZero() {
		return "", nil
	}
	return d.String(), nil
}

// Scan reads what Value stores; NULL is the zero Digest too.
func (d *Digest) Scan(src any) (err error) {
	var s string
	switch v := src.(type) {
	case nil:
	case string:
		s = v
	case []byte:
		s = string(v)
	default:
		return fmt.Errorf("blob: a digest cannot be read from %T", src)
	}
	if s == "" {
		*d = Digest{}
		return nil
	}
	*d, err = ParseDigest(s)
	return err
}
