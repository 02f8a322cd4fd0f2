package p11_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"
	"crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"testing"

	"github.com/belfry-eid/belfry/internal/p11"
)

// What Go encrypts the token opens, whatever hashes were taken, and what is not whole it
// does not.
func TestDecrypt(t *testing.T) {
	tok := token(t, module(t), "opens")
	public, err := tok.GenerateKey("k", p11.RSA2048, p11.Decrypting())
	if err != nil {
		t.Fatal(err)
	}
	k, err := tok.Signer("k")
	if err != nil {
		t.Fatal(err)
	}
	secret := bytes.Repeat([]byte{7}, 32)
	hashes := []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512}
	for _, hash := range hashes {
		for _, mask := range hashes {
			for _, label := range [][]byte{nil, []byte("label")} {
				o := &rsa.OAEPOptions{Hash: hash, MGFHash: mask, Label: label}
				sealed, err := rsa.EncryptOAEPWithOptions(rand.Reader, public.(*rsa.PublicKey), secret, o)
				if err != nil {
					t.Fatal(err)
				}
				plain, err := k.Decrypt(nil, sealed, o)
				if err != nil || !bytes.Equal(plain, secret) {
					t.Errorf("%v, mask %v: %x, %v", hash, mask, plain, err)
				}
				for name, bent := range map[string][]byte{"changed": changed(sealed), "cut": sealed[1:], "empty": nil} {
					if plain, err := k.Decrypt(nil, bent, o); err == nil {
						t.Errorf("%v, mask %v, %s: it was opened to %x", hash, mask, name, plain)
					}
				}
				other := *o
				other.Label = []byte("another")
				if _, err := k.Decrypt(nil, sealed, &other); err == nil {
					t.Errorf("%v, mask %v: another label opens it", hash, mask)
				}
			}
		}
	}
	//lint:ignore SA1019 that it is refused is what is tested
	if _, err := k.Decrypt(nil, make([]byte, 256), &rsa.PKCS1v15DecryptOptions{}); !errors.Is(err, p11.ErrUnsupported) {
		t.Errorf("PKCS #1 v1.5: %v", err)
	}
	digest := sha256.Sum256(nil)
	if _, err := k.Sign(nil, digest[:], crypto.SHA256); err == nil {
		t.Error("a key that decrypts signed")
	}
}

func changed(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}
