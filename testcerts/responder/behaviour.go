// Package responder imitates the services a public-key infrastructure offers to
// strangers: OCSP, revocation lists, CA certificates, and a timestamp authority.
//
// It owns the answers and all the ways in which they can be wrong.
// It refuses to know who the people behind the certificates are. It shares no code with
// what it tests: answers are built here from RFC 6960, RFC 5280 and RFC 3161 with
// encoding/asn1 alone.
package responder

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Behaviour is how a service answers. Its text is also the form used over HTTP.
type Behaviour string

const (
	Good Behaviour = "good"

	// For every service.
	Gone      Behaviour = "gone"      // the connection ends without an answer
	HTML      Behaviour = "html"      // 200 and a page, as a captive portal does
	Huge      Behaviour = "huge"      // the right type and a gigabyte
	Malformed Behaviour = "malformed" // the right type and bytes that are none of it
	Error500  Behaviour = "error 500" // 500 Internal Server Error
	Redirect  Behaviour = "redirect"  // 302 to somewhere else

	// OCSP and revocation lists.
	Stale    Behaviour = "stale"     // true, but nextUpdate has passed
	WrongKey Behaviour = "wrong key" // signed by a stranger who uses the right name

	// OCSP only.
	Unknown     Behaviour = "unknown"      // knows no certificate
	Revoked     Behaviour = "revoked"      // all are revoked
	TryLater    Behaviour = "try later"    // responseStatus 3
	OtherCert   Behaviour = "other cert"   // good, but about another certificate
	WrongNonce  Behaviour = "wrong nonce"  // another nonce than the request's
	NoNonce     Behaviour = "no nonce"     // none at all
	NotDelegate Behaviour = "not delegate" // signed by a certificate of the same CA without the right to
	Bundled     Behaviour = "bundled"      // good; the responder's certificate is the last of three
	Future      Behaviour = "future"       // thisUpdate is tomorrow

	// Timestamps only; WrongKey, WrongNonce and NoNonce too.
	WrongImprint Behaviour = "wrong imprint" // stamps another hash
	OldTime      Behaviour = "old time"      // two days ago
	FutureTime   Behaviour = "future time"   // two days ahead
	ExpiredCert  Behaviour = "expired cert"  // stamped with a certificate that has expired
	NoAccuracy   Behaviour = "no accuracy"   // true, without saying how exact
	Rejected     Behaviour = "rejected"      // PKIStatus 2, no token
)

// Late answers well, after d.
func Late(d time.Duration) Behaviour { return Behaviour(latePrefix + d.String()) }

const latePrefix = "late "

// delay is the wait of a late behaviour.
func (b Behaviour) delay() (time.Duration, bool) {
	text, ok := strings.CutPrefix(string(b), latePrefix)
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}

// Service is one of the things imitated.
type Service string

const (
	OCSP Service = "ocsp" // status of one certificate
	CRL  Service = "crl"  // revocation lists
	AIA  Service = "aia"  // certificates of the CAs
	TSA  Service = "tsa"  // timestamps
)

var everywhere = []Behaviour{Good, Gone, HTML, Huge, Malformed, Error500, Redirect}

var behaviours = map[Service][]Behaviour{
	OCSP: append(slices.Clone(everywhere), Stale, WrongKey, Unknown, Revoked, TryLater, OtherCert, WrongNonce, NoNonce, NotDelegate, Bundled, Future),
	CRL:  append(slices.Clone(everywhere), Stale, WrongKey),
	AIA:  slices.Clone(everywhere),
	TSA:  append(slices.Clone(everywhere), WrongKey, WrongNonce, NoNonce, WrongImprint, OldTime, FutureTime, ExpiredCert, NoAccuracy, Rejected),
}

// Behaviours lists what s can be told, beside Late. A service of somebody else knows those
// that need no knowledge of it.
func Behaviours(s Service) []Behaviour {
	if own, ok := behaviours[s]; ok {
		return slices.Clone(own)
	}
	return slices.Clone(everywhere)
}

// check says whether s knows b.
func check(s Service, b Behaviour) error {
	if _, late := b.delay(); late || slices.Contains(Behaviours(s), b) {
		return nil
	}
	return fmt.Errorf("service %s has no behaviour %q", s, b)
}

// Mood is the present behaviour of some services, and how often each was asked. Its zero
// value is good. Other simulators use it too.
type Mood struct {
	mu    sync.Mutex
	now   map[Service]Behaviour
	asked map[Service]int
	more  map[Service][]Behaviour // that a service of somebody else knows
}

// Teach has a service of somebody else know more than every service does: Ask returns it,
// and the service answers as it says.
func (m *Mood) Teach(s Service, more ...Behaviour) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.more == nil {
		m.more = map[Service][]Behaviour{}
	}
	m.more[s] = more
}

// Set changes how s answers, until Reset.
func (m *Mood) Set(s Service, b Behaviour) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := check(s, b); err != nil && !slices.Contains(m.more[s], b) {
		return err
	}
	if m.now == nil {
		m.now = map[Service]Behaviour{}
	}
	m.now[s] = b
	return nil
}

// Reset makes every service good again and counts from zero.
func (m *Mood) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now, m.asked = nil, nil
}

// Behaviour is how s answers now.
func (m *Mood) Behaviour(s Service) Behaviour {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b, ok := m.now[s]; ok {
		return b
	}
	return Good
}

// Asked is how often s was asked since the last Reset.
func (m *Mood) Asked(s Service) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked[s]
}

// Ask counts a request and returns how to answer it, after having been late.
func (m *Mood) Ask(s Service, r *http.Request) Behaviour {
	m.mu.Lock()
	if m.asked == nil {
		m.asked = map[Service]int{}
	}
	m.asked[s]++
	m.mu.Unlock()
	b := m.Behaviour(s)
	if d, ok := b.delay(); ok {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
		return Good
	}
	return b
}

// Spoil answers for the behaviours that need no knowledge of the service; false says that
// it has not. contentType is that of the good answers.
func Spoil(w http.ResponseWriter, b Behaviour, contentType string) bool {
	switch b {
	case Gone:
		panic(http.ErrAbortHandler) // net/http closes the connection and logs nothing
	case HTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><title>Welcome</title><p>Please accept our terms of use.")
	case Huge:
		w.Header().Set("Content-Type", contentType)
		chunk := make([]byte, 1<<16)
		for sent := 0; sent < 1<<30; sent += len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return true
			}
		}
	case Malformed:
		w.Header().Set("Content-Type", contentType)
		w.Write([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x02, 0x01})
	case Error500:
		http.Error(w, "internal server error", http.StatusInternalServerError)
	case Redirect:
		w.Header().Set("Location", "http://127.0.0.1:9/")
		w.WriteHeader(http.StatusFound)
	default:
		return false
	}
	return true
}
