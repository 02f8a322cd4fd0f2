package interop

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// emptyForm has the fields "box", "parent.kid" and "sum", a signature field besides.
func emptyForm() []byte {
	o := pdftest.Fields()
	o[7] = "[9 0 R 10 0 R 11 0 R 14 0 R]"
	o[8] = "<</Type/Annot/Subtype/Widget/FT/Tx/T(box)/Rect[72 600 272 620]/F 4/P 3 0 R>>"
	o[11] = "[9 0 R 11 0 R 13 0 R 14 0 R]"
	o[12] = "<</Type/Annot/Subtype/Widget/FT/Tx/T(kid)/Parent 10 0 R/Rect[72 500 272 520]/F 4/P 3 0 R>>"
	o = append(o, "<</Type/Annot/Subtype/Widget/FT/Tx/T(sum)/V(100)/Rect[72 400 272 420]/F 4/P 3 0 R>>")
	return pdftest.Build(pdftest.Table, o)
}

func writePEM(t *testing.T, path, kind string, blocks ...[]byte) string {
	t.Helper()
	var b bytes.Buffer
	for _, der := range blocks {
		if err := pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// filledForms are the files of pyhanko_make.py by their names.
func filledForms(t *testing.T) map[string][]byte {
	t.Helper()
	w := signingtest.Shared()
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(w.P256.Key)
	if err != nil {
		t.Fatal(err)
	}
	form := filepath.Join(dir, "form")
	if err := os.WriteFile(form, emptyForm(), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(python(t), "pyhanko_make.py", form, writePEM(t, filepath.Join(dir, "key"), "PRIVATE KEY", key),
		writePEM(t, filepath.Join(dir, "cert"), "CERTIFICATE", w.P256.Cert.Raw), writePEM(t, filepath.Join(dir, "chain"), "CERTIFICATE", w.CA.Cert.Raw), out).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	files := map[string][]byte{}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(out, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(e.Name(), ".pdf")] = b
	}
	return files
}

// What pyHanko signed, locked and filled in we judge as pyHanko does: which signatures
// bear the changes, and which do not.
func TestInteropPyHankoFillsAndLocks(t *testing.T) {
	w := signingtest.Shared()
	files := filledForms(t)
	// and our seal on top, in a field that it adds
	for _, name := range []string{"all locked", "certified", "certified, filled"} {
		files[name+", sealed"] = sign(t, files[name], w.RSA, pades.Options{}, false)
	}
	for name, want := range map[string][]verify.Changes{
		"locked":                                       {verify.Unchanged},
		"locked, another filled":                       {verify.Permitted},
		"locked, filled":                               {verify.Altered},
		"all locked, filled":                           {verify.Altered},
		"closed, another filled":                       {verify.Altered},
		"certified":                                    {verify.Unchanged},
		"certified, filled":                            {verify.Permitted},
		"certified, signed, filled":                    {verify.Permitted, verify.Permitted},
		"certified, signed with a lock, filled":        {verify.Permitted, verify.Permitted},
		"certified, signed with a lock, locked filled": {verify.Permitted, verify.Altered},
	} {
		file, ok := files[name]
		if !ok {
			t.Errorf("%s was not made", name)
			continue
		}
		r := verify.File(bytes.NewReader(file), int64(len(file)), verify.Options{Roots: w.RootCertificates, Now: time.Now()})
		theirs, _ := askAbout(t, file, w.WriteRoots(t), time.Now())
		if len(r.Signatures) != len(want) || len(theirs.Signatures) != len(want) {
			t.Errorf("%s: %d signatures, theirs %+v: %+v", name, len(r.Signatures), theirs, r.Findings)
			continue
		}
		for i, s := range r.Signatures {
			if s.Changes != want[i] {
				t.Errorf("%s, %s: %s, want %s: %+v", name, s.Field, s.Changes, want[i], s.Findings)
			}
			if borne := s.Changes != verify.Altered; borne != theirs.Signatures[i].DocMDPOK {
				t.Errorf("%s, %s: we say %s, pyHanko %+v", name, s.Field, s.Changes, theirs.Signatures[i])
			}
		}
	}
}
