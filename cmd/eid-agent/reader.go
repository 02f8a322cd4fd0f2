package main

import (
	"os"
	"runtime"
	"strings"

	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/p11"
)

// reader finds cards through a PKCS#11 module, which is loaded for each look and
// each use: so a card or reader that came meanwhile is seen, and other programs get
// their turn.
type reader struct {
	module string // path; "" where there is none
	only   string // part of the holder's name, where not every card counts
}

var errNoMiddleware = fault.New(fault.Unreachable, "card.no_middleware", nil)

// with calls f with the cards that are in the readers now, at least one.
func (r *reader) with(f func([]*card.Card) error) error {
	if r.module == "" {
		return errNoMiddleware
	}
	m, err := p11.Load(r.module)
	if err != nil {
		return errNoMiddleware.Because(err)
	}
	defer m.Close()
	all, err := card.List(m)
	if err != nil {
		return err
	}
	var counted []*card.Card
	for _, c := range all {
		if strings.Contains(strings.ToLower(c.Name()), strings.ToLower(r.only)) {
			counted = append(counted, c)
		}
	}
	if len(counted) == 0 {
		return card.ErrNoCard
	}
	return f(counted)
}

// places where the Belgian middleware is installed, and OpenSC's module behind it:
// OpenSC reads the cards of before 2021, and those of today from version 0.27 on.
var places = map[string][]string{
	"linux": {
		"/usr/lib/x86_64-linux-gnu/libbeidpkcs11.so.0",
		"/usr/lib/aarch64-linux-gnu/libbeidpkcs11.so.0",
		"/usr/lib64/libbeidpkcs11.so.0",
		"/usr/lib/libbeidpkcs11.so.0",
		"/usr/local/lib/libbeidpkcs11.so.0",
		"/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so",
		"/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so",
		"/usr/lib64/opensc-pkcs11.so",
		"/usr/lib/opensc-pkcs11.so",
	},
	"darwin": {
		"/Library/Belgium Identity Card/Pkcs11/beid-pkcs11.bundle/Contents/MacOS/libbeidpkcs11.dylib",
		"/usr/local/lib/libbeidpkcs11.dylib",
		"/Library/OpenSC/lib/opensc-pkcs11.so",
	},
	"windows": {
		`C:\Windows\System32\beidpkcs11.dll`,
		`C:\Program Files\OpenSC Project\OpenSC\pkcs11\opensc-pkcs11.dll`,
	},
}

// findModule returns the configured module, or the first that is installed.
func findModule(configured string) string {
	if configured != "" {
		return configured
	}
	for _, path := range places[runtime.GOOS] {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}
