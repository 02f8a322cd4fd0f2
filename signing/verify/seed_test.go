package verify_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// A signature that is not as its field asks is told of, and valid all the same.
func TestSeedValuesAreReported(t *testing.T) {
	w := signingtest.Shared()
	leaf, other := fmt.Sprintf("<%x>", w.P256.Cert.Raw), fmt.Sprintf("<%x>", w.Stranger.Cert.Raw)
	issuer := fmt.Sprintf("<%x>", w.CA.Cert.Raw)
	for sv, want := range map[string]string{
		"":                                          "",
		"/Ff 0/Filter/Other/SubFilter[/x]":          "", // wishes
		"/Ff 1/Filter/Other":                        "Filter",
		"/Ff 3/Filter/Other/SubFilter[/x]":          "Filter, SubFilter",
		"/Ff 2/SubFilter[/ETSI.CAdES.detached]":     "",
		"/Ff 64/DigestMethod[(SHA512)]":             "DigestMethod",
		"/Ff 64/DigestMethod[(SHA256)]":             "",
		"/Ff 8/Reasons[(I approve)]":                "Reasons",
		"/Ff 8/Reasons[(.)]":                        "",
		"/Ff 32/AddRevInfo true":                    "AddRevInfo",
		"/Ff 128/LockDocument/true":                 "LockDocument",
		"/Ff 256/AppearanceFilter(x)":               "", // cannot be told
		"/MDP<</P 2>>":                              "MDP",
		"/MDP<</P 0>>":                              "",
		"/TimeStamp<</Ff 1/URL(http://a.invalid)>>": "TimeStamp",
		"/Cert<</Ff 1/Subject[" + other + "]>>":     "Cert",
		"/Cert<</Ff 3/Subject[" + leaf + "]/Issuer[" + issuer + "]>>": "",
		"/Cert<</Ff 2/Issuer[" + other + "]>>":                        "Cert",
	} {
		for form, shape := range pdftest.Forms {
			objects := append(paperForm("/SV 22 0 R"), "<</Type/SV"+sv+">>")
			base := pdftest.Build(shape, objects)
			file := byHandIn(t, base, pdf.Ref{Number: 11}, honest(t, w.P256))
			r := check(file)
			s := r.Signatures[0]
			f, told := finding(s, verify.SeedValue)
			if r.Result != verify.Valid || told != (want != "") || f.Detail != want {
				t.Errorf("%s, %.60s: want %q: %s", form, sv, want, dump(r))
			}
			if words := fmt.Sprint(verify.Tell(i18n.French, r).Signatures[0].Findings); told && !strings.Contains(words, "("+want+")") {
				t.Errorf("the words do not name %s: %s", want, words)
			}
			loosened := check(later(t, file, set(pdf.Ref{Number: 22}, "Ff", pdf.Integer(0))))
			if _, still := finding(loosened.Signatures[0], verify.SeedValue); still != told {
				t.Errorf("%s, %.60s: what is asked for was changed later: %s", form, sv, dump(loosened))
			}
		}
	}
}

// byHandIn signs in a field that is there, as a program does that asks nobody.
func byHandIn(t testing.TB, file []byte, field pdf.Ref, make func(covered []byte) []byte) []byte {
	t.Helper()
	return handSigned(t, file, make, func(f *pdf.File, u *pdf.Update, signature pdf.Ref) {
		d := maps.Clone(dictOf(t, f, field))
		d["V"] = signature
		u.Set(field, d)
	}, nil)
}
