package p11

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"github.com/miekg/pkcs11"
)

// KeyKind is a kind of key pair that GenerateKey makes.
type KeyKind string

const (
	RSA2048 KeyKind = "rsa2048"
	RSA3072 KeyKind = "rsa3072"
	RSA4096 KeyKind = "rsa4096"
	P256    KeyKind = "p256"
	P384    KeyKind = "p384"
	P521    KeyKind = "p521"
)

var (
	rsaBits  = map[KeyKind]int{RSA2048: 2048, RSA3072: 3072, RSA4096: 4096}
	curveOID = map[KeyKind]asn1.ObjectIdentifier{P256: {1, 2, 840, 10045, 3, 1, 7}, P384: {1, 3, 132, 0, 34}, P521: {1, 3, 132, 0, 35}}
)

// InitToken makes a token of this label out of an uninitialised one, with its two PINs.
// It never touches an initialised token. It returns the new token with its serial number.
func (m *Module) InitToken(label string, soPIN, userPIN PIN) (TokenInfo, error) {
	if label == "" || len(label) > 32 {
		return TokenInfo{}, fmt.Errorf("token label %q: 1 to 32 bytes", label)
	}
	lib := m.lib
	lib.mu.Lock()
	defer lib.mu.Unlock()
	slot, err := lib.blankSlot()
	if err != nil {
		return TokenInfo{}, err
	}
	if err := lib.ctx.InitToken(slot, soPIN.reveal(), label); err != nil {
		return TokenInfo{}, callError("C_InitToken", err)
	}
	h, err := lib.ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return TokenInfo{}, callError("C_OpenSession", err)
	}
	defer lib.ctx.CloseSession(h)
	if err := lib.ctx.Login(h, pkcs11.CKU_SO, soPIN.reveal()); err != nil {
		return TokenInfo{}, callError("C_Login (security officer)", err)
	}
	defer lib.ctx.Logout(h)
	if err := lib.ctx.InitPIN(h, userPIN.reveal()); err != nil {
		return TokenInfo{}, callError("C_InitPIN", err)
	}
	info, err := lib.ctx.GetTokenInfo(slot)
	if err != nil {
		return TokenInfo{}, callError("C_GetTokenInfo", err)
	}
	return tokenInfo(slot, info), nil
}

func (lib *library) blankSlot() (uint, error) {
	all, err := lib.tokens()
	if err != nil {
		return 0, err
	}
	for _, t := range all {
		if !t.Flags.Initialized {
			return t.slot, nil
		}
	}
	return 0, fmt.Errorf("%w: no slot has an uninitialised token", ErrNoSuchToken)
}

type keyOptions struct {
	id     []byte
	always bool
	opens  bool
}

// KeyOption changes what GenerateKey and ImportCertificate make.
type KeyOption func(*keyOptions)

// WithID sets CKA_ID; without it a random one of eight bytes is taken.
func WithID(id []byte) KeyOption { return func(o *keyOptions) { o.id = id } }

// AlwaysAuthenticate makes a key that wants the PIN at each signature, as the Signature
// key of an eID card does.
func AlwaysAuthenticate() KeyOption { return func(o *keyOptions) { o.always = true } }

// Decrypting makes an RSA key that decrypts, and does not sign: one key has one use.
func Decrypting() KeyOption { return func(o *keyOptions) { o.opens = true } }

func keyOptionsOf(opts []KeyOption) keyOptions {
	var o keyOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.id == nil {
		o.id = make([]byte, 8)
		rand.Read(o.id)
	}
	return o
}

// GenerateKey makes a key pair in the token. The private key signs, never leaves the
// token (sensitive, not extractable), and its label is its only one: ErrExists otherwise.
func (t *Token) GenerateKey(label string, kind KeyKind, opts ...KeyOption) (crypto.PublicKey, error) {
	mechanism, public, err := keyTemplate(kind)
	if err != nil {
		return nil, err
	}
	o := keyOptionsOf(opts)
	public = append(public,
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false),
		pkcs11.NewAttribute(pkcs11.CKA_VERIFY, !o.opens),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, o.opens),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, o.id),
	)
	private := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, !o.opens),
		pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, o.opens),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, o.id),
	}
	if o.always {
		private = append(private, pkcs11.NewAttribute(pkcs11.CKA_ALWAYS_AUTHENTICATE, true))
	}
	var made crypto.PublicKey
	err = t.writing(func(s *session) error {
		found, err := t.find(s, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return fmt.Errorf("%w: key %q", ErrExists, label)
		}
		pub, _, err := t.lib.ctx.GenerateKeyPair(s.h, []*pkcs11.Mechanism{mechanism}, public, private)
		if err != nil {
			return callError("C_GenerateKeyPair", err)
		}
		if made = t.publicOf(s, pub, pkcs11.CKO_PUBLIC_KEY); made == nil {
			return fmt.Errorf("the token shows no public key for %q", label)
		}
		return nil
	})
	return made, err
}

func keyTemplate(kind KeyKind) (*pkcs11.Mechanism, []*pkcs11.Attribute, error) {
	if bits, ok := rsaBits[kind]; ok {
		return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil), []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, bits),
			pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		}, nil
	}
	oid, ok := curveOID[kind]
	if !ok {
		return nil, nil, fmt.Errorf("%w: key kind %q", ErrUnsupported, kind)
	}
	params, err := asn1.Marshal(oid)
	if err != nil {
		return nil, nil, err
	}
	return pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil), []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, params)}, nil
}

// ImportCertificate stores a certificate under a label, beside others of that label: a
// renewed one comes after the old one. The very same certificate is not stored twice.
func (t *Token) ImportCertificate(label string, der []byte, opts ...KeyOption) error {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("certificate %q: %w", label, err)
	}
	serial, err := asn1.Marshal(c.SerialNumber)
	if err != nil {
		return err
	}
	o := keyOptionsOf(opts)
	return t.writing(func(s *session) error {
		found, err := t.find(s, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
		if err != nil {
			return err
		}
		for _, have := range found {
			if bytes.Equal(t.attribute(s, have, pkcs11.CKA_VALUE), der) {
				return nil
			}
		}
		_, err = t.lib.ctx.CreateObject(s.h, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE),
			pkcs11.NewAttribute(pkcs11.CKA_CERTIFICATE_TYPE, pkcs11.CKC_X_509),
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
			pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
			pkcs11.NewAttribute(pkcs11.CKA_ID, o.id),
			pkcs11.NewAttribute(pkcs11.CKA_SUBJECT, c.RawSubject),
			pkcs11.NewAttribute(pkcs11.CKA_ISSUER, c.RawIssuer),
			pkcs11.NewAttribute(pkcs11.CKA_SERIAL_NUMBER, serial),
			pkcs11.NewAttribute(pkcs11.CKA_VALUE, der),
		})
		return callError("C_CreateObject", err)
	})
}

// writing runs f on a session of its own that may change the token.
func (t *Token) writing(f func(*session) error) error {
	t.permits <- struct{}{}
	defer func() { <-t.permits }()
	slot, err := t.slot()
	if err != nil {
		return t.after(err)
	}
	h, err := t.lib.ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return t.after(callError("C_OpenSession", err))
	}
	defer t.lib.ctx.CloseSession(h)
	if err := f(&session{h: h, keys: map[string]pkcs11.ObjectHandle{}}); err != nil {
		return t.after(err)
	}
	return nil
}
