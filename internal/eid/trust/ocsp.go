package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha1" // CertID and key hashes are SHA-1 by RFC 5019 §2.1.1 and RFC 6960 §4.2.1; no signature is
	"crypto/sha256"
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
	oidBasic = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidNonce = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidSHA1  = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
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

// askResponder asks cert's OCSP responder and returns a statement that is signed,
// about cert, and fresh.
func (v *Verifier) askResponder(ctx context.Context, cert, ca *x509.Certificate, now time.Time) (statement, error) {
	addresses := v.fetch.listed(cert.OCSPServer)
	if len(addresses) == 0 {
		return statement{}, errors.New("the certificate names no listed responder")
	}
	request, nonce, err := newOCSPRequest(cert, ca)
	if err != nil {
		return statement{}, err
	}
	var causes []error
	for _, address := range addresses {
		raw, err := v.fetch.post(ctx, address, "application/ocsp-request", request)
		if err == nil {
			var s statement
			if s, err = v.readOCSP(raw, nonce, cert, ca, now); err == nil {
				return s, nil
			}
		}
		causes = append(causes, err)
	}
	return statement{}, errors.Join(causes...)
}

// newOCSPRequest returns a request for one certificate and the nonce extension's value in it.
func newOCSPRequest(cert, ca *x509.Certificate) (der, nonce []byte, err error) {
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

// readOCSP reads an answer (RFC 6960 §3.2 lists what a client checks).
func (v *Verifier) readOCSP(raw, nonce []byte, cert, ca *x509.Certificate, now time.Time) (statement, error) {
	var answer ocspAnswer
	if err := exactly(raw, &answer); err != nil {
		return statement{}, err
	}
	if answer.Status != 0 { // tryLater, unauthorized, ... are not signed by anyone
		return statement{}, fmt.Errorf("the responder answers with status %d", answer.Status)
	}
	if !answer.Body.Type.Equal(oidBasic) {
		return statement{}, errors.New("not a basic answer")
	}
	var basic ocspBasic
	if err := exactly(answer.Body.DER, &basic); err != nil {
		return statement{}, err
	}
	single, err := about(cert, ca, basic.Data.Singles)
	if err != nil {
		return statement{}, err
	}
	s := statement{from: single.ThisUpdate, next: single.NextUpdate}
	if err := v.fresh(s, cert, now); err != nil {
		return statement{}, err
	}
	if err := sameNonce(basic.Data.Extensions, nonce); err != nil {
		return statement{}, err
	}
	for _, e := range slices.Concat(basic.Data.Extensions, single.Extensions) {
		if e.Critical && !e.Id.Equal(oidNonce) {
			return statement{}, fmt.Errorf("unknown critical extension %v", e.Id)
		}
	}
	if err := v.signedByResponder(&basic, ca, now); err != nil {
		return statement{}, err
	}
	// "unknown" is no consent either: the issuer never heard of the card.
	s.revoked = single.Status.Class != asn1.ClassContextSpecific || single.Status.Tag != 0
	return s, nil
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

// sameNonce refuses another's nonce. An absent one is common, with answers made
// ahead; freshness then bounds how old a replayed answer can be.
func sameNonce(extensions []pkix.Extension, nonce []byte) error {
	for _, e := range extensions {
		if e.Id.Equal(oidNonce) && !bytes.Equal(e.Value, nonce) {
			return errors.New("the nonce is another request's")
		}
	}
	return nil
}

var signatureAlgorithms = map[string]x509.SignatureAlgorithm{
	"1.2.840.113549.1.1.11": x509.SHA256WithRSA,
	"1.2.840.113549.1.1.12": x509.SHA384WithRSA,
	"1.2.840.113549.1.1.13": x509.SHA512WithRSA,
	"1.2.840.10045.4.3.2":   x509.ECDSAWithSHA256,
	"1.2.840.10045.4.3.3":   x509.ECDSAWithSHA384,
	"1.2.840.10045.4.3.4":   x509.ECDSAWithSHA512,
}

// signedByResponder checks the signature with the key that the answer names: the
// issuer's own, or that of a responder to whom the issuer itself gave the task
// (RFC 6960 §4.2.2.2). Such a responder's own status is not asked: its issuer
// keeps it short-lived or says id-pkix-ocsp-nocheck.
func (v *Verifier) signedByResponder(basic *ocspBasic, ca *x509.Certificate, now time.Time) error {
	algorithm, ok := signatureAlgorithms[basic.Algorithm.Algorithm.String()]
	if !ok {
		return fmt.Errorf("signature algorithm %v", basic.Algorithm.Algorithm)
	}
	signer := ca
	if !isResponder(ca, basic.Data.Responder) {
		var err error
		if signer, err = v.delegate(basic, ca, now); err != nil {
			return err
		}
	}
	return signer.CheckSignature(algorithm, basic.Data.Raw, basic.Signature.RightAlign())
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

func (v *Verifier) delegate(basic *ocspBasic, ca *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	if len(basic.Certificates) > maxResponderCertificates {
		return nil, errors.New("too many certificates")
	}
	for _, raw := range basic.Certificates {
		c, err := x509.ParseCertificate(raw.FullBytes)
		if err != nil || !isResponder(c, basic.Data.Responder) {
			continue
		}
		if !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
			return nil, errors.New("the signer is no responder: no OCSPSigning")
		}
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return nil, errors.New("the responder's certificate is not valid now")
		}
		key := sha256.Sum256(slices.Concat(ca.Raw, c.Raw))
		if _, checked := v.delegates.get(key); checked {
			return c, nil
		}
		if !bytes.Equal(c.RawIssuer, ca.RawSubject) {
			return nil, errors.New("the responder is not of the certificate's issuer")
		}
		if err := c.CheckSignatureFrom(ca); err != nil {
			return nil, fmt.Errorf("the responder is not of the certificate's issuer: %w", err)
		}
		v.delegates.put(key, struct{}{})
		return c, nil
	}
	return nil, errors.New("the signer's certificate is missing")
}
