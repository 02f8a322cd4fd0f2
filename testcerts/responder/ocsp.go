package responder

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"time"
)

const ocspContentType = "application/ocsp-response"

var (
	oidBasicResponse = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidNonce         = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidSHA1          = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidECDSASHA256   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSASHA384   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	oidRSASHA256     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
)

// responseStatus of RFC 6960 §4.2.1.
const (
	statusMalformed    asn1.Enumerated = 1
	statusTryLater     asn1.Enumerated = 3
	statusUnauthorized asn1.Enumerated = 6
)

type certID struct {
	Algorithm     pkix.AlgorithmIdentifier
	NameHash      []byte
	IssuerKeyHash []byte
	Serial        *big.Int
}

type ocspRequest struct {
	TBS struct {
		Version   int           `asn1:"explicit,tag:0,default:0,optional"`
		Requestor asn1.RawValue `asn1:"explicit,tag:1,optional"`
		List      []struct {
			Cert       certID
			Extensions asn1.RawValue `asn1:"explicit,tag:0,optional"`
		}
		Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
	}
	Signature asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

type ocspResponse struct {
	Status asn1.Enumerated
	Bytes  responseBytes `asn1:"explicit,tag:0,optional"`
}

type responseBytes struct {
	Type  asn1.ObjectIdentifier
	Bytes []byte
}

type basicResponse struct {
	TBS       responseData
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
	Certs     []asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

type responseData struct {
	Raw        asn1.RawContent
	Responder  asn1.RawValue // byKey: [2] EXPLICIT OCTET STRING
	ProducedAt time.Time     `asn1:"generalized"`
	Responses  []singleResponse
	Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

type singleResponse struct {
	Cert       certID
	Status     asn1.RawValue
	ThisUpdate time.Time `asn1:"generalized"`
	NextUpdate time.Time `asn1:"generalized,explicit,tag:0"`
}

type revokedInfo struct {
	At     time.Time       `asn1:"generalized"`
	Reason asn1.Enumerated `asn1:"explicit,tag:0,optional"`
}

func (r *Responder) serveOCSP(w http.ResponseWriter, req *http.Request, a *Authority, path string) {
	b := r.mood.Ask(OCSP, req)
	if Spoil(w, b, ocspContentType) {
		return
	}
	answer := func(der []byte, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", ocspContentType)
		w.Write(der)
	}
	der, err := requestBytes(req, path)
	if err != nil {
		answer(failure(statusMalformed))
		return
	}
	var question ocspRequest
	if rest, err := asn1.Unmarshal(der, &question); err != nil || len(rest) > 0 || len(question.TBS.List) != 1 {
		answer(failure(statusMalformed))
		return
	}
	id := question.TBS.List[0].Cert
	switch {
	case b == TryLater:
		answer(failure(statusTryLater))
	case !about(id, a.Certificate):
		answer(failure(statusUnauthorized))
	default:
		answer(r.answer(a, b, id, question.TBS.Extensions))
	}
}

// requestBytes reads a request from the body, or from the path (RFC 6960 appendix A.1).
func requestBytes(req *http.Request, path string) ([]byte, error) {
	switch req.Method {
	case http.MethodPost:
		return io.ReadAll(io.LimitReader(req.Body, 64<<10))
	case http.MethodGet:
		text, err := url.PathUnescape(path)
		if err != nil {
			return nil, err
		}
		return base64.StdEncoding.DecodeString(text)
	}
	return nil, errors.New("method")
}

func failure(status asn1.Enumerated) ([]byte, error) {
	return asn1.Marshal(struct{ Status asn1.Enumerated }{status})
}

// about says whether id names a certificate of this issuer.
func about(id certID, issuer *x509.Certificate) bool {
	hash := hasher(id.Algorithm.Algorithm)
	if hash == nil {
		return false
	}
	return bytes.Equal(id.NameHash, hash(issuer.RawSubject)) && bytes.Equal(id.IssuerKeyHash, hash(publicKeyBits(issuer)))
}

func hasher(oid asn1.ObjectIdentifier) func([]byte) []byte {
	switch {
	case oid.Equal(oidSHA1):
		return func(b []byte) []byte { h := sha1.Sum(b); return h[:] }
	case oid.Equal(oidSHA256):
		return func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }
	}
	return nil
}

func publicKeyBits(c *x509.Certificate) []byte {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil
	}
	return info.Key.RightAlign()
}

func (r *Responder) answer(a *Authority, b Behaviour, id certID, asked []pkix.Extension) ([]byte, error) {
	from := r.now().Add(-time.Minute)
	switch b {
	case Stale:
		from = from.Add(-3 * Period)
	case Future:
		from = from.Add(Period)
	}
	status, err := r.status(a, b, id.Serial)
	if err != nil {
		return nil, err
	}
	if b == OtherCert {
		id.Serial = new(big.Int).Add(id.Serial, big.NewInt(1))
	}
	signer, key := a.Delegate, a.DelegateKey
	switch b {
	case WrongKey:
		key = r.stranger()
	case NotDelegate:
		signer, key = a.Intruder, a.IntruderKey
	}
	keyHash := sha1.Sum(publicKeyBits(signer))
	responder, err := asn1.MarshalWithParams(keyHash[:], "explicit,tag:2")
	if err != nil {
		return nil, err
	}
	data := responseData{
		Responder:  asn1.RawValue{FullBytes: responder},
		ProducedAt: from.UTC().Truncate(time.Second),
		Responses: []singleResponse{{
			Cert: id, Status: status,
			ThisUpdate: from.UTC().Truncate(time.Second), NextUpdate: from.Add(Period).UTC().Truncate(time.Second),
		}},
		Extensions: nonceFor(b, asked),
	}
	certs := []*x509.Certificate{signer, a.Certificate}
	if b == Bundled {
		certs = []*x509.Certificate{a.Certificate, a.Intruder, signer}
	}
	return sign(data, certs, key)
}

// status is the CertStatus choice.
func (r *Responder) status(a *Authority, b Behaviour, serial *big.Int) (asn1.RawValue, error) {
	null := func(tag int) asn1.RawValue { return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag} }
	info := revokedInfo{At: r.now().Add(-time.Hour).UTC().Truncate(time.Second)}
	revoked := b == Revoked
	for _, e := range a.Revoked() {
		if e.SerialNumber.Cmp(serial) == 0 {
			info = revokedInfo{At: e.RevocationTime.UTC().Truncate(time.Second), Reason: asn1.Enumerated(e.ReasonCode)}
			revoked = true
		}
	}
	switch {
	case b == Unknown || !a.Issued(serial):
		return null(2), nil
	case revoked:
		der, err := asn1.MarshalWithParams(info, "tag:1")
		return asn1.RawValue{FullBytes: der}, err
	}
	return null(0), nil
}

func nonceFor(b Behaviour, asked []pkix.Extension) []pkix.Extension {
	for _, e := range asked {
		if !e.Id.Equal(oidNonce) || b == NoNonce {
			continue
		}
		value := bytes.Clone(e.Value)
		if b == WrongNonce && len(value) > 0 {
			value[len(value)-1] ^= 1
		}
		return []pkix.Extension{{Id: oidNonce, Value: value}}
	}
	return nil
}

func sign(data responseData, certs []*x509.Certificate, key crypto.Signer) ([]byte, error) {
	tbs, err := asn1.Marshal(data)
	if err != nil {
		return nil, err
	}
	algorithm, signature, err := signWith(key, tbs)
	if err != nil {
		return nil, err
	}
	data.Raw = tbs
	basic := basicResponse{TBS: data, Algorithm: algorithm, Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}}
	for _, c := range certs {
		basic.Certs = append(basic.Certs, asn1.RawValue{FullBytes: c.Raw})
	}
	der, err := asn1.Marshal(basic)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(ocspResponse{Status: 0, Bytes: responseBytes{Type: oidBasicResponse, Bytes: der}})
}

// signWith signs message with the hash that fits the key.
func signWith(key crypto.Signer, message []byte) (pkix.AlgorithmIdentifier, []byte, error) {
	oid, hash := oidECDSASHA256, crypto.SHA256
	switch pub := key.Public().(type) {
	case *ecdsa.PublicKey:
		if pub.Curve.Params().BitSize > 256 {
			oid, hash = oidECDSASHA384, crypto.SHA384
		}
	case *rsa.PublicKey:
		oid = oidRSASHA256
	default:
		return pkix.AlgorithmIdentifier{}, nil, fmt.Errorf("key of type %T", pub)
	}
	h := hash.New()
	h.Write(message)
	signature, err := key.Sign(rand.Reader, h.Sum(nil), hash)
	algorithm := pkix.AlgorithmIdentifier{Algorithm: oid}
	if oid.Equal(oidRSASHA256) {
		algorithm.Parameters = asn1.NullRawValue
	}
	return algorithm, signature, err
}
