package responder

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
)

// Unit is a time-stamping unit: a certificate of extended key usage timeStamping only.
type Unit struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// Stamper is a timestamp authority: POST of a TimeStampReq, RFC 3161 over HTTP (§3.4).
type Stamper struct {
	now      clock.Clock
	unit     Unit
	expired  Unit                // for ExpiredCert
	chain    []*x509.Certificate // the unit's CAs, sent along where certificates are asked for
	mood     Mood
	stranger func() crypto.Signer
}

// NewStamper returns a timestamp authority. chain holds the CAs above both units, nearest first.
func NewStamper(now clock.Clock, unit, expired Unit, chain []*x509.Certificate) *Stamper {
	return &Stamper{now: now, unit: unit, expired: expired, chain: chain, stranger: sync.OnceValue(func() crypto.Signer { return newKey() })}
}

// Set changes how stamps are given, until Reset.
func (s *Stamper) Set(b Behaviour) error { return s.mood.Set(TSA, b) }

// Behaviour is how stamps are given now.
func (s *Stamper) Behaviour() Behaviour { return s.mood.Behaviour(TSA) }

// Reset makes the stamps good again and counts from zero.
func (s *Stamper) Reset() { s.mood.Reset() }

// Asked is how often a stamp was asked for since the last Reset.
func (s *Stamper) Asked() int { return s.mood.Asked(TSA) }

// Policy is the policy of all stamps, in the arc of examples.
var Policy = asn1.ObjectIdentifier{2, 999, 3161, 1}

var (
	oidSignedData         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCertificate = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47} // signing-certificate-v2, RFC 5816
)

const stampContentType = "application/timestamp-reply"

type imprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Hash      []byte
}

type stampRequest struct {
	Version    int
	Imprint    imprint
	Policy     asn1.ObjectIdentifier `asn1:"optional"`
	Nonce      *big.Int              `asn1:"optional"`
	Certs      bool                  `asn1:"optional"`
	Extensions asn1.RawValue         `asn1:"optional,tag:0"`
}

type stampInfo struct {
	Version  int
	Policy   asn1.ObjectIdentifier
	Imprint  imprint
	Serial   *big.Int
	At       time.Time `asn1:"generalized"`
	Accuracy accuracy  `asn1:"optional"`
	Nonce    *big.Int  `asn1:"optional"`
}

type accuracy struct {
	Seconds int `asn1:"optional"`
}

type statusInfo struct {
	Status  int
	Failure asn1.BitString `asn1:"optional"`
}

// PKIFailureInfo bits, RFC 3161 §2.4.2.
const (
	badAlg           = 0
	badDataFormat    = 5
	systemFailure    = 25
	unacceptedPolicy = 15
)

func (s *Stamper) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		http.Error(w, "timestamps are asked for by POST (RFC 3161)", http.StatusMethodNotAllowed)
		return
	}
	if kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type")); kind != "application/timestamp-query" {
		http.Error(w, "application/timestamp-query expected", http.StatusUnsupportedMediaType)
		return
	}
	b := s.mood.Ask(TSA, req)
	if Spoil(w, b, stampContentType) {
		return
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, 64<<10))
	if err != nil {
		return
	}
	der, err := s.answer(b, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", stampContentType)
	w.Write(der)
}

var hashSizes = map[string]int{oidSHA256.String(): 32, oidSHA384.String(): 48, oidSHA512.String(): 64}

func (s *Stamper) answer(b Behaviour, body []byte) ([]byte, error) {
	var q stampRequest
	if rest, err := asn1.Unmarshal(body, &q); err != nil || len(rest) > 0 || q.Version != 1 {
		return refuse(badDataFormat)
	}
	if size, ok := hashSizes[q.Imprint.Algorithm.Algorithm.String()]; !ok || size != len(q.Imprint.Hash) {
		return refuse(badAlg)
	}
	if len(q.Policy) > 0 && !q.Policy.Equal(Policy) {
		return refuse(unacceptedPolicy)
	}
	if b == Rejected {
		return refuse(systemFailure)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	info := stampInfo{Version: 1, Policy: Policy, Imprint: q.Imprint, Serial: serial, At: s.now().UTC().Truncate(time.Second), Accuracy: accuracy{Seconds: 1}, Nonce: q.Nonce}
	unit, key := s.unit, s.unit.Key
	switch b {
	case WrongNonce:
		info.Nonce = new(big.Int).Add(orZero(q.Nonce), big.NewInt(1))
	case NoNonce:
		info.Nonce = nil
	case WrongImprint:
		info.Imprint.Hash = bytes.Clone(q.Imprint.Hash)
		info.Imprint.Hash[0] ^= 1
	case OldTime:
		info.At = info.At.Add(-48 * time.Hour)
	case FutureTime:
		info.At = info.At.Add(48 * time.Hour)
	case NoAccuracy:
		info.Accuracy = accuracy{}
	case ExpiredCert:
		unit, key = s.expired, s.expired.Key
	case WrongKey:
		key = s.stranger()
	}
	token, err := s.token(info, unit.Certificate, key, q.Certs)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(struct {
		Status statusInfo
		Token  asn1.RawValue
	}{statusInfo{Status: 0}, asn1.RawValue{FullBytes: token}})
}

func orZero(n *big.Int) *big.Int {
	if n == nil {
		return new(big.Int)
	}
	return n
}

func refuse(bit int) ([]byte, error) {
	bits := asn1.BitString{Bytes: make([]byte, bit/8+1), BitLength: bit + 1}
	bits.Bytes[bit/8] = 1 << (7 - bit%8)
	return asn1.Marshal(struct{ Status statusInfo }{statusInfo{Status: 2, Failure: bits}})
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version     int
	Digests     []pkix.AlgorithmIdentifier `asn1:"set"`
	Content     contentInfo
	Certs       asn1.RawValue `asn1:"optional"`
	SignerInfos []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version   int
	Issuer    issuerAndSerial
	Digest    pkix.AlgorithmIdentifier
	Attrs     asn1.RawValue // [0] IMPLICIT SET OF
	Algorithm pkix.AlgorithmIdentifier
	Signature []byte
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// token is the TimeStampToken: a CMS SignedData over the TSTInfo (RFC 5652 §5).
func (s *Stamper) token(info stampInfo, cert *x509.Certificate, key crypto.Signer, withCerts bool) ([]byte, error) {
	content, err := asn1.Marshal(info)
	if err != nil {
		return nil, err
	}
	set, err := signedAttributes(content, cert)
	if err != nil {
		return nil, err
	}
	algorithm, signature, err := signWith(key, set)
	if err != nil {
		return nil, err
	}
	octets, err := asn1.Marshal(content)
	if err != nil {
		return nil, err
	}
	digest := pkix.AlgorithmIdentifier{Algorithm: oidSHA256}
	data := signedData{
		Version: 3, // the content is not id-data
		Digests: []pkix.AlgorithmIdentifier{digest},
		Content: contentInfo{Type: oidTSTInfo, Content: asn1.RawValue{FullBytes: explicit(0, octets)}},
		SignerInfos: []signerInfo{{
			Version:   1,
			Issuer:    issuerAndSerial{Issuer: asn1.RawValue{FullBytes: cert.RawIssuer}, Serial: cert.SerialNumber},
			Digest:    digest,
			Attrs:     asn1.RawValue{FullBytes: append([]byte{0xa0}, set[1:]...)}, // the tag is outside what is signed
			Algorithm: algorithm,
			Signature: signature,
		}},
	}
	if withCerts {
		var all []byte
		for _, c := range append([]*x509.Certificate{cert}, s.chain...) {
			all = append(all, c.Raw...)
		}
		data.Certs = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: all}
	}
	inner, err := asn1.Marshal(data)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(contentInfo{Type: oidSignedData, Content: asn1.RawValue{FullBytes: explicit(0, inner)}})
}

func explicit(tag int, der []byte) []byte {
	wrapped, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: der})
	if err != nil {
		panic(err) // bytes always encode
	}
	return wrapped
}

// signedAttributes is the SET OF that is signed: content type, digest, and the hash of
// the unit's certificate (RFC 5816 §2.2.1: ESSCertIDv2, SHA-256 being its default).
func signedAttributes(content []byte, cert *x509.Certificate) ([]byte, error) {
	contentDigest, certDigest := sha256.Sum256(content), sha256.Sum256(cert.Raw)
	var attrs []attribute
	for _, a := range []struct {
		oid   asn1.ObjectIdentifier
		value any
	}{
		{oidContentType, oidTSTInfo},
		{oidMessageDigest, contentDigest[:]},
		{oidSigningCertificate, struct{ Certs []struct{ Hash []byte } }{[]struct{ Hash []byte }{{certDigest[:]}}}},
	} {
		der, err := asn1.Marshal(a.value)
		if err != nil {
			return nil, err
		}
		attrs = append(attrs, attribute{a.oid, []asn1.RawValue{{FullBytes: der}}})
	}
	return asn1.MarshalWithParams(attrs, "set")
}
