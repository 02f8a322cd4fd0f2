package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// samePerson refuses connections of other users of this computer: the kernel's list
// of connections says whose the other end is.
func samePerson(remote, local string) error {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	to, err := netip.ParseAddrPort(local)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	for _, table := range []struct{ file, prefix string }{
		{"/proc/net/tcp", ""},
		{"/proc/net/tcp6", "0000000000000000FFFF0000"}, // an IPv6 socket with an IPv4 address
	} {
		uid, err := ownerOf(table.file, table.prefix+kernelForm(from), table.prefix+kernelForm(to))
		if errors.Is(err, errNoPeer) || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if uid != os.Getuid() {
			return fmt.Errorf("the peer is user %d", uid)
		}
		return nil
	}
	return errNoPeer
}

var errNoPeer = errors.New("the kernel does not list this connection")

// kernelForm is an IPv4 address as /proc/net/tcp has it, in the machine's (little-endian) order.
func kernelForm(a netip.AddrPort) string {
	b := a.Addr().Unmap().As4()
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	return strings.ToUpper(hex.EncodeToString(b[:])) + fmt.Sprintf(":%04X", a.Port())
}

// ownerOf finds the socket whose own end is local and whose other end is remote.
func ownerOf(file, local, remote string) (int, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 7 && fields[1] == local && fields[2] == remote {
			return strconv.Atoi(fields[7])
		}
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	return 0, errNoPeer
}
