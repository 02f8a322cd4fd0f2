package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

const hash = crypto.SHA256 // of thumbprints

// rsaBits is what RS256 and PS256 keys have: more would make each sign-in dearer.
const rsaBits = 2048

func generate(alg jose.SignatureAlgorithm) (crypto.Signer, error) {
	switch alg {
	case jose.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.RS256, jose.PS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case jose.EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("no keys are made for %s", alg)
}

func marshal(private crypto.Signer) ([]byte, error) { return x509.MarshalPKCS8PrivateKey(private) }

func unmarshal(der []byte) (crypto.Signer, error) {
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	private, ok := k.(crypto.Signer)
	if !ok {
		return nil, errors.New("no private key that signs")
	}
	return private, nil
}

// HalfHash is at_hash: the left half of the hash of the algorithm over the access
// token (OpenID Connect Core 1.0 §3.1.3.6).
func HalfHash(alg jose.SignatureAlgorithm, accessToken string) string {
	if alg == jose.EdDSA { // Ed25519 hashes with SHA-512
		sum := sha512.Sum512([]byte(accessToken))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
