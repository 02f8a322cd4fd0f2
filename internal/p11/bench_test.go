package p11_test

import (
	"crypto"
	"crypto/sha256"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/belfry-eid/belfry/internal/benchtest"
	"github.com/belfry-eid/belfry/internal/p11"
)

// BenchmarkSign measures what the door costs: "raw" is C_SignInit and C_Sign on one
// session, without the slot list, the pool and the encoding.
func BenchmarkSign(b *testing.B) {
	m := module(b)
	tok := token(b, m, "bench")
	digest := sha256.Sum256([]byte("x"))
	for _, kind := range []p11.KeyKind{p11.P256, p11.P384, p11.RSA2048} {
		if _, err := tok.GenerateKey(string(kind), kind); err != nil {
			b.Fatal(err)
		}
		k, err := tok.Signer(string(kind))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(kind), func(b *testing.B) {
			defer benchtest.CPU(b)()
			for b.Loop() {
				if _, err := k.Sign(nil, digest[:], crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(kind)+"/raw", func(b *testing.B) { raw(b, m, tok, kind, digest[:]) })
	}
}

func raw(b *testing.B, m *p11.Module, tok *p11.Token, kind p11.KeyKind, digest []byte) {
	ctx := pkcs11.New(m.Path()) // initialised already, by the door
	slots, err := ctx.GetSlotList(true)
	if err != nil {
		b.Fatal(err)
	}
	for _, slot := range slots {
		info, err := ctx.GetTokenInfo(slot)
		if err != nil || info.SerialNumber != tok.Info().Serial {
			continue
		}
		session, err := ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
		if err != nil {
			b.Fatal(err)
		}
		defer ctx.CloseSession(session)
		if err := ctx.FindObjectsInit(session, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, string(kind))}); err != nil {
			b.Fatal(err)
		}
		keys, _, err := ctx.FindObjects(session, 1)
		ctx.FindObjectsFinal(session)
		if err != nil || len(keys) != 1 {
			b.Fatal(err, len(keys))
		}
		mechanism := uint(pkcs11.CKM_ECDSA)
		if kind == p11.RSA2048 {
			mechanism = pkcs11.CKM_RSA_PKCS
		}
		defer benchtest.CPU(b)()
		for b.Loop() {
			if err := ctx.SignInit(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, keys[0]); err != nil {
				b.Fatal(err)
			}
			if _, err := ctx.Sign(session, digest); err != nil {
				b.Fatal(err)
			}
		}
	}
}
