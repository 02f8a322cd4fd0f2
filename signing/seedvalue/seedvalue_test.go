package seedvalue_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/seedvalue"
)

// of reads the seed values of a field whose /SV is the text.
func of(t *testing.T, sv string) *seedvalue.Values {
	t.Helper()
	content := pdftest.Build(pdftest.Table, pdftest.Objects{
		"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[]/Count 0>>", sv,
	})
	f, err := pdf.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := seedvalue.Of(f, pdf.Dict{"SV": pdf.Ref{Number: 3}})
	if err != nil || v == nil {
		t.Fatalf("%s: %v, %v", sv, v, err)
	}
	return v
}

// made is a signature that keeps none of the duties below but those of its kind.
func made() seedvalue.Made {
	name := func(cn string) pkix.Name {
		n := pkix.Name{CommonName: cn, Organization: []string{"Beaumarais"}}
		n.Names = []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: cn}, {Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Beaumarais"},
		}
		return n
	}
	return seedvalue.Made{
		Filter: "Adobe.PPKLite", SubFilter: "ETSI.CAdES.detached", Hash: crypto.SHA256,
		Chain: []*x509.Certificate{
			{
				Raw: []byte("leaf"), Subject: name("Seal"), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
				PolicyIdentifiers: []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 4146}},
			},
			{Raw: []byte("issuer"), Subject: name("Authority")},
		},
	}
}

func hexa(s string) string { return fmt.Sprintf("<%x>", s) }

// ISO 32000-2, tables 237 to 239, entry by entry: a duty that is kept, one that is broken,
// the same entry as a wish.
func TestEachEntry(t *testing.T) {
	with := func(change func(*seedvalue.Made)) seedvalue.Made {
		m := made()
		change(&m)
		return m
	}
	plain := made()
	for _, c := range []struct {
		sv   string
		made seedvalue.Made
		want string
	}{
		{"<<>>", plain, ""},
		{"<</Ff 1/Filter/Adobe.PPKLite>>", plain, ""},
		{"<</Ff 1>>", plain, "Filter"}, // a duty without a value is kept by nobody
		{"<</Ff 2/SubFilter[/adbe.pkcs7.detached/ETSI.CAdES.detached]>>", plain, ""},
		{"<</Ff 2/SubFilter/ETSI.CAdES.detached>>", plain, ""}, // one thing alone, where a list is meant
		{"<</Ff 2/SubFilter[/adbe.pkcs7.sha1]>>", plain, "SubFilter"},
		{"<</Ff 4/V 3>>", plain, ""},
		{"<</Ff 4/V 4>>", plain, "V"},
		{"<</V 4>>", plain, ""},
		{"<</Ff 8/Reasons[(I agree)]>>", with(func(m *seedvalue.Made) { m.Reason = "I agree" }), ""},
		{"<</Ff 8/Reasons[(I agree)]>>", plain, "Reasons"},
		{"<</Ff 8>>", with(func(m *seedvalue.Made) { m.Reason = "mine" }), "Reasons"},
		{"<</Ff 8/Reasons[(.)]>>", plain, ""},
		{"<</Ff 16/LegalAttestation[(x)]>>", plain, "LegalAttestation"},
		{"<</Ff 16/LegalAttestation[(x)]>>", with(func(m *seedvalue.Made) { m.Attested = true }), ""},
		{"<</Ff 32/AddRevInfo true>>", plain, "AddRevInfo"},
		{"<</Ff 32/AddRevInfo false>>", plain, ""},
		{"<</Ff 32/AddRevInfo true>>", with(func(m *seedvalue.Made) { m.Revocation = true }), ""},
		{"<</Ff 64/DigestMethod[(SHA384)(SHA-256)]>>", plain, ""},
		{"<</Ff 64/DigestMethod[(SHA384)]>>", plain, "DigestMethod"},
		{"<</Ff 128/LockDocument/true>>", plain, "LockDocument"},
		{"<</Ff 128/LockDocument/true>>", with(func(m *seedvalue.Made) { m.Certification = 1 }), ""},
		{"<</Ff 128/LockDocument/auto>>", plain, ""},
		{"<</Ff 256/AppearanceFilter(x)>>", plain, "AppearanceFilter"},
		{"<</Ff 256/AppearanceFilter(x)>>", with(func(m *seedvalue.Made) { m.AnyAppearance = true }), ""},
		{"<</Ff 512>>", plain, "Ff"}, // a duty that nobody knows yet
		{"<</Ff(1)>>", plain, "Ff"},
		{"<</MDP<</P 0>>>>", plain, ""},
		{"<</MDP<</P 2>>>>", plain, "MDP"},
		{"<</MDP<</P 2>>>>", with(func(m *seedvalue.Made) { m.Certification = 2 }), ""},
		{"<</MDP<</P 0>>>>", with(func(m *seedvalue.Made) { m.Certification = 2 }), "MDP"},
		{"<</TimeStamp<</Ff 1/URL(http://a.invalid)>>>>", plain, "TimeStamp"},
		{"<</TimeStamp<</Ff 0>>>>", plain, ""},
		{"<</TimeStamp<</Ff 1>>>>", with(func(m *seedvalue.Made) { m.Stamped = true }), ""},
		{"<</Ff 5/Filter/Other/V 9/MDP<</P 1>>>>", plain, "Filter MDP V"},
		{"<</Cert<</Ff 1/Subject[" + hexa("other") + hexa("leaf") + "]>>>>", plain, ""},
		{"<</Cert<</Ff 1/Subject[" + hexa("issuer") + "]>>>>", plain, "Cert"},
		{"<</Cert<</Ff 2/Issuer[" + hexa("issuer") + "]>>>>", plain, ""},
		{"<</Cert<</Ff 2/Issuer[" + hexa("leaf") + "]>>>>", plain, "Cert"}, // the signer is no issuer
		{"<</Cert<</Ff 4/OID[(1.3.6.1.4.1.4146)]>>>>", plain, ""},
		{"<</Cert<</Ff 4/OID[(1.3.6.1)]>>>>", plain, "Cert"},
		{"<</Cert<</Ff 8/SubjectDN[<</CN(Seal)/O(Beaumarais)>>]>>>>", plain, ""},
		{"<</Cert<</Ff 8/SubjectDN[<</2.5.4.3(Seal)>>]>>>>", plain, ""},
		{"<</Cert<</Ff 8/SubjectDN[<</CN(Seal)/O(Elsewhere)>>]>>>>", plain, "Cert"},
		{"<</Cert<</Ff 8/SubjectDN[<<>>]>>>>", plain, "Cert"},
		{"<</Cert<</Ff 32/KeyUsage[(11X)]>>>>", plain, ""},
		{"<</Cert<</Ff 32/KeyUsage[(0)(XXXXX1)]>>>>", plain, "Cert"},
		{"<</Cert<</Ff 32/KeyUsage[(12)]>>>>", plain, "Cert"}, // no pattern
		{"<</Cert<</Ff 64/URL(http://a.invalid)>>>>", plain, ""},
		{"<</Cert<</Ff 128>>>>", plain, "Cert"},
		{"<</Cert<</Ff 1/Subject[" + hexa("leaf") + "]>>>>", with(func(m *seedvalue.Made) { m.Chain = nil }), "Cert"},
	} {
		if got := strings.Join(of(t, c.sv).Broken(c.made), " "); got != c.want {
			t.Errorf("%s: %q is broken, want %q", c.sv, got, c.want)
		}
	}
}

// A field without seed values asks for nothing; whether a signature may certify is asked
// before it is made.
func TestCertification(t *testing.T) {
	if v, err := seedvalue.Of(nil, pdf.Dict{}); v != nil && err == nil {
		t.Error("seed values out of nothing")
	}
	for sv, want := range map[string]int{"<<>>": -1, "<</MDP<<>>>>": -1, "<</MDP<</P 0>>>>": 0, "<</MDP<</P 3>>>>": 3} {
		if p, err := of(t, sv).Certification(); p != want || err != nil {
			t.Errorf("%s: %d, %v; want %d", sv, p, err, want)
		}
	}
}
