package interop

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/internal/verapdf"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// lasting makes files of every level in a world whose certificates have a status.
type lasting struct {
	*signingtest.Lasting
	t       *testing.T
	clock   *clock.Hand
	stamper *tsa.Client
	*ltv.Extender
}

func newLasting(t *testing.T) *lasting {
	w := &lasting{Lasting: signingtest.NewLasting(signingtest.Now), t: t, clock: clock.NewHand(signingtest.Now)}
	w.Status.Clock = w.clock.Now
	w.Status.BendOCSP = func(r *ocsp.Response) {
		if r.Certificate == nil { // about an authority, by the root: made for a long time
			r.NextUpdate = r.ThisUpdate.AddDate(20, 0, 0)
		}
	}
	authority := signingtest.NewAuthority(t, w.TSA)
	authority.Clock = w.clock.Now
	var err error
	if w.stamper, err = tsa.New(tsa.Config{Clock: w.clock.Now, Authorities: []tsa.Authority{{URL: authority.Server.URL, Roots: w.Roots()}}}); err != nil {
		t.Fatal(err)
	}
	f, err := fetch.New(fetch.Config{Hosts: []string{signingtest.StatusHost}, Client: w.Status.Client(), Clock: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if w.Extender, err = ltv.New(ltv.Config{Roots: w.Roots(), Fetch: f, Stamper: w.stamper, Clock: w.clock.Now}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *lasting) file(content []byte, kind, level string) []byte {
	w.t.Helper()
	id := w.Seal(kind)
	p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), pades.Options{
		Chain: id.Chain, At: w.clock.Now(), Certify: true, PSS: strings.HasSuffix(kind, "PSS"), Label: "Cachet électronique de la commune"})
	if err != nil {
		w.t.Fatal(err)
	}
	signature, err := p.Sign(id.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	var token []byte
	if level != signing.LevelBB {
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
	if level == signing.LevelBB || level == signing.LevelBT {
		return b.Bytes()
	}
	return w.extend(b.Bytes(), level)
}

func (w *lasting) extend(file []byte, level string) []byte {
	w.t.Helper()
	x, err := w.Extend(w.t.Context(), bytes.NewReader(file), int64(len(file)), level)
	if err != nil {
		w.t.Fatal(err)
	}
	return append(file, x.Tail...)
}

// pyHanko's AdES validation gives the level we claim, for each level and kind of
// key, with revocation proved from the file alone, and, for B-LTA, years after the
// seal's certificate has ended.
func TestInteropPyHankoAcceptsEveryLevel(t *testing.T) {
	python(t)
	w := newLasting(t)
	roots := w.WriteRoots(t)
	for n, kind := range signingtest.KeyKinds {
		content := pdftest.Build([]pdftest.Form{pdftest.Table, pdftest.Stream}[n%2], pdftest.Fields())
		for _, level := range []string{signing.LevelBB, signing.LevelBT, signing.LevelBLT, signing.LevelBLTA} {
			file := w.file(content, kind, level)
			t.Run(kind+"/"+level, func(t *testing.T) {
				t.Parallel()
				passes(t, file, roots, level, signingtest.Now.Add(5*time.Minute))
				if level == signing.LevelBLTA {
					passes(t, file, roots, level, signingtest.Now.Add(5*time.Minute), "--future", "2036-01-01T00:00:00Z")
				}
			})
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

// A renewed file passes too, and a file without its proof does not.
func TestInteropPyHankoAfterRenewal(t *testing.T) {
	python(t)
	w := newLasting(t)
	roots := w.WriteRoots(t)
	file := w.file(pdftest.Build(pdftest.Table, pdftest.Plain()), "P-256", signing.LevelBLTA)
	w.clock.Add(300 * 24 * time.Hour)
	passes(t, w.extend(file, signing.LevelBLTA), roots, signing.LevelBLTA, w.clock.Now().Add(5*time.Minute))
	i := bytes.LastIndex(file, []byte("/OCSPs ["))
	spoiled := bytes.Clone(file)
	copy(spoiled[i:], "/OCSPx [")
	if v, err := askAbout(t, spoiled, roots, w.clock.Now()); err == nil {
		t.Errorf("without its proof: %+v", v)
	}
}

// PDF/A-2a and PDF/UA-1 stay, at every level and after a renewal.
func TestInteropVeraPDFAtEveryLevel(t *testing.T) {
	w := newLasting(t)
	files := map[string][]byte{}
	for _, level := range []string{signing.LevelBB, signing.LevelBT, signing.LevelBLT, signing.LevelBLTA} {
		files[level] = w.file(tagged, "P-384", level)
	}
	w.clock.Add(300 * 24 * time.Hour)
	files["renewed"] = w.extend(bytes.Clone(files[signing.LevelBLTA]), signing.LevelBLTA)
	verapdf.Validate(t, files)
}
