package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// packet is metadata around a description.
func packet(attributes, elements string) string {
	return `<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">` +
		`<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"` +
		attributes + `>` + elements + `</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>`
}

// Metadata may say anew when and by what the file was saved, and nothing else.
func TestMetadataMayBeSavedAnew(t *testing.T) {
	w := signingtest.Shared()
	const title = `<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Attestation</rdf:li></rdf:Alt></dc:title>`
	was := packet("", title+"<pdfaid:part>2</pdfaid:part><xmp:ModifyDate>2026-01-01</xmp:ModifyDate>")
	type state struct{ before, after string }
	for name, c := range map[string]struct {
		state
		fine bool
	}{
		"a date":             {state{was, packet("", title+"<pdfaid:part>2</pdfaid:part><xmp:ModifyDate>2026-02-02</xmp:ModifyDate>")}, true},
		"as attributes":      {state{was, packet(` pdfaid:part="2" xmp:ModifyDate="2026-02-02" pdf:Producer="other"`, title)}, true},
		"none, then Info's":  {state{"", packet(` pdf:Producer="other" xmp:CreateDate="2026-02-02"`, title)}, true},
		"none, then more":    {state{"", packet(` pdfaid:part="2"`, title)}, false},
		"none, then another": {state{"", packet("", strings.Replace(title, "Attestation", "Faux", 1))}, false},
		"another title":      {state{was, packet("", strings.Replace(title, "Attestation", "Faux", 1)+"<pdfaid:part>2</pdfaid:part>")}, false},
		"no title":           {state{was, packet("", "<pdfaid:part>2</pdfaid:part>")}, false},
		"a title twice":      {state{was, packet("", title+title+"<pdfaid:part>2</pdfaid:part>")}, false},
		"another part":       {state{was, packet(` pdfaid:part="3"`, title)}, false},
		"an entity":          {state{was, "<!DOCTYPE x [<!ENTITY e 'x'>]>" + was}, false},
		"cut off":            {state{was, was[:len(was)-80]}, false},
		"no metadata":        {state{was, "<x/>"}, false},
		"no XML":             {state{was, "\x00\xff"}, false},
	} {
		for form, shape := range pdftest.Forms {
			o := pdftest.Fields()
			if c.before != "" {
				o[0] = "<</Type/Catalog/Pages 2 0 R/Lang(fr-BE)/AcroForm 7 0 R/Metadata 14 0 R>>"
				o = append(o, fmt.Sprintf("<</Type/Metadata/Subtype/XML/Length %d>>\nstream\n%s\nendstream", len(c.before), c.before))
			}
			file := later(t, sign(t, pdftest.Build(shape, o), w.P256, how{certify: true}), func(t testing.TB, f *pdf.File, u *pdf.Update) {
				st := u.Add(pdf.NewStream(pdf.Dict{"Type": pdf.Name("Metadata"), "Subtype": pdf.Name("XML")}, []byte(c.after)))
				u.Set(f.Root(), with(dictOf(t, f, f.Root()), "Metadata", st))
			})
			if !c.fine {
				mustNotPass(t, form+", "+name, file, verify.Changed)
				continue
			}
			r := check(file)
			told := len(r.Revisions) == 1 && slices.ContainsFunc(r.Revisions[0].Changes, func(c verify.Change) bool { return c.Kind == verify.MetadataChanged })
			if r.Result != verify.Valid || r.Signatures[0].Changes != verify.Extended || !told {
				t.Errorf("%s, %s: %s", form, name, dump(r))
			}
		}
	}
}
