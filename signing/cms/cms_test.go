package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/digitorus/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/belfry-eid/belfry/signing/cms"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

var content = []byte("the bytes of a document")

func hash(h crypto.Hash, b []byte) []byte {
	w := h.New()
	w.Write(b)
	return w.Sum(nil)
}

func sign(t testing.TB, id signingtest.Identity, token []byte) []byte {
	t.Helper()
	h, err := cms.HashFor(id.Cert.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	u, err := cms.Prepare(hash(h, content), id.Chain)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := id.Key.Sign(rand.Reader, u.Digest(), u.Hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Check(signature); err != nil {
		t.Fatal(err)
	}
	if err := u.Check(append([]byte{1}, signature...)); !errors.Is(err, cms.ErrSignature) {
		t.Errorf("a wrong answer of the key: %v", err)
	}
	der, err := u.Assemble(signature, token)
	if err != nil {
		t.Fatal(err)
	}
	most, err := u.Size(len(token))
	if err != nil || len(der) > most || most-len(der) > 32 {
		t.Errorf("%d bytes where Size says %d: %v", len(der), most, err)
	}
	return der
}

func seals(w *signingtest.World) map[string]signingtest.Identity {
	return map[string]signingtest.Identity{"RSA": w.RSA, "P-256": w.P256, "P-384": w.P384}
}

func TestWhatIsBuiltIsVerified(t *testing.T) {
	for name, id := range seals(signingtest.Shared()) {
		t.Run(name, func(t *testing.T) {
			der := sign(t, id, nil)
			s, rest, err := cms.Parse(append(der, 0, 0))
			if err != nil || !bytes.Equal(rest, []byte{0, 0}) {
				t.Fatalf("rest %x: %v", rest, err)
			}
			if !s.Signer.Equal(id.Cert) || !s.IsData() || s.Content != nil || !s.SigningTime.IsZero() || s.Stamp != nil || len(s.Certificates) != len(id.Chain) {
				t.Errorf("%+v", s)
			}
			if err := s.Check(hash(s.Hash, content)); err != nil {
				t.Error(err)
			}
			if err := s.Check(hash(s.Hash, []byte("another"))); !errors.Is(err, cms.ErrDigest) {
				t.Errorf("another content: %v", err)
			}
			second(t, der)
			openssl(t, der)
		})
	}
}

// second asks digitorus/pkcs7.
func second(t *testing.T, der []byte) {
	t.Helper()
	p, err := pkcs7.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	p.Content = content
	if err := p.Verify(); err != nil {
		t.Errorf("pkcs7: %v", err)
	}
}

// openssl asks OpenSSL, with the signing-certificate attribute checked too.
func openssl(t *testing.T, der []byte) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is not installed")
		}
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	sig, data := filepath.Join(dir, "sig.der"), filepath.Join(dir, "content")
	for path, b := range map[string][]byte{sig: der, data: content} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("openssl", "cms", "-verify", "-inform", "DER", "-in", sig, "-content", data, "-binary", "-cades",
		"-CAfile", signingtest.Shared().WriteRoots(t), "-purpose", "any", "-attime", "1780315200", "-out", os.DevNull).CombinedOutput()
	if err != nil {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

func TestTheStampIsCarried(t *testing.T) {
	token := sign(t, signingtest.Shared().P256, nil) // any ContentInfo will do
	s, _, err := cms.Parse(sign(t, signingtest.Shared().RSA, token))
	if err != nil || !bytes.Equal(s.Stamp, token) {
		t.Errorf("the stamp is lost: %v", err)
	}
	if err := s.Check(hash(s.Hash, content)); err != nil {
		t.Error(err)
	}
}

func TestBuildingIsDeterministic(t *testing.T) {
	id := signingtest.Shared().RSA
	if !bytes.Equal(sign(t, id, nil), sign(t, id, nil)) {
		t.Error("the same signature gives other bytes")
	}
}

func TestWeakKeysAreRefused(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []crypto.PublicKey{weak.Public(), p224.Public(), nil} {
		if _, err := cms.HashFor(k); err == nil {
			t.Errorf("%T is taken", k)
		}
	}
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	der := sign(t, signingtest.Shared().P256, nil)
	digest := hash(crypto.SHA256, content)
	for i := range der {
		bad := bytes.Clone(der)
		bad[i] ^= 0x20
		s, rest, err := cms.Parse(bad)
		if err != nil || len(rest) != 0 {
			continue
		}
		if err := s.Check(digest); err == nil && s.Signer.Equal(signingtest.Shared().P256.Cert) && bytes.Equal(s.Signature, mustParse(t, der).Signature) && !unsignedPart(der, i) {
			t.Errorf("byte %d of %d may be changed", i, len(der))
		}
	}
}

func mustParse(t *testing.T, der []byte) *cms.SignedData {
	s, _, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// unsignedPart says whether byte i is outside what the signature covers and the
// signer's certificate: the other certificates, version numbers and the list of digests.
func unsignedPart(der []byte, i int) bool {
	signer := bytes.Index(der, signingtest.Shared().P256.Cert.Raw)
	if i >= signer && i < signer+len(signingtest.Shared().P256.Cert.Raw) {
		return false
	}
	ca := bytes.Index(der, signingtest.Shared().CA.Cert.Raw)
	return i < min(signer, ca) || i < max(signer+len(signingtest.Shared().P256.Cert.Raw), ca+len(signingtest.Shared().CA.Cert.Raw))+16
}

func TestAnotherCertificateOfTheSameKeyIsNoticed(t *testing.T) {
	w := signingtest.Shared()
	twin := signingtest.Issue("Twin", &w.CA, w.P256.Key, func(c *x509.Certificate) {})
	u, err := cms.Prepare(hash(crypto.SHA256, content), w.P256.Chain)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := w.P256.Key.Sign(rand.Reader, u.Digest(), u.Hash)
	if err != nil {
		t.Fatal(err)
	}
	u.Chain = twin.Chain // the attributes name the first certificate
	der, err := u.Assemble(signature, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := mustParse(t, der)
	if err := s.Check(hash(crypto.SHA256, content)); !errors.Is(err, cms.ErrBinding) {
		t.Errorf("want ErrBinding, have %v", err)
	}
}

func TestForeignSignatures(t *testing.T) {
	w := signingtest.Shared()
	p, err := pkcs7.NewSignedData(content)
	if err != nil {
		t.Fatal(err)
	}
	p.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := p.AddSigner(w.RSA.Cert, w.RSA.Key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	p.Detach()
	der, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	s := mustParse(t, der)
	if err := s.Check(hash(crypto.SHA256, content)); !errors.Is(err, cms.ErrBinding) {
		t.Errorf("a signature that names no certificate: %v", err)
	}
	if s.SigningTime.IsZero() {
		t.Error("its signing time is not read")
	}
	p, _ = pkcs7.NewSignedData(content) // SHA-1, the default
	if err := p.AddSigner(w.RSA.Cert, w.RSA.Key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	if der, err = p.Finish(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := cms.Parse(der); !errors.Is(err, cms.ErrWeak) {
		t.Errorf("SHA-1: %v", err)
	}
}

// ber rewrites DER as signers write BER: lengths left open, octet strings in pieces.
func ber(t testing.TB, der []byte, depth int) []byte {
	t.Helper()
	in := cryptobyte.String(der)
	var out []byte
	for !in.Empty() {
		var body cryptobyte.String
		var tag cbasn1.Tag
		if !in.ReadAnyASN1(&body, &tag) {
			t.Fatal("no DER")
		}
		if tag&0x20 == 0 || depth > 4 { // certificates and attributes stay as they were signed
			var b cryptobyte.Builder
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(body) })
			out = append(out, b.BytesOrPanic()...)
			continue
		}
		out = append(append(append(out, byte(tag), 0x80), ber(t, body, depth+1)...), 0, 0)
	}
	return out
}

func TestBERIsRead(t *testing.T) {
	for name, id := range seals(signingtest.Shared()) {
		der := sign(t, id, sign(t, id, nil))
		s, rest, err := cms.Parse(append(ber(t, der, 0), 0, 0, 0))
		if err != nil || len(rest) != 3 || !s.BER {
			t.Fatalf("%s: rest %x: %v", name, rest, err)
		}
		if err := s.Check(hash(s.Hash, content)); err != nil || s.Stamp == nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Check(hash(s.Hash, []byte("another"))); !errors.Is(err, cms.ErrDigest) {
			t.Errorf("%s, another content: %v", name, err)
		}
	}
	pieces := []byte{0x30, 0x80, 0x24, 0x80, 4, 1, 'a', 4, 1, 'b', 0, 0, 0, 0}
	if _, _, err := cms.Parse(pieces); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("no signature at all: %v", err)
	}
	deep := bytes.Repeat([]byte{0x30, 0x80}, 1<<20)
	if _, _, err := cms.Parse(deep); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("a million levels: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sign(f, signingtest.Shared().P256, nil))
	f.Add(ber(f, sign(f, signingtest.Shared().P256, nil), 0))
	f.Add(sign(f, signingtest.Shared().RSA, sign(f, signingtest.Shared().P384, nil)))
	digest := sha256.Sum256(content)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, rest, err := cms.Parse(b)
		if err != nil {
			return
		}
		if len(rest) > len(b) {
			t.Error("more rest than there was")
		}
		_ = s.Check(digest[:])
		_ = s.Check(s.ContentDigest())
	})
}
