// Package cardscript serves the scripts that reach a card from a page.
//
// It owns card.js, the ways to a card that are the same for signing in and for signing
// documents: the Web eID extension and our agent. It refuses to know what is asked of the
// card and what the person reads: that is the script of the step, which it serves behind
// its own, as one file. It guarantees that an address changes with what it serves, so
// that browsers may keep it.
package cardscript

import (
	_ "embed"
	"net/http"

	"github.com/belfry-eid/belfry/internal/page"
)

//go:embed card.js
var common []byte

// Script is one step's script with card.js in front of it, a module for browsers.
type Script struct {
	path, version string
	text          []byte
}

// New makes the script that is served at path.
func New(path string, step []byte) *Script {
	text := append(append([]byte{}, common...), step...)
	return &Script{path, page.Fingerprint(text), text}
}

// Address is where pages find the script.
func (s *Script) Address() string { return s.path + "?v=" + s.version }

// ServeHTTP serves the script; other paths are not found.
func (s *Script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != s.path {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	if r.URL.Query().Get("v") == s.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Write(s.text)
}
