package revocation

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func authority(t testing.TB) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func TestWhatIsSaid(t *testing.T) {
	ca, key := authority(t)
	for status, want := range map[int]Status{ocsp.Good: Good, ocsp.Revoked: Revoked, ocsp.Unknown: Unknown} {
		raw, err := ocsp.CreateResponse(ca, ca, ocsp.Response{Status: status, SerialNumber: ca.SerialNumber, ThisUpdate: noon, NextUpdate: noon.Add(time.Hour), RevokedAt: noon.Add(-time.Hour)}, key)
		if err != nil {
			t.Fatal(err)
		}
		a, err := ParseOCSP(raw)
		if err != nil {
			t.Fatal(err)
		}
		s, err := a.About(ca, ca)
		if err != nil || s.Status != want || !s.From.Equal(noon) || !s.Next.Equal(noon.Add(time.Hour)) {
			t.Errorf("%+v, %v", s, err)
		}
		if want == Revoked && !s.RevokedAt.Equal(noon.Add(-time.Hour)) {
			t.Errorf("revoked at %v", s.RevokedAt)
		}
		if by, err := a.SignedBy(ca, noon, nil); err != nil || by != ca {
			t.Error(err)
		}
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon, NextUpdate: noon.Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(7), RevocationTime: noon.Add(-time.Minute)}}}
	raw, err := x509.CreateRevocationList(rand.Reader, list, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseCRL(raw, ca)
	if err != nil {
		t.Fatal(err)
	}
	if s := l.About(big.NewInt(7)); s.Status != Revoked || !s.RevokedAt.Equal(noon.Add(-time.Minute)) {
		t.Errorf("%+v", s)
	}
	if s := l.About(big.NewInt(8)); s.Status != Good || !s.Next.Equal(noon.Add(time.Hour)) {
		t.Errorf("%+v", s)
	}
}

// A stranger's bytes never panic; internal/eid/trust holds answers that were signed to more.
func FuzzAnswer(f *testing.F) {
	ca, key := authority(f)
	raw, err := ocsp.CreateResponse(ca, ca, ocsp.Response{Status: ocsp.Good, SerialNumber: ca.SerialNumber, ThisUpdate: noon, Certificate: ca}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if a, err := ParseOCSP(raw); err == nil {
			a.About(ca, ca)
			a.SignedBy(ca, noon, nil)
		}
		ParseCRL(raw, ca)
	})
}
