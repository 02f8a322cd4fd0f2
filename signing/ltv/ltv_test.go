package ltv_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// world is a lasting world with a clock, an authority and an Extender.
type world struct {
	*signingtest.Lasting
	t       testing.TB
	clock   *clock.Hand
	tsa     *signingtest.Authority
	stamper *tsa.Client
	*ltv.Extender
}

func newWorld(t testing.TB, of *signingtest.Lasting, change func(*ltv.Config)) *world {
	t.Helper()
	w := &world{Lasting: of, t: t, clock: clock.NewHand(of.Base)}
	w.tsa = signingtest.NewAuthority(t, of.TSA)
	w.tsa.Clock = w.clock.Now
	var err error
	w.stamper, err = tsa.New(tsa.Config{Clock: w.clock.Now, Authorities: []tsa.Authority{{URL: w.tsa.Server.URL, Roots: of.Roots()}}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := fetch.New(fetch.Config{Hosts: []string{signingtest.StatusHost}, Client: of.Status.Client(), Clock: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	cfg := ltv.Config{Roots: of.Roots(), Fetch: f, Stamper: w.stamper, Clock: w.clock.Now}
	if change != nil {
		change(&cfg)
	}
	if w.Extender, err = ltv.New(cfg); err != nil {
		t.Fatal(err)
	}
	return w
}

// own is a world with a status of its own, whose clock is the world's.
func own(t testing.TB, change func(*ltv.Config)) *world {
	w := newWorld(t, signingtest.NewLasting(signingtest.Now), change)
	w.Status.Clock = w.clock.Now
	return w
}

// sign makes a file of level B-B or B-T with a key of a kind.
func (w *world) sign(content []byte, kind string, certify, stamped bool) []byte {
	w.t.Helper()
	id := w.Seal(kind)
	p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), pades.Options{
		Chain: id.Chain, At: w.clock.Now(), Certify: certify, PSS: strings.HasSuffix(kind, "PSS")})
	if err != nil {
		w.t.Fatal(err)
	}
	signature, err := p.Sign(id.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	var token []byte
	if stamped {
		s, err := w.stamper.Stamp(w.t.Context(), pades.StampDigest(signature))
		if err != nil {
			w.t.Fatal(err)
		}
		token = s.Token
	}
	var b bytes.Buffer
	if err := p.Embed(&b, bytes.NewReader(content), signature, token); err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

func (w *world) extend(file []byte, level string) ([]byte, *ltv.Extension, error) {
	w.t.Helper()
	x, err := w.Extend(context.Background(), bytes.NewReader(file), int64(len(file)), level)
	if err != nil {
		return nil, nil, err
	}
	return append(bytes.Clone(file), x.Tail...), x, nil
}

func (w *world) mustExtend(file []byte, level string) ([]byte, *ltv.Extension) {
	w.t.Helper()
	out, x, err := w.extend(file, level)
	if err != nil {
		w.t.Fatal(err)
	}
	return out, x
}

func plain() []byte { return pdftest.Build(pdftest.Table, pdftest.Fields()) }

// Every level and kind of key, before programs of others.
func TestEveryLevelAndKeyBeforeOthers(t *testing.T) {
	w := newWorld(t, signingtest.SharedLasting(), nil)
	n := 0
	for _, kind := range signingtest.KeyKinds {
		form := []pdftest.Form{pdftest.Table, pdftest.Stream}[n%2] // others take no hybrid files
		n++
		content := pdftest.Build(form, pdftest.Fields())
		files := map[string][]byte{
			signing.LevelBB: w.sign(content, kind, true, false),
			signing.LevelBT: w.sign(content, kind, true, true),
		}
		files[signing.LevelBLT], _ = w.mustExtend(files[signing.LevelBT], signing.LevelBLT)
		files[signing.LevelBLTA], _ = w.mustExtend(files[signing.LevelBT], signing.LevelBLTA)
		for level, file := range files {
			t.Run(kind+"/"+level, func(t *testing.T) {
				t.Parallel()
				if !bytes.HasPrefix(file, content) {
					t.Error("the file does not begin with the content")
				}
				signingtest.Outside(t, w.Lasting, level, file)
			})
		}
	}
}
