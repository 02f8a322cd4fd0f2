package pades_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

// withField is a document with one empty signature field that has more entries, below a
// parent: its name is "area.mayor".
func withField(more string) []byte {
	o := pdftest.Fields()
	o[9] = "<</T(area)/Kids[11 0 R 13 0 R]>>"
	o[7] = "[9 0 R 10 0 R]"
	o[10] = "<</Type/Annot/Subtype/Widget/FT/Sig/T(mayor)/Parent 10 0 R/Rect[0 0 0 0]/F 132/P 3 0 R" + more + ">>"
	return pdftest.Build(pdftest.Stream, o)
}

func prepareError(content []byte, o pades.Options) string {
	_, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), o)
	return fault.KeyOf(err)
}

// The only empty field is used, several or none leave a new one.
func TestTheOnlyEmptyField(t *testing.T) {
	w := signingtest.Shared()
	two := pdftest.Fields()
	two[12] = "<</Type/Annot/Subtype/Widget/FT/Sig/T(kid)/Parent 10 0 R/Rect[0 0 0 0]/F 4/P 3 0 R>>"
	for name, c := range map[string]struct {
		content []byte
		filled  string
	}{
		"one, nested": {withField(""), "area.mayor"},
		"one":         {pdftest.Build(pdftest.Table, pdftest.Fields()), "empty"},
		"two":         {pdftest.Build(pdftest.Table, two), "Seal1"},
		"none":        {pdftest.Build(pdftest.Table, pdftest.Plain()), "Seal1"},
	} {
		o := options(w.P256)
		o.Field = pades.OnlyEmpty
		signed := sign(t, c.content, w.P256, o)
		for field, f := range fields(t, open(t, signed)) {
			if is := f.Type == "Sig" && f.Value != nil; is != (field == c.filled) {
				t.Errorf("%s: field %q: signed is %v", name, field, is)
			}
		}
	}
}

// What a field asks of the signature in it is done, or the field is left alone.
func TestSeedValues(t *testing.T) {
	w := signingtest.Shared()
	leaf, other := fmt.Sprintf("<%x>", w.P256.Cert.Raw), fmt.Sprintf("<%x>", w.Stranger.Cert.Raw)
	issuer := fmt.Sprintf("<%x>", w.CA.Cert.Raw)
	with := func(change func(*pades.Options)) pades.Options {
		o := options(w.P256)
		o.Field = pades.OnlyEmpty
		if change != nil {
			change(&o)
		}
		return o
	}
	for sv, ok := range map[string]bool{
		"/Ff 1/Filter/Adobe.PPKLite":                                  true,
		"/Ff 1/Filter/Entrust.PPKEF":                                  false,
		"/Ff 0/Filter/Entrust.PPKEF":                                  true, // a wish
		"/Ff 2/SubFilter[/adbe.pkcs7.detached/ETSI.CAdES.detached]":   true,
		"/Ff 2/SubFilter[/adbe.pkcs7.detached]":                       false,
		"/Ff 64/DigestMethod[(SHA256)(SHA512)]":                       true,
		"/Ff 64/DigestMethod[(SHA1)]":                                 false,
		"/Ff 8/Reasons[(I approve)]":                                  false,
		"/Ff 8/Reasons[(.)]":                                          true,
		"/Ff 16/LegalAttestation[(x)]":                                false,
		"/Ff 32/AddRevInfo true":                                      false,
		"/MDP<</P 0>>":                                                true,
		"/MDP<</P 2>>":                                                false,
		"/TimeStamp<</Ff 1/URL(http://a.invalid)>>":                   true,
		"/Cert<</Ff 1/Subject[" + leaf + "]>>":                        true,
		"/Cert<</Ff 1/Subject[" + other + "]>>":                       false,
		"/Cert<</Ff 3/Subject[" + leaf + "]/Issuer[" + issuer + "]>>": true,
		"/Cert<</Ff 2/Issuer[" + other + "]>>":                        false,
		"/Cert<</Ff 4/OID[(1.2)]>>":                                   false,
		"/Cert<</Ff 0/Subject[" + other + "]>>/V 2/Ff 4":              true,
		"/V 9/Ff 4":                                 false,
		"/Ff 256/AppearanceFilter(x)":               false,
		"/Ff 128/LockDocument/true":                 false,
		"/Ff 128/LockDocument/false":                true,
		"/Ff 128/LockDocument/auto":                 true,
		"/Ff 32/AddRevInfo false":                   true,
		"/Ff 64/DigestMethod[(sha-256)]":            true,
		"/Ff 512":                                   false, // a duty that nobody knows
		"/Ff 2/SubFilter/ETSI.CAdES.detached":       true,
		"/Ff/x":                                     false,
		"/Cert<</Ff 8/SubjectDN[<</cn(Nobody)>>]>>": false,
		"/Cert<</Ff 8/SubjectDN[<</cn(Nobody)>><</O(Belfry Test)>>]>>":      true,
		"/Cert<</Ff 8/SubjectDN[<</2.5.4.10(Belfry Test)/C(FR)>>]>>":        false,
		"/Cert<</Ff 8/SubjectDN[<<>>]>>":                                    false,
		"/Cert<</Ff 32/KeyUsage[(0)(X1)]>>":                                 true,
		"/Cert<</Ff 32/KeyUsage[(XXXXX1)]>>":                                false, // to sign certificates
		"/Cert<</Ff 32/KeyUsage[]>>":                                        false,
		"/Cert<</Ff 64/URL(http://a.invalid)>>":                             true,
		"/Cert<</Ff 256>>":                                                  false,
		"/Cert 7":                                                           false,
		"/MDP<</P 3>>":                                                      false,
		"/Ff 2/SubFilter 99 0 R":                                            false,
		"/Ff 66/SubFilter[/ETSI.CAdES.detached]/DigestMethod[(SHA384)]":     false,
		"/Ff 67/SubFilter[/ETSI.CAdES.detached]/DigestMethod[(SHA256)]/F 1": false,
	} {
		got := prepareError(withField("/SV<</Type/SV"+sv+">>"), with(nil))
		if (got == "") != ok || (!ok && got != "pades.seed_value") {
			t.Errorf("%.80s: %q", sv, got)
		}
	}
	for asked, want := range map[string]int{"/MDP<</P 1>>": 1, "/MDP<</P 2>>": 2, "/MDP<</P 3>>": 3, "/Ff 128/LockDocument/true": 1, "": 1} {
		o := with(func(o *pades.Options) { o.Certify = true })
		f := open(t, sign(t, withField("/SV<</Type/SV"+asked+">>"), w.P256, o))
		catalog, err := f.Catalog()
		if err != nil {
			t.Fatal(err)
		}
		references, _ := f.Array(dict(t, f, dict(t, f, catalog["Perms"])["DocMDP"])["Reference"])
		if got := dict(t, f, dict(t, f, references[0])["TransformParams"])["P"]; got != pdf.Integer(want) {
			t.Errorf("%s: certified with P %v", asked, got)
		}
	}
	if got := prepareError(withField("/SV<</MDP<</P 0>>>>"), with(func(o *pades.Options) { o.Certify = true })); got != "pades.seed_value" {
		t.Errorf("a certification where none may be: %q", got)
	}
	reasons := withField("/SV<</Ff 8/Reasons[(I approve)]>>")
	if got := prepareError(reasons, with(func(o *pades.Options) { o.Reason = "I approve" })); got != "" {
		t.Errorf("the reason that is asked for: %q", got)
	}
	if got := prepareError(withField("/SV<</Ff 8/Reasons[]>>"), with(func(o *pades.Options) { o.Reason = "mine" })); got != "pades.seed_value" {
		t.Errorf("a reason where none may be: %q", got)
	}
	if got := prepareError(withField("/SV<</TimeStamp<</Ff 1>>>>"), with(func(o *pades.Options) { o.StampRoom = -1 })); got != "pades.seed_value" {
		t.Errorf("no time stamp where one must be: %q", got)
	}
}

// A field's lock goes into its signature, and binds later ones; others see it so too.
func TestLocks(t *testing.T) {
	w := signingtest.Shared()
	two := func(lock string) []byte {
		o := pdftest.Fields()
		o[10] = "<</Type/Annot/Subtype/Widget/FT/Sig/T(first)/Rect[0 0 0 0]/F 132/P 3 0 R/Lock 14 0 R>>"
		o[12] = "<</Type/Annot/Subtype/Widget/FT/Sig/T(kid)/Parent 10 0 R/Rect[0 0 0 0]/F 132/P 3 0 R>>"
		return pdftest.Build(pdftest.Table, append(o, "<</Type/SigFieldLock"+lock+">>"))
	}
	for lock, want := range map[string][2]string{ // filling parent.kid, adding a field
		"/Action/All":                          {"pades.locked", ""},
		"/Action/Include/Fields[(parent.kid)]": {"pades.locked", ""},
		"/Action/Include/Fields[(parent)]":     {"pades.locked", ""},
		"/Action/Include/Fields[(par)]":        {"", ""},
		"/Action/Exclude/Fields[(name)]":       {"pades.locked", ""},
		"/Action/Exclude/Fields[(parent.kid)]": {"", ""},
		"/Action/All/P 1":                      {"pades.certified", "pades.certified"},
	} {
		o := options(w.P256)
		o.Field = "first"
		signed := sign(t, two(lock), w.P256, o)
		f := open(t, signed)
		signature := dict(t, f, fields(t, f)["first"].Value)
		references, err := f.Array(signature["Reference"])
		if err != nil || len(references) != 1 {
			t.Fatalf("%s: %d references (%v)", lock, len(references), err)
		}
		reference := dict(t, f, references[0])
		if reference["TransformMethod"] != pdf.Name("FieldMDP") || reference["Data"] != f.Root() || !strings.Contains(lock, string(dict(t, f, reference["TransformParams"])["Action"].(pdf.Name))) {
			t.Errorf("%s became %v", lock, reference)
		}
		second := options(w.RSA)
		second.Field = "parent.kid"
		if got := prepareError(signed, second); got != want[0] {
			t.Errorf("%s: filling the other field: %q, want %q", lock, got, want[0])
		}
		if got := prepareError(signed, options(w.RSA)); got != want[1] {
			t.Errorf("%s: adding a field: %q, want %q", lock, got, want[1])
		}
		again := strings.NewReplacer("/Lock 14 0 R", "/Luck 14 0 R").Replace(string(signed)) // as where only the signature says so
		if want[0] == "pades.locked" {
			if got := prepareError([]byte(again), second); got != want[0] {
				t.Errorf("%s, by the signature alone: %q", lock, got)
			}
		}
	}
}

// The certification that the catalog names counts, whether or not a field names it.
func TestCertifications(t *testing.T) {
	w := signingtest.Shared()
	for p, want := range map[int]string{1: "pades.certified", 2: "", 3: ""} {
		o := pdftest.Plain()
		o[0] = "<</Type/Catalog/Pages 2 0 R/Perms<</DocMDP 7 0 R>>>>"
		o = append(o, fmt.Sprintf("<</Type/Sig/Filter/Adobe.PPKLite/Contents<00>/Reference[<</Type/SigRef/TransformMethod/DocMDP/TransformParams<</P %d/V/1.2>>>>]>>", p))
		if got := prepareError(pdftest.Build(pdftest.Table, o), options(w.P256)); got != want {
			t.Errorf("P %d: %q, want %q", p, got, want)
		}
	}
}

// A static XFA form is kept; one that makes its own pages is refused.
func TestXFA(t *testing.T) {
	w := signingtest.Shared()
	form := func(catalog string) []byte {
		o := pdftest.Fields()
		o[0] = "<</Type/Catalog/Pages 2 0 R/AcroForm 7 0 R" + catalog + ">>"
		o[6] = "<</Fields 8 0 R/DA(/Helv 0 Tf 0 g)/DR<</Font<</Helv 5 0 R>>>>/XFA[(template) 14 0 R]>>"
		return pdftest.Build(pdftest.Table, append(o, "<</Length 4>>\nstream\n<a/>\nendstream"))
	}
	if got := prepareError(form("/NeedsRendering true"), options(w.P256)); got != "pades.dynamic_form" {
		t.Errorf("a dynamic form: %q", got)
	}
	content := form("")
	signed := sign(t, content, w.P256, certify(options(w.P256)))
	f := open(t, signed)
	acro, err := f.Form()
	if err != nil || acro["XFA"] == nil || acro["DA"] == nil || acro["DR"] == nil {
		t.Errorf("the static form became %v (%v)", acro, err)
	}
	outside(t, "B-B", signed)
}

// Files whose tables mislead a reader are refused, though what we need of them is found.
func TestUnsoundFiles(t *testing.T) {
	w := signingtest.Shared()
	loop := pdftest.Plain()
	loop[1] = "<</Type/Pages/Kids[3 0 R 7 0 R]/Count 2/MediaBox[0 0 595 842]>>"
	loop = append(loop, "<</Type/Pages/Parent 2 0 R/Kids[2 0 R]/Count 1>>")
	table := pdftest.Build(pdftest.Table, pdftest.Plain())
	at := bytes.Index(table, []byte("5 0 obj"))
	moved := bytes.Replace(table, fmt.Appendf(nil, "%010d 00000 n", at), fmt.Appendf(nil, "%010d 00000 n", at+1), 1)
	other := bytes.Replace(table, fmt.Appendf(nil, "%010d 00000 n", at), fmt.Appendf(nil, "%010d 00000 n", bytes.Index(table, []byte("4 0 obj"))), 1)
	outsideFile := bytes.Replace(table, fmt.Appendf(nil, "%010d 00000 n", at), fmt.Appendf(nil, "%010d 00000 n", len(table)+9), 1)
	for name, content := range map[string][]byte{
		"a page tree in a circle": pdftest.Build(pdftest.Table, loop), "a font elsewhere": moved,
		"a font in another's place": other, "a font outside the file": outsideFile,
	} {
		if got := prepareError(content, options(w.P256)); got != "pades.broken" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
