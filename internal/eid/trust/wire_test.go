package trust

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"time"
)

// The world's answers have their own syntax, so that they share nothing with what reads them.

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

func exactly(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes behind")
	}
	return err
}

func keyBits(c *x509.Certificate) ([]byte, error) {
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	_, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &spki)
	return spki.Key.Bytes, err
}

func digest(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}
