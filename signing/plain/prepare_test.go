package plain_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/plain"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// What was prepared is stored, signed later, and finished as any other.
func TestPrepareAndFinish(t *testing.T) {
	w := signingtest.Shared()
	content := pdftest.Build(pdftest.Table, pdftest.Plain())
	for name, id := range map[string]signingtest.Identity{"RSA": w.RSA, "P-256": w.P256, "P-384": w.P384} {
		o := options(id)
		o.Name = "Commune de Beaumarais"
		prepared, err := plain.Prepare(t.Context(), content, o)
		if err != nil {
			t.Fatal(name, err)
		}
		kept, err := json.Marshal(prepared)
		if err != nil {
			t.Fatal(err)
		}
		var p pades.Prepared
		if err := json.Unmarshal(kept, &p); err != nil {
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
		file := b.Bytes()
		if !bytes.HasPrefix(file, content) {
			t.Error("the file does not begin with the content")
		}
		r := verify.File(bytes.NewReader(file), int64(len(file)), verify.Options{Roots: w.RootCertificates, Now: signingtest.Now})
		if r.Result != verify.Valid || len(r.Signatures) != 1 || !r.Signatures[0].WholeFile || r.Signatures[0].SubFilter != "adbe.pkcs7.detached" ||
			r.Signatures[0].Level != "" || !r.Signatures[0].ClaimedAt.Equal(signingtest.Now) {
			t.Errorf("%s: %+v", name, r)
		}
		outside(t, file)
		file[bytes.Index(file, []byte("/Lang"))+6] ^= 1
		if r := verify.File(bytes.NewReader(file), int64(len(file)), verify.Options{Roots: w.RootCertificates, Now: signingtest.Now}); r.Result != verify.NotValid {
			t.Errorf("%s: a changed byte goes unnoticed", name)
		}
	}
	if _, err := plain.Prepare(t.Context(), pdftest.Build(pdftest.Table, pdftest.Fields()), options(w.P256)); fault.KeyOf(err) != "plain.has_form" {
		t.Errorf("a form: %v", err)
	}
}
