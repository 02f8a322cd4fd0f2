package document

import (
	"testing"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/verapdf"
)

// In each language, plain and as a specimen of two pages with hostile text,
// veraPDF finds PDF/A-2a and PDF/UA-1 both kept.
func TestInteropVeraPDF(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	pdfs := map[string][]byte{}
	for _, l := range everyLanguage {
		d := residence(l)
		pdfs[string(l)] = render(t, r, d)
		d.Specimen = true
		for range 40 {
			d.Facts = append(d.Facts, Fact{"Ĳ ﬁ Ω ё ½", "</x> & \\ (paren) ] } \u0301"})
		}
		pdfs[string(l)+"-specimen"] = render(t, r, d)
		pdfs[string(l)+"-household"] = render(t, r, household(l, 4))
		pdfs[string(l)+"-household-long"] = render(t, r, household(l, 60))
	}
	bare := residence(i18n.French)
	bare.Facts, bare.Commune.Address, bare.Verify, bare.Legal = nil, nil, Verify{}, ""
	pdfs["bare"] = render(t, r, bare)
	verapdf.Validate(t, pdfs)
}
