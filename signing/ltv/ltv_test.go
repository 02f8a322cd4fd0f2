package ltv_test

import (
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

// world makes files in a lasting world.
type world struct{ *signingtest.Maker }

func newWorld(t testing.TB, of *signingtest.Lasting, change func(*ltv.Config)) *world {
	t.Helper()
	return &world{signingtest.NewMaker(t, of, change)}
}

// own is a world with a status of its own, whose clock is the world's.
func own(t testing.TB, change func(*ltv.Config)) *world {
	t.Helper()
	return &world{signingtest.NewOwnMaker(t, change)}
}

// sign makes a file of level B-B or B-T with a key of a kind.
func (w *world) sign(content []byte, kind string, certify, stamped bool) []byte {
	w.TB.Helper()
	level := map[bool]string{false: signing.LevelBB, true: signing.LevelBT}[stamped]
	return w.Sign(content, kind, level, pades.Options{Certify: certify})
}

func (w *world) mustExtend(file []byte, level string) ([]byte, *ltv.Extension) {
	w.TB.Helper()
	out, x, err := w.TryRaise(file, level)
	if err != nil {
		w.TB.Fatal(err)
	}
	return out, x
}

func plain() []byte { return pdftest.Build(pdftest.Table, pdftest.Fields()) }
