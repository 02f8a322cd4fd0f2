package ltv_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
				outside(t, w.Lasting, level, file)
			})
		}
	}
}

var ranges = regexp.MustCompile(`/ByteRange \[0 (\d+) (\d+) (\d+) *\]`)

// outside asks programs of others about every signature of a file.
func outside(t *testing.T, w *signingtest.Lasting, level string, file []byte) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.pdf")
	write(t, path, file)
	run := func(want string, command ...string) string {
		t.Helper()
		if _, err := exec.LookPath(command[0]); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed", command[0])
			}
			t.Skipf("%s is not installed", command[0])
		}
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s, %s: %v, want %q\n%s", level, command[0], err, want, out)
		}
		return string(out)
	}
	run("No syntax or stream encoding errors", "qpdf", "--check", path)
	run("Seal1", "mutool", "show", path, "trailer/Root/AcroForm/Fields/*/T")
	roots := w.WriteRoots(t)
	for i, m := range ranges.FindAllSubmatch(file, -1) {
		var b, c, d int
		fmt.Sscan(string(bytes.Join(m[1:], []byte(" "))), &b, &c, &d)
		der, err := hex.DecodeString(string(file[b+1 : c-1]))
		if err != nil {
			t.Fatal(err)
		}
		cms, signed := filepath.Join(dir, fmt.Sprint("cms", i)), filepath.Join(dir, fmt.Sprint("signed", i))
		write(t, cms, der)
		write(t, signed, append(append([]byte{}, file[:b]...), file[c:c+d]...))
		at := fmt.Sprint(signingtest.Now.Unix())
		if i == 0 {
			run("Verification successful", "openssl", "cms", "-verify", "-cades", "-inform", "DER", "-in", cms, "-content", signed, "-binary",
				"-CAfile", roots, "-purpose", "any", "-attime", at, "-out", os.DevNull)
			continue
		}
		write(t, cms, trimDER(der))
		run("Verification: OK", "openssl", "ts", "-verify", "-data", signed, "-in", cms, "-token_in", "-CAfile", roots, "-attime", at)
	}
	sig := run("Signature is Valid", "pdfsig", "-nocert", path)
	// it has no code for document time stamps, but sees what they cover
	if level == signing.LevelBLTA && (!strings.Contains(sig, "Stamp1") || !strings.Contains(sig, "Total document signed")) {
		t.Errorf("pdfsig sees no document time stamp upon all:\n%s", sig)
	}
	if level == signing.LevelBLT || level == signing.LevelBLTA {
		run("[", "mutool", "show", path, "trailer/Root/DSS/OCSPs")
	}
}

// trimDER is the one value at the beginning of b.
func trimDER(b []byte) []byte {
	n, head := int(b[1]), 2
	if n >= 0x80 {
		head += n & 0x7f
		n = 0
		for _, c := range b[2:head] {
			n = n<<8 | int(c)
		}
	}
	return b[:head+n]
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
