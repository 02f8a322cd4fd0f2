package pades_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/digitorus/pdf"
	"github.com/digitorus/pdfsign/revocation"
	pdfsign "github.com/digitorus/pdfsign/sign"
	pdfverify "github.com/digitorus/pdfsign/verify"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

// digitorus/pdfsign has an opinion on our own files only: foreign ones can kill
// its process, and it takes some that were tampered with. It must notice a
// changed byte, or its opinion would be worth nothing.
func TestPDFSignAgrees(t *testing.T) {
	for _, form := range []pdftest.Form{pdftest.Table, pdftest.Stream} {
		for key, id := range seals() {
			content := pdftest.Build(form, pdftest.Fields())
			o := options(id)
			o.Certify = true
			p := prepare(t, content, o)
			signature, err := p.Sign(id.Key)
			if err != nil {
				t.Fatal(err)
			}
			file := embed(t, p, content, signature, stamp(t, signature))
			if s := second(t, file); !s.ValidSignature || s.TimestampStatus != "valid" {
				t.Errorf("%s: signature %v, stamp %s", key, s.ValidSignature, s.TimestampStatus)
			}
			changed := bytes.Clone(file)
			changed[bytes.Index(changed, []byte("/Lang"))+6] ^= 1
			if s := second(t, changed); s.ValidSignature {
				t.Errorf("%s: a changed byte goes unnoticed", key)
			}
		}
	}
}

func second(t *testing.T, file []byte) (s pdfverify.Signer) {
	t.Helper()
	o := pdfverify.DefaultVerifyOptions()
	o.AllowUntrustedRoots = true
	r, err := pdfverify.VerifyWithOptions(bytes.NewReader(file), int64(len(file)), o)
	if r != nil && len(r.Signers) == 1 {
		return r.Signers[0]
	}
	if err == nil || !strings.Contains(err.Error(), "digest") {
		t.Logf("pdfsign: %v", err)
	}
	return s
}

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
// hash, sign, assemble, write. BenchmarkKey is the key alone, which no sealing can
// beat; BenchmarkPDFSign is the same document through digitorus/pdfsign.
func BenchmarkSeal(b *testing.B) {
	content := document(50 << 10)
	for key, id := range seals() {
		b.Run(key, func(b *testing.B) {
			o := options(id)
			o.StampRoom = -1
			o.Certify = true
			b.ReportAllocs()
			for b.Loop() {
				p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), o)
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

func BenchmarkKey(b *testing.B) {
	for key, id := range seals() {
		b.Run(key, func(b *testing.B) {
			h := crypto.SHA256
			if key == "P-384" {
				h = crypto.SHA384
			}
			digest := make([]byte, h.Size())
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
	for key, id := range seals() {
		b.Run(key, func(b *testing.B) {
			h := crypto.SHA256
			if key == "P-384" {
				h = crypto.SHA384
			}
			b.ReportAllocs()
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
