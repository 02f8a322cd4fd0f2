package cms

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	// ErrMalformed says that the bytes are no SignedData with one signer.
	ErrMalformed = errors.New("cms: no SignedData with one signer")
	// ErrUnsupported says that the signature uses an algorithm this package does not have.
	ErrUnsupported = errors.New("cms: algorithm not supported")
	// ErrWeak says that the signature uses an algorithm or key that no longer proves anything.
	ErrWeak = errors.New("cms: weak algorithm or key")
	// ErrNoSigner says that the signer's certificate is not among the certificates.
	ErrNoSigner = errors.New("cms: the signer's certificate is missing")
	// ErrAttributes says that a signed attribute is missing, there twice or wrong.
	ErrAttributes = errors.New("cms: wrong signed attributes")
	// ErrDigest says that the content is not the one that was signed.
	ErrDigest = errors.New("cms: the content was changed")
	// ErrSignature says that the signature does not fit the key.
	ErrSignature = errors.New("cms: the signature is wrong")
	// ErrBinding says that the signing-certificate attribute is missing or names another certificate.
	ErrBinding = errors.New("cms: the signature is not bound to the certificate")
)

const (
	maxCertificates = 64
	maxAttributes   = 64
)

// SignedData is a signature that was parsed. Nothing of it is to be believed before Check.
type SignedData struct {
	ContentType  asn1.ObjectIdentifier
	Content      []byte // nil where the content is detached
	Certificates []*x509.Certificate
	Signer       *x509.Certificate // nil where it is not among Certificates
	Hash         crypto.Hash
	Signature    []byte
	Stamp        []byte    // DER of the signature time stamp, nil without one
	SigningTime  time.Time // what the signer claims in a signed attribute; zero without
	BER          bool      // it was in BER, which PAdES does not allow

	algorithm algorithm
	signed    []byte // the attributes as a SET
	attribute map[string]cryptobyte.String
	lists     cryptobyte.String // the crls of the SignedData
}

// IsData says whether the content type is id-data, as PAdES wants.
func (s *SignedData) IsData() bool { return s.ContentType.Equal(oidData) }

// Attributes is the DER of the SET OF signed attributes, as Unsigned has it.
func (s *SignedData) Attributes() []byte { return s.signed }

// Parse reads one SignedData at the beginning of b and returns the bytes behind
// it. BER, which many signers write, is turned into DER first.
func Parse(b []byte) (s *SignedData, rest []byte, err error) {
	if len(b) < 2 || b[0] != 0x30 || b[1] != 0x80 {
		return parse(b)
	}
	der, rest, err := fromBER(b, 0)
	if err != nil {
		return nil, nil, err
	}
	if s, _, err = parse(der); err != nil {
		return nil, nil, err
	}
	s.BER = true
	return s, rest, nil
}

func parse(b []byte) (s *SignedData, rest []byte, err error) {
	in := cryptobyte.String(b)
	var info, kind, wrapped, body cryptobyte.String
	s = &SignedData{attribute: map[string]cryptobyte.String{}}
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !readOID(&info, oidSignedData) ||
		!info.ReadASN1(&wrapped, tagged(0)) || !info.Empty() ||
		!wrapped.ReadASN1(&body, cbasn1.SEQUENCE) || !wrapped.Empty() {
		return nil, nil, ErrMalformed
	}
	var version int64
	var digests, content, certificates, lists, signers, signer cryptobyte.String
	var hasCertificates, hasLists bool
	if !body.ReadASN1Integer(&version) || version < 1 || version > 5 ||
		!body.ReadASN1(&digests, cbasn1.SET) ||
		!body.ReadASN1(&content, cbasn1.SEQUENCE) ||
		!body.ReadOptionalASN1(&certificates, &hasCertificates, tagged(0)) ||
		!body.ReadOptionalASN1(&lists, &hasLists, tagged(1)) ||
		!body.ReadASN1(&signers, cbasn1.SET) || !body.Empty() ||
		!signers.ReadASN1(&signer, cbasn1.SEQUENCE) || !signers.Empty() {
		return nil, nil, ErrMalformed
	}
	if !content.ReadASN1ObjectIdentifier(&s.ContentType) {
		return nil, nil, ErrMalformed
	}
	if !content.Empty() {
		if !content.ReadASN1(&kind, tagged(0)) || !content.Empty() || !kind.ReadASN1Bytes(&s.Content, cbasn1.OCTET_STRING) || !kind.Empty() {
			return nil, nil, ErrMalformed
		}
	}
	s.lists = lists
	if err := s.parseCertificates(certificates); err != nil {
		return nil, nil, err
	}
	if err := s.parseSigner(signer); err != nil {
		return nil, nil, err
	}
	return s, in, nil
}

func tagged(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

func readOID(in *cryptobyte.String, want asn1.ObjectIdentifier) bool {
	var oid asn1.ObjectIdentifier
	return in.ReadASN1ObjectIdentifier(&oid) && oid.Equal(want)
}

// parseCertificates keeps what Go can read. Others stay out: a chain that needs
// one of them will not be found.
func (s *SignedData) parseCertificates(in cryptobyte.String) error {
	for !in.Empty() {
		var der cryptobyte.String
		var tag cbasn1.Tag
		if !in.ReadAnyASN1Element(&der, &tag) {
			return ErrMalformed
		}
		if len(s.Certificates) == maxCertificates {
			return fmt.Errorf("%w: more than %d certificates", ErrMalformed, maxCertificates)
		}
		if c, err := x509.ParseCertificate(der); err == nil && tag == cbasn1.SEQUENCE {
			s.Certificates = append(s.Certificates, c)
		}
	}
	return nil
}

func (s *SignedData) parseSigner(in cryptobyte.String) error {
	var version int64
	var signed, unsigned, digest cryptobyte.String
	var hasSigned, hasUnsigned bool
	if !in.ReadASN1Integer(&version) {
		return ErrMalformed
	}
	if err := s.findSigner(&in); err != nil {
		return err
	}
	if !in.ReadASN1(&digest, cbasn1.SEQUENCE) {
		return ErrMalformed
	}
	var err error
	if s.Hash, err = hashOf(digest); err != nil {
		return err
	}
	var algorithm cryptobyte.String
	if !in.ReadOptionalASN1(&signed, &hasSigned, tagged(0)) || !in.ReadASN1(&algorithm, cbasn1.SEQUENCE) ||
		!in.ReadASN1Bytes(&s.Signature, cbasn1.OCTET_STRING) || !in.ReadOptionalASN1(&unsigned, &hasUnsigned, tagged(1)) || !in.Empty() {
		return ErrMalformed
	}
	if !hasSigned {
		return fmt.Errorf("%w: there are none", ErrAttributes)
	}
	if s.algorithm, err = parseAlgorithm(algorithm, s.Hash); err != nil {
		return err
	}
	if err := s.parseSigned(signed); err != nil {
		return err
	}
	return s.parseUnsigned(unsigned)
}

func (s *SignedData) findSigner(in *cryptobyte.String) error {
	var id, name cryptobyte.String
	serial := new(big.Int)
	if in.PeekASN1Tag(cbasn1.SEQUENCE) {
		if !in.ReadASN1(&id, cbasn1.SEQUENCE) || !id.ReadASN1Element(&name, cbasn1.SEQUENCE) || !id.ReadASN1Integer(serial) || !id.Empty() {
			return ErrMalformed
		}
		for _, c := range s.Certificates {
			if bytes.Equal(c.RawIssuer, name) && c.SerialNumber.Cmp(serial) == 0 {
				s.Signer = c
			}
		}
		return nil
	}
	if !in.ReadASN1(&id, cbasn1.Tag(0).ContextSpecific()) {
		return ErrMalformed
	}
	for _, c := range s.Certificates {
		if len(id) > 0 && bytes.Equal(c.SubjectKeyId, id) {
			s.Signer = c
		}
	}
	return nil
}

func (s *SignedData) parseSigned(in cryptobyte.String) error {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(in) })
	var err error
	if s.signed, err = b.Bytes(); err != nil {
		return ErrMalformed
	}
	err = attributes(in, func(oid asn1.ObjectIdentifier, values cryptobyte.String) error {
		if _, twice := s.attribute[oid.String()]; twice {
			return fmt.Errorf("%w: %v twice", ErrAttributes, oid)
		}
		s.attribute[oid.String()] = values
		return nil
	})
	if err != nil {
		return err
	}
	if v, ok := s.attribute[oidSigningTime.String()]; ok {
		read := v.ReadASN1GeneralizedTime
		if v.PeekASN1Tag(cbasn1.UTCTime) {
			read = v.ReadASN1UTCTime
		}
		if !read(&s.SigningTime) {
			return fmt.Errorf("%w: signing time", ErrAttributes)
		}
	}
	return nil
}

func (s *SignedData) parseUnsigned(in cryptobyte.String) error {
	return attributes(in, func(oid asn1.ObjectIdentifier, values cryptobyte.String) error {
		if !oid.Equal(oidSignatureTimeStamp) || s.Stamp != nil {
			return nil // several stamps are allowed; the first one counts
		}
		var token cryptobyte.String
		if !values.ReadASN1Element(&token, cbasn1.SEQUENCE) {
			return ErrMalformed
		}
		s.Stamp = token
		return nil
	})
}

func attributes(in cryptobyte.String, each func(asn1.ObjectIdentifier, cryptobyte.String) error) error {
	for n := 0; !in.Empty(); n++ {
		var a, values cryptobyte.String
		var oid asn1.ObjectIdentifier
		if n == maxAttributes || !in.ReadASN1(&a, cbasn1.SEQUENCE) || !a.ReadASN1ObjectIdentifier(&oid) || !a.ReadASN1(&values, cbasn1.SET) || !a.Empty() {
			return ErrMalformed
		}
		if err := each(oid, values); err != nil {
			return err
		}
	}
	return nil
}

// Check verifies the signature over a content whose digest under s.Hash is
// given; for an embedded content pass ContentDigest. ErrBinding comes last: all
// else is in order then, as in signatures older than PAdES. It does not look at trust.
func (s *SignedData) Check(digest []byte) error {
	if s.Signer == nil {
		return ErrNoSigner
	}
	kind, ok := s.attribute[oidContentType.String()]
	if !ok || !readOID(&kind, s.ContentType) || !kind.Empty() {
		return fmt.Errorf("%w: content type", ErrAttributes)
	}
	var signed cryptobyte.String
	message, ok := s.attribute[oidMessageDigest.String()]
	if !ok || !message.ReadASN1(&signed, cbasn1.OCTET_STRING) || !message.Empty() {
		return fmt.Errorf("%w: message digest", ErrAttributes)
	}
	h := s.Hash.New()
	h.Write(s.signed)
	if err := verifyDigest(s.Signer.PublicKey, s.Hash, s.algorithm, h.Sum(nil), s.Signature); err != nil {
		return err
	}
	if !bytes.Equal(signed, digest) {
		return ErrDigest
	}
	return s.checkBinding()
}

// ContentDigest is the digest of the embedded content.
func (s *SignedData) ContentDigest() []byte {
	h := s.Hash.New()
	h.Write(s.Content)
	return h.Sum(nil)
}

// checkBinding holds the signing-certificate attribute, of either version, to the
// signer's certificate. Version 1 has SHA-1, which time stamps still use: a
// second preimage of a certificate is what it must withstand, and it does.
func (s *SignedData) checkBinding() error {
	v, isV2 := s.attribute[oidSigningCertificateV2.String()]
	if !isV2 {
		var ok bool
		if v, ok = s.attribute[oidSigningCertificate.String()]; !ok {
			return fmt.Errorf("%w: there is no such attribute", ErrBinding)
		}
	}
	var outer, certs, id, algorithm, sum cryptobyte.String
	if !v.ReadASN1(&outer, cbasn1.SEQUENCE) || !v.Empty() || !outer.ReadASN1(&certs, cbasn1.SEQUENCE) || !certs.ReadASN1(&id, cbasn1.SEQUENCE) {
		return fmt.Errorf("%w: a broken attribute", ErrBinding)
	}
	hash := crypto.SHA256
	if isV2 && id.PeekASN1Tag(cbasn1.SEQUENCE) {
		var err error
		if !id.ReadASN1(&algorithm, cbasn1.SEQUENCE) {
			return fmt.Errorf("%w: a broken attribute", ErrBinding)
		}
		if hash, err = hashOf(algorithm); err != nil {
			return err
		}
	}
	if !id.ReadASN1(&sum, cbasn1.OCTET_STRING) {
		return fmt.Errorf("%w: a broken attribute", ErrBinding)
	}
	var have []byte
	if isV2 {
		h := hash.New()
		h.Write(s.Signer.Raw)
		have = h.Sum(nil)
	} else {
		one := sha1.Sum(s.Signer.Raw)
		have = one[:]
	}
	if !bytes.Equal(have, sum) {
		return fmt.Errorf("%w: another certificate is named", ErrBinding)
	}
	return s.checkIssuerSerial(id)
}

// checkIssuerSerial checks the optional issuer and serial of an ESSCertID.
func (s *SignedData) checkIssuerSerial(id cryptobyte.String) error {
	if id.Empty() {
		return nil
	}
	var both, names, name, issuer cryptobyte.String
	serial := new(big.Int)
	if !id.ReadASN1(&both, cbasn1.SEQUENCE) || !id.Empty() || !both.ReadASN1(&names, cbasn1.SEQUENCE) ||
		!names.ReadASN1(&name, tagged(4)) || !names.Empty() || !name.ReadASN1Element(&issuer, cbasn1.SEQUENCE) ||
		!both.ReadASN1Integer(serial) {
		return fmt.Errorf("%w: a broken issuer and serial", ErrBinding)
	}
	if !bytes.Equal(issuer, s.Signer.RawIssuer) || serial.Cmp(s.Signer.SerialNumber) != 0 {
		return fmt.Errorf("%w: another issuer or serial is named", ErrBinding)
	}
	return nil
}

// maxRevocation bounds how many answers and lists are taken out of one signature.
const maxRevocation = 50

// Revocation is what the signature carries of revocation data: OCSP answers
// (OCSPResponse) and revocation lists. They are in the crls of the SignedData
// (RFC 5652, 10.2.1) or in Adobe's signed attribute (ISO 32000-2, 12.8.3.3.2).
// Nothing of it was checked; what cannot be read is left out.
func (s *SignedData) Revocation() (answers, lists [][]byte) {
	for in := s.lists; !in.Empty() && len(lists) < maxRevocation; {
		var der cryptobyte.String
		var tag cbasn1.Tag
		if !in.ReadAnyASN1Element(&der, &tag) {
			break
		}
		if tag == cbasn1.SEQUENCE {
			lists = append(lists, der)
		}
	}
	v, ok := s.attribute[oidRevocationInfo.String()]
	var archival cryptobyte.String
	if !ok || !v.ReadASN1(&archival, cbasn1.SEQUENCE) {
		return answers, lists
	}
	for tag, into := range []*[][]byte{&lists, &answers} {
		var wrapped, list cryptobyte.String
		var there bool
		if !archival.ReadOptionalASN1(&wrapped, &there, tagged(uint8(tag))) {
			break
		}
		if !there || !wrapped.ReadASN1(&list, cbasn1.SEQUENCE) {
			continue
		}
		for !list.Empty() && len(*into) < maxRevocation {
			var der cryptobyte.String
			if !list.ReadASN1Element(&der, cbasn1.SEQUENCE) {
				break
			}
			*into = append(*into, der)
		}
	}
	return answers, lists
}
