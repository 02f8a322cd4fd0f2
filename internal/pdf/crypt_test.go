package pdf_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
)

// encrypted is how qpdf encrypts a file.
type encrypted struct {
	name string
	args []string // of --encrypt, behind the two passwords
}

var encryptions = []encrypted{
	{"RC4, 40 bits", []string{"40"}},
	{"RC4, 128 bits", []string{"128", "--use-aes=n"}},
	{"AES, 128 bits", []string{"128", "--use-aes=y"}},
	{"AES, 128 bits, metadata in clear", []string{"128", "--use-aes=y", "--cleartext-metadata"}},
	{"AES, 256 bits", []string{"256"}},
	{"AES, 256 bits, metadata in clear", []string{"256", "--cleartext-metadata"}},
	{"AES, 256 bits, revision 5", []string{"256", "--force-R5"}},
}

// qpdf runs qpdf, which is there in tests.
func qpdf(t testing.TB, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("qpdf"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	out, err := exec.Command("qpdf", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("qpdf %v: %v\n%s", args, err, out)
	}
	return out
}

func (e encrypted) file(t testing.TB, content []byte, user, owner string, more ...string) []byte {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in.pdf"), filepath.Join(t.TempDir(), "out.pdf")
	if err := os.WriteFile(in, content, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--allow-weak-crypto", "--encrypt", user, owner}, e.args...)
	qpdf(t, append(append(args, more...), "--", in, out)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What others encrypted is read by either password and no other, and what is appended is
// read by them.
func TestEncryptedFiles(t *testing.T) {
	for _, e := range encryptions {
		for form, content := range map[string][]byte{"table": pdftest.Build(pdftest.Table, pdftest.Fields()), "streams": pdftest.Build(pdftest.Stream, pdftest.Fields())} {
			t.Run(e.name+", "+form, func(t *testing.T) {
				b := e.file(t, content, "user é", "owner")
				if _, err := pdf.Bytes(b); !errors.Is(err, pdf.ErrPassword) {
					t.Errorf("without a password: %v", err)
				}
				for _, password := range []string{"user é", "owner"} {
					f, err := pdf.OpenWith(bytes.NewReader(b), int64(len(b)), password)
					if err != nil {
						t.Fatalf("by %q: %v", password, err)
					}
					info, err := f.Dict(f.Trailer()["Info"])
					if title, _ := info["Title"].(pdf.String); err != nil || title.Text() != "Attestation" || !f.Encrypted() {
						t.Errorf("by %q the title is %q (%v)", password, title, err)
					}
					_, page, _, err := f.FirstPage()
					if err != nil {
						t.Fatal(err)
					}
					v, err := f.Resolve(page["Contents"])
					if err != nil {
						t.Fatal(err)
					}
					text, err := f.Data(v.(*pdf.Stream))
					if err != nil || !bytes.Contains(text, []byte("(Attestation) Tj")) {
						t.Errorf("by %q the page is %q (%v)", password, text, err)
					}
				}
				again := appended(t, b, "user é")
				path := filepath.Join(t.TempDir(), "appended.pdf")
				if err := os.WriteFile(path, again, 0o600); err != nil {
					t.Fatal(err)
				}
				qpdf(t, "--check", "--password=user é", path)
				plain := qpdf(t, "--password=user é", "--decrypt", "--qdf", "--object-streams=disable", path, "-")
				for _, want := range []string{"(Sealed by us)", "stream\nour data", "(in a list)"} {
					if !bytes.Contains(plain, []byte(want)) {
						t.Errorf("%q is not what others read", want)
					}
				}
				if !bytes.Equal(again, appended(t, b, "user é")) {
					t.Error("the same update gives other bytes")
				}
			})
		}
	}
}

// appended adds a string and a stream to a file.
func appended(t *testing.T, b []byte, password string) []byte {
	t.Helper()
	f, err := pdf.OpenWith(bytes.NewReader(b), int64(len(b)), password)
	if err != nil {
		t.Fatal(err)
	}
	u := f.Update()
	catalog, err := f.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	catalog["Ours"] = u.Add(pdf.Dict{"Said": pdf.String("Sealed by us"), "List": pdf.Array{pdf.String("in a list"), pdf.String("")}, "Data": u.Add(pdf.NewStream(nil, []byte("our data")))})
	u.Set(f.Root(), catalog)
	tail, err := u.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(b), tail...)
}

// Restrictions bind who has no more than the user's password.
func TestRestrictions(t *testing.T) {
	for _, e := range encryptions {
		for restriction, want := range map[string][2]bool{ // add a field, fill one
			"--modify=none": {false, false}, "--modify=all": {true, true}, "--modify=form": {false, true}, "--modify=annotate": {true, true},
		} {
			if e.args[0] == "40" {
				continue // its restrictions have other names
			}
			b := e.file(t, pdftest.Build(pdftest.Table, pdftest.Plain()), "", "owner", restriction)
			f, err := pdf.Bytes(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := [2]bool{f.Signable(false), f.Signable(true)}; got != want {
				t.Errorf("%s, %s: %v, want %v", e.name, restriction, got, want)
			}
			f, err = pdf.OpenWith(bytes.NewReader(b), int64(len(b)), "owner")
			if err != nil || !f.Signable(false) {
				t.Errorf("%s, %s: the owner may not (%v)", e.name, restriction, err)
			}
		}
	}
}

// Changed permissions, unknown handlers and keys that do not fit are refused in kind.
func TestEncryptionThatIsNotBelieved(t *testing.T) {
	good := encryptions[4].file(t, pdftest.Build(pdftest.Table, pdftest.Plain()), "", "owner", "--modify=none")
	for name, change := range map[string][2]string{
		"another permission": {"/P -", "/P -1"},
		"another handler":    {"/Filter /Standard", "/Filter /Adobe.Pu"},
		"another version":    {"/V 5", "/V 9"},
		"another revision":   {"/R 6", "/R 2"},
		"another method":     {"/CFM /AESV3", "/CFM /AESV2"},
		"no key":             {"/UE <", "/XE <"},
	} {
		bad := bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(bad, good) {
			bad = bytes.Replace(good, []byte(strings.ReplaceAll(change[0], " <", " (")), []byte(strings.ReplaceAll(change[1], " <", " (")), 1)
		}
		if bytes.Equal(bad, good) {
			t.Errorf("%s: nothing to change", name)
			continue
		}
		if len(bad) != len(good) { // the table's offsets would not fit: keep the length
			i := bytes.Index(bad, []byte(change[1]))
			j := i + bytes.IndexAny(bad[i+len(change[1]):], " /") + len(change[1])
			bad = append(bad[:j-1:j-1], bad[j:]...)
		}
		if _, err := pdf.Bytes(bad); !errors.Is(err, pdf.ErrEncrypted) && !errors.Is(err, pdf.ErrPassword) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
