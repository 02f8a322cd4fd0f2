package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair writes a server's certificate and key, and returns its settings.
func (a *authority) pair(dir string, hosts ...string) (*TLSSettings, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	s := &TLSSettings{Certificate: filepath.Join(dir, "tls.pem"), Key: filepath.Join(dir, "tls.key")}
	os.Remove(s.Key)
	cert := a.issue(&x509.Certificate{DNSNames: hosts}, key.Public())
	for file, text := range map[string]string{s.Certificate: pemOf(cert), s.Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))} {
		if err := os.WriteFile(file, []byte(text), 0o400); err != nil {
			a.t.Fatal(err)
		}
		os.Chmod(file, 0o600)
	}
	return s, cert
}

// A renewed certificate serves without a restart; half of one leaves the old.
func TestARenewedServerCertificate(t *testing.T) {
	a, dir := newAuthority(t, "Town CA"), t.TempDir()
	s, first := a.pair(dir, "a.example")
	p := &pairs{settings: *s, log: slog.New(slog.DiscardHandler)}
	if err := p.read(); err != nil {
		t.Fatal(err)
	}
	serves := func(want *x509.Certificate, when string) {
		t.Helper()
		got, err := p.current(nil)
		if err != nil || !got.Leaf.Equal(want) {
			t.Errorf("%s: another certificate, %v", when, err)
		}
	}
	later := func() { p.looked = time.Time{} }
	serves(first, "at first")

	if err := os.WriteFile(s.Certificate, []byte("half of"), 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	serves(first, "in the middle of a renewal")

	_, second := a.pair(dir, "a.example")
	for _, file := range []string{s.Certificate, s.Key} {
		os.Chtimes(file, time.Time{}, time.Now().Add(time.Second))
	}
	serves(first, "within the minute")
	later()
	serves(second, "after a renewal")

	os.Remove(s.Key)
	later()
	serves(second, "while the key is away")
}

func TestServerCertificatesThatCannotServe(t *testing.T) {
	a := newAuthority(t, "Town CA")
	for want, spoil := range map[string]func(*TLSSettings){
		"others may read":         func(s *TLSSettings) { os.Chmod(s.Key, 0o644) },
		"no such file":            func(s *TLSSettings) { os.Remove(s.Certificate) },
		"private key does not":    func(s *TLSSettings) { other, _ := a.pair(t.TempDir()); s.Key = other.Key },
		"server.tls: tls: failed": func(s *TLSSettings) { os.WriteFile(s.Certificate, []byte("nothing"), 0o600) },
	} {
		s, _ := a.pair(t.TempDir(), "a.example")
		spoil(s)
		if _, err := serverTLS(s, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if c, err := serverTLS(nil, nil); c != nil || err != nil {
		t.Error("without settings there is TLS")
	}
	s, _ := a.pair(t.TempDir(), "id.example")
	settings := &Settings{Server: ServerSettings{TLS: s}, Provider: ProviderSettings{Issuers: []string{"https://id.example", "https://elsewhere.example:8443"}}}
	if _, err := settings.checkTLS(); err == nil || !strings.Contains(err.Error(), "elsewhere.example") || strings.Contains(err.Error(), "not id.example") {
		t.Errorf("a name that is not covered: %v", err)
	}
}
