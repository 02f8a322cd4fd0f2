package card

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes that algorithms name
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"

	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/p11"
)

// Token is a Web eID authentication token, format web-eid:1.0, in its JSON form. It
// holds the certificate, so the holder's number: it is not for logs.
type Token struct {
	UnverifiedCertificate string `json:"unverifiedCertificate"` // base64 of DER
	Algorithm             string `json:"algorithm"`             // of JSON Web Algorithms, RFC 7518 §3.1
	Signature             string `json:"signature"`             // base64; r‖s for ECDSA
	Format                string `json:"format"`
	AppVersion            string `json:"appVersion"`
}

const (
	tokenFormat = "web-eid:1.0"
	appVersion  = "https://belfry.eu/eid-agent/1"
)

// The length of a challenge, in characters, as the Web eID programs have it.
const (
	minNonce = 44
	maxNonce = 128
)

// algorithm is how a kind of key signs.
type algorithm struct {
	name string
	hash crypto.Hash
}

// algorithmOf is ES384 for the cards of today, RS256 for those before 2021.
func algorithmOf(public crypto.PublicKey) (algorithm, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return algorithm{"RS256", crypto.SHA256}, nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return algorithm{"ES256", crypto.SHA256}, nil
		case elliptic.P384():
			return algorithm{"ES384", crypto.SHA384}, nil
		case elliptic.P521():
			return algorithm{"ES512", crypto.SHA512}, nil
		}
	}
	return algorithm{}, fmt.Errorf("no algorithm for a key of type %T", public)
}

// CheckOrigin returns an error unless origin is scheme, host and port as a browser
// writes them: http or https, lower case, no default port, nothing behind.
func CheckOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || len(origin) > 300 {
		return errors.New("not an origin")
	}
	defaultPort := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	if origin != u.Scheme+"://"+u.Host || origin != strings.ToLower(origin) || strings.HasSuffix(u.Host, defaultPort) || strings.HasSuffix(u.Host, ":") {
		return errors.New("an origin in another form than browsers write it")
	}
	for _, r := range origin {
		if r <= ' ' || r > '~' {
			return errors.New("an origin that is not ASCII")
		}
	}
	return nil
}

// CheckNonce returns an error unless nonce has the length and letters of a challenge.
func CheckNonce(nonce string) error {
	if len(nonce) < minNonce || len(nonce) > maxNonce {
		return fmt.Errorf("a challenge of %d characters, %d to %d wanted", len(nonce), minNonce, maxNonce)
	}
	if strings.Trim(nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_") != "" {
		return errors.New("a challenge that is not base64")
	}
	return nil
}

// Authenticate signs hash(origin)‖hash(nonce) with the authentication key. The
// origin is what the browser said of itself, never what a page said; nonce is the
// page's challenge, hashed as the text it is. p11.SpendLastTry allows a PIN where
// a wrong one would block the card.
func (c *Card) Authenticate(origin, nonce string, pin p11.PIN, opts ...p11.Option) (Token, error) {
	return c.authenticate(origin, nonce, pin, nil, opts...)
}

// AuthenticateAndRead is Authenticate, and reads what is written on the same card. The
// files are nil where the module does not show them or they cannot be read: the holder is
// signed in all the same.
func (c *Card) AuthenticateAndRead(origin, nonce string, pin p11.PIN, opts ...p11.Option) (Token, *idfile.Files, error) {
	var files *idfile.Files
	token, err := c.authenticate(origin, nonce, pin, func(t *p11.Token) error {
		read, err := c.read(t, false)
		if fault.KeyOf(err) != "" { // not shown, or of no use
			return nil
		}
		files = &read
		return err
	}, opts...)
	if err != nil {
		return Token{}, nil, err
	}
	return token, files, nil
}

// authenticate signs, then calls also, where there is one, with the same opened card.
func (c *Card) authenticate(origin, nonce string, pin p11.PIN, also func(*p11.Token) error, opts ...p11.Option) (Token, error) {
	if err := errors.Join(CheckOrigin(origin), CheckNonce(nonce)); err != nil {
		return Token{}, ErrFailed.Because(err)
	}
	if _, err := c.Certificate(); err != nil {
		return Token{}, err
	}
	made := Token{Format: tokenFormat, AppVersion: appVersion}
	err := c.use(pin, func(token *p11.Token) error {
		cert, err := c.certificateInside(token, authenticationLabel, c.authentication)
		if err != nil {
			return err
		}
		alg, err := algorithmOf(cert.PublicKey)
		if err != nil {
			return err
		}
		message := append(sum(alg.hash, []byte(origin)), sum(alg.hash, []byte(nonce))...)
		signature, err := signVerified(token, authenticationLabel, cert, alg.hash, sum(alg.hash, message))
		if err != nil {
			return err
		}
		made.UnverifiedCertificate = base64.StdEncoding.EncodeToString(cert.Raw)
		made.Algorithm = alg.name
		made.Signature = base64.StdEncoding.EncodeToString(signature)
		if also != nil {
			return also(token)
		}
		return nil
	}, opts...)
	if err != nil {
		return Token{}, err
	}
	return made, nil
}

// Signature is what Sign returns.
type Signature struct {
	Certificate *x509.Certificate
	Algorithm   string // RS256, ES384, …: by the key and the hash
	Value       []byte // r‖s for ECDSA, PKCS #1 v1.5 for RSA
}

// Sign signs a digest with the key for documents: the holder's qualified signature.
// It asks for the PIN each time. The card cannot tell what the digest is of; callers
// have shown it.
func (c *Card) Sign(hash crypto.Hash, digest []byte, pin p11.PIN, opts ...p11.Option) (Signature, error) {
	bits := map[crypto.Hash]string{crypto.SHA256: "256", crypto.SHA384: "384", crypto.SHA512: "512"}[hash]
	if bits == "" || len(digest) != hash.Size() {
		return Signature{}, ErrFailed.Because(errors.New("a digest of SHA-256, SHA-384 or SHA-512 wanted"))
	}
	if _, err := c.SignatureCertificate(); err != nil {
		return Signature{}, err
	}
	var made Signature
	err := c.use(pin, func(token *p11.Token) error {
		cert, err := c.certificateInside(token, signatureLabel, c.signature)
		if err != nil {
			return err
		}
		value, err := signVerified(token, signatureLabel, cert, hash, digest)
		if err != nil {
			return err
		}
		kind := "ES"
		if _, ok := cert.PublicKey.(*rsa.PublicKey); ok {
			kind = "RS"
		}
		made = Signature{Certificate: cert, Algorithm: kind + bits, Value: value}
		return nil
	}, opts...)
	return made, err
}

// certificateInside reads the certificate of an opened card, which must be the one
// that was shown before.
func (c *Card) certificateInside(token *p11.Token, label string, shown *x509.Certificate) (*x509.Certificate, error) {
	found, err := token.Certificates()
	if err != nil {
		return nil, err
	}
	cert := byLabel(found, label)
	if !same(shown, cert) {
		return nil, ErrRemoved.Because(errors.New("another card than was shown"))
	}
	if cert == nil {
		return nil, ErrNoCertificate
	}
	return cert, nil
}

// signVerified signs and checks the result against the certificate: modules have
// returned signatures that do not verify. ECDSA comes out as r‖s (RFC 7518 §3.4).
func signVerified(token *p11.Token, label string, cert *x509.Certificate, hash crypto.Hash, digest []byte) ([]byte, error) {
	key, err := token.Signer(label)
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(nil, digest, hash)
	if err != nil {
		return nil, err
	}
	switch public := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(public, hash, digest, signature); err != nil {
			return nil, fmt.Errorf("the card's signature does not verify: %w", err)
		}
		return signature, nil
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(public, digest, signature) {
			return nil, errors.New("the card's signature does not verify")
		}
		return fixed(signature, (public.Curve.Params().BitSize+7)/8)
	}
	return nil, fmt.Errorf("a key of type %T", cert.PublicKey)
}

// fixed turns an ASN.1 ECDSA signature into r‖s of size bytes each.
func fixed(der []byte, size int) ([]byte, error) {
	var s struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &s); err != nil || len(rest) > 0 || s.R.Sign() < 0 || s.S.Sign() < 0 || s.R.BitLen() > 8*size || s.S.BitLen() > 8*size {
		return nil, errors.New("the card's signature is not of ECDSA")
	}
	out := make([]byte, 2*size)
	s.R.FillBytes(out[:size])
	s.S.FillBytes(out[size:])
	return out, nil
}

func sum(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}
