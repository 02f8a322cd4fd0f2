package plain_test

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/plain"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

func TestMain(m *testing.M) {
	plain.RunIfChild()
	os.Exit(m.Run())
}

func options(id signingtest.Identity) plain.Options {
	return plain.Options{Chain: id.Chain, At: signingtest.Now, Name: "Commune de Beaumarais (é)", Reason: "Copie (1)", Location: "Liège"}
}

// counted is a key that counts.
type counted struct {
	crypto.Signer
	calls int
}

func (c *counted) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	c.calls++
	return c.Signer.Sign(r, digest, o)
}

func noInfo(form pdftest.Form) []byte {
	b := pdftest.Build(form, pdftest.Plain())
	return bytes.ReplaceAll(b, []byte("/Info 6 0 R"), []byte("/Knfo 6 0 R"))
}

// The signature is as asked, before ourselves (Sign has checked) and before others.
func TestSign(t *testing.T) {
	w := signingtest.Shared()
	for name, id := range map[string]signingtest.Identity{"RSA": w.RSA, "P-256": w.P256, "P-384": w.P384} {
		for form, content := range map[string][]byte{"table": pdftest.Build(pdftest.Table, pdftest.Plain()), "stream": noInfo(pdftest.Stream)} {
			t.Run(name+", "+form, func(t *testing.T) {
				key := &counted{Signer: id.Key}
				o := options(id)
				o.Name = id.Cert.Subject.CommonName
				if o.Name == "Commune de Beaumarais (é)" { // brackets in UTF-16 would not be escaped
					o.Name = "Commune de Beaumarais – é"
				}
				file, err := plain.Sign(t.Context(), content, key, o)
				if err != nil {
					t.Fatal(err)
				}
				if key.calls != 1 || !bytes.HasPrefix(file, content) {
					t.Errorf("%d calls of the key", key.calls)
				}
				outside(t, file)
			})
		}
	}
}

func outside(t *testing.T, file []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"No syntax or stream encoding errors", []string{"qpdf", "--check", path}},
		{"Signature is Valid", []string{"pdfsig", "-nocert", path}},
		{"Total document signed", []string{"pdfsig", "-nocert", path}},
		{"adbe.pkcs7.detached", []string{"pdfsig", "-nocert", path}},
		{"Pages: 1", []string{"mutool", "info", path}},
	} {
		if _, err := exec.LookPath(c.args[0]); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
		out, err := exec.Command(c.args[0], c.args[1:]...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: %v, want %q\n%s", c.args, err, c.want, out)
		}
	}
}

// Each fault of the library that is known has a file here, and the key is never asked.
func TestWhatTheLibraryBreaksIsRefused(t *testing.T) {
	w := signingtest.Shared()
	good := pdftest.Build(pdftest.Table, pdftest.Plain())
	changed := func(n int, object string) []byte {
		o := pdftest.Plain()
		o[n-1] = object
		return pdftest.Build(pdftest.Table, o)
	}
	signed := func() []byte {
		p, err := pades.Prepare(bytes.NewReader(good), int64(len(good)), pades.Options{Chain: w.P256.Chain, At: signingtest.Now})
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.Sign(w.P256.Key)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := p.Embed(&b, bytes.NewReader(good), s, nil); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}()
	zeros := strings.Repeat("0", 40000)
	for name, c := range map[string]struct {
		content []byte
		reason  string
		key     string
	}{
		"no PDF":        {[]byte("<html>"), "", "plain.unsuitable"},
		"signed":        {signed, "", "plain.has_form"},
		"a form":        {pdftest.Build(pdftest.Table, pdftest.Fields()), "", "plain.has_form"},
		"zeros":         {changed(4, "<</Length 40000>>\nstream\n"+zeros+"\nendstream"), "", "plain.unsuitable"},
		"its own marks": {changed(4, "<</Length 46>>\nstream\n/ByteRange[0 ********** ********** **********]\nendstream"), "", "plain.unsuitable"},
		"information":   {pdftest.Build(pdftest.Stream, pdftest.Plain()), "", "plain.unsuitable"},
		"an odd name":   {changed(1, "<</Type/Catalog/Pages 2 0 R/Odd#20Name 1>>"), "", "plain.unsuitable"},
		"an odd string": {changed(1, "<</Type/Catalog/Pages 2 0 R/Lang(a\\)b)>>"), "", "plain.unsuitable"},
		"Élise )":       {good, "Élise )", "plain.unsuitable"},
		"U+0129":        {good, "ĩ", "plain.unsuitable"},
		"encrypted":     {bytes.Replace(good, []byte("/Root"), []byte("/Encrypt 9 0 R/Root"), 1), "", "plain.unsuitable"},
		"junk before":   {append([]byte("junk\n"), good...), "", "plain.unsuitable"},
		"a circle":      {bytes.Replace(good, []byte("/Kids[3 0 R]"), []byte("/Kids[2 0 R]"), 1), "", "plain.unsuitable"},
		"too large":     {bytes.Repeat([]byte{'x'}, 9<<20), "", "plain.unsuitable"},
	} {
		key := &counted{Signer: w.P256.Key}
		o := options(w.P256)
		o.Name = ""
		if c.reason != "" {
			o.Reason = c.reason
		}
		if _, err := plain.Sign(t.Context(), c.content, key, o); fault.KeyOf(err) != c.key || fault.KindOf(err) != fault.Invalid || key.calls != 0 {
			t.Errorf("%s: %v, %d calls of the key", name, err, key.calls)
		}
	}
}

// broken is a key that answers wrongly.
type broken struct {
	crypto.Signer
	answer func(digest []byte) ([]byte, error)
}

func (b broken) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return b.answer(digest)
}

// Whatever the key answers, or where the library dies, no document comes out and this
// process lives on.
func TestNothingHalfComesOut(t *testing.T) {
	w := signingtest.Shared()
	content := pdftest.Build(pdftest.Table, pdftest.Plain())
	for name, answer := range map[string]func([]byte) ([]byte, error){
		"no answer":        func([]byte) ([]byte, error) { return nil, errors.New("the token is away") },
		"nonsense":         func(d []byte) ([]byte, error) { return d, nil },
		"another key":      func(d []byte) ([]byte, error) { return w.Stranger.Key.Sign(nil, d, crypto.SHA256) },
		"longer than room": func([]byte) ([]byte, error) { return make([]byte, 100000), nil },
	} {
		o := options(w.P256)
		o.Name = ""
		file, err := plain.Sign(t.Context(), content, broken{w.P256.Key, answer}, o)
		if file != nil || fault.KeyOf(err) != "plain.failed" {
			t.Errorf("%s: %d bytes, %v", name, len(file), err)
		}
	}
	key := &counted{Signer: w.P256.Key}
	kills := bytes.Replace(noInfo(pdftest.Stream), []byte("/Size 9/"), []byte("/Size 999999999/Index[0 9]/"), 1) // the library makes room for so many
	o := options(w.P256)
	o.Name = ""
	if _, err := plain.Sign(t.Context(), kills, key, o); fault.KeyOf(err) != "plain.failed" || key.calls != 0 {
		t.Errorf("a size that kills the library: %v, %d calls of the key", err, key.calls)
	}
	late := options(w.P256)
	late.Name, late.At = "", signingtest.Now.Add(100*365*24*time.Hour)
	if _, err := plain.Sign(t.Context(), content, w.P256.Key, late); fault.KeyOf(err) != "plain.failed" {
		t.Errorf("an expired certificate: %v", err)
	}
}
