package pades_test

import (
	"bytes"
	"strings"
	"testing"

	pdfverify "github.com/digitorus/pdfsign/verify"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
)

// digitorus/pdfsign has an opinion on our own files only: foreign ones can kill
// its process, and it takes some that were tampered with. It must notice a
// changed byte, or its opinion would be worth nothing.
func TestPDFSignAgrees(t *testing.T) {
	for _, form := range []pdftest.Form{pdftest.Table, pdftest.Stream} {
		for key, id := range seals() {
			content := pdftest.Build(form, pdftest.Fields())
			o := options(id)
			o.Certify = true
			p := prepare(t, content, o)
			signature, err := p.Sign(id.Key)
			if err != nil {
				t.Fatal(err)
			}
			file := embed(t, p, content, signature, stamp(t, signature))
			if s := second(t, file); !s.ValidSignature || s.TimestampStatus != "valid" {
				t.Errorf("%s: signature %v, stamp %s", key, s.ValidSignature, s.TimestampStatus)
			}
			changed := bytes.Clone(file)
			changed[bytes.Index(changed, []byte("/Lang"))+6] ^= 1
			if s := second(t, changed); s.ValidSignature {
				t.Errorf("%s: a changed byte goes unnoticed", key)
			}
		}
	}
}

func second(t *testing.T, file []byte) (s pdfverify.Signer) {
	t.Helper()
	o := pdfverify.DefaultVerifyOptions()
	o.AllowUntrustedRoots = true
	r, err := pdfverify.VerifyWithOptions(bytes.NewReader(file), int64(len(file)), o)
	if r != nil && len(r.Signers) == 1 {
		return r.Signers[0]
	}
	if err == nil || !strings.Contains(err.Error(), "digest") {
		t.Logf("pdfsign: %v", err)
	}
	return s
}
