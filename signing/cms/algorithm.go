package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// algorithm says how a signature was made; nil is PKCS #1 v1.5 or ECDSA, as the key is.
type algorithm interface{ isAlgorithm() }

type pkcs1 struct{}
type ecdsaOnly struct{}
type pss struct{ salt int }

func (pkcs1) isAlgorithm()     {}
func (ecdsaOnly) isAlgorithm() {}
func (pss) isAlgorithm()       {}

// hashOf reads the inside of a digest's AlgorithmIdentifier.
func hashOf(in cryptobyte.String) (crypto.Hash, error) {
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1ObjectIdentifier(&oid) || !emptyOrNull(in) {
		return 0, ErrMalformed
	}
	switch {
	case oid.Equal(oidSHA256):
		return crypto.SHA256, nil
	case oid.Equal(oidSHA384):
		return crypto.SHA384, nil
	case oid.Equal(oidSHA512):
		return crypto.SHA512, nil
	case oid.Equal(oidSHA1):
		return 0, fmt.Errorf("%w: SHA-1", ErrWeak)
	}
	return 0, fmt.Errorf("%w: digest %v", ErrUnsupported, oid)
}

func emptyOrNull(in cryptobyte.String) bool {
	var null cryptobyte.String
	return in.Empty() || (in.ReadASN1(&null, cbasn1.NULL) && null.Empty() && in.Empty())
}

// parseAlgorithm reads the inside of a signature's AlgorithmIdentifier, whose hash must be that of the digest.
func parseAlgorithm(in cryptobyte.String, hash crypto.Hash) (algorithm, error) {
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1ObjectIdentifier(&oid) {
		return nil, ErrMalformed
	}
	own := map[string]crypto.Hash{
		oidRSAWithSHA256.String(): crypto.SHA256, oidRSAWithSHA384.String(): crypto.SHA384, oidRSAWithSHA512.String(): crypto.SHA512,
		oidECDSAWithSHA256.String(): crypto.SHA256, oidECDSAWithSHA384.String(): crypto.SHA384, oidECDSAWithSHA512.String(): crypto.SHA512,
	}
	if h, ok := own[oid.String()]; ok && h != hash {
		return nil, fmt.Errorf("%w: digest and signature have different hashes", ErrUnsupported)
	}
	switch {
	case oid.Equal(oidRSAPSS):
		return parsePSS(in, hash)
	case !emptyOrNull(in):
		return nil, ErrMalformed
	case oid.Equal(oidRSA), oid.Equal(oidRSAWithSHA256), oid.Equal(oidRSAWithSHA384), oid.Equal(oidRSAWithSHA512):
		return pkcs1{}, nil
	case oid.Equal(oidECDSAWithSHA256), oid.Equal(oidECDSAWithSHA384), oid.Equal(oidECDSAWithSHA512):
		return ecdsaOnly{}, nil
	}
	return nil, fmt.Errorf("%w: signature %v", ErrUnsupported, oid)
}

// parsePSS reads RSASSA-PSS-params (RFC 4055) and wants one hash throughout.
func parsePSS(in cryptobyte.String, hash crypto.Hash) (algorithm, error) {
	var params, h, digest, m, mgf, inner cryptobyte.String
	var hasHash, hasMGF bool
	if !in.ReadASN1(&params, cbasn1.SEQUENCE) || !params.ReadOptionalASN1(&h, &hasHash, tagged(0)) || !params.ReadOptionalASN1(&m, &hasMGF, tagged(1)) {
		return nil, ErrMalformed
	}
	if !hasHash || !hasMGF {
		return nil, fmt.Errorf("%w: PSS with SHA-1", ErrWeak)
	}
	var salt int
	if !h.ReadASN1(&digest, cbasn1.SEQUENCE) || !m.ReadASN1(&mgf, cbasn1.SEQUENCE) || !readOID(&mgf, oidMGF1) || !mgf.ReadASN1(&inner, cbasn1.SEQUENCE) ||
		!params.ReadOptionalASN1Integer(&salt, tagged(2), 20) {
		return nil, ErrMalformed
	}
	one, err := hashOf(digest)
	if err != nil {
		return nil, err
	}
	two, err := hashOf(inner)
	if err != nil {
		return nil, err
	}
	if one != hash || two != hash || salt < 0 || salt > 512 {
		return nil, fmt.Errorf("%w: PSS with different hashes", ErrUnsupported)
	}
	return pss{salt}, nil
}

func verifyDigest(key crypto.PublicKey, hash crypto.Hash, how algorithm, digest, signature []byte) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return fmt.Errorf("%w: RSA of %d bits", ErrWeak, k.N.BitLen())
		}
		if k.N.BitLen() > 16384 { // costs seconds, proves no more
			return fmt.Errorf("%w: RSA of %d bits", ErrUnsupported, k.N.BitLen())
		}
		switch how := how.(type) {
		case nil, pkcs1:
			if rsa.VerifyPKCS1v15(k, hash, digest, signature) != nil {
				return ErrSignature
			}
			return nil
		case pss:
			if rsa.VerifyPSS(k, hash, digest, signature, &rsa.PSSOptions{SaltLength: how.salt, Hash: hash}) != nil {
				return ErrSignature
			}
			return nil
		}
	case *ecdsa.PublicKey:
		switch how.(type) {
		case nil, ecdsaOnly:
			if !ecdsa.VerifyASN1(k, digest, signature) {
				return ErrSignature
			}
			return nil
		}
	default:
		return fmt.Errorf("%w: key %T", ErrUnsupported, key)
	}
	return fmt.Errorf("%w: the algorithm does not fit the key", ErrSignature)
}
