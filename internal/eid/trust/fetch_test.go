package trust

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestUnknownIntermediateIsFetched(t *testing.T) {
	w := newWorld(t)
	none := func(cfg *Config) { cfg.Intermediates = nil }
	stranger := w.newCA("Citizen CA", authority{}, nil)
	strangers := func() *x509.Certificate {
		template := *w.card(nil)
		template.Raw, template.AuthorityKeyId = nil, nil
		return w.sign(&template, stranger.cert, leafKey().Public(), stranger.key)
	}()
	for name, c := range map[string]struct {
		aia  func() []byte
		card *x509.Certificate
		want error
	}{
		"DER":  {func() []byte { return w.ca.cert.Raw }, w.card(nil), nil},
		"PEM":  {func() []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.ca.cert.Raw}) }, w.card(nil), nil},
		"away": {nil, w.card(nil), ErrResponderDown},
		"another CA": {func() []byte { return w.root.cert.Raw }, w.card(nil),
			ErrUnknownCA},
		"noise":            {func() []byte { return []byte("<html>") }, w.card(nil), ErrUnknownCA},
		"below no root":    {func() []byte { return stranger.cert.Raw }, strangers, ErrUnknownCA},
		"same name, ours":  {func() []byte { return w.ca.cert.Raw }, strangers, ErrUnknownCA},
		"no address":       {nil, w.card(func(c *x509.Certificate) { c.IssuingCertificateURL = nil }), ErrUnknownCA},
		"unlisted address": {nil, w.card(func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://169.254.169.254/ca.crt"} }), ErrUnknownCA},
	} {
		w.set(func() { w.aia = c.aia })
		_, err := w.check(w.verifier(none), c.card)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		silent(t, err)
	}
	// Once verified it is kept.
	w.set(func() { w.aia = func() []byte { return w.ca.cert.Raw } })
	v := w.verifier(none)
	before := w.count("/ca.crt")
	for range 3 {
		if _, err := w.check(v, w.card(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.count("/ca.crt") - before; n != 1 {
		t.Errorf("the issuer was fetched %d times", n)
	}
}

func TestPublicAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"193.191.245.1": true, "2a01:690::1": true,
		"127.0.0.1": false, "127.8.8.8": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "255.255.255.255": false,
		"224.0.0.1": false, "240.0.0.1": false, "198.18.0.1": false, "192.0.2.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "fec0::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// A listed name is answered by a hostile DNS with addresses of this machine and
// of the cloud's metadata service: nothing is dialled.
func TestListedNameThatLeadsInside(t *testing.T) {
	w := newWorld(t)
	_, port, _ := net.SplitHostPort(w.host)
	for _, address := range []string{"127.0.0.1", "169.254.169.254", "10.0.0.7"} {
		resolveTo(t, netip.MustParseAddr(address).As4())
		name := net.JoinHostPort("ocsp.example.test", port)
		v := w.verifier(func(c *Config) { c.Hosts = []string{name, w.host} })
		before := w.requests.Load()
		_, err := v.fetch.get(context.Background(), "http://"+name+"/ca.crt")
		if err == nil || !strings.Contains(err.Error(), "not public") {
			t.Errorf("%s: %v", address, err)
		}
		if w.requests.Load() != before {
			t.Errorf("%s was reached", address)
		}
	}
	// The same listener, listed by its address, may be asked.
	if _, err := w.verifier(nil).fetch.get(context.Background(), w.server.URL+"/ca.crt"); err != nil {
		t.Error(err)
	}
}

// resolveTo makes every name lead to one address for the length of a test.
func resolveTo(t *testing.T, a [4]byte) {
	t.Helper()
	was := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = was })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		server, client := net.Pipe()
		go func() {
			defer server.Close()
			for {
				if answerDNS(server, a) != nil {
					return
				}
			}
		}()
		return client, nil
	}}
}

// answerDNS speaks DNS over a stream: each message after its length.
func answerDNS(c net.Conn, a [4]byte) error {
	size := make([]byte, 2)
	if _, err := c.Read(size[:1]); err != nil {
		return err
	}
	if _, err := c.Read(size[1:]); err != nil {
		return err
	}
	raw := make([]byte, int(size[0])<<8|int(size[1]))
	for read := 0; read < len(raw); {
		n, err := c.Read(raw[read:])
		if err != nil {
			return err
		}
		read += n
	}
	var m dnsmessage.Message
	if err := m.Unpack(raw); err != nil {
		return err
	}
	m.Response = true
	m.Additionals = nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
			Body:   &dnsmessage.AResource{A: a},
		}}
	}
	out, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = c.Write(append([]byte{byte(len(out) >> 8), byte(len(out))}, out...))
	return err
}

// A client of the caller's is used, but not its patience, jar or redirects.
func TestCallersClientIsBounded(t *testing.T) {
	w := newWorld(t)
	mine := &http.Client{Timeout: time.Hour, CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	v := w.verifier(func(c *Config) { c.Client = mine })
	if v.fetch.client.Timeout > fetchTimeout || mine.Timeout != time.Hour {
		t.Error("the timeout")
	}
	if _, err := v.fetch.get(context.Background(), w.server.URL+"/redirect"); err == nil || w.count("/ocsp") > 0 {
		t.Errorf("the redirect was followed: %v", err)
	}
}
