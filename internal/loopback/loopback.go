// Package loopback says which hosts are this machine, finds those it has by name, and is
// the way to the operator's own servers, which may be there.
//
// It owns the names localhost and *.localhost and the loopback addresses (RFC 6761
// §6.3). It refuses to know what is allowed on loopback that is not elsewhere. It
// guarantees that no other machine's name is taken for this one: the DNS is not asked.
// Addresses that strangers choose are for internal/fetch.
package loopback

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Is says whether host, a name or an address without port, is this machine.
func Is(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

var dialer = net.Dialer{Timeout: 5 * time.Second}

// DialContext is net.Dialer's, and finds names under .localhost, which Go does not
// resolve on every system.
func DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(address); err == nil && Is(host) && net.ParseIP(host) == nil {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return dialer.DialContext(ctx, network, address)
}

// Transport reaches servers that the settings name: those of this machine by name too, and
// behind a certificate that roots vouch for, the system's where nil. It asks no proxy. Each
// call is a pool of connections of its own.
func Transport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		DialContext:         DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 5 * time.Second,
		IdleConnTimeout:     time.Minute,
		MaxIdleConnsPerHost: 16,
		ForceAttemptHTTP2:   true,
	}
}
