// Package testcerts makes a Belgian-looking public-key infrastructure on the spot, with
// invented people and their cards.
//
// It owns the shapes: a root, citizens', foreigners', government and time-stamping CAs,
// cards and seals with the subjects, key usages, policies and addresses that real ones
// have, the responders about them, and the ways in which all that can be wrong. It
// refuses to know what Belfry does with it; only tests and cmd/devworld use it.
//
// It guarantees that nothing can be mistaken for real: the CAs say that they are tests,
// the people do not exist, and their national numbers pass the checksum with a month (a bis
// number: a day) that no calendar has. Keys of cards and seals are made in SoftHSM and never leave it; keys of
// the CAs lie under the directory of a world that lasts (Make) or nowhere (New).
//
// A test says:
//
//	w := testcerts.New(t)
//	card := w.Citizen("sofie")            // a good card; "marc" has a revoked one
//	w.Responder.Set(responder.OCSP, responder.Stale)
//
// New returns one world for the whole test process, good again after each test. A test
// that runs in parallel with others and changes responders, or stands at another time,
// takes a world of its own: New(t, testcerts.Own()) or New(t, testcerts.At(when)).
package testcerts

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/testcerts/responder"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

// World is a PKI, its people and its services. Its methods may be called at once from
// several goroutines. Methods without an error panic when the world cannot be made.
type World struct {
	RootCA       *Authority
	CitizenCA    *Authority
	ForeignerCA  *Authority
	GovernmentCA *Authority // issues communes' seals
	StampCA      *Authority // issues the time-stamping units' certificates
	OldRootCA    *Authority // RSA, as the roots of before 2021
	OldCitizenCA *Authority // RSA, below it: cards of applet 1.7
	UnknownRoot  *Authority // in nobody's list
	UnknownCA    *Authority

	Responder *responder.Responder // OCSP, revocation lists, CA certificates
	TSA       *responder.Stamper

	dir    string // "" where the world ends with the process
	base   string
	clock  clock.Clock
	module *p11.Module

	mu    sync.Mutex
	state state
	cards map[string]*Card
	seals map[string]*Seal
	rrn   map[bool]*registry // that of before 2021 under true
}

type settings struct {
	own   bool
	clock clock.Clock
	base  string
}

// Option changes how a world is made.
type Option func(*settings)

// Own makes a world that no other test shares.
func Own() Option { return func(s *settings) { s.own = true } }

// At makes a world of its own whose certificates and answers are of this moment.
func At(now time.Time) Option { return Clock(clock.At(now)) }

// Clock makes a world of its own with this clock: certificates are of its present, and
// answers of the time at which they are asked for.
func Clock(c clock.Clock) Option { return func(s *settings) { s.own, s.clock = true, c } }

// Address is where the services will be reached, such as "http://127.0.0.1:8082"; it is
// written into the certificates. For Make: the caller serves World.Handler there.
func Address(base string) Option { return func(s *settings) { s.base = base } }

func settingsOf(opts []Option) settings {
	s := settings{clock: clock.System}
	for _, o := range opts {
		o(&s)
	}
	return s
}

var shared struct {
	mu    sync.Mutex
	world *World
	err   error
}

// New returns a world whose services answer on loopback. Without SoftHSM the test is
// skipped, or fails where CI is true.
func New(t testing.TB, opts ...Option) *World {
	t.Helper()
	path := softcard.Test(t)
	s := settingsOf(opts)
	if s.own {
		w, stop, err := open(path, s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		return w
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.world == nil && shared.err == nil {
		shared.world, _, shared.err = open(path, s) // ends with the process
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	t.Cleanup(shared.world.Reset)
	return shared.world
}

// open makes a world in memory and serves it.
func open(module string, s settings) (*World, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	s.base = "http://" + l.Addr().String()
	m, err := p11.Load(module)
	if err != nil {
		l.Close()
		return nil, nil, err
	}
	w, err := build("", s, m)
	if err != nil {
		l.Close()
		m.Close()
		return nil, nil, err
	}
	srv := &http.Server{Handler: w.Handler()}
	go srv.Serve(l)
	return w, func() { srv.Close(); m.Close() }, nil
}

// Make makes a world under dir, or resumes the one that is there with the people's cards,
// the communes' seals and what was revoked. It writes SoftHSM's settings into dir/softhsm
// and points this process at them, so it comes before anything that loads SoftHSM.
// The caller serves Handler at Address; the services answer by the system's clock.
func Make(dir string, now time.Time, opts ...Option) (*World, error) {
	s := settingsOf(opts)
	if s.base == "" {
		s.base = "http://127.0.0.1:8082"
	}
	path, err := softcard.Module()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := softcard.Use(tokenDir(dir)); err != nil {
		return nil, err
	}
	m, err := p11.Load(path)
	if err != nil {
		return nil, err
	}
	made := s
	made.clock = clock.At(now)
	w, err := build(dir, made, m)
	if err != nil {
		m.Close()
		return nil, err
	}
	if err := w.makeAll(); err != nil {
		m.Close()
		return nil, err
	}
	w.clock = s.clock // what it made is of that moment; what its services answer is of theirs
	return w, nil
}

// build makes or resumes the authorities and services.
func build(dir string, s settings, m *p11.Module) (*World, error) {
	if u, err := url.Parse(s.base); err != nil || u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("testcerts: address %q: http://host:port expected", s.base)
	}
	w := &World{dir: dir, base: s.base, clock: s.clock, module: m, cards: map[string]*Card{}, seals: map[string]*Seal{}, rrn: map[bool]*registry{}}
	if err := w.load(); err != nil {
		return nil, err
	}
	w.Responder = responder.New(w.now)
	if err := w.makeAuthorities(); err != nil {
		return nil, fmt.Errorf("testcerts: %w", err)
	}
	return w, nil
}

func (w *World) now() time.Time { return w.clock() }

// Handler serves everything at the world's address: /ocsp/, /crl/, /crt/ and /tsa.
func (w *World) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/tsa", w.TSA)
	mux.Handle("/", w.Responder)
	return mux
}

// StampURL is the timestamp authority's address.
func (w *World) StampURL() string { return w.base + "/tsa" }

// Hosts are the host:port that certificates name, for an allow-list.
func (w *World) Hosts() []string {
	u, _ := url.Parse(w.base) // checked in build
	return []string{u.Host}
}

// Roots are the trust anchors a Belfry of this world pins, for cards, seals and stamps.
func (w *World) Roots() []*x509.Certificate {
	return []*x509.Certificate{w.RootCA.Certificate, w.OldRootCA.Certificate}
}

// Intermediates are the CAs under the root.
func (w *World) Intermediates() []*x509.Certificate {
	var list []*x509.Certificate
	for _, a := range []*Authority{w.CitizenCA, w.ForeignerCA, w.GovernmentCA, w.StampCA, w.OldCitizenCA} {
		list = append(list, a.Certificate)
	}
	return list
}

// Module is SoftHSM with the world's tokens.
func (w *World) Module() *p11.Module { return w.module }

// ModulePath is SoftHSM's library.
func (w *World) ModulePath() string { return w.module.Path() }

// Reset makes all services good again and gives every card the status it was made with.
func (w *World) Reset() {
	w.Responder.Reset()
	w.TSA.Reset()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.authorities() {
		a.restore()
	}
}

// Close gives the tokens back. It is for worlds of Make.
func (w *World) Close() error { return w.module.Close() }
