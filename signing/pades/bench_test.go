package pades_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"testing"

	"github.com/digitorus/pdf"
	"github.com/digitorus/pdfsign/revocation"
	pdfsign "github.com/digitorus/pdfsign/sign"

	"github.com/belfry-eid/belfry/internal/benchtest"
	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/testcerts"
)

// document is a file of about size bytes.
func document(size int) []byte {
	o := pdftest.Plain()
	noise := make([]byte, size/2)
	if _, err := rand.Read(noise); err != nil {
		panic(err)
	}
	o[3] = fmt.Sprintf("<</Length %d>>\nstream\n%x\nendstream", 2*len(noise), noise)
	return pdftest.Build(pdftest.Table, o)
}

// BenchmarkSeal is one B-B seal of a 50 KB document in memory: read, lay out,
// hash, sign, verify, assemble, join. BenchmarkKey is the key alone, which no
// sealing can beat; BenchmarkPDFSign is the same document through digitorus/pdfsign.
func BenchmarkSeal(b *testing.B) {
	for key, id := range realistic(b) {
		b.Run(key, func(b *testing.B) { sealOverAndOver(b, id) })
	}
}

// BenchmarkSealByToken is the same with a key in SoftHSM; internal/p11 measures the
// token alone.
func BenchmarkSealByToken(b *testing.B) {
	for _, kind := range []p11.KeyKind{p11.RSA2048, p11.P256, p11.P384} {
		s := testcerts.New(b).SealKey("beaumarais", kind)
		token, key, err := s.Open()
		if err != nil {
			b.Fatal(err)
		}
		defer token.Close()
		b.Run(string(kind), func(b *testing.B) {
			sealOverAndOver(b, signingtest.Identity{Key: key, Cert: s.Certificate, Chain: s.Chain[:2]})
		})
	}
}

// realistic are the keys of the tests, certified as a commune's is: by a CA with a
// P-384 key.
func realistic(b *testing.B) map[string]signingtest.Identity {
	world := testcerts.New(b)
	like := world.SealKey("beaumarais", p11.P256).Certificate
	all := map[string]signingtest.Identity{}
	for name, id := range seals() {
		cert, err := world.GovernmentCA.Issue(&x509.Certificate{
			RawSubject: like.RawSubject, NotBefore: like.NotBefore, NotAfter: like.NotAfter, KeyUsage: like.KeyUsage, ExtKeyUsage: like.ExtKeyUsage, Policies: like.Policies,
		}, id.Key.Public())
		if err != nil {
			b.Fatal(err)
		}
		all[name] = signingtest.Identity{Key: id.Key, Cert: cert, Chain: []*x509.Certificate{cert, world.GovernmentCA.Certificate}}
	}
	return all
}

func sealOverAndOver(b *testing.B, id signingtest.Identity) {
	content := document(50 << 10)
	o := options(id)
	o.At = id.Cert.NotBefore.AddDate(0, 0, 1)
	o.StampRoom = -1
	o.Certify = true
	b.ReportAllocs()
	defer benchtest.CPU(b)()
	for b.Loop() {
		p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), o)
		if err != nil {
			b.Fatal(err)
		}
		signature, err := p.Sign(id.Key)
		if err != nil {
			b.Fatal(err)
		}
		tail, err := p.Tail(signature, nil)
		if err != nil {
			b.Fatal(err)
		}
		io.Discard.Write(content)
		io.Discard.Write(tail)
	}
}

func BenchmarkKey(b *testing.B) {
	for key, id := range seals() {
		b.Run(key, func(b *testing.B) {
			h := crypto.SHA256
			if key == "P-384" {
				h = crypto.SHA384
			}
			digest := make([]byte, h.Size())
			defer benchtest.CPU(b)()
			for b.Loop() {
				if _, err := id.Key.Sign(rand.Reader, digest, h); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPDFSign(b *testing.B) {
	content := document(50 << 10)
	for key, id := range realistic(b) {
		b.Run(key, func(b *testing.B) {
			h := crypto.SHA256
			if key == "P-384" {
				h = crypto.SHA384
			}
			b.ReportAllocs()
			defer benchtest.CPU(b)()
			for b.Loop() {
				r, err := pdf.NewReader(bytes.NewReader(content), int64(len(content)))
				if err != nil {
					b.Fatal(err)
				}
				err = pdfsign.Sign(bytes.NewReader(content), io.Discard, r, int64(len(content)), pdfsign.SignData{
					Signature: pdfsign.SignDataSignature{CertType: pdfsign.ApprovalSignature, Info: pdfsign.SignDataSignatureInfo{Date: signingtest.Now}},
					Signer:    id.Key, DigestAlgorithm: h, Certificate: id.Cert, CertificateChains: [][]*x509.Certificate{id.Chain},
					RevocationFunction: func(*x509.Certificate, *x509.Certificate, *revocation.InfoArchival) error { return nil },
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLarge is one seal of a large document; what it allocates must not grow with it.
func BenchmarkLarge(b *testing.B) {
	id := signingtest.Shared().P256
	for _, size := range []int{50 << 10, 5 << 20, 100 << 20} {
		content := document(size)
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), options(id))
				if err != nil {
					b.Fatal(err)
				}
				signature, err := p.Sign(id.Key)
				if err != nil {
					b.Fatal(err)
				}
				if err := p.Embed(io.Discard, bytes.NewReader(content), signature, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
