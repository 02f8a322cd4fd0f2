package tsa

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/belfry-eid/belfry/signing/cms"
)

var (
	oidTSTInfo     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// imprints are the hashes upon which a stamp proves something, and imprintOIDs their names.
var (
	imprints    = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	imprintOIDs = []asn1.ObjectIdentifier{{2, 16, 840, 1, 101, 3, 4, 2, 1}, {2, 16, 840, 1, 101, 3, 4, 2, 2}, {2, 16, 840, 1, 101, 3, 4, 2, 3}}
)

// Token is a time-stamp token that was parsed. Nothing of it is to be believed
// before Check, and nothing about a content before Covers.
type Token struct {
	Time     time.Time
	Accuracy time.Duration // 0 where the token says nothing
	Policy   asn1.ObjectIdentifier
	Serial   *big.Int
	Nonce    *big.Int // nil without one
	Hash     crypto.Hash
	Imprint  []byte
	Signer   *x509.Certificate

	signed *cms.SignedData
	size   int
}

// Certificates are those inside the token.
func (t *Token) Certificates() []*x509.Certificate { return t.signed.Certificates }

// SignatureHash is the one by which the authority signed, whatever it stamped.
func (t *Token) SignatureHash() crypto.Hash { return t.signed.Hash }

// Size is the length of the token in bytes.
func (t *Token) Size() int { return t.size }

// Trust says which time-stamping units are believed.
type Trust struct {
	Roots         *x509.CertPool
	Intermediates []*x509.Certificate // besides those in the token
	Pinned        []*x509.Certificate // where there are any, the unit must be one of them
}

// Parse reads the DER of a token, with nothing behind it.
func Parse(der []byte) (*Token, error) {
	signed, rest, err := cms.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(rest) > 0 || !signed.ContentType.Equal(oidTSTInfo) || signed.Content == nil {
		return nil, fmt.Errorf("%w: no time stamp inside", ErrMalformed)
	}
	t := &Token{signed: signed, Signer: signed.Signer, Serial: new(big.Int), size: len(der)}
	if err := t.parse(signed.Content); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Token) parse(content []byte) error {
	in := cryptobyte.String(content)
	var info, imprint, algorithm, digest, when, accuracy cryptobyte.String
	var version int64
	var hasAccuracy, ordering bool
	bad := func(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !in.Empty() || !info.ReadASN1Integer(&version) || version != 1 ||
		!info.ReadASN1ObjectIdentifier(&t.Policy) ||
		!info.ReadASN1(&imprint, cbasn1.SEQUENCE) || !imprint.ReadASN1(&algorithm, cbasn1.SEQUENCE) ||
		!imprint.ReadASN1(&digest, cbasn1.OCTET_STRING) || !imprint.Empty() ||
		!info.ReadASN1Integer(t.Serial) ||
		!info.ReadASN1(&when, cbasn1.GeneralizedTime) ||
		!info.ReadOptionalASN1(&accuracy, &hasAccuracy, cbasn1.SEQUENCE) {
		return bad("TSTInfo")
	}
	if info.PeekASN1Tag(cbasn1.BOOLEAN) && !info.ReadASN1Boolean(&ordering) {
		return bad("ordering")
	}
	if info.PeekASN1Tag(cbasn1.INTEGER) {
		t.Nonce = new(big.Int)
		if !info.ReadASN1Integer(t.Nonce) {
			return bad("nonce")
		}
	}
	var ok bool
	if t.Hash, ok = hashOf(algorithm); !ok {
		return bad("imprint with an unknown or weak hash")
	}
	if t.Imprint = digest; len(digest) != t.Hash.Size() {
		return bad("imprint")
	}
	if t.Time, ok = generalizedTime(string(when)); !ok {
		return bad("genTime")
	}
	if t.Accuracy, ok = parseAccuracy(accuracy); !ok {
		return bad("accuracy")
	}
	return nil
}

func hashOf(algorithm cryptobyte.String) (crypto.Hash, bool) {
	var oid asn1.ObjectIdentifier
	if !algorithm.ReadASN1ObjectIdentifier(&oid) {
		return 0, false
	}
	i := slices.IndexFunc(imprintOIDs, oid.Equal)
	if i < 0 {
		return 0, false
	}
	return imprints[i], true
}

// generalizedTime reads genTime, which unlike times in certificates may have a fraction of a second.
func generalizedTime(s string) (time.Time, bool) {
	layout := "20060102150405Z"
	if whole, fraction, ok := strings.Cut(strings.TrimSuffix(s, "Z"), "."); ok && len(whole) == 14 {
		layout = "20060102150405." + strings.Repeat("0", len(fraction)) + "Z"
	}
	t, err := time.Parse(layout, s)
	return t.UTC(), err == nil
}

func parseAccuracy(in cryptobyte.String) (time.Duration, bool) {
	var seconds, millis, micros int64
	if in.PeekASN1Tag(cbasn1.INTEGER) && !in.ReadASN1Integer(&seconds) {
		return 0, false
	}
	for tag, into := range []*int64{&millis, &micros} {
		if t := cbasn1.Tag(tag).ContextSpecific(); in.PeekASN1Tag(t) && !in.ReadASN1Int64WithTag(into, t) {
			return 0, false
		}
	}
	if !in.Empty() || seconds < 0 || seconds > 1<<20 || millis < 0 || millis > 999 || micros < 0 || micros > 999 {
		return 0, false
	}
	return time.Duration(seconds)*time.Second + time.Duration(millis)*time.Millisecond + time.Duration(micros)*time.Microsecond, true
}

// Covers says whether the stamp was put upon these bytes.
func (t *Token) Covers(data []byte) bool {
	h := t.Hash.New()
	h.Write(data)
	return bytes.Equal(h.Sum(nil), t.Imprint)
}

// CheckSignature verifies the token's signature, and that its signer may stamp
// time and nothing else (RFC 3161, 2.3). Whether to believe that signer is not asked.
func (t *Token) CheckSignature() error {
	if err := t.signed.Check(t.signed.ContentDigest()); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if !mayStamp(t.Signer) {
		return ErrPurpose
	}
	return nil
}

// Check is CheckSignature, and the signer's chain at the time that the token states.
func (t *Token) Check(trust Trust) error {
	_, err := t.Path(trust)
	return err
}

// Path is Check that returns the chain which it found, the signer first and a root last.
func (t *Token) Path(trust Trust) ([]*x509.Certificate, error) {
	if err := t.CheckSignature(); err != nil {
		return nil, err
	}
	if len(trust.Pinned) > 0 && !slices.ContainsFunc(trust.Pinned, t.Signer.Equal) {
		return nil, ErrNotPinned
	}
	intermediates := x509.NewCertPool()
	for _, c := range append(t.signed.Certificates, trust.Intermediates...) {
		intermediates.AddCert(c)
	}
	roots := trust.Roots
	if roots == nil {
		roots = x509.NewCertPool() // nil would mean the machine's own roots
	}
	chains, err := t.Signer.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: t.Time, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return chains[0], nil
}

// mayStamp wants the purpose timeStamping alone, in a critical extension.
func mayStamp(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(c.UnknownExtKeyUsage) > 0 {
		return false
	}
	for _, e := range c.Extensions {
		if e.Id.Equal(oidExtKeyUsage) {
			return e.Critical
		}
	}
	return false
}
