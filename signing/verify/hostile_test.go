package verify_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/pkcs7"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/cms"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// Objects of rich besides those of pdftest.Fields.
var (
	outlines   = pdf.Ref{Number: 14}
	outline    = pdf.Ref{Number: 15}
	metadata   = pdf.Ref{Number: 16}
	toUnicode  = pdf.Ref{Number: 17}
	image      = pdf.Ref{Number: 18}
	layers     = pdf.Ref{Number: 19}
	layer      = pdf.Ref{Number: 20}
	appearance = pdf.Ref{Number: 21}
	link       = pdf.Ref{Number: 22}
	target     = pdf.Ref{Number: 23}
)

// rich is pdftest.Fields with one of each thing that an attacker might exchange.
func rich() pdftest.Objects {
	o := pdftest.Fields()
	stream := func(dict, data string) string {
		return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", dict, len(data), data)
	}
	o[0] = "<</Type/Catalog/Pages 2 0 R/Lang(fr-BE)/AcroForm 7 0 R/Outlines 14 0 R/Metadata 16 0 R/OCProperties 19 0 R>>"
	o[2] = "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>/XObject<</X 18 0 R>>>>/Annots 12 0 R/Tabs/S>>"
	o[4] = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 17 0 R>>"
	o[8] = "<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V(Luc)/Rect[72 600 272 620]/F 4/P 3 0 R/AP<</N 21 0 R>>>>"
	o[11] = "[9 0 R 11 0 R 13 0 R 22 0 R]"
	return append(o,
		"<</Type/Outlines/First 15 0 R/Last 15 0 R/Count 1>>",
		"<</Title(One)/Parent 14 0 R/Dest[3 0 R/Fit]>>",
		stream("/Type/Metadata/Subtype/XML", "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"),
		stream("", "1 begincodespacerange <00> <ff> endcodespacerange"),
		stream("/Type/XObject/Subtype/Form/BBox[0 0 9 9]/OC 20 0 R", "0 0 9 9 re f"),
		"<</OCGs[20 0 R]/D<</ON[20 0 R]>>>>",
		"<</Type/OCG/Name(Shown)>>",
		stream("/Type/XObject/Subtype/Form/BBox[0 0 200 20]", "BT (Luc) Tj ET"),
		"<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A 23 0 R>>",
		"<</S/URI/URI(https://commune.example/)>>",
	)
}

// handSign signs as a program without scruples does: any permission P of
// DocMDP (0 for an approval), any CMS.
func handSign(t testing.TB, file []byte, permission int, make func(covered []byte) []byte) []byte {
	t.Helper()
	return handSignWith(t, file, permission, nil, make)
}

// handSignWith is handSign with more entries in the signature dictionary.
func handSignWith(t testing.TB, file []byte, permission int, more pdf.Dict, make func(covered []byte) []byte) []byte {
	t.Helper()
	if permission > 0 {
		more = with(more, "Reference", pdf.Array{pdf.Dict{"Type": pdf.Name("SigRef"), "TransformMethod": pdf.Name("DocMDP"),
			"TransformParams": pdf.Dict{"Type": pdf.Name("TransformParams"), "P": pdf.Integer(permission), "V": pdf.Name("1.2")}}})
	}
	return handSigned(t, file, make, func(f *pdf.File, u *pdf.Update, signature pdf.Ref) {
		page, dict, _, err := f.FirstPage()
		if err != nil {
			t.Fatal(err)
		}
		none := pdf.Array{pdf.Integer(0), pdf.Integer(0), pdf.Integer(0), pdf.Integer(0)}
		field := u.Add(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "FT": pdf.Name("Sig"), "T": pdf.String("Hand"), "V": signature, "P": page, "F": pdf.Integer(132), "Rect": none})
		annots, _ := f.Array(dict["Annots"])
		u.Set(page, with(dict, "Annots", append(slices.Clone(annots), field)))
		catalog := dictOf(t, f, f.Root())
		form := dictOf(t, f, catalog["AcroForm"])
		fields, _ := f.Array(form["Fields"])
		u.Set(catalog["AcroForm"].(pdf.Ref), with(form, "Fields", append(slices.Clone(fields), field)))
		if permission > 0 {
			u.Set(f.Root(), with(catalog, "Perms", pdf.Dict{"DocMDP": signature}))
		}
	}, more)
}

// handSigned appends a signature dictionary, with more entries, that place puts somewhere.
func handSigned(t testing.TB, file []byte, make func(covered []byte) []byte, place func(f *pdf.File, u *pdf.Update, signature pdf.Ref), more pdf.Dict) []byte {
	t.Helper()
	ranges := &pdf.Hole{Text: "[" + strings.Repeat(" ", 40) + "]"}
	contents := &pdf.Hole{Text: "<" + strings.Repeat("0", 16000) + ">"}
	out := update(t, file, func(f *pdf.File, u *pdf.Update) {
		d := pdf.Dict{"Type": pdf.Name("Sig"), "Filter": pdf.Name("Adobe.PPKLite"), "SubFilter": pdf.Name("ETSI.CAdES.detached"), "ByteRange": ranges, "Contents": contents}
		maps.Copy(d, more)
		place(f, u, u.Add(d))
	})
	from := contents.Offset()
	to := from + int64(len(contents.Text))
	copy(out[ranges.Offset():], fmt.Sprintf("[0 %d %d %d", from, to, int64(len(out))-to))
	copy(out[from+1:], hex.EncodeToString(make(slices.Concat(out[:from], out[to:]))))
	return out
}

// honest is the CMS that an honest signer makes.
func honest(t testing.TB, id signingtest.Identity) func([]byte) []byte {
	return func(covered []byte) []byte {
		hash, err := cms.HashFor(id.Key.Public())
		if err != nil {
			t.Fatal(err)
		}
		h := hash.New()
		h.Write(covered)
		u, err := cms.Prepare(h.Sum(nil), id.Chain)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := id.Key.Sign(nil, u.Digest(), u.Options())
		if err != nil {
			t.Fatal(err)
		}
		der, err := u.Assemble(signature, nil)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
}

// hostileBases are honest files: every form that a file can have, by every kind of signature.
func hostileBases(t testing.TB) map[string][]byte {
	w := signingtest.Shared()
	out := map[string][]byte{}
	for form, f := range pdftest.Forms {
		base := pdftest.Build(f, rich())
		out[form+", P1, B-B, P-256"] = sign(t, base, w.P256, how{certify: true})
		out[form+", P1, B-T, RSA"] = sign(t, base, w.RSA, how{certify: true, stamped: true})
		out[form+", P2, P-256"] = handSign(t, base, 2, honest(t, w.P256))
		out[form+", P3, RSA"] = handSign(t, base, 3, honest(t, w.RSA))
		approved := sign(t, base, w.P256, how{})
		out[form+", approval"] = approved
		out[form+", two signatures"] = sign(t, approved, w.RSA, how{})
		out[form+", data and a stamp"] = documentStamp(t, addDSS(t, sign(t, base, w.P256, how{certify: true, stamped: true})))
	}
	return out
}

type edit = func(t testing.TB, f *pdf.File, u *pdf.Update)

// set replaces or adds one entry of a dictionary.
func set(r pdf.Ref, key pdf.Name, v pdf.Object) edit {
	return func(t testing.TB, f *pdf.File, u *pdf.Update) { u.Set(r, with(dictOf(t, f, r), key, v)) }
}

// drop removes one.
func drop(r pdf.Ref, key pdf.Name) edit {
	return func(t testing.TB, f *pdf.File, u *pdf.Update) {
		d := maps.Clone(dictOf(t, f, r))
		delete(d, key)
		u.Set(r, d)
	}
}

// put replaces a whole object.
func put(r pdf.Ref, v func(u *pdf.Update) pdf.Object) edit {
	return func(_ testing.TB, _ *pdf.File, u *pdf.Update) { u.Set(r, v(u)) }
}

func stream(r pdf.Ref, dict pdf.Dict, text string) edit {
	return put(r, func(*pdf.Update) pdf.Object { return pdf.NewStream(dict, []byte(text)) })
}

// annotate adds an annotation to the page.
func annotate(d pdf.Dict) edit {
	return func(t testing.TB, f *pdf.File, u *pdf.Update) {
		page, dict, _, err := f.FirstPage()
		if err != nil {
			t.Fatal(err)
		}
		annots, _ := f.Array(dict["Annots"])
		u.Set(page, with(dict, "Annots", append(slices.Clone(annots), u.Add(d))))
	}
}

// addField adds a field to the form.
func addField(d pdf.Dict) edit {
	return func(t testing.TB, f *pdf.File, u *pdf.Update) {
		form := pdf.Ref{Number: 7}
		dict := dictOf(t, f, form)
		fields, _ := f.Array(dict["Fields"])
		u.Set(form, with(dict, "Fields", append(slices.Clone(fields), u.Add(d))))
	}
}

func numbers(list ...int64) (a pdf.Array) {
	for _, n := range list {
		a = append(a, pdf.Integer(n))
	}
	return a
}

var (
	catalogRef = pdf.Ref{Number: 1}
	pagesRef   = pdf.Ref{Number: 2}
	pageRef    = pdf.Ref{Number: 3}
	textRef    = pdf.Ref{Number: 4}
	fontRef    = pdf.Ref{Number: 5}
	infoRef    = pdf.Ref{Number: 6}
	formRef    = pdf.Ref{Number: 7}
	nameRef    = pdf.Ref{Number: 9}
	script     = pdf.Dict{"S": pdf.Name("JavaScript"), "JS": pdf.String("app.alert(1)")}
)

// laterRevisions are well-formed updates that change what a reader shows, does or
// says, with the code that each must be given whatever was signed and how.
var laterRevisions = map[string]struct {
	do   edit
	code verify.Code
}{
	"shadow: replace the text":     {stream(textRef, nil, forgedText), verify.Changed},
	"shadow: hide under nothing":   {stream(textRef, nil, ""), verify.Changed},
	"shadow: the same text, twice": {set(pageRef, "Contents", pdf.Array{textRef, textRef}), verify.Changed},
	"contents: none":               {drop(pageRef, "Contents"), verify.Changed},
	"contents: an array of one":    {set(pageRef, "Contents", pdf.Array{textRef}), verify.Changed},
	"contents: null":               {put(textRef, func(*pdf.Update) pdf.Object { return nil }), verify.Changed},
	"contents: another filter":     {stream(textRef, pdf.Dict{"Filter": pdf.Name("ASCIIHexDecode")}, "42542028466f72676564292054 6a204554>"), verify.Changed},
	"font: another":                {set(fontRef, "BaseFont", pdf.Name("Symbol")), verify.Changed},
	"font: an encoding":            {set(fontRef, "Encoding", pdf.Dict{"Differences": pdf.Array{pdf.Integer(65), pdf.Name("B")}}), verify.Changed},
	"font: widths":                 {set(fontRef, "Widths", numbers(0, 0, 0)), verify.Changed},
	"font: a program":              {set(fontRef, "FontDescriptor", pdf.Dict{"Type": pdf.Name("FontDescriptor")}), verify.Changed},
	"ToUnicode: another":           {stream(toUnicode, nil, "1 beginbfchar <41> <0042> endbfchar"), verify.Changed},
	"ToUnicode: none":              {drop(fontRef, "ToUnicode"), verify.Changed},
	"XObject: another":             {stream(image, pdf.Dict{"Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 9, 9), "OC": layer}, "1 0 0 rg 0 0 9 9 re f"), verify.Changed},
	"XObject: one more":            {set(pageRef, "Resources", pdf.Dict{"XObject": pdf.Dict{"X": image, "Y": image}}), verify.Changed},
	"page: rotated":                {set(pageRef, "Rotate", pdf.Integer(90)), verify.Changed},
	"page: CropBox":                {set(pageRef, "CropBox", numbers(0, 0, 50, 50)), verify.Changed},
	"page: MediaBox of the page":   {set(pageRef, "MediaBox", numbers(0, 0, 50, 50)), verify.Changed},
	"page: MediaBox of all":        {set(pagesRef, "MediaBox", numbers(0, 0, 50, 50)), verify.Changed},
	"page: UserUnit":               {set(pageRef, "UserUnit", pdf.Integer(9)), verify.Changed},
	"page: inherited rotation":     {set(pagesRef, "Rotate", pdf.Integer(180)), verify.Changed},
	"page: a script on opening":    {set(pageRef, "AA", pdf.Dict{"O": script}), verify.Changed},
	"page: a group":                {set(pageRef, "Group", pdf.Dict{"S": pdf.Name("Transparency")}), verify.Changed},
	"pages: one more":              {set(pagesRef, "Kids", pdf.Array{pageRef, pageRef}), verify.Changed},
	"pages: none":                  {set(pagesRef, "Kids", pdf.Array{}), verify.Changed},
	"pages: another tree": {func(t testing.TB, f *pdf.File, u *pdf.Update) {
		d := with(dictOf(t, f, pageRef), "Contents", u.Add(pdf.NewStream(nil, []byte(forgedText))))
		u.Set(f.Root(), with(dictOf(t, f, f.Root()), "Pages", u.Add(with(dictOf(t, f, pagesRef), "Kids", pdf.Array{u.Add(d)}))))
	}, verify.Changed},
	"annotation: free text":            {annotate(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("FreeText"), "Rect": numbers(0, 0, 500, 500), "Contents": pdf.String("Faux")}), verify.Overlay},
	"annotation: a stamp":              {annotate(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Stamp"), "Rect": numbers(0, 0, 500, 500)}), verify.Overlay},
	"annotation: redaction":            {annotate(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Redact"), "Rect": numbers(0, 0, 500, 500)}), verify.Overlay},
	"annotation: a hidden note":        {annotate(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Text"), "F": pdf.Integer(2), "Rect": numbers(0, 0, 0, 0)}), verify.Overlay},
	"annotation: an attached file":     {annotate(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("FileAttachment"), "Rect": numbers(0, 0, 9, 9)}), verify.Overlay},
	"annotation: a film":               {annotate(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Screen"), "Rect": numbers(0, 0, 9, 9)}), verify.Overlay},
	"annotation: a widget of no field": {annotate(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "FT": pdf.Name("Sig"), "Rect": numbers(0, 0, 500, 500)}), verify.Overlay},
	"annotation: a link that leads on": {annotate(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Link"), "Rect": numbers(0, 0, 500, 500), "A": script}), verify.Overlay},
	"annotations: all removed":         {drop(pageRef, "Annots"), verify.Changed},
	"link: another target":             {set(target, "URI", pdf.String("https://evil.example/")), verify.Changed},
	"link: larger":                     {set(link, "Rect", numbers(0, 0, 500, 500)), verify.Changed},
	"link: a script":                   {set(link, "A", script), verify.Changed},
	"form: a value":                    {set(nameRef, "V", pdf.String("Eve")), verify.FieldSet},
	"form: a default value":            {set(nameRef, "DV", pdf.String("Eve")), verify.Changed},
	"form: a value removed":            {drop(nameRef, "V"), verify.FieldSet},
	"form: a script upon a value":      {set(nameRef, "AA", pdf.Dict{"K": script}), verify.Changed},
	"form: read only":                  {set(nameRef, "Ff", pdf.Integer(1)), verify.Changed},
	"form: hidden":                     {set(nameRef, "F", pdf.Integer(2)), verify.Changed},
	"form: moved":                      {set(nameRef, "Rect", numbers(0, 0, 500, 500)), verify.Changed},
	"form: another name":               {set(nameRef, "T", pdf.String("other")), verify.Changed},
	"widget: another appearance":       {stream(appearance, pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 200, 20)}, "BT (Eve) Tj ET"), verify.Changed},
	"widget: no appearance":            {drop(nameRef, "AP"), verify.Changed},
	"widget: border and colour":        {set(nameRef, "MK", pdf.Dict{"BG": numbers(1)}), verify.Changed},
	"form: NeedAppearances":            {set(formRef, "NeedAppearances", true), verify.Changed},
	"form: XFA":                        {set(formRef, "XFA", pdf.String("<xdp/>")), verify.Changed},
	"form: calculation order":          {set(formRef, "CO", pdf.Array{nameRef}), verify.Changed},
	"form: default appearance":         {set(formRef, "DA", pdf.String("/Helv 99 Tf")), verify.Changed},
	"form: default resources":          {set(formRef, "DR", pdf.Dict{}), verify.Changed},
	"form: none":                       {drop(catalogRef, "AcroForm"), verify.NoSignature},
	"form: no fields":                  {set(formRef, "Fields", pdf.Array{}), verify.NoSignature},
	"field: a text more":               {addField(pdf.Dict{"FT": pdf.Name("Tx"), "T": pdf.String("x"), "V": pdf.String("Eve")}), verify.FieldSet},
	"field: a button more":             {addField(pdf.Dict{"FT": pdf.Name("Btn"), "T": pdf.String("x"), "A": script}), verify.FieldSet},
	"field: an empty signature":        {addField(pdf.Dict{"FT": pdf.Name("Sig"), "T": pdf.String("x")}), verify.FieldSet},
	"catalog: OpenAction":              {set(catalogRef, "OpenAction", script), verify.Changed},
	"catalog: AA":                      {set(catalogRef, "AA", pdf.Dict{"WC": script}), verify.Changed},
	"catalog: a script of the file":    {set(catalogRef, "Names", pdf.Dict{"JavaScript": pdf.Dict{"Names": pdf.Array{pdf.String("x"), script}}}), verify.Changed},
	"catalog: embedded files":          {set(catalogRef, "Names", pdf.Dict{"EmbeddedFiles": pdf.Dict{"Names": pdf.Array{}}}), verify.Changed},
	"catalog: associated files":        {set(catalogRef, "AF", pdf.Array{}), verify.Changed},
	"catalog: a collection":            {set(catalogRef, "Collection", pdf.Dict{}), verify.Changed},
	"catalog: page labels":             {set(catalogRef, "PageLabels", pdf.Dict{"Nums": pdf.Array{}}), verify.Changed},
	"catalog: language":                {set(catalogRef, "Lang", pdf.String("nl-BE")), verify.Changed},
	"catalog: version":                 {set(catalogRef, "Version", pdf.Name("1.4")), verify.Changed},
	"catalog: view":                    {set(catalogRef, "ViewerPreferences", pdf.Dict{"HideToolbar": true}), verify.Changed},
	"catalog: full screen":             {set(catalogRef, "PageMode", pdf.Name("FullScreen")), verify.Changed},
	"catalog: structure":               {set(catalogRef, "StructTreeRoot", pdf.Dict{}), verify.Changed},
	"catalog: needs":                   {set(catalogRef, "Requirements", pdf.Array{}), verify.Changed},
	"catalog: legal attestation":       {set(catalogRef, "Legal", pdf.Dict{}), verify.Changed},
	"catalog: usage rights":            {set(catalogRef, "Perms", pdf.Dict{"UR3": pdf.Dict{}}), verify.Changed},
	"layers: switched off":             {set(layers, "D", pdf.Dict{"OFF": pdf.Array{layer}}), verify.Changed},
	"layers: one more view":            {set(layers, "Configs", pdf.Array{pdf.Dict{"OFF": pdf.Array{layer}}}), verify.Changed},
	"layers: none":                     {drop(catalogRef, "OCProperties"), verify.Changed},
	"layers: another name":             {set(layer, "Name", pdf.String("Hidden")), verify.Changed},
	"outline: another title":           {set(outline, "Title", pdf.String("Two")), verify.Changed},
	"outline: an action":               {set(outline, "A", script), verify.Changed},
	"outline: another place":           {set(outline, "Dest", pdf.Array{pageRef, pdf.Name("FitB")}), verify.Changed},
	"outline: none":                    {drop(catalogRef, "Outlines"), verify.Changed},
	"outline: open":                    {set(outlines, "Count", pdf.Integer(-1)), verify.Changed},
	"metadata only":                    {stream(metadata, pdf.Dict{"Type": pdf.Name("Metadata"), "Subtype": pdf.Name("XML")}, "<x/>"), verify.Changed},
	"metadata: none":                   {drop(catalogRef, "Metadata"), verify.Changed},
	"information: title":               {set(infoRef, "Title", pdf.String("Faux")), verify.Changed},
	"information: author":              {set(infoRef, "Author", pdf.String("Eve")), verify.Changed},
	"a type swapped":                   {put(textRef, func(*pdf.Update) pdf.Object { return pdf.Dict{} }), verify.Changed},
	"a font that is a loop":            {put(fontRef, func(*pdf.Update) pdf.Object { return fontRef }), verify.Broken},
}

// permittedAt are those of laterRevisions that a certification lets others do, from a
// level on (ISO 32000-2 table 257).
var permittedAt = map[string]struct {
	level int
	code  verify.Code
}{
	"form: a value":             {2, verify.FieldFilled},
	"form: a value removed":     {2, verify.FieldFilled},
	"annotation: free text":     {3, verify.Annotated},
	"annotation: a stamp":       {3, verify.Annotated},
	"annotation: a hidden note": {3, verify.Annotated},
}

func certificationOf(base string) int {
	for level := 2; level <= 3; level++ {
		if strings.Contains(base, fmt.Sprintf(", P%d", level)) {
			return level
		}
	}
	return 0
}

// TestHostileRevisions holds each later change against each kind of signed file:
// no signature that was there before may count as it did.
func TestHostileRevisions(t *testing.T) {
	variants := 0
	for base, file := range hostileBases(t) {
		if r := check(file); r.Result != verify.Valid {
			t.Fatalf("%s is not valid before: %s", base, dump(r))
		}
		for name, c := range laterRevisions {
			variants++
			bad := update(t, file, func(f *pdf.File, u *pdf.Update) { c.do(t, f, u) })
			level := certificationOf(base)
			if allowed, ok := permittedAt[name]; ok && level >= allowed.level {
				if r := check(bad); r.Result != verify.Valid || r.Signatures[0].Changes != verify.Permitted || !slices.Contains(codes(r), string(allowed.code)) {
					t.Errorf("%s; %s is permitted: %s", base, name, dump(r))
				}
				continue
			}
			mustNotPass(t, base+"; "+name, bad, c.code)
		}
	}
	t.Logf("%d variants", variants)
}

// mustNotPass wants a file neither valid nor passed, none of its signatures
// unchanged in silence, and the code.
func mustNotPass(t *testing.T, name string, file []byte, want ...verify.Code) {
	t.Helper()
	r := check(file)
	if r.Result == verify.Valid || r.Indication == verify.TotalPassed {
		t.Errorf("%s passes: %s", name, dump(r))
		return
	}
	for _, s := range r.Signatures {
		if s.Result == verify.Valid && s.Changes == verify.Altered {
			t.Errorf("%s: %s is valid, and altered", name, s.Field)
		}
	}
	found := codes(r)
	if !slices.ContainsFunc(want, func(c verify.Code) bool { return slices.Contains(found, string(c)) }) {
		t.Errorf("%s: want %s, found %v", name, want, found)
	}
}

// bytesChanged are changes below the objects: in what a signature says that it
// covers, and in what is put before, behind and between revisions.
var bytesChanged = map[string]struct {
	do   func(testing.TB, []byte) []byte
	code []verify.Code
}{
	"range: starts at 1":        {ranged(func(b []int64, _ int64) { b[0], b[1] = 1, b[1]-1 }), []verify.Code{verify.ByteRange}},
	"range: all nought":         {ranged(func(b []int64, _ int64) { clear(b) }), []verify.Code{verify.ByteRange}},
	"range: negative start":     {ranged(func(b []int64, _ int64) { b[0] = -1 }), []verify.Code{verify.ByteRange}},
	"range: negative length":    {ranged(func(b []int64, _ int64) { b[3] = -1 }), []verify.Code{verify.ByteRange}},
	"range: negative gap":       {ranged(func(b []int64, _ int64) { b[2] = -b[2] }), []verify.Code{verify.ByteRange}},
	"range: overlapping":        {ranged(func(b []int64, _ int64) { b[2] = b[1] - 10 }), []verify.Code{verify.ByteRange}},
	"range: no gap":             {ranged(func(b []int64, _ int64) { b[2] = b[1] }), []verify.Code{verify.ByteRange}},
	"range: gap of two more":    {ranged(func(b []int64, _ int64) { b[2] += 2; b[3] -= 2 }), []verify.Code{verify.ByteRange}},
	"range: gap without <":      {ranged(func(b []int64, _ int64) { b[1]++ }), []verify.Code{verify.ByteRange}},
	"range: gap without >":      {ranged(func(b []int64, _ int64) { b[2]--; b[3]++ }), []verify.Code{verify.ByteRange}},
	"range: one beyond the end": {ranged(func(b []int64, size int64) { b[3] = size - b[2] + 1 }), []verify.Code{verify.ByteRange}},
	"range: far beyond":         {ranged(func(b []int64, _ int64) { b[3] = 1 << 30 }), []verify.Code{verify.ByteRange}},
	"range: overflow":           {ranged(func(b []int64, _ int64) { b[2] = 1<<63 - 1 }), []verify.Code{verify.ByteRange}},
	"range: nothing behind":     {ranged(func(b []int64, _ int64) { b[3] = 0 }), []verify.Code{verify.Uncovered}},
	"range: one byte less":      {ranged(func(b []int64, _ int64) { b[3] -= 7 }), []verify.Code{verify.Uncovered}},
	"range: swapped":            {ranged(func(b []int64, _ int64) { b[0], b[2] = b[2], b[0] }), []verify.Code{verify.ByteRange}},
	"range: missing":            {word("/ByteRange ", "/ByteRangs "), []verify.Code{verify.ByteRange}},
	"range: no array":           {word("/ByteRange [", "/ByteRange ("), []verify.Code{verify.SignatureMalformed}},
	"range: null":               {word("/ByteRange [0 ", "/ByteRange null%"), []verify.Code{verify.SignatureMalformed}},
	"contents: missing":         {rename, []verify.Code{verify.ByteRange}},
	"contents: a literal": {func(t testing.TB, b []byte) []byte {
		from, _ := gap(t, b)
		b = bytes.Clone(b)
		b[from] = '('
		return b
	}, []verify.Code{verify.SignatureMalformed}},
	"contents: nought":          {blank, []verify.Code{verify.SignatureMalformed, verify.StampWrong}},
	"contents: a SET":           {func(t testing.TB, b []byte) []byte { return digits(t, b, "31") }, []verify.Code{verify.SignatureMalformed, verify.StampWrong}},
	"contents: endless length":  {func(t testing.TB, b []byte) []byte { return digits(t, b, "3084ffffffff") }, []verify.Code{verify.SignatureMalformed, verify.StampWrong}},
	"contents: BER without end": {func(t testing.TB, b []byte) []byte { return digits(t, b, strings.Repeat("3080", 900)) }, []verify.Code{verify.SignatureMalformed, verify.StampWrong}},
	"contents: white space":     {func(t testing.TB, b []byte) []byte { return digits(t, b, "  ") }, []verify.Code{verify.ByteRange}},
	"contents: no digit":        {func(t testing.TB, b []byte) []byte { return digits(t, b, "zz") }, []verify.Code{verify.SignatureMalformed}},
	"contents: junk in padding": {func(t testing.TB, b []byte) []byte {
		_, to := gap(t, b)
		b = bytes.Clone(b)
		copy(b[to-9:], "deadbeef")
		return b
	}, []verify.Code{verify.SignatureMalformed, verify.StampWrong}},
	"SubFilter: PKCS #7 with a digest": {word("/SubFilter /", "/SubFilter /adbe.x%"), []verify.Code{verify.SignatureMalformed}},
	"head: junk before":                {func(_ testing.TB, b []byte) []byte { return append([]byte("<html><!--\n"), b...) }, []verify.Code{verify.Polyglot}},
	"head: another version": {func(_ testing.TB, b []byte) []byte {
		return bytes.Replace(b, []byte("%PDF-1.7"), []byte("%PDF-1.0"), 1)
	}, []verify.Code{verify.Content}},
	"ISA: bodies only":             {suffix(func([]byte, int) string { return "\n" + forged }), []verify.Code{verify.Appended}},
	"ISA: bodies and the old xref": {suffix(func(_ []byte, prev int) string { return fmt.Sprintf("\n%sstartxref\n%d\n%%%%EOF\n", forged, prev) }), []verify.Code{verify.Appended}},
	"ISA: a trailer only": {suffix(func(b []byte, prev int) string {
		return fmt.Sprintf("\n%strailer\n<</Size 99/Root 1 0 R/Prev %d>>\n%%%%EOF\n", forged, prev)
	}), []verify.Code{verify.Appended, verify.Broken}},
	"ISA: no trailer": {suffix(func(b []byte, _ int) string {
		return fmt.Sprintf("\n%sxref\n4 1\n%010d 00000 n\r\nstartxref\n%d\n%%%%EOF\n", forged, len(b)+1, len(b)+1+len(forged))
	}), []verify.Code{verify.Broken}},
	"ISA: the table alone": {suffix(func(b []byte, prev int) string {
		return fmt.Sprintf("\n%sxref\n4 1\n%010d 00000 n\r\ntrailer\n<</Size 99/Root 1 0 R/Info 6 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", forged, len(b)+1, prev, len(b)+1+len(forged))
	}), []verify.Code{verify.Changed, verify.Broken, verify.Appended}},
	"ISA: another generation": {suffix(func(b []byte, prev int) string {
		body := strings.Replace(forged, "4 0 obj", "4 1 obj", 1)
		return fmt.Sprintf("\n%sxref\n4 1\n%010d 00001 n\r\ntrailer\n<</Size 99/Root 1 0 R/Info 6 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", body, len(b)+1, prev, len(b)+1+len(body))
	}), []verify.Code{verify.Changed}},
	"ISA: freed text": {suffix(func(b []byte, prev int) string {
		return fmt.Sprintf("\nxref\n4 1\n0000000000 00001 f\r\ntrailer\n<</Size 99/Root 1 0 R/Info 6 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", prev, len(b)+1)
	}), []verify.Code{verify.Changed}},
	"ISA: duplicate objects": {suffix(func(b []byte, prev int) string {
		return fmt.Sprintf("\n%s%sxref\n4 1\n%010d 00000 n\r\ntrailer\n<</Size 99/Root 1 0 R/Info 6 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", forged, forged, len(b)+1, prev, len(b)+1+2*len(forged))
	}), []verify.Code{verify.Appended}},
	"ISA: duplicate keys": {suffix(func(b []byte, prev int) string {
		body := "3 0 obj\n<</Type/Page/Parent 2 0 R/Contents 4 0 R/Contents 5 0 R/Resources<<>>>>\nendobj\n"
		return fmt.Sprintf("\n%sxref\n3 1\n%010d 00000 n\r\ntrailer\n<</Size 99/Root 1 0 R/Info 6 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", body, len(b)+1, prev, len(b)+1+len(body))
	}), []verify.Code{verify.Broken}},
	"two catalogs": {suffix(func(b []byte, prev int) string {
		body := "90 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
		return fmt.Sprintf("\n%sxref\n90 1\n%010d 00000 n\r\ntrailer\n<</Size 99/Root 90 0 R/Info 6 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", body, len(b)+1, prev, len(b)+1+len(body))
	}), []verify.Code{verify.NoSignature}},
	"xref: a loop": {suffix(func(b []byte, _ int) string {
		return fmt.Sprintf("\nxref\n0 0\ntrailer\n<</Size 99/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", len(b)+1, len(b)+1)
	}), []verify.Code{verify.Broken}},
	"xref: Prev nowhere": {suffix(func(b []byte, _ int) string {
		return fmt.Sprintf("\nxref\n0 0\ntrailer\n<</Size 99/Root 1 0 R/Prev 99999999>>\nstartxref\n%d\n%%%%EOF\n", len(b)+1)
	}), []verify.Code{verify.Broken}},
	"xref: no Prev": {suffix(func(b []byte, _ int) string {
		return fmt.Sprintf("\nxref\n0 0\ntrailer\n<</Size 99/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(b)+1)
	}), []verify.Code{verify.NoSignature}},
	"xref: a hybrid's stream elsewhere": {suffix(func(b []byte, prev int) string {
		return fmt.Sprintf("\nxref\n0 0\ntrailer\n<</Size 99/Root 1 0 R/Info 6 0 R/Prev %d/XRefStm 20>>\nstartxref\n%d\n%%%%EOF\n", prev, len(b)+1)
	}), []verify.Code{verify.Broken}},
	"end: another %%EOF":           {suffix(func([]byte, int) string { return "%%EOF\n%%EOF\n" }), []verify.Code{verify.Appended}},
	"end: a comment":               {suffix(func([]byte, int) string { return "% faux\n" }), []verify.Code{verify.Appended}},
	"end: a comment and startxref": {suffix(func(_ []byte, prev int) string { return fmt.Sprintf("%% faux\nstartxref\n%d\n", prev) }), []verify.Code{verify.Appended}},
	"end: another file":            {suffix(func([]byte, int) string { return string(pdftest.Build(pdftest.Table, pdftest.Plain())) }), []verify.Code{verify.Broken}},
	"end: an archive":              {suffix(func([]byte, int) string { return "PK\x03\x04 faux" }), []verify.Code{verify.Appended}},
	"end: cut off":                 {func(_ testing.TB, b []byte) []byte { return b[:len(b)-6] }, []verify.Code{verify.ByteRange}},
}

func ranged(change func(b []int64, size int64)) func(testing.TB, []byte) []byte {
	return func(t testing.TB, b []byte) []byte {
		at := bytes.LastIndex(b, []byte("/ByteRange ["))
		end := at + bytes.IndexByte(b[at:], ']')
		n := make([]int64, 4)
		if _, err := fmt.Sscanf(string(b[at:]), "/ByteRange [%d %d %d %d", &n[0], &n[1], &n[2], &n[3]); err != nil {
			t.Fatal(err)
		}
		change(n, int64(len(b)))
		text := fmt.Sprintf("/ByteRange [%d %d %d %d", n[0], n[1], n[2], n[3])
		b = bytes.Clone(b)
		copy(b[at:end], text+strings.Repeat(" ", max(0, end-at-len(text))))
		return b
	}
}

func word(old, new string) func(testing.TB, []byte) []byte {
	return func(t testing.TB, b []byte) []byte { return replaceLast(t, b, old, new) }
}

// digits writes over the beginning of the signature.
func digits(t testing.TB, b []byte, text string) []byte {
	from, _ := gap(t, b)
	b = bytes.Clone(b)
	copy(b[from+1:], text)
	return b
}

// suffix appends what may name the last cross-reference section.
func suffix(tail func(b []byte, prev int) string) func(testing.TB, []byte) []byte {
	return func(_ testing.TB, b []byte) []byte {
		var prev int
		fmt.Sscanf(string(b[bytes.LastIndex(b, []byte("startxref")):]), "startxref\n%d", &prev)
		return append(bytes.Clone(b), tail(b, prev)...)
	}
}

func TestHostileBytes(t *testing.T) {
	variants := 0
	for base, file := range hostileBases(t) {
		for name, c := range bytesChanged {
			variants++
			mustNotPass(t, base+"; "+name, c.do(t, file), c.code...)
		}
	}
	t.Logf("%d variants", variants)
}

// TestHostileCMS: signatures whose bytes are covered, by signers who cheat.
func TestHostileCMS(t *testing.T) {
	w := signingtest.Shared()
	base := pdftest.Build(pdftest.Table, rich())
	foreign := func(change func(*pkcs7.SignedData), digest asn1.ObjectIdentifier, signers ...signingtest.Identity) func([]byte) []byte {
		return func(covered []byte) []byte {
			s, err := pkcs7.NewSignedData(covered)
			if err != nil {
				t.Fatal(err)
			}
			s.SetDigestAlgorithm(digest)
			for _, id := range signers {
				if err := s.AddSigner(id.Cert, id.Key, pkcs7.SignerInfoConfig{}); err != nil {
					t.Fatal(err)
				}
			}
			change(s)
			der, err := s.Finish()
			if err != nil {
				t.Fatal(err)
			}
			return der
		}
	}
	detach := func(s *pkcs7.SignedData) { s.Detach() }
	bend := func(change func([]byte) []byte) func([]byte) []byte {
		return func(covered []byte) []byte { return change(honest(t, w.P256)(covered)) }
	}
	for name, c := range map[string]struct {
		make func([]byte) []byte
		want []verify.Code
	}{
		"a stranger":                       {honest(t, w.Stranger), []verify.Code{verify.Untrusted}},
		"SHA-1":                            {foreign(detach, pkcs7.OIDDigestAlgorithmSHA1, w.RSA), []verify.Code{verify.Weak, verify.Unsupported}},
		"no signing certificate attribute": {foreign(detach, pkcs7.OIDDigestAlgorithmSHA256, w.RSA), []verify.Code{verify.NotBound}},
		"several signers":                  {foreign(detach, pkcs7.OIDDigestAlgorithmSHA256, w.RSA, w.RSA), []verify.Code{verify.SignatureMalformed, verify.Unsupported, verify.AttributesWrong}},
		"no signer":                        {foreign(detach, pkcs7.OIDDigestAlgorithmSHA256), []verify.Code{verify.SignatureMalformed, verify.SignerMissing, verify.Unsupported}},
		"over other bytes":                 {func(b []byte) []byte { return honest(t, w.P256)(b[1:]) }, []verify.Code{verify.Content}},
		"over nothing":                     {func([]byte) []byte { return honest(t, w.P256)(nil) }, []verify.Code{verify.Content}},
		"a replaced certificate": {bend(func(b []byte) []byte {
			return bytes.Replace(b, w.P256.Cert.Raw, append(bytes.Clone(w.P256.Cert.Raw[:len(w.P256.Cert.Raw)-1]), w.P256.Cert.Raw[len(w.P256.Cert.Raw)-1]^1), 1)
		}), []verify.Code{verify.NotBound, verify.Untrusted, verify.SignerMissing}},
		"the last byte":   {bend(func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 1; return b }), []verify.Code{verify.SignatureWrong}},
		"a byte too many": {bend(func(b []byte) []byte { return append(bytes.Clone(b), 1) }), []verify.Code{verify.SignatureMalformed}},
		"a byte too few":  {bend(func(b []byte) []byte { return b[:len(b)-1] }), []verify.Code{verify.SignatureMalformed, verify.SignatureWrong}},
		"twice":           {bend(func(b []byte) []byte { return append(bytes.Clone(b), b...) }), []verify.Code{verify.SignatureMalformed}},
	} {
		for _, permission := range []int{0, 1, 2, 3} {
			mustNotPass(t, fmt.Sprintf("%s, P %d", name, permission), handSign(t, base, permission, c.make), c.want...)
		}
	}
}

// TestHostileInAChild: what the attacks cost is a process at most; the child says what we say.
func TestHostileInAChild(t *testing.T) {
	file := sign(t, pdftest.Build(pdftest.Stream, rich()), signingtest.Shared().P256, how{certify: true})
	for _, name := range []string{"xref: a loop", "range: overflow", "contents: BER without end", "ISA: no trailer", "end: another file"} {
		bad := bytesChanged[name].do(t, file)
		if here, there := check(bad), verify.ChildBytes(t.Context(), bad, trust()); dump(here) != dump(there) {
			t.Errorf("%s: here %s\nthere %s", name, dump(here), dump(there))
		}
	}
}

// TestHonestRevisionsOfHostileBases: what may come later is no attack.
func TestHonestRevisionsOfHostileBases(t *testing.T) {
	for base, file := range hostileBases(t) {
		for name, later := range map[string][]byte{
			"validation data": addDSS(t, file), "a stamp": documentStamp(t, file), "both": documentStamp(t, addDSS(t, file)),
		} {
			if r := check(later); r.Result != verify.Valid || r.Signatures[0].Changes != verify.Extended {
				t.Errorf("%s, %s: %s", base, name, dump(r))
			}
		}
		if r := check(file); r.Signatures[0].Certification != 1 {
			if r := check(sign(t, file, signingtest.Shared().P384, how{})); r.Result != verify.Valid {
				t.Errorf("%s, a signature more: %s", base, dump(r))
			}
		}
	}
}

// TestHostileStores: what is put beside a B-LTA file to deceive, in a store or by
// a stranger's stamp, takes nothing away and adds nothing; and no change behind
// it passes.
func TestHostileStores(t *testing.T) {
	w := newLasting(t)
	file := w.fileOf(pdftest.Build(pdftest.Table, rich()), "P-256", signing.LevelBLTA)
	w.clock.Add(time.Minute)
	if r := w.check(file); r.Indication != verify.TotalPassed {
		t.Fatal(dump(r))
	}
	stranger := signingtest.Shared().Stranger.Cert.Raw
	poison := func(what func(u *pdf.Update, store pdf.Dict)) []byte {
		return update(t, file, func(f *pdf.File, u *pdf.Update) {
			catalog := dictOf(t, f, f.Root())
			store := maps.Clone(dictOf(t, f, catalog["DSS"]))
			what(u, store)
			u.Set(f.Root(), with(catalog, "DSS", u.Add(store)))
		})
	}
	for name, bad := range map[string][]byte{
		"strangers' certificates": poison(func(u *pdf.Update, d pdf.Dict) { d["Certs"] = pdf.Array{u.Add(pdf.NewStream(nil, stranger))} }),
		"junk for answers": poison(func(u *pdf.Update, d pdf.Dict) {
			d["OCSPs"] = pdf.Array{u.Add(pdf.NewStream(nil, []byte("0\x80junk")))}
		}),
		"junk for lists": poison(func(u *pdf.Update, d pdf.Dict) { d["CRLs"] = pdf.Array{u.Add(pdf.NewStream(nil, stranger))} }),
		"all taken out":  poison(func(_ *pdf.Update, d pdf.Dict) { delete(d, "OCSPs"); delete(d, "CRLs"); delete(d, "Certs") }),
		"a loop": poison(func(u *pdf.Update, d pdf.Dict) {
			loop := u.Reserve()
			u.Set(loop, pdf.Array{loop})
			d["Certs"], d["OCSPs"] = loop, loop
		}),
		"thousands": poison(func(u *pdf.Update, d pdf.Dict) {
			one := u.Add(pdf.NewStream(nil, stranger))
			many := make(pdf.Array, 5000)
			for i := range many {
				many[i] = one
			}
			d["Certs"] = many
		}),
	} {
		r := w.check(bad)
		// what a later store leaves out may be missed; what it adds must prove nothing
		if s := r.Signatures[0]; s.Result == verify.NotValid || s.Changes == verify.Altered || s.Signer == nil || s.Signer.Name != w.Seal("P-256").Cert.Subject.CommonName {
			t.Errorf("%s: %s", name, dump(r))
		}
	}
	for name, c := range laterRevisions { // the files of the other tests never pass: nothing tells of revocation
		bad := update(t, file, func(f *pdf.File, u *pdf.Update) { c.do(t, f, u) })
		if r := w.check(bad); r.Result == verify.Valid || r.Indication == verify.TotalPassed || !slices.Contains(codes(r), string(c.code)) {
			t.Errorf("%s behind a B-LTA file: %s", name, dump(r))
		}
	}
}

// FuzzLater changes signed bytes and appends others: no such file is valid but
// where the change is in the digits of a signature, whose case and padding mean nothing.
func FuzzLater(f *testing.F) {
	file := sign(f, pdftest.Build(pdftest.Table, rich()), signingtest.Shared().P256, how{certify: true})
	from, to := gap(f, file)
	f.Add(uint32(20), byte(1), "")
	f.Add(uint32(0), byte(0), forged)
	f.Add(uint32(len(file)-3), byte(32), "%%EOF")
	f.Fuzz(func(t *testing.T, at uint32, mask byte, tail string) {
		i := int(at) % len(file)
		bad := append(bytes.Clone(file), tail...)
		if i < from || i >= to {
			bad[i] ^= mask
		}
		if strings.Trim(tail, "\r\n\t\f \x00\x1a") == "" && bytes.Equal(bad[:len(file)], file) {
			return
		}
		if r := check(bad); r.Result == verify.Valid && !bytes.Contains([]byte(tail), []byte("xref")) {
			t.Errorf("valid with byte %d changed by %x and %q behind", i, mask, tail)
		}
	})
}
