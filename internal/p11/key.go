package p11

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync/atomic"
	"time"

	"github.com/miekg/pkcs11"
)

// Key is a private key in a token. It is a crypto.Signer for RSA (PKCS #1 v1.5 and PSS)
// and for ECDSA (ASN.1 DER); the hash is made in Go, since not every module can. What it
// returns is not verified: callers do that.
type Key struct {
	token  *Token
	label  string
	always bool // the PIN is wanted at each signature
	public crypto.PublicKey
	calls  atomic.Uint64
}

var _ crypto.Signer = (*Key)(nil)

// Signer returns the private key of this label.
func (t *Token) Signer(label string) (*Key, error) {
	if t.lg == nil && t.info.Flags.LoginRequired {
		return nil, ErrPINRequired
	}
	k := &Key{token: t, label: label}
	err := t.with(func(s *session) error {
		o, err := t.key(s, label)
		if err != nil {
			return err
		}
		k.always = t.alwaysAuthenticate(s, o)
		k.public, err = t.publicKey(s, o, label)
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// Label is the key's CKA_LABEL.
func (k *Key) Label() string { return k.label }

// Public is an *rsa.PublicKey or an *ecdsa.PublicKey.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Calls is how often C_Sign was called with this Key, answered or not.
func (k *Key) Calls() uint64 { return k.calls.Load() }

// Sign signs a digest. opts names its hash, or is *rsa.PSSOptions. The random source is
// not used: the token has its own.
func (k *Key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	mechanism, input, err := k.prepare(digest, opts)
	if err != nil {
		return nil, err
	}
	signature, err := k.bounded(mechanism, input)
	if err != nil {
		return nil, fmt.Errorf("key %q of token %q: %w", k.label, k.token.info.Label, err)
	}
	if _, ok := k.public.(*ecdsa.PublicKey); ok {
		return derSignature(signature)
	}
	return signature, nil
}

func (k *Key) bounded(mechanism *pkcs11.Mechanism, input []byte) ([]byte, error) {
	if k.token.opt.timeout == 0 {
		return k.sign(mechanism, input)
	}
	type answer struct {
		signature []byte
		err       error
	}
	done := make(chan answer, 1)
	go func() {
		signature, err := k.sign(mechanism, input)
		done <- answer{signature, err}
	}()
	timer := time.NewTimer(k.token.opt.timeout)
	defer timer.Stop()
	select {
	case a := <-done:
		return a.signature, a.err
	case <-timer.C:
		return nil, ErrTimeout
	}
}

func (k *Key) sign(mechanism *pkcs11.Mechanism, input []byte) (signature []byte, err error) {
	t := k.token
	err = t.with(func(s *session) error {
		o, err := t.key(s, k.label)
		if err != nil {
			return err
		}
		if err := t.lib.ctx.SignInit(s.h, []*pkcs11.Mechanism{mechanism}, o); err != nil {
			return callError("C_SignInit", err)
		}
		if k.always {
			if err := t.authenticate(s); err != nil {
				return err
			}
		}
		k.calls.Add(1)
		t.calls.Add(1)
		signature, err = t.lib.ctx.Sign(s.h, input)
		return callError("C_Sign", err)
	})
	return signature, err
}

// authenticate gives the PIN for the operation just begun. Middleware that asks for it
// in its own dialog says CKR_USER_TYPE_INVALID and goes on. A refused PIN is forgotten,
// so that it is never tried again.
func (t *Token) authenticate(s *session) error {
	t.mu.Lock()
	pin := t.pin.clone()
	t.mu.Unlock()
	defer pin.Wipe()
	if pin.IsZero() && t.info.Flags.LoginRequired && !t.info.Flags.ProtectedPath {
		return ErrPINRequired
	}
	err := t.lib.ctx.Login(s.h, pkcs11.CKU_CONTEXT_SPECIFIC, pin.reveal())
	if err == nil || isCode(err, pkcs11.CKR_USER_TYPE_INVALID) {
		return nil
	}
	err = callError("C_Login (context specific)", err)
	if errors.Is(err, ErrPINIncorrect) || errors.Is(err, ErrPINLocked) {
		t.mu.Lock()
		t.pin.Wipe()
		t.mu.Unlock()
	}
	return err
}

// key finds the one private key of this label.
func (t *Token) key(s *session, label string) (pkcs11.ObjectHandle, error) {
	if o, ok := s.keys[label]; ok {
		return o, nil
	}
	found, err := t.find(s, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
	if err != nil {
		return 0, err
	}
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("%w: %q", ErrNoSuchKey, label)
	case 1:
		s.keys[label] = found[0]
		return found[0], nil
	}
	return 0, fmt.Errorf("%w: %d private keys are called %q", ErrAmbiguous, len(found), label)
}

// publicKey comes from the public key object, from the certificate of the same label,
// or, for RSA, from the private key's public parts.
func (t *Token) publicKey(s *session, private pkcs11.ObjectHandle, label string) (crypto.PublicKey, error) {
	for _, class := range []uint{pkcs11.CKO_PUBLIC_KEY, pkcs11.CKO_CERTIFICATE} {
		found, err := t.find(s, pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			if pub := t.publicOf(s, o, class); pub != nil {
				return pub, nil
			}
		}
	}
	if pub := t.rsaPublic(s, private); pub != nil {
		return pub, nil
	}
	return nil, fmt.Errorf("%w: %q has no public key or certificate beside it", ErrNoSuchKey, label)
}

func (t *Token) publicOf(s *session, o pkcs11.ObjectHandle, class uint) crypto.PublicKey {
	if class == pkcs11.CKO_CERTIFICATE {
		c, err := x509.ParseCertificate(certificateDER(t.attribute(s, o, pkcs11.CKA_VALUE)))
		if err != nil {
			return nil
		}
		return c.PublicKey
	}
	if pub := t.ecPublic(s, o); pub != nil {
		return pub
	}
	if pub := t.rsaPublic(s, o); pub != nil {
		return pub
	}
	return nil
}

var curves = map[string]elliptic.Curve{
	"1.2.840.10045.3.1.7": elliptic.P256(),
	"1.3.132.0.34":        elliptic.P384(),
	"1.3.132.0.35":        elliptic.P521(),
}

func (t *Token) ecPublic(s *session, o pkcs11.ObjectHandle) *ecdsa.PublicKey {
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(t.attribute(s, o, pkcs11.CKA_EC_PARAMS), &oid); err != nil {
		return nil
	}
	curve := curves[oid.String()]
	if curve == nil {
		return nil
	}
	point := t.attribute(s, o, pkcs11.CKA_EC_POINT)
	var inner []byte
	if _, err := asn1.Unmarshal(point, &inner); err == nil {
		point = inner // v2.40 §2.3.3 wants an OCTET STRING; some modules give the bare point
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil
	}
	return pub
}

func (t *Token) rsaPublic(s *session, o pkcs11.ObjectHandle) *rsa.PublicKey {
	n := new(big.Int).SetBytes(t.attribute(s, o, pkcs11.CKA_MODULUS))
	e := new(big.Int).SetBytes(t.attribute(s, o, pkcs11.CKA_PUBLIC_EXPONENT))
	if n.BitLen() < 1024 || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
		return nil
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}
}

// certificateDER is the certificate at the beginning of an object's value, without the
// padding that Belgian card files have behind it; nil where there is none.
func certificateDER(value []byte) []byte {
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(value, &outer); err != nil || outer.Tag != asn1.TagSequence {
		return nil
	}
	return outer.FullBytes
}
