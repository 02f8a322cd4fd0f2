package fas

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // OAEP's default hash; as a mask it need not resist collisions
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/beevik/etree"
)

// contentCiphers are the key sizes of content encryption; true means GCM.
var contentCiphers = map[string]struct {
	size int
	gcm  bool
}{
	"http://www.w3.org/2009/xmlenc11#aes128-gcm":  {16, true},
	"http://www.w3.org/2009/xmlenc11#aes192-gcm":  {24, true},
	"http://www.w3.org/2009/xmlenc11#aes256-gcm":  {32, true},
	"http://www.w3.org/2001/04/xmlenc#aes128-cbc": {16, false},
	"http://www.w3.org/2001/04/xmlenc#aes192-cbc": {24, false},
	"http://www.w3.org/2001/04/xmlenc#aes256-cbc": {32, false},
}

// Key transport.
const (
	oaepMGF1  = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
	oaep      = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
	transport = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"
)

const nsEncrypted11 = "http://www.w3.org/2009/xmlenc11#"

var oaepHashes = map[string]crypto.Hash{
	"": crypto.SHA1, "http://www.w3.org/2000/09/xmldsig#sha1": crypto.SHA1, "http://www.w3.org/2001/04/xmlenc#sha256": crypto.SHA256,
	"http://www.w3.org/2001/04/xmldsig-more#sha384": crypto.SHA384, "http://www.w3.org/2001/04/xmlenc#sha512": crypto.SHA512,
}

var maskHashes = map[string]crypto.Hash{
	"": crypto.SHA1, nsEncrypted11 + "mgf1sha1": crypto.SHA1, nsEncrypted11 + "mgf1sha256": crypto.SHA256,
	nsEncrypted11 + "mgf1sha384": crypto.SHA384, nsEncrypted11 + "mgf1sha512": crypto.SHA512,
}

// errDecrypt is the only thing said of a message that cannot be decrypted.
var errDecrypt = errors.New("it cannot be decrypted")

// decrypt returns the bytes inside an EncryptedAssertion (xmlenc-core1, §4.4).
func (a *Agreement) decrypt(e *etree.Element) ([]byte, error) {
	data, err := only(e, nsEncrypted, "EncryptedData")
	if err != nil {
		return nil, err
	}
	key, err := encryptedKey(e, data)
	if err != nil {
		return nil, err
	}
	how, err := methodOf(data)
	if err != nil {
		return nil, err
	}
	kind, known := contentCiphers[value(how, "Algorithm")]
	if !known || !kind.gcm && !a.allows(CBC) {
		return nil, errAlgorithm
	}
	options, err := a.transportOf(key, kind.size)
	if err != nil {
		return nil, err
	}
	wrapped, err := cipherValue(key)
	if err != nil {
		return nil, err
	}
	sealed, err := cipherValue(data)
	if err != nil {
		return nil, err
	}
	for _, k := range a.Encryption {
		secret, err := k.Signer.(crypto.Decrypter).Decrypt(rand.Reader, wrapped, options)
		if err != nil || len(secret) != kind.size {
			continue
		}
		if plain, err := open(secret, sealed, kind.gcm); err == nil {
			return plain, nil
		}
	}
	return nil, errDecrypt
}

// encryptedKey lies in the data's KeyInfo or beside the data; there must be one.
func encryptedKey(e, data *etree.Element) (*etree.Element, error) {
	list := children(e, nsEncrypted, "EncryptedKey")
	for _, info := range children(data, nsSignature, "KeyInfo") {
		list = append(list, children(info, nsEncrypted, "EncryptedKey")...)
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("%d encrypted keys: %w", len(list), errShape)
	}
	return list[0], nil
}

func methodOf(e *etree.Element) (*etree.Element, error) {
	return only(e, nsEncrypted, "EncryptionMethod")
}

// transportOf are the options by which a key is unwrapped.
func (a *Agreement) transportOf(key *etree.Element, size int) (crypto.DecrypterOpts, error) {
	how, err := methodOf(key)
	if err != nil {
		return nil, err
	}
	var hash, mask string
	for _, d := range children(how, nsSignature, "DigestMethod") {
		hash = value(d, "Algorithm")
	}
	for _, m := range children(how, nsEncrypted11, "MGF") {
		mask = value(m, "Algorithm")
	}
	switch value(how, "Algorithm") {
	case oaepMGF1:
		mask = ""
	case oaep:
	case transport:
		if a.allows(RSA15) {
			//lint:ignore SA1019 an exception in writing; a wrong padding yields a random key, as a right one of another message would
			return &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size}, nil
		}
		return nil, errAlgorithm
	default:
		return nil, errAlgorithm
	}
	h, knownHash := oaepHashes[hash]
	m, knownMask := maskHashes[mask]
	if !knownHash || !knownMask {
		return nil, errAlgorithm
	}
	return &rsa.OAEPOptions{Hash: h, MGFHash: m}, nil
}

func cipherValue(e *etree.Element) ([]byte, error) {
	data, err := only(e, nsEncrypted, "CipherData")
	if err != nil {
		return nil, err
	}
	inside, err := only(data, nsEncrypted, "CipherValue")
	if err != nil {
		return nil, err
	}
	s, err := text(inside)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}

func open(secret, sealed []byte, gcm bool) ([]byte, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	if gcm {
		aead, err := cipher.NewGCM(block)
		if err != nil || len(sealed) < aead.NonceSize() {
			return nil, errDecrypt
		}
		return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	}
	if len(sealed) < 2*aes.BlockSize || len(sealed)%aes.BlockSize != 0 {
		return nil, errDecrypt
	}
	plain := make([]byte, len(sealed)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, sealed[:aes.BlockSize]).CryptBlocks(plain, sealed[aes.BlockSize:])
	padding := int(plain[len(plain)-1]) // only the last byte counts (xmlenc-core1 §5.2)
	if padding < 1 || padding > aes.BlockSize {
		return nil, errDecrypt
	}
	return plain[:len(plain)-padding], nil
}
