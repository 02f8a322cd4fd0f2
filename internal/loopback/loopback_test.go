package loopback_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/belfry-eid/belfry/internal/loopback"
)

func TestIs(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "id.belfry.localhost": true, "ID.Localhost.": true, "127.0.0.1": true, "127.8.8.8": true, "::1": true,
		"": false, "localhost.example": false, "notlocalhost": false, "10.0.0.1": false, "0.0.0.0": false, "example.be": false,
	} {
		if got := loopback.Is(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestDialFindsNames(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"id.belfry.localhost", "localhost", "127.0.0.1"} {
		conn, err := loopback.DialContext(context.Background(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		conn.Close()
	}
}

// A server of this machine is found under a name, behind a certificate of its own, and
// only by whom that certificate is vouched for; no proxy comes between.
func TestTransportReachesOurOwn(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:9")
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	ask := func(roots *x509.CertPool, change func(*http.Transport)) (string, error) {
		transport := loopback.Transport(roots)
		defer transport.CloseIdleConnections()
		transport.TLSClientConfig.ServerName = "example.com" // the test server's certificate is for that
		change(transport)
		answer, err := (&http.Client{Transport: transport}).Get("https://id.belfry.localhost:" + port)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		said, err := io.ReadAll(answer.Body)
		return string(said), err
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	as := func(*http.Transport) {}
	if said, err := ask(roots, as); err != nil || said != "HTTP/2.0" {
		t.Errorf("%q, %v", said, err)
	}
	if said, err := ask(nil, as); err == nil {
		t.Errorf("an unknown certificate is believed: %q", said)
	}
	if said, err := ask(roots, func(tr *http.Transport) { tr.TLSClientConfig.MaxVersion = tls.VersionTLS11 }); err == nil {
		t.Errorf("TLS 1.1: %q", said)
	}
}
