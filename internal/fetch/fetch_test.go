package fetch

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func newFetcher(t *testing.T, cfg Config) *Fetcher {
	t.Helper()
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// counted is a server that answers everything but /redirect, and how often it did.
func counted(t *testing.T) (*httptest.Server, *atomic.Int32) {
	n := new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		io.WriteString(w, "here")
	}))
	t.Cleanup(s.Close)
	return s, n
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
	server, n := counted(t)
	host := strings.TrimPrefix(server.URL, "http://")
	_, port, _ := net.SplitHostPort(host)
	for _, address := range []string{"127.0.0.1", "169.254.169.254", "10.0.0.7"} {
		resolveTo(t, netip.MustParseAddr(address).As4())
		name := net.JoinHostPort("ocsp.example.test", port)
		_, err := newFetcher(t, Config{Hosts: []string{name, host}}).Get(context.Background(), "http://"+name+"/ca.crt")
		if err == nil || !strings.Contains(err.Error(), "not public") {
			t.Errorf("%s: %v", address, err)
		}
		if n.Load() != 0 {
			t.Errorf("%s was reached", address)
		}
	}
	// The same listener, listed by its address, may be asked.
	if _, err := newFetcher(t, Config{Hosts: []string{host}}).Get(context.Background(), server.URL+"/ca.crt"); err != nil {
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
	server, n := counted(t)
	mine := &http.Client{Timeout: time.Hour, CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	f := newFetcher(t, Config{Client: mine, Hosts: []string{strings.TrimPrefix(server.URL, "http://")}})
	if f.client.Timeout > Timeout || mine.Timeout != time.Hour {
		t.Error("the timeout")
	}
	if _, err := f.Get(context.Background(), server.URL+"/redirect"); err == nil || n.Load() != 1 {
		t.Errorf("the redirect was followed: %v", err)
	}
}

// A library's client goes to listed hosts only, sees any status, follows nothing, and an
// answer that is too large is an error and not a shorter answer.
func TestClientForALibrary(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/huge":
			io.WriteString(w, strings.Repeat("x", 101))
		case "/full":
			io.WriteString(w, strings.Repeat("x", 100))
		default:
			http.Error(w, "no", http.StatusTeapot)
		}
	}))
	t.Cleanup(server.Close)
	client := newFetcher(t, Config{Hosts: []string{strings.TrimPrefix(server.URL, "http://")}, Limit: 100}).Client()
	for path, want := range map[string]int{"/redirect": 302, "/full": 200, "/other": 418} {
		resp, err := client.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil || resp.StatusCode != want || path == "/full" && len(body) != 100 {
			t.Errorf("%s: %s, %d bytes, %v", path, resp.Status, len(body), err)
		}
	}
	resp, err := client.Get(server.URL + "/huge")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("an answer that is too large passes")
	}
	if _, err := client.Get("http://127.0.0.1:1/"); err == nil || !strings.Contains(err.Error(), "not listed") {
		t.Errorf("another port: %v", err)
	}
}

// A host of the operator's own may lie inside, but never where clouds keep their secrets.
func TestPrivateHostsWhereAllowed(t *testing.T) {
	server, _ := counted(t)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	name := net.JoinHostPort("directory.example.test", port)
	resolveTo(t, [4]byte{127, 0, 0, 1})
	if _, err := newFetcher(t, Config{Hosts: []string{name}, Private: true}).Client().Get("http://" + name + "/"); err != nil {
		t.Error(err)
	}
	resolveTo(t, [4]byte{169, 254, 169, 254})
	if _, err := newFetcher(t, Config{Hosts: []string{name}, Private: true}).Client().Get("http://" + name + "/"); err == nil || !strings.Contains(err.Error(), "not public") {
		t.Errorf("link-local: %v", err)
	}
}
