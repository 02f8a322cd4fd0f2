// Package secret owns the provider's one secret outside the database.
//
// A file of 32 random bytes, readable by its owner alone, is the root from which
// every other key of the provider is derived (HKDF-SHA256, RFC 5869), one for
// each purpose: the look-up of a national number, pairwise subjects, and what is
// sealed at rest (persons, sessions, signing keys). A copy of the database alone
// therefore names nobody and signs nothing. The package refuses to know what is
// sealed. It guarantees that two purposes never share a key, that sealed data
// opens only under the purpose and the context it was sealed for, and that a
// Master cannot print itself.
package secret

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const size = 32 // bytes

// Master is the root secret.
type Master struct{ key func() [size]byte } // fmt sees the address of a function, never the bytes

// New returns the Master of these 32 bytes.
func New(key []byte) (*Master, error) {
	if len(key) != size {
		return nil, fmt.Errorf("secret: %d bytes, not %d", len(key), size)
	}
	kept := [size]byte(key)
	return &Master{key: func() [size]byte { return kept }}, nil
}

// Open reads the file at path (64 hexadecimal digits) and makes it where it is
// missing. A file that others may read is refused: whoever holds it can tell
// which national number is which subject.
func Open(path string) (*Master, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("secret: %s may be read by others (mode %v); chmod 600 it", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil, fmt.Errorf("secret: %s does not hold %d hexadecimal digits", path, 2*size)
	}
	return New(key)
}

func create(path string) (*Master, error) {
	key := make([]byte, size)
	rand.Read(key)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return Open(path) // another process was quicker
	}
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return New(key)
}

// String keeps logs readable.
func (Master) String() string { return "[secret]" }

func (m *Master) derive(p string) []byte {
	root := m.key()
	key, err := hkdf.Key(sha256.New, root[:], nil, "belfry idp "+p, size)
	if err != nil {
		panic(err) // only a length beyond 255 hashes fails
	}
	return key
}

// MAC is a keyed hash for one purpose.
type MAC struct{ key []byte }

// MAC returns the keyed hash of this purpose.
func (m *Master) MAC(purpose string) MAC { return MAC{m.derive("mac " + purpose)} }

// Sum is HMAC-SHA256 over the parts; each is preceded by its length, so that
// ("ab","c") and ("a","bc") differ.
func (k MAC) Sum(parts ...string) []byte {
	h := hmac.New(sha256.New, k.key)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		io.WriteString(h, p)
	}
	return h.Sum(nil)
}

// Sealer encrypts and authenticates for one purpose.
type Sealer struct{ aead cipher.AEAD }

// Sealer returns the Sealer of this purpose (AES-256-GCM with random nonces).
func (m *Master) Sealer(purpose string) Sealer {
	block, err := aes.NewCipher(m.derive("seal " + purpose))
	if err != nil {
		panic(err) // the key has the right length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return Sealer{aead}
}

// Seal encrypts plain; the same context must be given to open it.
func (s Sealer) Seal(plain []byte, context string) []byte {
	return s.aead.Seal(nil, nil, plain, []byte(context))
}

// Open decrypts what Seal made, and fails where a byte or the context differs.
func (s Sealer) Open(sealed []byte, context string) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(context))
	if err != nil {
		return nil, errors.New("secret: sealed under another key or for another place")
	}
	return plain, nil
}
