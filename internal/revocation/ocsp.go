package revocation

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha1" // CertID and key hashes are SHA-1 by RFC 5019 §2.1.1 and RFC 6960 §4.2.1; no signature is
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// OCSP is read here and not by golang.org/x/crypto/ocsp (v0.58.0), which takes the
// first certificate of an answer for the responder's (Belgian answers carry
// several), compares serial numbers only, and does not show the nonce. Tests hold
// the two together.

var (
	oidBasic   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidNonce   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidNoCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
	oidSHA1    = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
)

type ocspCertID struct {
	Hash      pkix.AlgorithmIdentifier
	Name, Key []byte
	Serial    *big.Int
}

type ocspRequest struct {
	TBS struct {
		List       []ocspSingleRequest
		Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
	}
}

type ocspSingleRequest struct{ ID ocspCertID }

type ocspAnswer struct {
	Status asn1.Enumerated
	Body   struct {
		Type asn1.ObjectIdentifier
		DER  []byte
	} `asn1:"explicit,tag:0,optional"`
}

type ocspBasic struct {
	Data         ocspData
	Algorithm    pkix.AlgorithmIdentifier
	Signature    asn1.BitString
	Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

type ocspData struct {
	Raw        asn1.RawContent
	Version    int `asn1:"explicit,tag:0,default:0,optional"`
	Responder  asn1.RawValue
	ProducedAt time.Time `asn1:"generalized"`
	Singles    []ocspSingle
	Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

type ocspSingle struct {
	ID         ocspCertID
	Status     asn1.RawValue
	ThisUpdate time.Time        `asn1:"generalized"`
	NextUpdate time.Time        `asn1:"generalized,explicit,tag:0,optional"`
	Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

// Request returns an OCSP request about one certificate, and the value of the nonce extension in it.
func Request(cert, ca *x509.Certificate) (der, nonce []byte, err error) {
	key, err := keyBits(ca)
	if err != nil {
		return nil, nil, err
	}
	random := make([]byte, 32) // RFC 9654 §2.1
	if _, err := rand.Read(random); err != nil {
		return nil, nil, err
	}
	if nonce, err = asn1.Marshal(random); err != nil {
		return nil, nil, err
	}
	name, keyHash := sha1.Sum(cert.RawIssuer), sha1.Sum(key)
	var r ocspRequest
	r.TBS.List = []ocspSingleRequest{{ID: ocspCertID{
		Hash: pkix.AlgorithmIdentifier{Algorithm: oidSHA1, Parameters: asn1.NullRawValue},
		Name: name[:], Key: keyHash[:], Serial: cert.SerialNumber,
	}}}
	r.TBS.Extensions = []pkix.Extension{{Id: oidNonce, Value: nonce}}
	der, err = asn1.Marshal(r)
	return der, nonce, err
}

// keyBits is the subjectPublicKey of a certificate, without the algorithm.
func keyBits(c *x509.Certificate) ([]byte, error) {
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &spki); err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return spki.Key.RightAlign(), nil
}

// Answer is an OCSP answer that was read. Nothing of it is to be believed before
// SignedBy has said whose it is.
type Answer struct {
	Raw          []byte
	ProducedAt   time.Time
	Certificates []*x509.Certificate // sent along, readable ones only

	basic ocspBasic
}

// ParseOCSP reads an OCSPResponse whose status is "successful".
func ParseOCSP(raw []byte) (*Answer, error) {
	var answer ocspAnswer
	if err := exactly(raw, &answer); err != nil {
		return nil, err
	}
	if answer.Status != 0 { // tryLater, unauthorized, ... are not signed by anyone
		return nil, fmt.Errorf("the responder answers with status %d", answer.Status)
	}
	if !answer.Body.Type.Equal(oidBasic) {
		return nil, errors.New("not a basic answer")
	}
	return parseBasic(raw, answer.Body.DER)
}

func parseBasic(raw, der []byte) (*Answer, error) {
	a := &Answer{Raw: raw}
	if err := exactly(der, &a.basic); err != nil {
		return nil, err
	}
	a.ProducedAt = a.basic.Data.ProducedAt
	if len(a.basic.Certificates) > maxResponderCertificates {
		return nil, errors.New("too many certificates")
	}
	for _, r := range a.basic.Certificates {
		if c, err := x509.ParseCertificate(r.FullBytes); err == nil {
			a.Certificates = append(a.Certificates, c)
		}
	}
	return a, nil
}

// About is what the answer says about cert, whose issuer ca is: both names and
// keys are compared, and there must be one such statement alone. An extension
// that is critical and not understood is an error.
func (a *Answer) About(cert, ca *x509.Certificate) (Statement, error) {
	single, err := about(cert, ca, a.basic.Data.Singles)
	if err != nil {
		return Statement{}, err
	}
	for _, e := range slices.Concat(a.basic.Data.Extensions, single.Extensions) {
		if e.Critical && !e.Id.Equal(oidNonce) {
			return Statement{}, fmt.Errorf("unknown critical extension %v", e.Id)
		}
	}
	s := Statement{From: single.ThisUpdate, Next: single.NextUpdate}
	switch {
	case single.Status.Class != asn1.ClassContextSpecific:
		return Statement{}, errors.New("a status that is none")
	case single.Status.Tag == 0:
		s.Status = Good
	case single.Status.Tag == 1:
		s.Status, s.RevokedAt = Revoked, single.ThisUpdate
		var at time.Time // the beginning of RevokedInfo
		if _, err := asn1.UnmarshalWithParams(single.Status.Bytes, &at, "generalized"); err == nil {
			s.RevokedAt = at
		}
	default:
		s.Status = Unknown
	}
	return s, nil
}

// OtherNonce says that the answer carries a nonce which is not ours. An absent one
// is common, with answers made ahead; freshness then bounds how old a replayed
// answer can be.
func (a *Answer) OtherNonce(nonce []byte) bool {
	for _, e := range a.basic.Data.Extensions {
		if e.Id.Equal(oidNonce) && !bytes.Equal(e.Value, nonce) {
			return true
		}
	}
	return false
}

// exactly reads one value and nothing behind it.
func exactly(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return errors.New("bytes behind the answer")
	}
	return nil
}

// about finds the one statement about cert: issuer's name, issuer's key and serial
// number must all be cert's, under whichever hash the responder chose.
func about(cert, ca *x509.Certificate, singles []ocspSingle) (*ocspSingle, error) {
	key, err := keyBits(ca)
	if err != nil {
		return nil, err
	}
	var found *ocspSingle
	for i := range singles {
		id := singles[i].ID
		hash, ok := digests[id.Hash.Algorithm.String()]
		if !ok || id.Serial == nil || id.Serial.Cmp(cert.SerialNumber) != 0 {
			continue
		}
		if !bytes.Equal(id.Name, digest(hash, cert.RawIssuer)) || !bytes.Equal(id.Key, digest(hash, key)) {
			continue
		}
		if found != nil {
			return nil, errors.New("two statements about one certificate")
		}
		found = &singles[i]
	}
	if found == nil {
		return nil, errors.New("the answer is about another certificate")
	}
	return found, nil
}

var digests = map[string]crypto.Hash{
	oidSHA1.String():         crypto.SHA1,
	"2.16.840.1.101.3.4.2.1": crypto.SHA256,
	"2.16.840.1.101.3.4.2.2": crypto.SHA384,
	"2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

func digest(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}

var signatureAlgorithms = map[string]x509.SignatureAlgorithm{
	"1.2.840.113549.1.1.11": x509.SHA256WithRSA,
	"1.2.840.113549.1.1.12": x509.SHA384WithRSA,
	"1.2.840.113549.1.1.13": x509.SHA512WithRSA,
	"1.2.840.10045.4.3.2":   x509.ECDSAWithSHA256,
	"1.2.840.10045.4.3.3":   x509.ECDSAWithSHA384,
	"1.2.840.10045.4.3.4":   x509.ECDSAWithSHA512,
}

// isResponder compares c with a ResponderID, by name or by key.
func isResponder(c *x509.Certificate, id asn1.RawValue) bool {
	if id.Class != asn1.ClassContextSpecific {
		return false
	}
	switch id.Tag {
	case 1:
		return bytes.Equal(c.RawSubject, id.Bytes)
	case 2:
		var want []byte
		if exactly(id.Bytes, &want) != nil {
			return false
		}
		key, err := keyBits(c)
		return err == nil && bytes.Equal(want, digest(crypto.SHA1, key))
	}
	return false
}

const maxResponderCertificates = 10

// SignedBy verifies the answer with the key that it names and returns that key's
// certificate: the issuer's own, or that of a responder to whom the issuer itself
// gave the task (RFC 6960 §4.2.2.2) and whose certificate is valid at an instant.
// known may remember which responders' certificates an issuer has signed; it may
// be nil. A responder's own status is not asked here.
func (a *Answer) SignedBy(ca *x509.Certificate, at time.Time, known Known) (*x509.Certificate, error) {
	algorithm, ok := signatureAlgorithms[a.basic.Algorithm.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("signature algorithm %v", a.basic.Algorithm.Algorithm)
	}
	signer := ca
	if !isResponder(ca, a.basic.Data.Responder) {
		var err error
		if signer, err = a.delegate(ca, at, known); err != nil {
			return nil, err
		}
	}
	return signer, signer.CheckSignature(algorithm, a.basic.Data.Raw, a.basic.Signature.RightAlign())
}

// Known remembers that an issuer has signed a certificate.
type Known interface {
	Has(issuer, cert *x509.Certificate) bool
	Add(issuer, cert *x509.Certificate)
}

func (a *Answer) delegate(ca *x509.Certificate, at time.Time, known Known) (*x509.Certificate, error) {
	for _, c := range a.Certificates {
		if !isResponder(c, a.basic.Data.Responder) {
			continue
		}
		if !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
			return nil, errors.New("the signer is no responder: no OCSPSigning")
		}
		if at.Before(c.NotBefore) || at.After(c.NotAfter) {
			return nil, errors.New("the responder's certificate is not valid now")
		}
		if known != nil && known.Has(ca, c) {
			return c, nil
		}
		if !bytes.Equal(c.RawIssuer, ca.RawSubject) {
			return nil, errors.New("the responder is not of the certificate's issuer")
		}
		if err := c.CheckSignatureFrom(ca); err != nil {
			return nil, fmt.Errorf("the responder is not of the certificate's issuer: %w", err)
		}
		if known != nil {
			known.Add(ca, c)
		}
		return c, nil
	}
	return nil, errors.New("the signer's certificate is missing")
}

// NoCheck says whether a responder's certificate asks not to be checked for
// revocation (RFC 6960 §4.2.2.2.1).
func NoCheck(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidNoCheck) {
			return true
		}
	}
	return false
}
