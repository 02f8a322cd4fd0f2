package card

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/belfry-eid/belfry/internal/eid/trust"
)

// Minor versions of the format: 1.0 names one certificate; from 1.1 on a token also names
// those by which the holder signs documents, so that a page with a telephone's card need
// not ask again. We use them for nothing, but a token whose parts are not of one card is
// no answer of a card program.

// formatShape is the format's one spelling: no leading zero, nothing behind.
var formatShape = regexp.MustCompile(`^web-eid:1(?:\.(0|[1-9][0-9]{0,2}))?$`)

// minor is the minor version of a format, false where it is none of 1.
func minor(format string) (int, bool) {
	found := formatShape.FindStringSubmatch(format)
	if found == nil {
		return 0, false
	}
	if found[1] == "" {
		return 0, true // "web-eid:1", as the first programs said
	}
	n, err := strconv.Atoi(found[1])
	return n, err == nil
}

// signingCertificate is one entry of unverifiedSigningCertificates.
type signingCertificate struct {
	Certificate string               `json:"certificate"`
	Supported   []supportedAlgorithm `json:"supportedSignatureAlgorithms"`
}

type supportedAlgorithm struct {
	Crypto  string `json:"cryptoAlgorithm"`
	Hash    string `json:"hashFunction"`
	Padding string `json:"paddingScheme"`
}

// signingMax is how many certificates for signing one card may have; Belgian ones have one.
const signingMax = 4

var (
	cryptoAlgorithms = []string{"ECC", "RSA"}
	hashFunctions    = []string{"SHA-224", "SHA-256", "SHA-384", "SHA-512", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512"}
	paddingSchemes   = []string{"NONE", "PKCS1.5", "PSS"}
)

// signingCertificates reads what a token of a minor version says of the holder's other
// certificates. The fields of 1.1 in a token that calls itself 1.0 are refused: somebody
// took the version down so that they are not looked at.
func (t token) signingCertificates(minor int) ([]*x509.Certificate, error) {
	if minor == 0 {
		if t.SigningCertificates != nil || t.IntermediateCertificates != nil {
			return nil, errors.New("fields of a later format")
		}
		return nil, nil
	}
	if len(t.SigningCertificates) == 0 || len(t.SigningCertificates) > signingMax {
		return nil, fmt.Errorf("%d certificates for signing", len(t.SigningCertificates))
	}
	var list []*x509.Certificate
	for _, s := range t.SigningCertificates {
		cert, err := s.parse()
		if err != nil {
			return nil, fmt.Errorf("certificate for signing: %w", err)
		}
		list = append(list, cert)
	}
	return list, nil
}

func (s signingCertificate) parse() (*x509.Certificate, error) {
	der, err := decode(s.Certificate)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("it does not parse") // its error may quote names
	}
	if len(s.Supported) == 0 {
		return nil, errors.New("no supportedSignatureAlgorithms")
	}
	for _, a := range s.Supported {
		if !a.known() || !a.fits(cert) {
			return nil, errors.New("an algorithm that is none, or not of its key")
		}
	}
	return cert, nil
}

func (a supportedAlgorithm) known() bool {
	return slices.Contains(cryptoAlgorithms, a.Crypto) && slices.Contains(hashFunctions, a.Hash) && slices.Contains(paddingSchemes, a.Padding)
}

func (a supportedAlgorithm) fits(cert *x509.Certificate) bool {
	switch cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return a.Crypto == "ECC" && a.Padding == "NONE"
	case *rsa.PublicKey:
		return a.Crypto == "RSA" && a.Padding != "NONE"
	}
	return false
}

// oneCard checks that certificates for signing are of the card that was verified: the same
// holder, from the same issuer, for signatures and not for signing in, valid now. Nothing
// is signed here, so nobody is asked whether they stand.
func oneCard(verified trust.Certificate, signing []*x509.Certificate) error {
	path := verified.Path()
	for _, c := range signing {
		switch {
		case !sameHolder(c, verified.X509()):
			return errors.New("a certificate for signing is another person's")
		case !bytes.Equal(c.RawIssuer, verified.X509().RawIssuer) || !bytes.Equal(c.AuthorityKeyId, verified.X509().AuthorityKeyId):
			return errors.New("a certificate for signing is another issuer's")
		case c.IsCA || c.KeyUsage&x509.KeyUsageContentCommitment == 0 || c.KeyUsage&x509.KeyUsageDigitalSignature != 0:
			return errors.New("a certificate for signing is for something else")
		case verified.At().Before(c.NotBefore) || verified.At().After(c.NotAfter):
			return errors.New("a certificate for signing is not valid now")
		case c.CheckSignatureFrom(path[1]) != nil:
			return errors.New("nobody has issued a certificate for signing")
		}
	}
	return nil
}

// sameHolder compares the subjects of a Belgian card's two certificates, which differ in
// one word: the purpose behind the common name. All else is equal.
func sameHolder(a, b *x509.Certificate) bool {
	x, y := a.Subject.Names, b.Subject.Names
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !x[i].Type.Equal(y[i].Type) {
			return false
		}
		left, ok := x[i].Value.(string)
		right, ok2 := y[i].Value.(string)
		if !ok || !ok2 || trust.WithoutPurpose(left) != trust.WithoutPurpose(right) {
			return false
		}
	}
	return len(x) > 0
}
