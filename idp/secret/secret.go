// Package secret derives the provider's keys from the install's one secret.
//
// The secret lies in a file outside the database; from it every key of the
// provider is derived (HKDF-SHA256, RFC 5869), one for each purpose: the look-up
// of a national number, pairwise subjects, and what is sealed at rest (persons,
// sessions, signing keys). A copy of the database alone therefore names nobody
// and signs nothing. The package refuses to know the file and what is sealed. It
// guarantees that two purposes never share a key, that sealed data opens only under
// the purpose and the context it was sealed for, and that a Master cannot print itself.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
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
