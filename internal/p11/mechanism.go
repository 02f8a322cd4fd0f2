package p11

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"
)

// hashes are those a signature may use. SHA-1 is not among them.
var hashes = map[crypto.Hash]struct {
	prefix         []byte // of DigestInfo, RFC 8017 §9.2 note 1
	mechanism, mgf uint
}{
	crypto.SHA256: {[]byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}, pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256},
	crypto.SHA384: {[]byte{0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30}, pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384},
	crypto.SHA512: {[]byte{0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40}, pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512},
}

// prepare chooses mechanisms that exist in every module: CKM_ECDSA over the digest,
// CKM_RSA_PKCS over a DigestInfo, CKM_RSA_PKCS_PSS over the digest.
func (k *Key) prepare(digest []byte, opts crypto.SignerOpts) (*pkcs11.Mechanism, []byte, error) {
	h := opts.HashFunc()
	known, ok := hashes[h]
	if !ok {
		return nil, nil, fmt.Errorf("%w: sign with hash %v", ErrUnsupported, h)
	}
	if len(digest) != h.Size() {
		return nil, nil, fmt.Errorf("a digest of %d bytes is none of %v", len(digest), h)
	}
	switch pub := k.public.(type) {
	case *ecdsa.PublicKey:
		// FIPS 186-5 §6.4.1: the leftmost bits; modules differ in whether they cut by themselves.
		if n := (pub.Curve.Params().N.BitLen() + 7) / 8; len(digest) > n {
			digest = digest[:n]
		}
		return pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), digest, nil
	case *rsa.PublicKey:
		pss, ok := opts.(*rsa.PSSOptions)
		if !ok {
			return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), append(append([]byte{}, known.prefix...), digest...), nil
		}
		salt := pss.SaltLength
		if salt == rsa.PSSSaltLengthAuto || salt == rsa.PSSSaltLengthEqualsHash {
			salt = h.Size() // RFC 7518 §3.5 and every PAdES profile
		}
		return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, pkcs11.NewPSSParams(known.mechanism, known.mgf, uint(salt))), digest, nil
	}
	return nil, nil, fmt.Errorf("%w: key of type %T", ErrUnsupported, k.public)
}

// derSignature turns the r‖s of PKCS#11 into the Ecdsa-Sig-Value of RFC 3279 §2.2.3.
func derSignature(rs []byte) ([]byte, error) {
	if len(rs) == 0 || len(rs)%2 != 0 {
		return nil, fmt.Errorf("an ECDSA signature of %d bytes", len(rs))
	}
	n := len(rs) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(rs[:n]), new(big.Int).SetBytes(rs[n:])})
}
