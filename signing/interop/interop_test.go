package interop

import (
	"bytes"
	"crypto"
	_ "embed"
	"encoding/json"
	"image"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/internal/verapdf"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/mark"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// askAll asks about several files at once.
func askAll(t *testing.T, paths []string, roots string, at time.Time, more ...string) []verdict {
	t.Helper()
	arguments := append([]string{"pyhanko_check.py", "--trust", roots, "--at", at.Format(time.RFC3339)}, more...)
	out, err := exec.Command(python(t), append(arguments, paths...)...).Output()
	list := make([]verdict, len(paths))
	d := json.NewDecoder(bytes.NewReader(out))
	for i := range list {
		if e := d.Decode(&list[i]); e != nil {
			t.Fatalf("%v, %v: %s", err, e, out)
		}
	}
	return list
}

// python is the interpreter that make interop sets.
func python(t *testing.T) string {
	path := os.Getenv("BELFRY_INTEROP_PYTHON")
	if path == "" {
		t.Skip("BELFRY_INTEROP_PYTHON names no interpreter with pyHanko: run make interop")
	}
	return path
}

// tagged is a document that orders/document made of invented people.
//
//go:embed testdata/tagged.pdf
var tagged []byte

type verdict struct {
	Signatures []struct {
		Field, Level, Conclusion, Reason, Coverage, Modification string
		Certification                                            int
		BestTime                                                 string `json:"best_time"`
		DocMDPOK                                                 bool   `json:"docmdp_ok"`
		OK                                                       bool
	}
	Error string
}

func ask(t *testing.T, file []byte) (verdict, error) {
	t.Helper()
	return askAbout(t, file, signingtest.Shared().WriteRoots(t), signingtest.Now.Add(time.Minute))
}

func askAbout(t *testing.T, file []byte, roots string, at time.Time, more ...string) (verdict, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := append([]string{"pyhanko_check.py", "--trust", roots, "--at", at.Format(time.RFC3339), path}, more...)
	out, err := exec.Command(python(t), arguments...).Output()
	var v verdict
	if json.Unmarshal(out, &v) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return v, err
}

func sign(t *testing.T, content []byte, id signingtest.Identity, o pades.Options, stamped bool) []byte {
	t.Helper()
	o.Chain, o.At, o.Reason = id.Chain, signingtest.Now, "Établi à la demande (é)"
	p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), o)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := p.Sign(id.Key)
	if err != nil {
		t.Fatal(err)
	}
	var token []byte
	if stamped {
		w := signingtest.Shared()
		c, err := tsa.New(tsa.Config{Authorities: []tsa.Authority{{URL: signingtest.NewAuthority(t, w.TSA).Server.URL, Roots: w.RootCertificates}}, Clock: clock.At(signingtest.Now)})
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Stamp(t.Context(), signing.ImprintOf(crypto.SHA256, signature))
		if err != nil {
			t.Fatal(err)
		}
		token = s.Token
	}
	var b bytes.Buffer
	if err := p.Embed(&b, bytes.NewReader(content), signature, token); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestInteropPyHankoAccepts(t *testing.T) {
	python(t)
	w := signingtest.Shared()
	keys := map[string]signingtest.Identity{"RSA": w.RSA, "P-256": w.P256, "P-384": w.P384}
	names := slices.Sorted(maps.Keys(keys))
	n := 0
	for _, form := range []pdftest.Form{pdftest.Table, pdftest.Stream} { // pyHanko takes no hybrid files
		for _, stamped := range []bool{false, true} {
			key := names[n%len(names)]
			n++
			file := sign(t, pdftest.Build(form, pdftest.Fields()), keys[key], pades.Options{Certify: true}, stamped)
			v, err := ask(t, file)
			want := map[bool]string{false: "B-B", true: "B-T"}[stamped]
			if err != nil || len(v.Signatures) != 1 {
				t.Fatalf("%s, %s: %v %+v", key, want, err, v)
			}
			if s := v.Signatures[0]; !s.OK || s.Level != want || s.Certification != 1 || s.Coverage != "ENTIRE_FILE" {
				t.Errorf("%s: %+v", key, s)
			}
		}
	}
}

func TestInteropPyHankoAcceptsTwoSignatures(t *testing.T) {
	python(t)
	w := signingtest.Shared()
	first := sign(t, pdftest.Build(pdftest.Stream, pdftest.Plain()), w.RSA, pades.Options{}, true)
	v, err := ask(t, sign(t, first, w.P256, pades.Options{}, true))
	if err != nil || len(v.Signatures) != 2 || !v.Signatures[0].OK || !v.Signatures[1].OK {
		t.Errorf("%v: %+v", err, v)
	}
}

// A tagged document of ours, PDF/A-2a and PDF/UA-1, stays both when it is sealed,
// certified or not, stamped or not, and when a clerk has signed before.
func TestInteropVeraPDFAfterSealing(t *testing.T) {
	w := signingtest.Shared()
	label := pades.Options{Label: "Cachet électronique de la commune"}
	whole := label
	whole.Certify = true
	files := map[string][]byte{
		"unsealed":  tagged,
		"B-B":       sign(t, tagged, w.RSA, label, false),
		"certified": sign(t, tagged, w.P256, whole, false),
		"B-T":       sign(t, tagged, w.P384, whole, true),
	}
	files["two"] = sign(t, files["B-B"], w.P384, label, true)
	seen := whole
	seen.Visible = &pades.Visible{Last: true, Right: true, Margin: 20, Draw: func(string) (*mark.Drawing, error) {
		picture := image.NewNRGBA(image.Rect(0, 0, 20, 30)) // transparent
		return mark.Mark{Lines: []string{"Cachet électronique", "de la commune"}, Picture: picture, QR: "https://example.org/"}.Draw()
	}}
	files["visible"] = sign(t, tagged, w.P256, seen, true)
	verapdf.Validate(t, files)
}

func TestInteropPyHankoAcceptsATaggedDocument(t *testing.T) {
	python(t)
	v, err := ask(t, sign(t, tagged, signingtest.Shared().RSA, pades.Options{Certify: true}, true))
	if err != nil || len(v.Signatures) != 1 || !v.Signatures[0].OK {
		t.Errorf("%v: %+v", err, v)
	}
}

// The script must be able to say no, or its yes is worth nothing.
func TestInteropPyHankoRefuses(t *testing.T) {
	python(t)
	w := signingtest.Shared()
	content := pdftest.Build(pdftest.Table, pdftest.Plain())
	if v, err := ask(t, sign(t, content, w.Stranger, pades.Options{}, false)); err == nil || len(v.Signatures) != 1 {
		t.Errorf("a stranger's seal: %v %+v", err, v)
	}
	file := sign(t, content, w.P256, pades.Options{Certify: true}, true)
	at := bytes.Index(file, []byte("(Attestation)"))
	changed := bytes.Clone(file)
	changed[at+1] = 'B'
	if v, err := ask(t, changed); err == nil || len(v.Signatures) != 1 {
		t.Errorf("a changed page: %v %+v", err, v)
	}
}
