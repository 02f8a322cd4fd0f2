package pades_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// run runs a program of others and returns what it says.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// protect encrypts a file with qpdf.
func protect(t testing.TB, content []byte, user, owner string, args ...string) []byte {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in.pdf"), filepath.Join(t.TempDir(), "out.pdf")
	if err := os.WriteFile(in, content, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "qpdf", append(append([]string{"--allow-weak-crypto", "--encrypt", user, owner}, args...), "--", in, out)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var protections = map[string][]string{
	"RC4 40": {"40"}, "RC4 128": {"128", "--use-aes=n"}, "AES 128": {"128", "--use-aes=y"}, "AES 256": {"256"}, "AES 256, revision 5": {"256", "--force-R5"},
}

// Encrypted files are signed as others are, with the password where one is needed: others
// open and believe them, and so do we.
func TestEncryptedFilesAreSigned(t *testing.T) {
	w := signingtest.Shared()
	for name, args := range protections {
		for _, password := range []string{"", "secret"} {
			for form, plain := range map[string][]byte{"table": pdftest.Build(pdftest.Table, pdftest.Fields()), "stream": pdftest.Build(pdftest.Stream, pdftest.Fields())} {
				t.Run(name+", "+form+", password "+password, func(t *testing.T) {
					content := protect(t, plain, password, "owner", args...)
					o := certify(options(w.P256))
					o.Password, o.Reason, o.Label = password, "Établi à la demande", "Cachet (électronique)"
					p := prepare(t, content, o)
					signature, err := p.Sign(w.P256.Key)
					if err != nil {
						t.Fatal(err)
					}
					signed := embed(t, p, content, signature, stamp(t, signature))
					if !bytes.HasPrefix(signed, content) {
						t.Fatal("the content was changed")
					}
					tail, err := pades.AppendMaterial(bytes.NewReader(signed), int64(len(signed)), pades.Material{Certificates: [][]byte{w.P256.Cert.Raw}, Password: password})
					if err != nil {
						t.Fatal(err)
					}
					whole := append(bytes.Clone(signed), tail...)
					for title, file := range map[string][]byte{"signed": signed, "with material": whole} {
						r := verify.File(bytes.NewReader(file), int64(len(file)), verify.Options{Roots: w.RootCertificates, Now: signingtest.Now, Password: password})
						if r.Result != verify.Valid {
							t.Errorf("%s: %+v", title, r)
						}
						if password != "" {
							if r := verify.File(bytes.NewReader(file), int64(len(file)), verify.Options{Roots: w.RootCertificates, Now: signingtest.Now}); r.Result != verify.Unknown {
								t.Errorf("%s, without the password: %s", title, r.Result)
							}
						}
						others(t, file, password)
					}
					if bytes.Contains(signed, []byte("tabli")) {
						t.Error("what was appended is in clear")
					}
				})
			}
		}
	}
}

// others opens a file with programs that others wrote.
func others(t *testing.T, file []byte, password string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signed.pdf")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "qpdf", "--check", "--password="+password, path)
	if out := run(t, "pdfsig", "-nocert", "-upw", password, path); !strings.Contains(out, "Signature is Valid") {
		t.Errorf("pdfsig: %s", out)
	}
	if out := run(t, "mutool", "info", "-p", password, path); !strings.Contains(out, "Pages: 1") {
		t.Errorf("mutool: %s", out)
	}
}

// What its author forbade, or what needs a password that was not given, is refused in words.
func TestEncryptedFilesThatAreRefused(t *testing.T) {
	w := signingtest.Shared()
	plain := pdftest.Build(pdftest.Table, pdftest.Fields())
	for name, c := range map[string]struct {
		file     []byte
		password string
		field    string
		want     string
	}{
		"no password":             {protect(t, plain, "secret", "owner", "256"), "", "", "pades.password"},
		"another password":        {protect(t, plain, "secret", "owner", "256"), "guess", "", "pades.password"},
		"forbidden":               {protect(t, plain, "", "owner", "256", "--modify=none"), "", "", "pades.not_permitted"},
		"only filling":            {protect(t, plain, "", "owner", "256", "--modify=form"), "", "", "pades.not_permitted"},
		"filling what is empty":   {protect(t, plain, "", "owner", "256", "--modify=form"), "", "empty", ""},
		"forbidden to all but me": {protect(t, plain, "", "owner", "128", "--use-aes=y", "--modify=none"), "owner", "", ""},
	} {
		o := options(w.RSA)
		o.Password, o.Field = c.password, c.field
		_, err := pades.Prepare(bytes.NewReader(c.file), int64(len(c.file)), o)
		if got := fault.KeyOf(err); got != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
