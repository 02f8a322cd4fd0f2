package pades_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/tsa"
)

func options(id signingtest.Identity) pades.Options {
	return pades.Options{Chain: id.Chain, At: signingtest.Now}
}

func prepare(t testing.TB, content []byte, o pades.Options) *pades.Prepared {
	t.Helper()
	p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func embed(t testing.TB, p *pades.Prepared, content, signature, token []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Embed(&b, bytes.NewReader(content), signature, token); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sign(t testing.TB, content []byte, id signingtest.Identity, o pades.Options) []byte {
	t.Helper()
	p := prepare(t, content, o)
	signature, err := p.Sign(id.Key)
	if err != nil {
		t.Fatal(err)
	}
	return embed(t, p, content, signature, nil)
}

func stamp(t testing.TB, signature []byte) []byte {
	t.Helper()
	w := signingtest.Shared()
	c, err := tsa.New(tsa.Config{
		Authorities: []tsa.Authority{{URL: signingtest.NewAuthority(t, w.TSA).Server.URL, Roots: w.RootCertificates}},
		Clock:       clock.At(signingtest.Now),
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Stamp(t.Context(), signing.ImprintOf(crypto.SHA256, signature))
	if err != nil {
		t.Fatal(err)
	}
	return s.Token
}

func seals() map[string]signingtest.Identity {
	w := signingtest.Shared()
	return map[string]signingtest.Identity{"RSA": w.RSA, "P-256": w.P256, "P-384": w.P384}
}

func documents() map[string][]byte {
	out := map[string][]byte{}
	for name, form := range pdftest.Forms {
		out[name] = pdftest.Build(form, pdftest.Plain())
		out[name+" with fields"] = pdftest.Build(form, pdftest.Fields())
	}
	o := pdftest.Plain()
	zeros := strings.Repeat("0", 100000) + "/ByteRange [0 **** **** ****] /Contents <00>"
	o[3] = fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(zeros), zeros)
	out["full of zeros"] = pdftest.Build(pdftest.Table, o)
	o = pdftest.Plain()
	o[0] = "<</Type/Catalog/Pages 2 0 R/Lang(a\\)b)/Odd#20#2F#28Name(\\\\)/AcroForm<</Fields[]/DA(/H 0 Tf)>>>>"
	out["odd names"] = pdftest.Build(pdftest.Table, o)
	o = pdftest.Plain()
	o[0] = "<</Type/Catalog/Pages 2 0 R/Version/2.0>>"
	out["version 2.0"] = pdftest.Build(pdftest.Stream, o)
	return out
}

func TestSignedFilesBeginWithTheContent(t *testing.T) {
	for name, content := range documents() {
		for key, id := range seals() {
			t.Run(name+"/"+key, func(t *testing.T) {
				t.Parallel()
				for _, certify := range []bool{false, true} {
					o := options(id)
					o.Certify, o.Name, o.Reason = certify, "Élise ) \\ ĩ", "Attestation (copie)"
					p := prepare(t, content, o)
					signature, err := p.Sign(id.Key)
					if err != nil {
						t.Fatal(err)
					}
					plain := embed(t, p, content, signature, nil)
					stamped := embed(t, p, content, signature, stamp(t, signature))
					if !bytes.HasPrefix(plain, content) || !bytes.HasPrefix(stamped, content) || len(plain) != len(stamped) || int64(len(plain)) != p.FinishedSize() {
						t.Fatal("the file does not begin with the content, or has another length")
					}
					for level, file := range map[string][]byte{"B-B": plain, "B-T": stamped} {
						outside(t, level, file)
					}
				}
			})
		}
	}
}

var ranges = regexp.MustCompile(`/ByteRange \[0 (\d+) (\d+) (\d+) *\]`)

// outside asks programs of others about the last signature of a file.
func outside(t *testing.T, level string, file []byte) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.pdf")
	write(t, path, file)
	run := func(want string, command ...string) {
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
	}
	run("No syntax or stream encoding errors", "qpdf", "--check", path)
	run("Seal1", "mutool", "show", path, "trailer/Root/AcroForm/Fields/*/T")

	m := ranges.FindAllSubmatch(file, -1)
	var b, c, d int
	fmt.Sscan(string(bytes.Join(m[len(m)-1][1:], []byte(" "))), &b, &c, &d)
	if c+d != len(file) || file[b] != '<' || file[c-1] != '>' {
		t.Fatalf("byte range %d %d %d of %d", b, c, d, len(file))
	}
	der, err := hex.DecodeString(string(file[b+1 : c-1]))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cms"), der)
	write(t, filepath.Join(dir, "signed"), append(append([]byte{}, file[:b]...), file[c:]...))
	run("Verification successful", "openssl", "cms", "-verify", "-cades", "-inform", "DER", "-in", filepath.Join(dir, "cms"), "-content", filepath.Join(dir, "signed"), "-binary",
		"-CAfile", signingtest.Shared().WriteRoots(t), "-purpose", "any", "-attime", fmt.Sprint(signingtest.Now.Unix()), "-out", os.DevNull)
	if level != "" {
		run("Signature is Valid", "pdfsig", "-nocert", path)
		run("Total document signed", "pdfsig", "-nocert", path)
		run("ETSI.CAdES.detached", "pdfsig", "-nocert", path)
	}
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What is stored finishes the same file, however late.
func TestPreparedSurvivesStorage(t *testing.T) {
	w := signingtest.Shared()
	content := pdftest.Build(pdftest.Stream, pdftest.Fields())
	p := prepare(t, content, options(w.RSA))
	stored, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if len(stored) > 12000 {
		t.Errorf("a row of %d bytes", len(stored))
	}
	var q pades.Prepared
	if err := json.Unmarshal(stored, &q); err != nil {
		t.Fatal(err)
	}
	signature, err := p.Sign(w.RSA.Key)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(embed(t, p, content, signature, nil), embed(t, &q, content, signature, nil)) {
		t.Error("the stored one makes another file")
	}
	again := prepare(t, content, options(w.RSA))
	if s, _ := json.Marshal(again); !bytes.Equal(s, stored) {
		t.Error("preparing again gives something else")
	}
	if p.Content != sha256.Sum256(content) {
		t.Error("the content's digest is wrong")
	}
}

func TestEmbedRefusesWhatDoesNotBelong(t *testing.T) {
	w := signingtest.Shared()
	content := pdftest.Build(pdftest.Table, pdftest.Plain())
	p := prepare(t, content, options(w.P256))
	if _, err := p.Sign(w.Stranger.Key); err == nil {
		t.Error("the signature of another key is taken")
	}
	signature, err := p.Sign(w.P256.Key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	other := bytes.Clone(content)
	other[len(other)/2] ^= 1
	for name, c := range map[string][]byte{"changed": other, "longer": append(bytes.Clone(content), '\n'), "shorter": content[:len(content)-1]} {
		if err := p.Embed(&b, bytes.NewReader(c), signature, nil); !errors.Is(err, pades.ErrContent) {
			t.Errorf("%s content: %v", name, err)
		}
	}
	if err := p.Embed(&b, bytes.NewReader(content), signature, make([]byte, 20000)); !errors.Is(err, pades.ErrRoom) {
		t.Errorf("a stamp that does not fit: %v", err)
	}
	changed := *prepare(t, content, options(w.P256))
	changed.Foot = append(bytes.Clone(p.Foot), ' ')
	if err := changed.Embed(&b, bytes.NewReader(content), signature, nil); !errors.Is(err, pades.ErrContent) {
		t.Errorf("a stored row that was changed: %v", err)
	}
}

func TestFaultsOfTheContent(t *testing.T) {
	w := signingtest.Shared()
	good := pdftest.Build(pdftest.Table, pdftest.Plain())
	xfa := pdftest.Plain()
	xfa[0] = "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[]/XFA(x)>>>>"
	certified := sign(t, good, w.P256, certify(options(w.P256)))
	signed := sign(t, good, w.P256, options(w.P256))
	for name, c := range map[string]struct {
		content []byte
		kind    fault.Kind
		key     string
		options pades.Options
	}{
		"no PDF":            {[]byte("<html>"), fault.Invalid, "pades.not_pdf", options(w.P256)},
		"encrypted":         {bytes.Replace(good, []byte("/Root"), []byte("/Encrypt 9 0 R/Root"), 1), fault.Invalid, "pades.encrypted", options(w.P256)},
		"cut":               {good[:len(good)-100], fault.Invalid, "pades.broken", options(w.P256)},
		"junk behind":       {append(bytes.Clone(good), "junk"...), fault.Invalid, "pades.broken", options(w.P256)},
		"no pages":          {pdftest.Build(pdftest.Table, pdftest.Objects{"<</Type/Catalog>>"}), fault.Invalid, "pades.broken", options(w.P256)},
		"dynamic form":      {pdftest.Build(pdftest.Table, xfa), fault.Invalid, "pades.dynamic_form", options(w.P256)},
		"certified already": {certified, fault.Conflict, "pades.certified", options(w.P256)},
		"signed already":    {signed, fault.Conflict, "pades.already_signed", certify(options(w.P256))},
		"no such field":     {good, fault.Invalid, "pades.no_such_field", pades.Options{Chain: w.P256.Chain, At: signingtest.Now, Field: "empty"}},
		"expired":           {good, fault.Internal, "pades.certificate_unusable", pades.Options{Chain: w.P256.Chain, At: signingtest.Now.AddDate(60, 0, 0)}},
		"not yet valid":     {good, fault.Internal, "pades.certificate_unusable", pades.Options{Chain: w.P256.Chain, At: signingtest.Now.AddDate(-60, 0, 0)}},
		"not for signing":   {good, fault.Internal, "pades.certificate_unusable", options(w.Encipherment)},
	} {
		_, err := pades.Prepare(bytes.NewReader(c.content), int64(len(c.content)), c.options)
		if fault.KindOf(err) != c.kind || fault.KeyOf(err) != c.key {
			t.Errorf("%s: want %v %s, have %v", name, c.kind, c.key, err)
		}
	}
}

func certify(o pades.Options) pades.Options {
	o.Certify = true
	return o
}

func dict(t *testing.T, f *pdf.File, o pdf.Object) pdf.Dict {
	t.Helper()
	d, err := f.Dict(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheFormIsKept(t *testing.T) {
	w := signingtest.Shared()
	for name, form := range pdftest.Forms {
		t.Run(name, func(t *testing.T) {
			content := pdftest.Build(form, pdftest.Fields())
			file := sign(t, content, w.P256, certify(options(w.P256)))
			before, after := open(t, content), open(t, file)
			oldFields, newFields := fields(t, before), fields(t, after)
			for name, f := range oldFields {
				if g, ok := newFields[name]; !ok || g.Ref != f.Ref || fmt.Sprint(g.Dict) != fmt.Sprint(f.Dict) {
					t.Errorf("field %q was %v, is %v", name, f.Dict, g.Dict)
				}
			}
			if len(newFields) != len(oldFields)+1 {
				t.Errorf("fields %v", slices.Sorted(maps.Keys(newFields)))
			}
			acro := dict(t, after, dict(t, after, after.Root())["AcroForm"])
			if acro["SigFlags"] != pdf.Integer(3) || acro["DA"] != pdf.String("/Helv 0 Tf 0 g") || acro["DR"] == nil {
				t.Errorf("form %v", acro)
			}
			_, page, _, err := after.FirstPage()
			if err != nil {
				t.Fatal(err)
			}
			annots, err := after.Array(page["Annots"])
			if err != nil || len(annots) != 4 || annots[3] != newFields["Seal1"].Ref || page["Tabs"] != pdf.Name("S") {
				t.Errorf("annotations %v, tabs %v, %v", annots, page["Tabs"], err)
			}
			if after.Trailer()["Info"] != before.Trailer()["Info"] {
				t.Error("the title is lost")
			}
		})
	}
}

// The rules of PDF/A-2 (6.1.12, 6.3.2, 6.3.3) and PDF/UA-1 (7.18) that a seal can break.
func TestTheWidgetObeysPDFAAndUA(t *testing.T) {
	w := signingtest.Shared()
	o := pdftest.Plain()
	o[2] = strings.Replace(o[2], "/Parent", "/CropBox[-10 20.5 500 700]/Parent", 1)
	po := certify(options(w.P256))
	po.Label = "Cachet électronique"
	f := open(t, sign(t, pdftest.Build(pdftest.Table, o), w.P256, po))
	widget := fields(t, f)["Seal1"].Dict
	if got := fmt.Sprint(widget["Rect"]); got != "[-10 20.5 -10 20.5]" {
		t.Errorf("the widget is at %s: inside the page, or with an area", got)
	}
	if flags := widget["F"].(pdf.Integer); flags&4 == 0 || flags&(1|2|32|256) != 0 {
		t.Errorf("flags %b", flags)
	}
	if widget["TU"].(pdf.String).Text() != "Cachet électronique" || widget["Contents"] != widget["TU"] {
		t.Errorf("it says %v", widget["TU"])
	}
	for _, key := range []pdf.Name{"A", "AA", "AP"} {
		if widget[key] != nil {
			t.Errorf("the widget has /%s", key)
		}
	}
	perms := dict(t, f, dict(t, f, f.Root())["Perms"])
	signature := dict(t, f, perms["DocMDP"])
	references, _ := f.Array(signature["Reference"])
	reference := dict(t, f, references[0])
	if len(perms) != 1 || reference["DigestValue"] != nil || reference["DigestMethod"] != nil || dict(t, f, reference["TransformParams"])["P"] != pdf.Integer(1) {
		t.Errorf("permissions %v, reference %v", perms, reference)
	}
	if at, ok := pdf.ParseDate(signature["M"].(pdf.String)); !ok || !at.Equal(signingtest.Now) || signature["Cert"] != nil || signature["SubFilter"] != pdf.Name("ETSI.CAdES.detached") {
		t.Errorf("signature dictionary %v", signature)
	}
}

func TestAnEmptyFieldIsFilled(t *testing.T) {
	w := signingtest.Shared()
	content := pdftest.Build(pdftest.Table, pdftest.Fields())
	o := options(w.RSA)
	o.Field = "empty"
	f := open(t, sign(t, content, w.RSA, o))
	all := fields(t, f)
	if all["empty"].Value == nil || len(all) != 4 || dict(t, f, dict(t, f, f.Root())["AcroForm"])["SigFlags"] != pdf.Integer(3) {
		t.Errorf("fields %v", all)
	}
}

func TestTwoApprovalSignatures(t *testing.T) {
	w := signingtest.Shared()
	for name, form := range pdftest.Forms {
		t.Run(name, func(t *testing.T) {
			content := pdftest.Build(form, pdftest.Fields())
			first := sign(t, content, w.RSA, options(w.RSA))
			o := options(w.P384)
			o.At = o.At.Add(time.Minute)
			second := sign(t, first, w.P384, o)
			if !bytes.HasPrefix(second, first) {
				t.Fatal("the first signature's bytes were changed")
			}
			all := fields(t, open(t, second))
			if all["Seal1"].Value == nil || all["Seal2"].Value == nil {
				t.Errorf("fields %v", all)
			}
			outside(t, "", second)
			path := filepath.Join(t.TempDir(), "a.pdf")
			write(t, path, second)
			if _, err := exec.LookPath("pdfsig"); err != nil {
				t.Skip("pdfsig is not installed")
			}
			out, err := exec.Command("pdfsig", "-nocert", path).CombinedOutput()
			if err != nil || strings.Count(string(out), "Signature is Valid") != 2 {
				t.Errorf("pdfsig: %v\n%s", err, out)
			}
		})
	}
}

func open(t *testing.T, b []byte) *pdf.File {
	t.Helper()
	f, err := pdf.Bytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func fields(t *testing.T, f *pdf.File) map[string]pdf.Field {
	t.Helper()
	list, err := f.Fields()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]pdf.Field{}
	for _, x := range list {
		out[x.Name] = x
	}
	return out
}

func FuzzPrepare(f *testing.F) {
	w := signingtest.Shared()
	for _, form := range pdftest.Forms {
		f.Add(pdftest.Build(form, pdftest.Fields()))
	}
	f.Add(sign(f, pdftest.Build(pdftest.Table, pdftest.Plain()), w.P256, options(w.P256)))
	o := pades.Options{Chain: []*x509.Certificate{w.P256.Cert}, At: signingtest.Now, StampRoom: -1}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := pades.Prepare(bytes.NewReader(b), int64(len(b)), o)
		if err != nil {
			return
		}
		signature, err := p.Sign(w.P256.Key)
		if err != nil {
			t.Fatal(err)
		}
		signed := embed(t, p, b, signature, nil)
		if _, err := pdf.Bytes(signed); err != nil {
			t.Fatalf("what was signed cannot be read: %v", err)
		}
	})
}

// Files as qpdf and MuPDF rewrite them: linearised, with object streams, cleaned, in PDF 2.0.
func TestFilesOfOtherPrograms(t *testing.T) {
	w := signingtest.Shared()
	dir := t.TempDir()
	in := filepath.Join(dir, "in.pdf")
	write(t, in, pdftest.Build(pdftest.Table, pdftest.Fields()))
	for name, command := range map[string][]string{
		"linearised":                     {"qpdf", "--linearize", in, "OUT"},
		"object streams":                 {"qpdf", "--object-streams=generate", in, "OUT"},
		"linearised with object streams": {"qpdf", "--linearize", "--object-streams=generate", in, "OUT"},
		"2.0":                            {"qpdf", "--force-version=2.0", in, "OUT"},
		"cleaned":                        {"mutool", "clean", "-gggz", in, "OUT"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			out := filepath.Join(t.TempDir(), "out.pdf")
			command[len(command)-1] = out
			if said, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			content, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			outside(t, "B-B", sign(t, content, w.P256, certify(options(w.P256))))
		})
	}
}

// Memory is used for what is appended, not for the content.
func TestMemoryDoesNotGrowWithTheContent(t *testing.T) {
	w := signingtest.Shared()
	used := func(size int) uint64 {
		content := document(size)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p := prepare(t, content, options(w.P256))
		signature, err := p.Sign(w.P256.Key)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Embed(io.Discard, bytes.NewReader(content), signature, nil); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	used(1 << 10) // what is made once
	if small, large := used(50<<10), used(20<<20); large > small+256<<10 {
		t.Errorf("%d bytes for 50 KB, %d for 20 MB", small, large)
	}
}
