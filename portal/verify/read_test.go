package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"testing"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/portal/verify"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	signing "github.com/belfry-eid/belfry/signing/verify"
)

func TestMain(m *testing.M) {
	signing.RunIfChild() // the checker's children are this program
	os.Exit(m.Run())
}

func seal(t *testing.T, content []byte, id signingtest.Identity) []byte {
	t.Helper()
	p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), pades.Options{Chain: id.Chain, At: signingtest.Now})
	if err != nil {
		t.Fatal(err)
	}
	signature, err := p.Sign(id.Key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Embed(&b, bytes.NewReader(content), signature, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// appended is file with an update behind it that replaces object n.
func appended(t *testing.T, file []byte, n uint32, o pdf.Object) []byte {
	t.Helper()
	f, err := pdf.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	u := f.Update()
	if n == 0 {
		u.Add(o)
	} else {
		u.Set(pdf.Ref{Number: n}, o)
	}
	more, err := u.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return append(append([]byte(nil), file...), more...)
}

func TestFilesAreReadInAChild(t *testing.T) {
	w := signingtest.Shared()
	check := verify.NewChecker(verify.Trust{Roots: w.RootCertificates, StampRoots: w.RootCertificates}, clock.At(signingtest.Now))
	plain := pdftest.Build(pdftest.Table, pdftest.Fields())
	sealed := seal(t, plain, w.P256)
	flipped := bytes.Replace(sealed, []byte("/MediaBox"), []byte("/MediaBux"), 1)
	for name, c := range map[string]struct {
		file []byte
		want verify.Verdict
	}{
		"sealed":             {sealed, verify.Valid},
		"sealed by stranger": {seal(t, plain, w.Stranger), verify.Untrusted},
		"a byte changed":     {flipped, verify.Altered},
		"page replaced":      {appended(t, sealed, 4, pdf.NewStream(nil, []byte("BT ET"))), verify.Altered},
		"harmless update":    {appended(t, sealed, 0, pdf.Integer(1)), verify.Extended},
		"no seal":            {plain, verify.Unsigned},
		"no PDF":             {[]byte("<html>"), verify.Unreadable},
		"nothing":            {nil, verify.Unreadable},
	} {
		r, err := check.Check(context.Background(), c.file)
		if err != nil || r.Verdict != c.want {
			t.Errorf("%s: %s %v %v", name, r.Verdict, r.Found, err)
		}
		if c.want == verify.Valid && (r.Signer != w.P256.Cert.Subject.CommonName || !r.SignedAt.Equal(signingtest.Now)) {
			t.Errorf("%s: signer %q at %v", name, r.Signer, r.SignedAt)
		}
		if name == "page replaced" || name == "harmless update" {
			if len(r.Revisions) != 1 || r.Revisions[0] != blob.Digest(sha256.Sum256(sealed)) {
				t.Errorf("%s: the sealed revision is not recognised", name)
			}
		}
	}
}
