// Package fetch asks the services that certificates name: OCSP, revocation lists,
// certificates of authorities.
//
// It owns the way out: certificates name the addresses, so a stranger can choose
// them. It refuses to know what an answer means. It guarantees that only listed
// hosts are asked, that a name among them leads to a public address at the moment
// of dialling (an answer of the DNS may change between a check and its use), that
// redirects are not followed, that answers are bounded in size and time, and that
// an address which hangs is left alone for a while.
package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/loopback"
)

// Config says who may be asked.
type Config struct {
	// Hosts, as "host" (its ports 80 and 443) or "host:port". A listed name must lead
	// to a public address; a listed IP address, "localhost" or "NAME.localhost" may be
	// private.
	Hosts []string
	// Client fetches; nil means one that refuses private addresses when it dials.
	// One given here, for a proxy for example, answers for that itself.
	Client *http.Client
	// Private lets listed names lead to private addresses too (never to link-local ones,
	// where clouds keep their secrets), for a service of the operator's own.
	Private bool
	// Roots that vouch for the hosts' TLS certificates; the system's where nil.
	Roots *x509.CertPool
	// Clock is the system's where nil.
	Clock clock.Clock
	// Limit is the size of the largest answer, in bytes; 1 MB where zero. Some
	// revocation lists are larger.
	Limit int64
	// Timeout of one answer; the constant's where zero. Some lists are long.
	Timeout time.Duration
}

// Fetcher asks. It is safe for concurrent use.
type Fetcher struct {
	client *http.Client
	hosts  map[string]bool // "host:port"
	limit  int64
	wait   time.Duration
	now    clock.Clock

	mu    sync.Mutex
	hangs map[string]time.Time // addresses that let us wait in vain, and until when they are left alone
}

// Timeout is how long one answer may take, where the settings say nothing else.
const Timeout = 5 * time.Second

const (
	fetchLimit   = 1 << 20
	maxAddresses = 3 // of one certificate extension
	// restTime is how long an address is left alone that did not answer in time, so
	// that not every login waits for it before the next address or list is asked.
	restTime = 15 * time.Second
	maxHangs = 100
)

// New checks the list of hosts.
func New(cfg Config) (*Fetcher, error) {
	f := &Fetcher{hosts: map[string]bool{}, limit: cfg.Limit, wait: cfg.Timeout, now: cfg.Clock, hangs: map[string]time.Time{}}
	if f.now == nil {
		f.now = clock.System
	}
	if f.wait == 0 {
		f.wait = Timeout
	}
	if f.limit == 0 {
		f.limit = fetchLimit
	}
	for _, h := range cfg.Hosts {
		h = strings.ToLower(h)
		if strings.ContainsAny(h, "/@ ") || h == "" {
			return nil, fmt.Errorf("hosts: %q is neither host nor host:port", h)
		}
		if _, _, err := net.SplitHostPort(h); err == nil {
			f.hosts[h] = true
			continue
		}
		name := strings.Trim(h, "[]")
		f.hosts[net.JoinHostPort(name, "80")] = true
		f.hosts[net.JoinHostPort(name, "443")] = true
	}
	client := http.Client{Transport: guarded(cfg.Private, cfg.Roots)}
	if cfg.Client != nil {
		client = *cfg.Client
	}
	client.Timeout = 0 // the context of each request has it
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	f.client = &client
	return f, nil
}

// Listed keeps the first few addresses whose host may be asked.
func (f *Fetcher) Listed(addresses []string) []string {
	var kept []string
	for _, a := range addresses {
		if f.Allows(a) && len(kept) < maxAddresses {
			kept = append(kept, a)
		}
	}
	return kept
}

var defaultPort = map[string]string{"http": "80", "https": "443"}

// Allows says whether the host of an address is listed.
func (f *Fetcher) Allows(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Opaque != "" || defaultPort[u.Scheme] == "" {
		return false
	}
	port := u.Port()
	if port == "" {
		port = defaultPort[u.Scheme]
	}
	return f.hosts[net.JoinHostPort(strings.ToLower(u.Hostname()), port)]
}

// Get fetches what an address holds.
func (f *Fetcher) Get(ctx context.Context, address string) ([]byte, error) {
	return f.do(ctx, http.MethodGet, address, "", nil)
}

// Post sends body and returns the answer.
func (f *Fetcher) Post(ctx context.Context, address, contentType string, body []byte) ([]byte, error) {
	return f.do(ctx, http.MethodPost, address, contentType, body)
}

func (f *Fetcher) do(ctx context.Context, method, address, contentType string, body []byte) ([]byte, error) {
	if !f.Allows(address) {
		return nil, errors.New("the host is not listed")
	}
	bounded, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	req, err := http.NewRequestWithContext(bounded, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if f.hung(address) {
		return nil, fmt.Errorf("%s did not answer a moment ago", req.URL.Host)
	}
	answer, err := f.answer(req, contentType)
	// Only our own patience counts: a caller who leaves says nothing about the address.
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() && ctx.Err() == nil {
		f.rest(address)
	}
	return answer, err
}

func (f *Fetcher) hung(address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now().Before(f.hangs[address])
}

func (f *Fetcher) rest(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.hangs) >= maxHangs { // strangers' certificates can name any path of a listed host
		clear(f.hangs)
	}
	f.hangs[address] = f.now().Add(restTime)
}

func (f *Fetcher) answer(req *http.Request, contentType string) ([]byte, error) {
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", req.URL.Host, resp.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, f.limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	if int64(len(answer)) > f.limit {
		return nil, fmt.Errorf("%s answers more than %d bytes", req.URL.Host, f.limit)
	}
	return answer, nil
}

// Client is for a library that asks by itself. It goes to listed hosts only, follows no
// redirect, ends an answer that is too large with an error, and leaves a host that hung
// alone as Get does. Any status is an answer.
func (f *Fetcher) Client() *http.Client {
	client := *f.client
	client.Timeout = 2 * Timeout // the transport's own patience ends before, and is told apart from a caller's
	client.Transport = listed{f, f.client.Transport}
	return &client
}

type listed struct {
	f     *Fetcher
	inner http.RoundTripper
}

func (l listed) RoundTrip(r *http.Request) (*http.Response, error) {
	if !l.f.Allows(r.URL.String()) {
		return nil, errors.New("the host is not listed")
	}
	place := r.URL.Scheme + "://" + r.URL.Host // a query would make a new address of each request
	if l.f.hung(place) {
		return nil, fmt.Errorf("%s did not answer a moment ago", r.URL.Host)
	}
	inner := l.inner
	if inner == nil {
		inner = http.DefaultTransport
	}
	resp, err := inner.RoundTrip(r)
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		l.f.rest(place)
	}
	if err != nil {
		return nil, err
	}
	resp.Body = &bounded{resp.Body, l.f.limit, r.URL.Host}
	return resp, nil
}

// bounded is a body that fails rather than ends where it is too large.
type bounded struct {
	io.ReadCloser
	left int64
	host string
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%s answers too much", b.host)
	}
	return n, err
}

// guarded dials public addresses only, unless the listed host is itself an
// address or a name of this machine, or private ones are allowed.
func guarded(private bool, roots *x509.CertPool) *http.Transport {
	public := &net.Dialer{Timeout: Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err == nil && private && (ap.Addr().Unmap().IsPrivate() || ap.Addr().Unmap().IsLoopback()) {
			return nil
		}
		if err != nil || !isPublic(ap.Addr()) {
			return fmt.Errorf("a listed name leads to %s, which is not public", address)
		}
		return nil
	}}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, _, err := net.SplitHostPort(address); err == nil && namesItself(host) {
				return loopback.DialContext(ctx, network, address)
			}
			return public.DialContext(ctx, network, address)
		},
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:     true,
		DisableCompression:    true,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       time.Minute,
		TLSHandshakeTimeout:   Timeout,
		ResponseHeaderTimeout: Timeout,
	}
}

func namesItself(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || loopback.Is(host)
}

// notPublic are blocks of the IANA special-purpose registries that netip has no question for.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carriers' NAT, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), // NAT64 and 6to4 carry an IPv4 address, which may be private
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("fec0::/10"),
}

func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
