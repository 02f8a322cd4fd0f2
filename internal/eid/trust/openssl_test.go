package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// OpenSSL as the responder: an implementation that shares nothing with ours, and
// that copies the nonce.
func TestOpenSSLAsResponder(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	w := newWorld(t)
	w.clock.Add(time.Since(noon)) // openssl signs with the machine's time
	dir := t.TempDir()
	save := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := must(x509.MarshalECPrivateKey(w.ca.key.(*ecdsa.PrivateKey)))
	save("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.ca.cert.Raw}))
	save("ca.key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key}))
	w.raw = func(request []byte) []byte {
		save("request.der", request)
		cmd := exec.Command(openssl, "ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key",
			"-reqin", "request.der", "-respout", "response.der", "-nmin", "60")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("openssl: %v\n%s", err, out)
		}
		answer, err := os.ReadFile(filepath.Join(dir, "response.der"))
		if err != nil || !bytes.Contains(answer, request[len(request)-32:]) {
			t.Error("openssl did not copy the nonce")
		}
		return answer
	}
	card := w.card(nil)
	for line, want := range map[string]error{
		"V\t401231235959Z\t\t%X\tunknown\t/CN=x\n":              nil,
		"R\t401231235959Z\t260101000000Z\t%X\tunknown\t/CN=x\n": ErrRevoked,
		"": ErrRevoked, // it knows no such card
	} {
		index := line
		if line != "" {
			index = fmt.Sprintf(line, card.SerialNumber)
		}
		save("index.txt", []byte(index))
		if _, err := w.check(w.verifier(nil), card); !errors.Is(err, want) {
			t.Errorf("%q: %v", line, err)
		}
	}
}
