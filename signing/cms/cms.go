// Package cms builds and checks the signatures inside a PDF and a time stamp.
//
// It owns CMS SignedData (RFC 5652) with one signer, in the profile that
// ETSI EN 319 122-1 and EN 319 142-1 clause 5 give it. It refuses to know PDF,
// keys and trust: a caller signs the digest wherever its key is, in this process
// or elsewhere, and decides which certificates it believes. It guarantees that
// what it builds is DER, that the same inputs give the same bytes, and that
// foreign bytes never panic it.
//
// Building is split in two: Prepare makes the attributes to be signed, Assemble
// joins a signature to them, perhaps days later on another machine.
package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	_ "crypto/sha512" // SHA-384 and SHA-512 for crypto.Hash.New

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

	oidContentType          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	oidSigningCertificate   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidSignatureTimeStamp   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}

	oidRevocationInfo = asn1.ObjectIdentifier{1, 2, 840, 113583, 1, 1, 8}

	oidSHA1   = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}

	oidRSA             = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidRSAWithSHA256   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidRSAWithSHA384   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}
	oidRSAWithSHA512   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}
	oidRSAPSS          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF1            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSAWithSHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	oidECDSAWithSHA512 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}
)

// HashFor is the hash that Prepare uses with a public key: SHA-256 for RSA of at
// least 2048 bits and P-256, SHA-384 for P-384, SHA-512 for P-521. Other keys are
// refused: not every reader verifies them.
func HashFor(key crypto.PublicKey) (crypto.Hash, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= 2048 {
			return crypto.SHA256, nil
		}
		return 0, fmt.Errorf("cms: an RSA key of %d bits is too weak", k.N.BitLen())
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return crypto.SHA256, nil
		case elliptic.P384():
			return crypto.SHA384, nil
		case elliptic.P521():
			return crypto.SHA512, nil
		}
	}
	return 0, fmt.Errorf("cms: no signature with a %T of this size", key)
}

// Unsigned is a signature that only lacks the key's answer. It can be stored
// and carried elsewhere: all of it is public.
type Unsigned struct {
	Hash       crypto.Hash
	Chain      []*x509.Certificate // the signer's first
	Attributes []byte              // DER of the SET OF attributes, which is what the key signs
	PSS        bool                // an RSA key signs with RSASSA-PSS (RFC 8017, 8.1), not PKCS #1 v1.5
}

// Prepare makes the signed attributes over a content's digest, which must have
// been computed with HashFor the key of chain[0]: content type, message digest
// and signing certificate (v2, with issuer and serial). There is no signing
// time: EN 319 142-1 has it in the PDF's signature dictionary.
func Prepare(digest []byte, chain []*x509.Certificate) (*Unsigned, error) {
	if len(chain) == 0 {
		return nil, errors.New("cms: no certificate")
	}
	hash, err := HashFor(chain[0].PublicKey)
	if err != nil {
		return nil, err
	}
	if len(digest) != hash.Size() {
		return nil, fmt.Errorf("cms: a digest of %d bytes, want %v", len(digest), hash)
	}
	attributes, err := set(
		attribute(oidContentType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) }),
		attribute(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest) }),
		attribute(oidSigningCertificateV2, func(b *cryptobyte.Builder) { addSigningCertificate(b, chain[0]) }),
	)
	if err != nil {
		return nil, err
	}
	return &Unsigned{Hash: hash, Chain: chain, Attributes: attributes}, nil
}

// Options are what the key's Sign is told: the hash, or *rsa.PSSOptions with a salt as long as it.
func (u *Unsigned) Options() crypto.SignerOpts {
	if u.PSS {
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: u.Hash}
	}
	return u.Hash
}

// Digest is what the key signs, as Options say.
func (u *Unsigned) Digest() []byte {
	h := u.Hash.New()
	h.Write(u.Attributes)
	return h.Sum(nil)
}

// Check verifies a key's answer with the signer's certificate. A card or a
// token that answers with another key's signature is noticed here.
func (u *Unsigned) Check(signature []byte) error {
	var how algorithm
	if u.PSS {
		how = pss{u.Hash.Size()}
	}
	return verifyDigest(u.Chain[0].PublicKey, u.Hash, how, u.Digest(), signature)
}

// Assemble is the DER of the finished SignedData. token is the DER of a time
// stamp over the signature's bytes, or nil.
func (u *Unsigned) Assemble(signature, token []byte) ([]byte, error) {
	signer := u.Chain[0]
	algorithm, err := u.signatureAlgorithm()
	if err != nil {
		return nil, err
	}
	signedAttributes, err := inside(u.Attributes)
	if err != nil {
		return nil, err
	}
	certificates := sorted(raws(u.Chain))
	b := cryptobyte.NewBuilder(make([]byte, 0, len(certificates)+len(signer.RawIssuer)+len(u.Attributes)+len(signature)+len(token)+512))
	sequence(b, func(b *cryptobyte.Builder) { // ContentInfo
		b.AddASN1ObjectIdentifier(oidSignedData)
		explicit(b, 0, func(b *cryptobyte.Builder) {
			sequence(b, func(b *cryptobyte.Builder) { // SignedData
				b.AddASN1Int64(1)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addDigestAlgorithm(b, u.Hash) })
				sequence(b, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) })
				explicit(b, 0, func(b *cryptobyte.Builder) { b.AddBytes(certificates) })
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
					sequence(b, func(b *cryptobyte.Builder) { // SignerInfo
						b.AddASN1Int64(1)
						sequence(b, func(b *cryptobyte.Builder) {
							b.AddBytes(signer.RawIssuer)
							b.AddASN1BigInt(signer.SerialNumber)
						})
						addDigestAlgorithm(b, u.Hash)
						explicit(b, 0, func(b *cryptobyte.Builder) { b.AddBytes(signedAttributes) })
						sequence(b, algorithm)
						b.AddASN1OctetString(signature)
						if token != nil {
							explicit(b, 1, func(b *cryptobyte.Builder) {
								attribute(oidSignatureTimeStamp, func(b *cryptobyte.Builder) { b.AddBytes(token) })(b)
							})
						}
					})
				})
			})
		})
	})
	return b.Bytes()
}

// Size is an upper bound of what Assemble returns with a token of at most allowance bytes.
func (u *Unsigned) Size(allowance int) (int, error) {
	longest := 0
	switch k := u.Chain[0].PublicKey.(type) {
	case *rsa.PublicKey:
		longest = k.Size()
	case *ecdsa.PublicKey:
		longest = 2*((k.Curve.Params().BitSize+7)/8+1) + 12 // two integers with a leading zero, three headers
	}
	b, err := u.Assemble(make([]byte, longest), make([]byte, allowance))
	return len(b), err
}

func sequence(b *cryptobyte.Builder, f cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, f)
}

// explicit adds what has a constructed, context-specific tag, implicit tags of SET OF too.
func explicit(b *cryptobyte.Builder, tag uint8, f cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.Tag(tag).ContextSpecific().Constructed(), f)
}

func attribute(oid asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) cryptobyte.BuilderContinuation {
	return func(b *cryptobyte.Builder) {
		sequence(b, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid)
			b.AddASN1(cbasn1.SET, value)
		})
	}
}

// addSigningCertificate adds SigningCertificateV2 (RFC 5035). SHA-256 is the default and left out.
func addSigningCertificate(b *cryptobyte.Builder, c *x509.Certificate) {
	sum := sha256.Sum256(c.Raw)
	sequence(b, func(b *cryptobyte.Builder) {
		sequence(b, func(b *cryptobyte.Builder) { // certs
			sequence(b, func(b *cryptobyte.Builder) { // ESSCertIDv2
				b.AddASN1OctetString(sum[:])
				sequence(b, func(b *cryptobyte.Builder) { // IssuerSerial
					sequence(b, func(b *cryptobyte.Builder) { // GeneralNames
						explicit(b, 4, func(b *cryptobyte.Builder) { b.AddBytes(c.RawIssuer) }) // directoryName
					})
					b.AddASN1BigInt(c.SerialNumber)
				})
			})
		})
	})
}

func addDigestAlgorithm(b *cryptobyte.Builder, h crypto.Hash) {
	sequence(b, func(b *cryptobyte.Builder) { // without parameters, RFC 5754 clause 2
		switch h {
		case crypto.SHA384:
			b.AddASN1ObjectIdentifier(oidSHA384)
		case crypto.SHA512:
			b.AddASN1ObjectIdentifier(oidSHA512)
		default:
			b.AddASN1ObjectIdentifier(oidSHA256)
		}
	})
}

// signatureAlgorithm adds the inside of the AlgorithmIdentifier.
func (u *Unsigned) signatureAlgorithm() (cryptobyte.BuilderContinuation, error) {
	if _, err := HashFor(u.Chain[0].PublicKey); err != nil {
		return nil, err
	}
	_, isRSA := u.Chain[0].PublicKey.(*rsa.PublicKey)
	switch {
	case u.PSS && !isRSA:
		return nil, errors.New("cms: PSS is for RSA keys")
	case u.PSS:
		return func(b *cryptobyte.Builder) { addPSS(b, u.Hash) }, nil
	case isRSA:
		return func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidRSAWithSHA256)
			b.AddASN1NULL()
		}, nil
	}
	oid := map[crypto.Hash]asn1.ObjectIdentifier{crypto.SHA256: oidECDSAWithSHA256, crypto.SHA384: oidECDSAWithSHA384, crypto.SHA512: oidECDSAWithSHA512}[u.Hash]
	return func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) }, nil
}

// addPSS adds id-RSASSA-PSS with its parameters: one hash throughout, a salt as long as it (RFC 4056 clause 3).
func addPSS(b *cryptobyte.Builder, h crypto.Hash) {
	b.AddASN1ObjectIdentifier(oidRSAPSS)
	sequence(b, func(b *cryptobyte.Builder) {
		explicit(b, 0, func(b *cryptobyte.Builder) { addDigestAlgorithm(b, h) })
		explicit(b, 1, func(b *cryptobyte.Builder) {
			sequence(b, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidMGF1)
				addDigestAlgorithm(b, h)
			})
		})
		explicit(b, 2, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(h.Size())) })
	})
}

func raws(chain []*x509.Certificate) [][]byte {
	out := make([][]byte, len(chain))
	for i, c := range chain {
		out[i] = c.Raw
	}
	return out
}

// sorted joins encodings in the order of DER, X.690 clause 11.6.
func sorted(parts [][]byte) []byte {
	parts = slices.Clone(parts)
	slices.SortFunc(parts, bytes.Compare)
	return bytes.Join(parts, nil)
}

func set(parts ...cryptobyte.BuilderContinuation) ([]byte, error) {
	var encoded [][]byte
	for _, p := range parts {
		var b cryptobyte.Builder
		p(&b)
		der, err := b.Bytes()
		if err != nil {
			return nil, err
		}
		encoded = append(encoded, der)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(sorted(encoded)) })
	return b.Bytes()
}

// inside is the contents of a SET without its header.
func inside(der []byte) ([]byte, error) {
	in, out := cryptobyte.String(der), cryptobyte.String(nil)
	if !in.ReadASN1(&out, cbasn1.SET) || !in.Empty() {
		return nil, errors.New("cms: the attributes are no SET")
	}
	return out, nil
}
