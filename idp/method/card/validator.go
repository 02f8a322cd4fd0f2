package card

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fault"
)

// Authority says whether a certificate is that of a card which may be used today;
// *trust.Verifier does.
type Authority interface {
	Authentication(ctx context.Context, der []byte) (trust.Certificate, error)
}

// Proved is the citizen whose card signed our challenge. Only Validate makes one.
type Proved struct {
	certificate trust.Certificate
	citizen     eid.Citizen
}

// Citizen is who it is.
func (p Proved) Citizen() eid.Citizen { return p.citizen }

// errSignature: the card signed something else than our challenge for our address.
// Which of the two it was cannot be told, since the token names neither.
var errSignature = fault.New(fault.Forbidden, "idp.card_signature", nil)

// Lengths of a token in bytes, as the reference validators have them.
const (
	tokenMin = 100
	tokenMax = 10_000
	appMax   = 300 // of its member about the program
)

// token is the wire form, web-eid:1.0 and 1.1. Fields we do not know are ignored, as its
// authors ask. Origin and nonce are not in it: the signature covers what the
// browser's extension or our agent saw, and Validate puts in what we expect.
type token struct {
	UnverifiedCertificate string `json:"unverifiedCertificate"`
	Algorithm             string `json:"algorithm"`
	Signature             string `json:"signature"`
	Format                string `json:"format"`
	AppVersion            string `json:"appVersion"` // said by whoever answers, so of no use but for the shape
	IssuerApp             string `json:"issuerApp"`  // its name in drafts of 1.1

	SigningCertificates      []signingCertificate `json:"unverifiedSigningCertificates"`
	IntermediateCertificates []string             `json:"unverifiedIntermediateCertificates"` // trust finds issuers itself
}

// Validate checks that text, a Web eID authentication token from a stranger, is
// a signature over nonce for origin by a card that may be used today. The order is
// cheap before dear: whoever has no card at hand makes us ask no responder.
func Validate(ctx context.Context, authority Authority, text, origin, nonce string) (Proved, error) {
	if len(text) < tokenMin || len(text) > tokenMax {
		return Proved{}, malformed(fmt.Errorf("%d bytes", len(text)))
	}
	var t token
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return Proved{}, malformed(err)
	}
	version, ok := minor(t.Format)
	if !ok {
		return Proved{}, malformed(errors.New("another format than web-eid:1"))
	}
	if max(len(t.AppVersion), len(t.IssuerApp)) > appMax {
		return Proved{}, malformed(errors.New("a long name of a program"))
	}
	signing, err := t.signingCertificates(version)
	if err != nil {
		return Proved{}, malformed(err)
	}
	der, err := decode(t.UnverifiedCertificate)
	if err != nil {
		return Proved{}, malformed(fmt.Errorf("certificate: %w", err))
	}
	unverified, err := x509.ParseCertificate(der)
	if err != nil {
		return Proved{}, malformed(errors.New("the certificate does not parse")) // its error may quote names
	}
	signature, err := decode(t.Signature)
	if err != nil {
		return Proved{}, malformed(fmt.Errorf("signature: %w", err))
	}
	alg, ok := algorithms[t.Algorithm]
	if !ok {
		return Proved{}, malformed(errors.New("another algorithm than ES, PS or RS with SHA-2"))
	}
	if err := alg.verify(unverified.PublicKey, signed(alg.hash, origin, nonce), signature); err != nil {
		return Proved{}, errSignature.Because(err)
	}
	certificate, err := authority.Authentication(ctx, der)
	if err != nil {
		return Proved{}, fmt.Errorf("card: %w", err)
	}
	if err := oneCard(certificate, signing); err != nil {
		return Proved{}, malformed(err)
	}
	citizen, err := trust.CitizenOf(certificate)
	if err != nil {
		return Proved{}, fmt.Errorf("card: %w", err)
	}
	return Proved{certificate, citizen}, nil
}

func malformed(err error) error {
	return trust.ErrMalformed.Because(fmt.Errorf("web-eid token: %w", err))
}

// decode reads standard base64 in its one spelling: no line breaks, no stray bits.
func decode(s string) ([]byte, error) {
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("empty or with line breaks")
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

// signed is the digest that the card signs: H(H(origin) ‖ H(nonce)), the nonce as
// its base64 text.
func signed(h crypto.Hash, origin, nonce string) []byte {
	outer := h.New()
	for _, part := range []string{origin, nonce} {
		inner := h.New()
		inner.Write([]byte(part))
		outer.Write(inner.Sum(nil))
	}
	return outer.Sum(nil)
}

// algorithm is one JWS name: its hash, and the one kind of key it goes with.
type algorithm struct {
	hash  crypto.Hash
	curve elliptic.Curve // nil for RSA
	pss   bool
}

var algorithms = map[string]algorithm{
	"ES256": {hash: crypto.SHA256, curve: elliptic.P256()},
	"ES384": {hash: crypto.SHA384, curve: elliptic.P384()},
	"ES512": {hash: crypto.SHA512, curve: elliptic.P521()},
	"PS256": {hash: crypto.SHA256, pss: true},
	"PS384": {hash: crypto.SHA384, pss: true},
	"PS512": {hash: crypto.SHA512, pss: true},
	"RS256": {hash: crypto.SHA256},
	"RS384": {hash: crypto.SHA384},
	"RS512": {hash: crypto.SHA512},
}

const rsaMin = 2048 // bits

func (a algorithm) verify(public crypto.PublicKey, digest, signature []byte) error {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return a.verifyEC(key, digest, signature)
	case *rsa.PublicKey:
		return a.verifyRSA(key, digest, signature)
	}
	return errors.New("a key of another kind than EC and RSA")
}

// verifyEC takes r ‖ s, each as long as the curve's order (RFC 7518 §3.4).
func (a algorithm) verifyEC(key *ecdsa.PublicKey, digest, signature []byte) error {
	if a.curve == nil || key.Curve != a.curve {
		return errors.New("the algorithm is not that of the key")
	}
	size := (a.curve.Params().BitSize + 7) / 8
	if len(signature) != 2*size {
		return errors.New("the signature has another length than the key's")
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	if !ecdsa.Verify(key, digest, r, s) {
		return errors.New("not a signature of this address and challenge")
	}
	return nil
}

func (a algorithm) verifyRSA(key *rsa.PublicKey, digest, signature []byte) error {
	if a.curve != nil || key.N.BitLen() < rsaMin {
		return errors.New("the algorithm is not that of the key, or the key is short")
	}
	if a.pss {
		return rsa.VerifyPSS(key, a.hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return rsa.VerifyPKCS1v15(key, a.hash, digest, signature)
}
