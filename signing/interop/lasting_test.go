package interop

import (
	"bytes"
	"crypto"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/internal/verapdf"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

// lasting makes files of every level in a world whose certificates have a status.
func newLasting(t *testing.T) *signingtest.Maker {
	w := signingtest.NewOwnMaker(t, nil)
	longAuthorities(w.Lasting)
	return w
}

// longAuthorities makes what the root says about authorities good for a long time.
func longAuthorities(w *signingtest.Lasting) {
	w.Status.BendOCSP = func(r *ocsp.Response) {
		if r.Certificate == nil {
			r.NextUpdate = r.ThisUpdate.AddDate(20, 0, 0)
		}
	}
}

var certified = pades.Options{Certify: true, Label: "Cachet électronique de la commune"}

// pyHanko's AdES validation gives the level we claim, for each level and kind of key, and
// after a renewal, with revocation proved from the file alone, and, for B-LTA, years after
// the seal's certificate has ended.
func TestInteropPyHankoAcceptsEveryLevel(t *testing.T) {
	python(t)
	for n, kind := range signingtest.KeyKinds {
		w := newLasting(t)
		roots := w.WriteRoots(t)
		content := pdftest.Build([]pdftest.Form{pdftest.Table, pdftest.Stream}[n%2], pdftest.Fields())
		for level, file := range everyLevel(w, content, kind, certified) {
			t.Run(kind+"/"+level, func(t *testing.T) {
				t.Parallel()
				at := signingtest.Now.Add(5 * time.Minute)
				if level == renewed {
					at = w.Clock.Now().Add(5 * time.Minute)
				}
				passes(t, file, roots, levelOf(level), at)
				if level == signing.LevelBLTA {
					passes(t, file, roots, level, at, "--future", "2036-01-01T00:00:00Z")
				}
			})
		}
	}
}

// refusedInput are those of the zoo that pyHanko does not read, sealed or not: a hybrid
// file, tables that are not strictly right, a form feed between words.
var refusedInput = []string{"a hybrid file", "MuPDF, cleaned", "odd spaces", "poppler, separated", "poppler, united"}

// pyHanko accepts what people bring, sealed at the highest level and renewed. It says
// nothing about a renewed file with several signers of one issuer while their certificates
// last: an answer about one of them makes it forget that another's is only old. Such
// files are shown before they are renewed.
func TestInteropPyHankoAcceptsTheZoo(t *testing.T) {
	python(t)
	world := signingtest.NewLasting(signingtest.Now)
	longAuthorities(world)
	type group struct {
		password string
		at       time.Time
	}
	names, paths := map[group][]string{}, map[group][]string{}
	for n, name := range slices.Sorted(maps.Keys(zoo)) {
		a := zoo[name]
		if slices.Contains(refusedInput, name) {
			continue
		}
		w := signingtest.NewMaker(t, world, func(c *ltv.Config) { c.Password = a.password })
		world.Status.Clock = w.Clock.Now
		files := everyLevel(w, a.file(t, w), signingtest.KeyKinds[n%len(signingtest.KeyKinds)], pades.Options{Field: a.field, Password: a.password})
		file, g := files[renewed], group{a.password, w.Clock.Now().Add(5 * time.Minute)}
		if a.signed {
			file, g.at = files[signing.LevelBLTA], signingtest.Now.Add(5*time.Minute)
		}
		path := filepath.Join(t.TempDir(), "a.pdf")
		put(t, path, file)
		names[g], paths[g] = append(names[g], name), append(paths[g], path)
	}
	for g, list := range paths {
		for i, v := range askAll(t, list, world.WriteRoots(t), g.at, "--password", g.password) {
			if n := len(v.Signatures); n == 0 || !v.Signatures[n-1].OK || v.Signatures[n-1].Level != signing.LevelBLTA {
				t.Errorf("%s: %+v", names[g][i], v)
			}
		}
	}
}

func passes(t *testing.T, file []byte, roots, level string, at time.Time, more ...string) {
	t.Helper()
	v, err := askAbout(t, file, roots, at, more...)
	if err != nil || len(v.Signatures) != 1 {
		t.Fatalf("%v: %+v", err, v)
	}
	if s := v.Signatures[0]; !s.OK || s.Level != level || s.Certification != 1 {
		t.Errorf("%v: %+v", more, s)
	}
}

// pyHanko passes files that were renewed under another hash.
func TestInteropPyHankoAfterAnotherHash(t *testing.T) {
	python(t)
	for _, hash := range []crypto.Hash{crypto.SHA384, crypto.SHA512} {
		w := newLasting(t)
		file := stampedUnder(w, hash)
		passes(t, file, w.WriteRoots(t), signing.LevelBLTA, w.Base.AddDate(2, -1, 0).Add(5*time.Minute))
	}
}

// A renewed file passes too, and a file without its proof does not.
func TestInteropPyHankoAfterRenewal(t *testing.T) {
	python(t)
	w := newLasting(t)
	roots := w.WriteRoots(t)
	file := w.File(pdftest.Build(pdftest.Table, pdftest.Plain()), "P-256", signing.LevelBLTA, certified)
	w.Clock.Add(300 * 24 * time.Hour)
	passes(t, w.Raise(file, signing.LevelBLTA), roots, signing.LevelBLTA, w.Clock.Now().Add(5*time.Minute))
	i := bytes.LastIndex(file, []byte("/OCSPs ["))
	spoiled := bytes.Clone(file)
	copy(spoiled[i:], "/OCSPx [")
	if v, err := askAbout(t, spoiled, roots, w.Clock.Now()); err == nil {
		t.Errorf("without its proof: %+v", v)
	}
}

// PDF/A-2a and PDF/UA-1 stay, at every level and after a renewal.
func TestInteropVeraPDFAtEveryLevel(t *testing.T) {
	w := newLasting(t)
	files := map[string][]byte{}
	for _, level := range []string{signing.LevelBB, signing.LevelBT, signing.LevelBLT, signing.LevelBLTA} {
		files[level] = w.File(tagged, "P-384", level, certified)
	}
	w.Clock.Add(300 * 24 * time.Hour)
	files["renewed"] = w.Raise(bytes.Clone(files[signing.LevelBLTA]), signing.LevelBLTA)
	verapdf.Validate(t, files)
}
