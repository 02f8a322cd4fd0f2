package signingtest

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// Maker makes files of every level in a Lasting world, with an authority of its own.
type Maker struct {
	*Lasting
	*ltv.Extender
	Clock     *clock.Hand
	Authority *Authority // stamps by Clock
	Stamper   *tsa.Client
	TB        testing.TB
}

// NewMaker makes a Maker whose clock stands where the world was new. change bends
// the settings of its Extender; it may be nil.
func NewMaker(t testing.TB, of *Lasting, change func(*ltv.Config)) *Maker {
	t.Helper()
	m := &Maker{Lasting: of, TB: t, Clock: clock.NewHand(of.Base), Authority: NewAuthority(t, of.TSA)}
	m.Authority.Clock = m.Clock.Now
	var err error
	m.Stamper, err = tsa.New(tsa.Config{Clock: m.Clock.Now, Authorities: []tsa.Authority{{URL: m.Authority.Server.URL, Roots: of.Roots()}}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := fetch.New(fetch.Config{Hosts: []string{StatusHost}, Client: of.Status.Client(), Clock: m.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	cfg := ltv.Config{Roots: of.Roots(), Fetch: f, Stamper: m.Stamper, Clock: m.Clock.Now}
	if change != nil {
		change(&cfg)
	}
	if m.Extender, err = ltv.New(cfg); err != nil {
		t.Fatal(err)
	}
	return m
}

// NewOwnMaker is NewMaker in a world of its own, whose status has the Maker's clock.
func NewOwnMaker(t testing.TB, change func(*ltv.Config)) *Maker {
	t.Helper()
	m := NewMaker(t, NewLasting(Now), change)
	m.Status.Clock = m.Clock.Now
	return m
}

// For is the same Maker for a part of the test.
func (m *Maker) For(t testing.TB) *Maker {
	part := *m
	part.TB = t
	return &part
}

// Sign signs a content with a key of a kind, at level B-B or B-T.
func (m *Maker) Sign(content []byte, kind, level string, o pades.Options) []byte {
	m.TB.Helper()
	o.PSS = strings.HasSuffix(kind, "PSS")
	return m.SignAs(m.Seal(kind), content, level, o)
}

// SignAs is Sign with an identity.
func (m *Maker) SignAs(id Identity, content []byte, level string, o pades.Options) []byte {
	m.TB.Helper()
	o.Chain, o.At = id.Chain, m.Clock.Now()
	p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), o)
	if err != nil {
		m.TB.Fatal(err)
	}
	signature, err := p.Sign(id.Key)
	if err != nil {
		m.TB.Fatal(err)
	}
	var token []byte
	if level != signing.LevelBB {
		s, err := m.Stamper.Stamp(m.TB.Context(), signing.ImprintOf(m.Policy.Hash(), signature))
		if err != nil {
			m.TB.Fatal(err)
		}
		token = s.Token
	}
	var b bytes.Buffer
	if err := p.Embed(&b, bytes.NewReader(content), signature, token); err != nil {
		m.TB.Fatal(err)
	}
	return b.Bytes()
}

// File is Sign at any level.
func (m *Maker) File(content []byte, kind, level string, o pades.Options) []byte {
	m.TB.Helper()
	if !signing.Reaches(level, signing.LevelBLT) {
		return m.Sign(content, kind, level, o)
	}
	return m.Raise(m.Sign(content, kind, signing.LevelBT, o), level)
}

// Raise extends a file to a level, or fails the test.
func (m *Maker) Raise(file []byte, level string) []byte {
	m.TB.Helper()
	out, _, err := m.TryRaise(file, level)
	if err != nil {
		m.TB.Fatal(err)
	}
	return out
}

// TryRaise is Raise that may fail, and says what was made.
func (m *Maker) TryRaise(file []byte, level string) ([]byte, *ltv.Extension, error) {
	x, err := m.Extend(m.TB.Context(), bytes.NewReader(file), int64(len(file)), level)
	if err != nil {
		return nil, nil, err
	}
	return slices.Concat(file, x.Tail), x, nil
}
