// Package loopback says which hosts are this machine, and finds those it has by name.
//
// It owns the names localhost and *.localhost and the loopback addresses (RFC 6761
// §6.3). It refuses to know what is allowed on loopback that is not elsewhere. It
// guarantees that no other machine's name is taken for this one: the DNS is not asked.
package loopback

import (
	"context"
	"net"
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
