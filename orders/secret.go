package orders

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
)

// vault keeps national numbers. Each commune has two keys of its own, derived from
// the install's secret (HKDF-SHA256, RFC 5869): one seals the number, the other
// makes a name of it by which the same person is known again.
type vault struct{ secret []byte }

func newVault(secret []byte) (vault, error) {
	if len(secret) < 32 {
		return vault{}, errors.New("orders: the secret has fewer than 32 bytes")
	}
	return vault{append([]byte(nil), secret...)}, nil
}

func (v vault) key(use string, c commune.ID) ([]byte, error) {
	return hkdf.Key(sha256.New, v.secret, nil, "belfry orders "+use+" "+string(c), 32)
}

func (v vault) aead(c commune.ID) (cipher.AEAD, error) { return v.aeadFor("number", c) }

func (v vault) aeadFor(use string, c commune.ID) (cipher.AEAD, error) {
	key, err := v.key(use, c)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal is the number of one order; it opens for that order only.
func (v vault) seal(c commune.ID, order string, n eid.NationalNumber) ([]byte, error) {
	aead, err := v.aead(c)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, []byte(n.Reveal()), []byte(string(c)+"/"+order)), nil
}

func (v vault) open(c commune.ID, order string, sealed []byte) (eid.NationalNumber, error) {
	aead, err := v.aead(c)
	if err != nil {
		return eid.NationalNumber{}, err
	}
	digits, err := aead.Open(nil, nil, sealed, []byte(string(c)+"/"+order))
	if err != nil {
		return eid.NationalNumber{}, errors.New("the national number of this order does not open: another secret, or a changed row")
	}
	return eid.ParseNationalNumber(string(digits))
}

// sealText seals what somebody typed, under a key of its own for each use; it opens at its
// place only.
func (v vault) sealText(c commune.ID, use, place string, plain []byte) ([]byte, error) {
	aead, err := v.aeadFor(use, c)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, []byte(string(c)+"/"+place)), nil
}

func (v vault) openText(c commune.ID, use, place string, sealed []byte) ([]byte, error) {
	aead, err := v.aeadFor(use, c)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, []byte(string(c)+"/"+place))
	if err != nil {
		return nil, errors.New("it does not open: another secret, or a changed row")
	}
	return plain, nil
}

// numberless begins the name of somebody who is known by their subject only.
const numberless = "s:"

// person names somebody within one commune: by the number, or by the subject where there
// is none.
func (v vault) person(c commune.ID, n eid.NationalNumber, subject string) (string, error) {
	if n.IsZero() && subject == "" {
		return "", nil
	}
	if n.IsZero() { // eleven digits are no subject behind a zero byte
		mac, err := v.mac(c, "\x00"+subject)
		return numberless + mac, err
	}
	return v.mac(c, n.Reveal())
}

func (v vault) mac(c commune.ID, text string) (string, error) { return v.macFor("person", c, text) }

// macFor is a name of text within a commune, another one for each use.
func (v vault) macFor(use string, c commune.ID, text string) (string, error) {
	key, err := v.key(use, c)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil)), nil
}
