package p11

import (
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/miekg/pkcs11"
)

var _ crypto.Decrypter = (*Key)(nil)

// oaepHashes are those OAEP may be made with. SHA-1 is sound there: neither as a mask nor
// over a label must it resist collisions.
var oaepHashes = map[crypto.Hash]struct{ mechanism, mgf uint }{
	crypto.SHA1:   {pkcs11.CKM_SHA_1, pkcs11.CKG_MGF1_SHA1},
	crypto.SHA256: {pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256},
	crypto.SHA384: {pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384},
	crypto.SHA512: {pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512},
}

// errDecrypt is all that is said of a cipher text that does not open: more would tell a
// stranger how near it came (Manger, CRYPTO 2001).
var errDecrypt = errors.New("it cannot be decrypted")

// Decrypt opens what was encrypted to an RSA key by RSAES-OAEP (RFC 8017 §7.1.2); opts
// is *rsa.OAEPOptions. Where the module does not know the hashes, the raw operation of
// the token is used and the padding taken off here.
func (k *Key) Decrypt(_ io.Reader, sealed []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	public, isRSA := k.public.(*rsa.PublicKey)
	o, ok := opts.(*rsa.OAEPOptions)
	if !ok || !isRSA {
		return nil, fmt.Errorf("%w: decrypt with %T and a key of type %T", ErrUnsupported, opts, k.public)
	}
	mask := o.MGFHash
	if mask == 0 {
		mask = o.Hash
	}
	if len(sealed) != public.Size() {
		return nil, errDecrypt
	}
	hash, known1 := oaepHashes[o.Hash]
	mgf, known2 := oaepHashes[mask]
	if known1 && known2 && len(o.Label) == 0 { // some modules take a label and do not look at it
		params := pkcs11.NewOAEPParams(hash.mechanism, mgf.mgf, pkcs11.CKZ_DATA_SPECIFIED, nil)
		plain, err := k.open(pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_OAEP, params), sealed)
		if err == nil || !unknownParameters(err) {
			return plain, err
		}
	}
	em, err := k.open(pkcs11.NewMechanism(pkcs11.CKM_RSA_X_509, nil), sealed)
	if err != nil {
		return nil, err
	}
	return unpad(em, public.Size(), o.Hash, mask, o.Label)
}

// unknownParameters says whether a module does not take the hashes it was given.
func unknownParameters(err error) bool {
	for _, code := range []uint{pkcs11.CKR_MECHANISM_PARAM_INVALID, pkcs11.CKR_ARGUMENTS_BAD, pkcs11.CKR_MECHANISM_INVALID} {
		if isCode(err, code) {
			return true
		}
	}
	return false
}

func (k *Key) open(mechanism *pkcs11.Mechanism, sealed []byte) (plain []byte, err error) {
	t := k.token
	err = t.with(func(s *session) error {
		o, err := t.key(s, k.label)
		if err != nil {
			return err
		}
		if err := t.lib.ctx.DecryptInit(s.h, []*pkcs11.Mechanism{mechanism}, o); err != nil {
			return callError("C_DecryptInit", err)
		}
		if k.always {
			if err := t.authenticate(s); err != nil {
				return err
			}
		}
		plain, err = t.lib.ctx.Decrypt(s.h, sealed)
		if isCode(err, pkcs11.CKR_ENCRYPTED_DATA_INVALID) || isCode(err, pkcs11.CKR_ENCRYPTED_DATA_LEN_RANGE) {
			return errDecrypt
		}
		return callError("C_Decrypt", err)
	})
	return plain, err
}

// unpad takes the OAEP padding off a decrypted block (RFC 8017 §7.1.2 step 3). Which of
// its conditions fails shows neither in the error nor in the time.
func unpad(em []byte, size int, hash, mask crypto.Hash, label []byte) ([]byte, error) {
	if !hash.Available() || !mask.Available() || len(em) > size || size < 2*hash.Size()+2 {
		return nil, errDecrypt
	}
	block := make([]byte, size)
	copy(block[size-len(em):], em) // modules may leave out leading zeros
	h := hash.New()
	h.Write(label)
	want := h.Sum(nil)
	seed, db := block[1:1+hash.Size()], block[1+hash.Size():]
	xorMask(seed, db, mask)
	xorMask(db, seed, mask)
	good := subtle.ConstantTimeByteEq(block[0], 0) & subtle.ConstantTimeCompare(db[:len(want)], want)
	rest := db[len(want):]
	looking, index := 1, 0
	for i, b := range rest {
		one, zero := subtle.ConstantTimeByteEq(b, 1), subtle.ConstantTimeByteEq(b, 0)
		index = subtle.ConstantTimeSelect(looking&one, i, index)
		good &= subtle.ConstantTimeSelect(looking, one|zero, 1)
		looking = subtle.ConstantTimeSelect(one, 0, looking)
	}
	if good&(1-looking) != 1 {
		return nil, errDecrypt
	}
	return rest[index+1:], nil
}

// xorMask masks out by MGF1 of seed (RFC 8017 appendix B.2.1).
func xorMask(out, seed []byte, mask crypto.Hash) {
	h := mask.New()
	for counter := uint32(0); len(out) > 0; counter++ {
		h.Reset()
		h.Write(seed)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		out = out[subtle.XORBytes(out, out, h.Sum(nil)):]
	}
}
