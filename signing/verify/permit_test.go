package verify_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// Objects of paperForm.
var (
	boxField   = pdf.Ref{Number: 9}
	kidField   = pdf.Ref{Number: 13}
	greekField = pdf.Ref{Number: 14}
	checkField = pdf.Ref{Number: 15}
	boxLook    = pdf.Ref{Number: 16}
	markRef    = pdf.Ref{Number: 17}
	shared     = pdf.Ref{Number: 18}
	filledText = pdf.Ref{Number: 19}
)

// paperForm is a form of empty fields, names nested and in other scripts, beside a
// signature field with more entries, a mark on the page and a filled field.
func paperForm(signatureField string) pdftest.Objects {
	stream := func(dict, data string) string {
		return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", dict, len(data), data)
	}
	utf := func(s string) string {
		out := "feff"
		for _, u := range utf16.Encode([]rune(s)) {
			out += fmt.Sprintf("%04x", u)
		}
		return "<" + out + ">"
	}
	o := pdftest.Fields()
	o[0] = "<</Type/Catalog/Pages 2 0 R/Lang(fr-BE)/AcroForm 7 0 R/Names<</Templates<</Names[(letter) 20 0 R]>>>>/StructTreeRoot 21 0 R>>"
	o[2] = "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>/XObject<</X 18 0 R>>>>/Annots 12 0 R/Tabs/S>>"
	o[7] = "[9 0 R 10 0 R 11 0 R 14 0 R 15 0 R 19 0 R]"
	o[8] = "<</Type/Annot/Subtype/Widget/FT/Tx/T(box)/Rect[72 600 272 620]/F 4/P 3 0 R/AP<</N 16 0 R>>>>"
	o[10] = "<</Type/Annot/Subtype/Widget/FT/Sig/T(sign)/Rect[300 100 400 150]/F 4/P 3 0 R" + signatureField + ">>"
	o[11] = "[9 0 R 11 0 R 13 0 R 14 0 R 15 0 R 17 0 R 19 0 R]"
	o[12] = "<</Type/Annot/Subtype/Widget/FT/Tx/T(kid)/Parent 10 0 R/Rect[72 500 272 520]/F 4/P 3 0 R>>"
	return append(o,
		"<</Type/Annot/Subtype/Widget/FT/Tx/T"+utf("όνομα 名前 🖋")+"/Rect[72 450 272 470]/F 4/P 3 0 R>>",
		"<</Type/Annot/Subtype/Widget/FT/Btn/T(agree)/V/Off/AS/Off/Rect[72 400 82 410]/F 4/P 3 0 R/AP<</N<</Yes 16 0 R/Off 16 0 R>>>>>>",
		stream("/Type/XObject/Subtype/Form/BBox[0 0 200 20]", ""),
		"<</Type/Annot/Subtype/Text/Rect[0 0 20 20]/Contents(nota)/P 3 0 R>>",
		stream("/Type/XObject/Subtype/Form/BBox[0 0 9 9]", "0 0 9 9 re f"),
		"<</Type/Annot/Subtype/Widget/FT/Tx/T(sum)/V(100)/Rect[72 300 272 320]/F 4/P 3 0 R/AP<</N 18 0 R>>>>", // its look is drawn on the page too
		"<</Type/Template/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>/MediaBox[0 0 595.276 841.89]>>",
		"<</Type/StructTreeRoot/K<</S/Form/K<</Type/OBJR/Obj 9 0 R/Pg 3 0 R>>>>>>",
	)
}

// look is an appearance stream of a box and a text.
func look(u *pdf.Update, box pdf.Array, text string) pdf.Ref {
	return u.Add(pdf.NewStream(pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": box}, []byte(text)))
}

// fillIn sets a field's value, with a look of its own.
func fillIn(r pdf.Ref, value string) edit {
	return func(t testing.TB, f *pdf.File, u *pdf.Update) {
		d := with(dictOf(t, f, r), "V", pdf.Text(value))
		u.Set(r, with(d, "AP", pdf.Dict{"N": look(u, numbers(0, 0, 200, 20), "BT (x) Tj ET")}))
	}
}

func all(edits ...edit) edit {
	return func(t testing.TB, f *pdf.File, u *pdf.Update) {
		for _, e := range edits {
			e(t, f, u)
		}
	}
}

func later(t testing.TB, file []byte, e edit) []byte {
	return update(t, file, func(f *pdf.File, u *pdf.Update) { e(t, f, u) })
}

// finding is the one of a code.
func finding(s verify.Signature, code verify.Code) (verify.Finding, bool) {
	i := slices.IndexFunc(s.Findings, func(f verify.Finding) bool { return f.Code == code })
	if i < 0 {
		return verify.Finding{}, false
	}
	return s.Findings[i], true
}

// A field that a signature locks may not be changed in anything, any other may be filled
// in; the report names the field.
func TestLockedFields(t *testing.T) {
	w := signingtest.Shared()
	const greek = "όνομα 名前 🖋"
	greekName := fmt.Sprintf("<%x>", string(pdf.Text(greek)))
	for _, c := range []struct {
		lock  string
		do    edit
		field string
		code  verify.Code
	}{
		{"/Action/All", fillIn(boxField, "x"), "box", verify.LockedField},
		{"/Action/All", fillIn(greekField, "x"), greek, verify.LockedField},
		{"/Action/All", set(boxField, "Ff", pdf.Integer(1)), "box", verify.LockedField},
		{"/Action/All", set(boxField, "F", pdf.Integer(2)), "box", verify.LockedField},
		{"/Action/All", set(boxField, "Rect", numbers(0, 0, 500, 500)), "box", verify.LockedField},
		{"/Action/All", set(boxField, "AA", pdf.Dict{"K": script}), "box", verify.LockedField},
		{"/Action/All", stream(boxLook, pdf.Dict{"Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 200, 20)}, "BT (Eve) Tj ET"), "box", verify.LockedField},
		{"/Action/All", set(checkField, "AS", pdf.Name("Yes")), "agree", verify.LockedField},
		{"/Action/All", set(pdf.Ref{Number: 10}, "Kids", pdf.Array{}), "parent.kid", verify.LockedField},
		{"/Action/All", set(pdf.Ref{Number: 10}, "TU", pdf.String("Eve")), "parent", verify.LockedField},
		{"/Action/Include/Fields[(box)]", fillIn(boxField, "x"), "box", verify.LockedField},
		{"/Action/Include/Fields[(box)]", fillIn(kidField, "x"), "parent.kid", verify.FieldFilled},
		{"/Action/Include/Fields[(box)]", fillIn(filledText, "900"), "sum", verify.FieldFilled}, // expressly left open
		{"/Action/Include/Fields[(parent)]", fillIn(kidField, "x"), "parent.kid", verify.LockedField},
		{"/Action/Include/Fields[(parent.kid)]", fillIn(kidField, "x"), "parent.kid", verify.LockedField},
		{"/Action/Include/Fields[(par)(kid)(parent.kid.x)]", fillIn(kidField, "x"), "parent.kid", verify.FieldFilled},
		{"/Action/Include/Fields[" + greekName + "]", fillIn(greekField, "x"), greek, verify.LockedField},
		{"/Action/Exclude/Fields[(box)]", fillIn(boxField, "x"), "box", verify.FieldFilled},
		{"/Action/Exclude/Fields[(box)]", fillIn(kidField, "x"), "parent.kid", verify.LockedField},
		{"/Action/Exclude/Fields[(parent)]", fillIn(kidField, "x"), "parent.kid", verify.FieldFilled},
		{"/Action/Exclude/Fields[" + greekName + "]", fillIn(greekField, "x"), greek, verify.FieldFilled},
		{"/Action/Include/Fields[(box) 7]", fillIn(kidField, "x"), "parent.kid", verify.LockedField}, // what cannot be read locks all
		{"/Action/Nothing", fillIn(kidField, "x"), "parent.kid", verify.LockedField},
		{"/Action/Include/Fields[]/P 1", fillIn(kidField, "x"), "parent.kid", verify.FieldSet},
		{"/Action/Include/Fields[]/P 2", fillIn(kidField, "x"), "parent.kid", verify.FieldFilled},
		{"/Action/Include/Fields[]/P 9", fillIn(kidField, "x"), "parent.kid", verify.FieldSet},
	} {
		for form, shape := range pdftest.Forms {
			signed := sign(t, pdftest.Build(shape, paperForm("/Lock<</Type/SigFieldLock"+c.lock+">>")), w.P256, how{field: "sign"})
			if s := check(signed).Signatures[0]; s.Result != verify.Valid || len(s.Locks) != 2 {
				t.Fatalf("%s: before: %+v", c.lock, s)
			}
			r := check(later(t, signed, c.do))
			s := r.Signatures[0]
			f, ok := finding(s, c.code)
			want := map[bool]verify.Changes{true: verify.Permitted, false: verify.Altered}[c.code == verify.FieldFilled]
			if !ok || f.Field != c.field || s.Changes != want || (r.Result == verify.Valid) != (want == verify.Permitted) {
				t.Errorf("%s, %s, field %s: want %s: %s", form, c.lock, c.field, c.code, dump(r))
			}
			if a := verify.Tell(i18n.English, r); !slices.ContainsFunc(a.Signatures[0].Findings, func(s string) bool { return strings.Contains(s, "“"+c.field+"”") }) && c.code != verify.FieldSet {
				t.Errorf("%s: the words do not name %s: %v", c.lock, c.field, a.Signatures[0].Findings)
			}
		}
	}
}

// The lock counts as it was signed: in the signature alone, or taken away later.
func TestLocksCannotBeLifted(t *testing.T) {
	w := signingtest.Shared()
	signed := sign(t, pdftest.Build(pdftest.Table, paperForm("/Lock<</Type/SigFieldLock/Action/All>>")), w.P256, how{field: "sign"})
	sign := pdf.Ref{Number: 11}
	for name, do := range map[string]edit{
		"removed":  drop(sign, "Lock"),
		"loosened": set(sign, "Lock", pdf.Dict{"Action": pdf.Name("Include"), "Fields": pdf.Array{}}),
	} {
		r := check(later(t, signed, all(do, fillIn(boxField, "x"))))
		if _, ok := finding(r.Signatures[0], verify.LockedField); !ok || r.Result != verify.NotValid {
			t.Errorf("%s: %s", name, dump(r))
		}
	}
	// in the parameters of the transform only, which are another object and exchanged later
	o := paperForm("")
	o = append(o, "<</Type/TransformParams/Action/All/V/1.2>>")
	params := pdf.Ref{Number: uint32(len(o))}
	reference := pdf.Array{pdf.Dict{"Type": pdf.Name("SigRef"), "TransformMethod": pdf.Name("FieldMDP"), "TransformParams": params}}
	byHand := handSignWith(t, pdftest.Build(pdftest.Table, o), 0, pdf.Dict{"Reference": reference}, honest(t, w.P256))
	r := check(later(t, byHand, all(set(params, "Action", pdf.Name("Include")), set(params, "Fields", pdf.Array{}), fillIn(boxField, "x"))))
	if _, ok := finding(r.Signatures[0], verify.LockedField); !ok || r.Result != verify.NotValid {
		t.Errorf("the signature's own lock: %s", dump(r))
	}
}

// The strictest of a certification, a lock's /P and what an earlier signature certified counts.
func TestLevelsAreCombined(t *testing.T) {
	w := signingtest.Shared()
	note := annotate(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Text"), "Rect": numbers(0, 0, 9, 9)})
	for _, c := range []struct {
		certified int
		lock      string
		do        edit
		want      [2]verify.Changes // of the certification, of the signature with the lock
	}{
		{3, "/P 2", note, [2]verify.Changes{verify.Permitted, verify.Altered}},
		{3, "/P 2", fillIn(boxField, "x"), [2]verify.Changes{verify.Permitted, verify.Permitted}},
		{3, "/P 1", fillIn(boxField, "x"), [2]verify.Changes{verify.Permitted, verify.Altered}},
		{2, "/P 3", note, [2]verify.Changes{verify.Altered, verify.Altered}},
		{2, "", fillIn(filledText, "900"), [2]verify.Changes{verify.Permitted, verify.Permitted}}, // the certification lets values change
		{2, "", note, [2]verify.Changes{verify.Altered, verify.Altered}},
		{3, "", note, [2]verify.Changes{verify.Permitted, verify.Permitted}},
		{0, "", note, [2]verify.Changes{verify.Altered, verify.Altered}},
		{0, "", fillIn(boxField, "x"), [2]verify.Changes{verify.Permitted, verify.Permitted}},
		{0, "", fillIn(filledText, "900"), [2]verify.Changes{verify.Altered, verify.Altered}}, // what the signer saw stays
		{0, "/P 1", fillIn(boxField, "x"), [2]verify.Changes{verify.Permitted, verify.Altered}},
	} {
		lock := ""
		if c.lock != "" {
			lock = "/Lock<</Type/SigFieldLock/Action/Include/Fields[]" + c.lock + ">>"
		}
		first := handSign(t, pdftest.Build(pdftest.Stream, paperForm(lock)), c.certified, honest(t, w.P256))
		r := check(later(t, sign(t, first, w.RSA, how{field: "sign"}), c.do))
		if got := [2]verify.Changes{r.Signatures[0].Changes, r.Signatures[1].Changes}; got != c.want {
			t.Errorf("P %d, lock %q: %v, want %v: %s", c.certified, c.lock, got, c.want, dump(r))
		}
	}
}

// A certification counts that only the catalog names.
func TestTheCatalogsCertification(t *testing.T) {
	w := signingtest.Shared()
	for perms, want := range map[string]verify.Changes{
		"22 0 R": verify.Altered, "23 0 R": verify.Permitted, "99 0 R": verify.Altered, "7": verify.Altered,
	} {
		o := paperForm("")
		o[0] = strings.Replace(o[0], "/Lang", "/Perms<</DocMDP "+perms+">>/Lang", 1)
		for level := 1; level <= 2; level++ {
			o = append(o, fmt.Sprintf("<</Type/Sig/Reference[<</Type/SigRef/TransformMethod/DocMDP/TransformParams<</P %d>>>>]>>", level))
		}
		signed := handSign(t, pdftest.Build(pdftest.Table, o), 0, honest(t, w.P256))
		if r := check(later(t, signed, fillIn(boxField, "x"))); r.Signatures[0].Changes != want {
			t.Errorf("%s: %s", perms, dump(r))
		}
	}
}

// An annotation that a page names twice, or that is no object of its own, is what it was.
func TestOddAnnotations(t *testing.T) {
	w := signingtest.Shared()
	o := paperForm("")
	o[11] = "[9 0 R 17 0 R <</Type/Annot/Subtype/Text/Rect[0 0 9 9]/Contents(direct)>> 17 0 R 11 0 R 9 0 R 13 0 R]"
	signed := handSign(t, pdftest.Build(pdftest.Table, o), 3, honest(t, w.P256))
	stamped := documentStamp(t, signed)
	if r := check(stamped); r.Result != verify.Valid || r.Signatures[0].Changes != verify.Extended {
		t.Errorf("as they were: %s", dump(r))
	}
	changed := func(change func(pdf.Array) pdf.Array) edit {
		return func(t testing.TB, f *pdf.File, u *pdf.Update) {
			page := dictOf(t, f, pageRef)
			list, err := f.Array(page["Annots"])
			if err != nil {
				t.Fatal(err)
			}
			u.Set(pageRef, with(page, "Annots", change(slices.Clone(list))))
		}
	}
	for name, do := range map[string]edit{
		"the direct one, a link": changed(func(a pdf.Array) pdf.Array {
			a[2] = pdf.Dict{"Subtype": pdf.Name("Link"), "Rect": numbers(0, 0, 9, 9)}
			return a
		}),
		"one of a field less": changed(func(a pdf.Array) pdf.Array { return slices.Delete(a, 5, 6) }),
		"another order":       changed(func(a pdf.Array) pdf.Array { a[1], a[4] = a[4], a[1]; return a }),
	} {
		mustNotPass(t, name, later(t, signed, do), verify.Changed)
	}
}

// What P 2 and P 3 let others do, and what is dressed up as that.
func TestPermittedChanges(t *testing.T) {
	w := signingtest.Shared()
	box := numbers(0, 0, 200, 20)
	filled := func(ap func(u *pdf.Update) pdf.Object) edit {
		return func(t testing.TB, f *pdf.File, u *pdf.Update) {
			u.Set(boxField, with(with(dictOf(t, f, boxField), "V", pdf.String("x")), "AP", ap(u)))
		}
	}
	streamed := func(dict pdf.Dict) edit {
		return filled(func(u *pdf.Update) pdf.Object {
			d := pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": box}
			maps.Copy(d, dict)
			return pdf.Dict{"N": u.Add(pdf.NewStream(d, []byte("BT (x) Tj ET")))}
		})
	}
	markOf := func(kind string, more pdf.Dict) edit {
		d := pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name(kind), "Rect": numbers(0, 0, 50, 50)}
		maps.Copy(d, more)
		return annotate(d)
	}
	page := func(d pdf.Dict) edit {
		return func(t testing.TB, f *pdf.File, u *pdf.Update) {
			d := with(with(d, "Type", pdf.Name("Page")), "Parent", pagesRef)
			root := with(dictOf(t, f, pagesRef), "Kids", pdf.Array{pageRef, u.Add(d)})
			u.Set(pagesRef, with(root, "Count", pdf.Integer(2)))
		}
	}
	template := pdf.Dict{"Contents": textRef, "Resources": pdf.Dict{"Font": pdf.Dict{"F1": fontRef}}}
	removeMark := func(t testing.TB, f *pdf.File, u *pdf.Update) {
		annots, _ := f.Array(dictOf(t, f, pageRef)["Annots"])
		u.Set(pageRef, with(dictOf(t, f, pageRef), "Annots", slices.DeleteFunc(slices.Clone(annots), func(o pdf.Object) bool { return o == pdf.Object(markRef) })))
	}
	for name, c := range map[string]struct {
		do    edit
		level int // from which it is permitted; 9 is never
		code  verify.Code
	}{
		"a text":                        {fillIn(boxField, "Élise 名"), 2, verify.FieldSet},
		"a text of a kid":               {fillIn(kidField, "x"), 2, verify.FieldSet},
		"a value without a look":        {set(boxField, "V", pdf.String("x")), 2, verify.FieldSet},
		"a ticked box":                  {all(set(checkField, "V", pdf.Name("Yes"))), 2, verify.FieldSet},
		"two fields":                    {all(fillIn(boxField, "x"), fillIn(kidField, "y")), 2, verify.FieldSet},
		"fonts for filling in":          {all(fillIn(boxField, "x"), set(formRef, "DR", pdf.Dict{"Font": pdf.Dict{"Helv": fontRef, "New": fontRef}})), 2, verify.FieldSet},
		"a date of the widget":          {all(set(boxField, "M", pdf.String("D:2026"))), 0, ""},
		"a look alone":                  {set(boxField, "AP", pdf.Dict{}), 9, verify.Changed},
		"a state alone":                 {set(checkField, "AS", pdf.Name("Yes")), 9, verify.Changed},
		"a look without a box":          {streamed(pdf.Dict{"BBox": nil}), 9, verify.Changed},
		"a look with a box of no area":  {streamed(pdf.Dict{"BBox": numbers(0, 0, 0, 20)}), 9, verify.Changed},
		"a look with half a box":        {streamed(pdf.Dict{"BBox": numbers(0, 0, 20)}), 9, verify.Changed},
		"a flat matrix":                 {streamed(pdf.Dict{"Matrix": numbers(1, 1, 1, 1, 0, 0)}), 9, verify.Changed},
		"a larger box, scaled down":     {streamed(pdf.Dict{"BBox": numbers(-900, -900, 900, 900)}), 2, verify.FieldSet},
		"a look from another file":      {streamed(pdf.Dict{"Ref": pdf.Dict{"Page": pdf.Integer(0)}}), 9, verify.Changed},
		"a look on a layer":             {streamed(pdf.Dict{"OC": pdf.Dict{"Type": pdf.Name("OCG")}}), 9, verify.Changed},
		"a look that is a picture":      {streamed(pdf.Dict{"Subtype": pdf.Name("Image")}), 9, verify.Changed},
		"a look that is no stream":      {filled(func(*pdf.Update) pdf.Object { return pdf.Dict{"N": pdf.Integer(1)} }), 9, verify.Changed},
		"a look of another kind":        {filled(func(*pdf.Update) pdf.Object { return pdf.Dict{"X": pdf.Integer(1)} }), 9, verify.Changed},
		"a value that is a dictionary":  {set(boxField, "V", pdf.Dict{"A": script}), 9, verify.Changed},
		"a larger field":                {all(fillIn(boxField, "x"), set(boxField, "Rect", numbers(0, 0, 500, 800))), 9, verify.Changed},
		"a field with an action":        {all(fillIn(boxField, "x"), set(boxField, "A", script)), 9, verify.Changed},
		"a look shared with the page":   {all(set(filledText, "V", pdf.String("900")), stream(shared, pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 9, 9)}, "1 g 0 0 9 9 re f")), 9, verify.Changed},
		"a value and the page":          {all(fillIn(boxField, "x"), stream(textRef, nil, forgedText)), 9, verify.Changed},
		"a font that is exchanged":      {all(fillIn(boxField, "x"), set(fontRef, "BaseFont", pdf.Name("Symbol"))), 9, verify.Changed},
		"a default font exchanged":      {set(formRef, "DR", pdf.Dict{"Font": pdf.Dict{"Helv": pdf.Dict{"Type": pdf.Name("Font")}}}), 9, verify.Changed},
		"NeedAppearances":               {all(fillIn(boxField, "x"), set(formRef, "NeedAppearances", true)), 9, verify.Changed},
		"a new text field":              {addField(pdf.Dict{"FT": pdf.Name("Tx"), "T": pdf.String("new"), "V": pdf.String("x")}), 9, verify.FieldSet},
		"a signature of a field's name": {addField(pdf.Dict{"FT": pdf.Name("Sig"), "T": pdf.String("sum"), "V": pdf.Dict{}, "Rect": numbers(0, 0, 0, 0)}), 9, verify.FieldSet},
		"a page from a template":        {page(template), 2, verify.Changed},
		"a template, written over":      {page(with(template, "Contents", pdf.Array{textRef, textRef})), 9, verify.Changed},
		"a template, rotated":           {page(with(template, "Rotate", pdf.Integer(90))), 9, verify.Changed},
		"a template with a script":      {page(with(template, "AA", pdf.Dict{"O": script})), 9, verify.Changed},
		"a template with a note":        {page(with(template, "Annots", pdf.Array{markRef})), 9, verify.Changed},
		"another page":                  {page(pdf.Dict{}), 9, verify.Changed},
		"a template and the page":       {all(page(template), set(pageRef, "Rotate", pdf.Integer(90))), 9, verify.Changed},
		"a template and the tree":       {all(page(template), set(pageRef, "MediaBox", numbers(0, 0, 9, 9))), 9, verify.Changed},
		"a note":                        {markOf("Text", nil), 3, verify.Overlay},
		"a free text":                   {markOf("FreeText", pdf.Dict{"Contents": pdf.String("x")}), 3, verify.Overlay},
		"a highlighting":                {markOf("Highlight", pdf.Dict{"QuadPoints": numbers(0, 0, 1, 0, 0, 1, 1, 1)}), 3, verify.Overlay},
		"a note changed":                {set(markRef, "Contents", pdf.String("altera")), 3, verify.Changed},
		"a note made a link":            {set(markRef, "Subtype", pdf.Name("Link")), 9, verify.Changed},
		"a note with a script":          {set(markRef, "A", script), 9, verify.Changed},
		"a note removed":                {removeMark, 3, verify.Changed},
		"a stamp without a box": {func(t testing.TB, f *pdf.File, u *pdf.Update) {
			markOf("Stamp", pdf.Dict{"AP": pdf.Dict{"N": u.Add(pdf.NewStream(pdf.Dict{"Subtype": pdf.Name("Form")}, []byte("0 0 900 900 re f")))}})(t, f, u)
		}, 9, verify.Overlay},
		"a link":            {markOf("Link", pdf.Dict{"Dest": pdf.Array{pageRef, pdf.Name("Fit")}}), 9, verify.Overlay},
		"an attached file":  {markOf("FileAttachment", nil), 9, verify.Overlay},
		"a film":            {markOf("Screen", nil), 9, verify.Overlay},
		"a redaction":       {markOf("Redact", nil), 9, verify.Overlay},
		"a widget":          {markOf("Widget", pdf.Dict{"FT": pdf.Name("Tx"), "V": pdf.String("x")}), 9, verify.Overlay},
		"a mark of nothing": {markOf("", nil), 9, verify.Overlay},
		"the order of notes": {func(t testing.TB, f *pdf.File, u *pdf.Update) {
			annots, _ := f.Array(dictOf(t, f, pageRef)["Annots"])
			annots = slices.Clone(annots)
			annots[0], annots[5] = annots[5], annots[0]
			u.Set(pageRef, with(dictOf(t, f, pageRef), "Annots", annots))
		}, 9, verify.Changed},
	} {
		for level := 1; level <= 3; level++ {
			for form, shape := range pdftest.Forms {
				o := paperForm("")
				if strings.HasPrefix(name, "a template") || strings.HasPrefix(name, "a page") {
					o[2] = strings.Replace(o[2], "/Parent", "/MediaBox[0 0 595.276 841.89]/Parent", 1)
				}
				signed := handSign(t, pdftest.Build(shape, o), level, honest(t, w.P256))
				file := later(t, signed, c.do)
				where := fmt.Sprintf("%s, P %d, %s", form, level, name)
				if level < c.level {
					mustNotPass(t, where, file, c.code)
				} else if r := check(file); r.Result != verify.Valid || (r.Signatures[0].Changes == verify.Permitted) != (c.level > 0) {
					t.Errorf("%s is permitted: %s", where, dump(r))
				}
			}
		}
	}
}

// An object that is a field and, by another way, part of what a page draws, is no field
// where it is drawn.
func TestAFieldThatIsDrawn(t *testing.T) {
	w := signingtest.Shared()
	o := paperForm("")
	o[2] = strings.Replace(o[2], "/XObject<</X 18 0 R>>", "/XObject 9 0 R", 1) // drawn by "/V Do"
	signed := handSign(t, pdftest.Build(pdftest.Table, o), 3, honest(t, w.P256))
	bad := later(t, signed, func(t testing.TB, f *pdf.File, u *pdf.Update) {
		u.Set(boxField, with(dictOf(t, f, boxField), "V", look(u, numbers(0, 0, 900, 900), "0 0 900 900 re f")))
	})
	mustNotPass(t, "a value that the page draws", bad, verify.Changed)
}

// A signature in a field that waited for it may show itself there.
func TestASignatureMayShowItself(t *testing.T) {
	w := signingtest.Shared()
	for level := 2; level <= 3; level++ {
		first := handSign(t, pdftest.Build(pdftest.Table, paperForm("")), level, honest(t, w.P256))
		for name, c := range map[string]struct {
			more pdf.Dict
			want verify.Changes
		}{
			"as a mark":        {pdf.Dict{"F": pdf.Integer(132)}, verify.Extended},
			"hidden until now": {pdf.Dict{"F": pdf.Integer(0)}, verify.Altered},
			"elsewhere":        {pdf.Dict{"Rect": numbers(0, 0, 600, 800)}, verify.Altered},
			"with an action":   {pdf.Dict{"A": script}, verify.Altered},
		} {
			file := later(t, first, func(t testing.TB, f *pdf.File, u *pdf.Update) {
				d := maps.Clone(dictOf(t, f, pdf.Ref{Number: 11}))
				d["V"] = u.Add(pdf.Dict{"Type": pdf.Name("Sig"), "SubFilter": pdf.Name("ETSI.CAdES.detached")})
				d["AP"] = pdf.Dict{"N": look(u, numbers(0, 0, 100, 50), "BT (Mayor) Tj ET")}
				maps.Copy(d, c.more)
				u.Set(pdf.Ref{Number: 11}, d)
			})
			if r := check(file); r.Signatures[0].Changes != c.want && r.Signatures[1].Changes != c.want {
				t.Errorf("P %d, %s: %s", level, name, dump(r))
			}
		}
	}
}

// However much of what is allowed stands before it, a change that is not is found.
func TestNothingHidesBehindMany(t *testing.T) {
	w := signingtest.Shared()
	file := sign(t, pdftest.Build(pdftest.Table, pdftest.Fields()), w.P256, how{certify: true, stamped: true})
	fakes := later(t, file, func(t testing.TB, f *pdf.File, u *pdf.Update) {
		form := dictOf(t, f, formRef)
		fields, _ := f.Array(form["Fields"])
		fields = slices.Clone(fields)
		for i := range 60 {
			v := u.Add(pdf.Dict{"Type": pdf.Name("DocTimeStamp"), "SubFilter": pdf.Name("ETSI.RFC3161")})
			fields = append(fields, u.Add(pdf.Dict{"FT": pdf.Name("Sig"), "T": pdf.String(fmt.Sprint("t", i)), "V": v}))
		}
		u.Set(formRef, with(form, "Fields", fields))
		u.Set(textRef, pdf.NewStream(nil, []byte(forgedText)))
	})
	if s := check(fakes).Signatures[0]; s.Changes != verify.Altered || s.Result != verify.NotValid {
		t.Errorf("among stamps: %+v", s)
	}
	stamped := file
	for range 12 {
		stamped = documentStamp(t, stamped)
	}
	if r := check(stamped); r.Result != verify.Valid {
		t.Fatal(dump(r))
	}
	mustNotPass(t, "behind stamps", content(t, stamped, forgedText), verify.Changed)
	between := documentStamp(t, content(t, stamped, forgedText))
	mustNotPass(t, "before a stamp", between, verify.Changed)
	back := later(t, content(t, stamped, forgedText), func(t testing.TB, f *pdf.File, u *pdf.Update) {
		u.Set(textRef, pdf.NewStream(nil, []byte("BT /F1 24 Tf 72 720 Td (Attestation) Tj ET")))
	})
	mustNotPass(t, "there and back", back, verify.Changed)
}

// A signature that a later revision takes away is missed.
func TestHiddenSignatures(t *testing.T) {
	w := signingtest.Shared()
	for form, shape := range pdftest.Forms {
		signed := sign(t, pdftest.Build(shape, pdftest.Fields()), w.P256, how{})
		plain := pdftest.Build(shape, pdftest.Fields())
		for name, file := range map[string][]byte{
			"no form":       later(t, signed, drop(catalogRef, "AcroForm")),
			"no fields":     later(t, signed, set(formRef, "Fields", pdf.Array{})),
			"another chain": suffix(func(b []byte, _ int) string { return string(rebased(t, plain, len(b))) })(t, signed),
		} {
			r := check(file)
			if r.Result != verify.NotValid || !slices.Contains(codes(r), "hidden_signature") || !slices.Contains(codes(r), "no_signature") {
				t.Errorf("%s, %s: %s", form, name, dump(r))
			}
			if name != "another chain" && (len(r.Revisions) != 1 || !slices.ContainsFunc(r.Revisions[0].Changes, func(c verify.Change) bool { return c.Kind == verify.SignatureTaken })) {
				t.Errorf("%s, %s: %s", form, name, dump(r))
			}
		}
		if r := check(later(t, plain, fillIn(boxField, "x"))); slices.Contains(codes(r), "hidden_signature") {
			t.Errorf("%s: %s", form, dump(r))
		}
	}
	two := sign(t, sign(t, pdftest.Build(pdftest.Table, pdftest.Fields()), w.P256, how{}), w.RSA, how{})
	r := check(later(t, two, func(t testing.TB, f *pdf.File, u *pdf.Update) {
		fields, _ := f.Array(dictOf(t, f, formRef)["Fields"])
		u.Set(formRef, with(dictOf(t, f, formRef), "Fields", slices.Clone(fields[:len(fields)-1])))
	}))
	if len(r.Signatures) != 1 || r.Result != verify.NotValid || !slices.Contains(codes(r), "signature_removed") {
		t.Errorf("one of two: %s", dump(r))
	}
}

// rebased is a file that stands behind another of this length: a chain of its own.
func rebased(t testing.TB, file []byte, by int) []byte {
	t.Helper()
	f, err := pdf.Bytes(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("\n")
	offsets := map[uint32]int{}
	for n := uint32(1); n <= 13; n++ {
		o, err := f.Get(pdf.Ref{Number: n})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := o.(*pdf.Stream); ok {
			o = pdf.Dict{}
		}
		offsets[n] = by + b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", n, written(o))
	}
	start := by + b.Len()
	fmt.Fprintf(&b, "xref\n0 1\n0000000000 65535 f\r\n")
	for n := uint32(1); n <= 13; n++ {
		fmt.Fprintf(&b, "%d 1\n%010d 00000 n\r\n", n, offsets[n])
	}
	fmt.Fprintf(&b, "trailer\n<</Size 14/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", start)
	return b.Bytes()
}

func written(o pdf.Object) string {
	switch o := o.(type) {
	case pdf.Dict:
		var b strings.Builder
		b.WriteString("<<")
		for _, k := range slices.Sorted(maps.Keys(o)) {
			fmt.Fprintf(&b, "/%s %s ", k, written(o[k]))
		}
		return b.String() + ">>"
	case pdf.Array:
		var b strings.Builder
		for _, v := range o {
			b.WriteString(written(v) + " ")
		}
		return "[" + b.String() + "]"
	case pdf.Name:
		return "/" + string(o)
	case pdf.String:
		return fmt.Sprintf("<%x>", string(o))
	case pdf.Ref:
		return o.String()
	}
	return fmt.Sprint(o)
}

// Each later revision is told object by object, in all languages.
func TestRevisionsAreTold(t *testing.T) {
	w := signingtest.Shared()
	file := sign(t, pdftest.Build(pdftest.Stream, rich()), w.P256, how{})
	for _, e := range []edit{
		stream(textRef, nil, forgedText),
		set(nameRef, "V", pdf.String("Eve")),
		annotate(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("FreeText"), "Rect": numbers(0, 0, 9, 9)}),
		stream(metadata, pdf.Dict{"Type": pdf.Name("Metadata"), "Subtype": pdf.Name("XML")}, "<x/>"),
		set(catalogRef, "OpenAction", script),
		set(catalogRef, "Names", pdf.Dict{"JavaScript": pdf.Dict{}, "EmbeddedFiles": pdf.Dict{}}),
		set(outline, "Title", pdf.String("Two")),
		set(infoRef, "Title", pdf.String("Faux")),
		set(layers, "D", pdf.Dict{}),
		set(pagesRef, "Kids", pdf.Array{pageRef, pageRef}),
		func(_ testing.TB, _ *pdf.File, u *pdf.Update) { u.Add(pdf.Integer(1)) },
	} {
		file = later(t, file, e)
	}
	file = documentStamp(t, addDSS(t, file))
	r := check(file)
	var got []string
	for i, rev := range r.Revisions {
		if i > 0 && rev.From != r.Revisions[i-1].To || rev.To <= rev.From {
			t.Errorf("revision %d: from %d to %d", i, rev.From, rev.To)
		}
		for _, c := range rev.Changes {
			got = append(got, fmt.Sprintf("%d %s %s %d %s", i, c.Kind, c.Field, c.Page, c.Annotation))
		}
	}
	want := []string{"0 page_content  1 ", "1 field_value name 0 ", "2 annotation_added  1 FreeText", "3 metadata  0 ", "4 action  0 ",
		"5 attachment  0 ", "5 action  0 ", "6 outline  0 ", "7 information  0 ", "8 layers  0 ", "9 page_added  2 ", "10 unused_object  0 ",
		"11 validation_data  0 ", "12 timestamp Stamp 0 "}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if r.Revisions[12].SignedBy != "Stamp" || r.Revisions[11].SignedBy != "" || r.Revisions[12].To != int64(len(file)) {
		t.Errorf("%+v", r.Revisions[11:])
	}
	tail := verify.Tell(i18n.English, check(content(t, file, "x"))).Revisions
	if len(tail) != 14 || tail[0].Heading != "Addition 1, covered by “Stamp”:" || tail[13].Heading != "Addition 14, which no signature covers:" {
		t.Errorf("what covers the revisions: %+v", tail)
	}
	for _, lang := range i18n.Languages {
		a := verify.Tell(lang, r)
		if len(a.Revisions) != 13 || !strings.Contains(a.Revisions[1].Changes[0], "name") || strings.Contains(fmt.Sprint(a), "verify.") || strings.Contains(fmt.Sprint(a), "<no value>") {
			t.Errorf("%s: %+v", lang, a.Revisions)
		}
		for _, k := range verify.ChangeKinds() {
			if i18n.T(lang, k.Key()) == k.Key() {
				t.Errorf("%s has no words for %s", lang, k)
			}
		}
	}
}

// One forbidden change among any number of permitted ones, before or behind them and with
// stamps upon all, never passes; without it all do.
func TestOneAmongMany(t *testing.T) {
	w := signingtest.Shared()
	rng := rand.New(rand.NewSource(7))
	fine := []edit{
		fillIn(boxField, "x"), fillIn(kidField, "y"), fillIn(greekField, "z"), fillIn(filledText, "900"), set(checkField, "V", pdf.Name("Yes")),
		set(boxField, "M", pdf.String("D:2026")), set(infoRef, "ModDate", pdf.String("D:2026")), set(markRef, "Contents", pdf.String("altera")),
		annotate(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Text"), "Rect": numbers(0, 0, 9, 9)}),
		func(_ testing.TB, _ *pdf.File, u *pdf.Update) { u.Add(pdf.Integer(1)) },
		set(formRef, "DR", pdf.Dict{"Font": pdf.Dict{"Helv": fontRef, "New": fontRef}}),
	}
	bad := []edit{
		stream(textRef, nil, forgedText), set(pageRef, "Rotate", pdf.Integer(90)), set(pagesRef, "Rotate", pdf.Integer(90)), set(fontRef, "BaseFont", pdf.Name("Symbol")),
		set(catalogRef, "OpenAction", script), set(boxField, "A", script), set(greekField, "Rect", numbers(0, 0, 9, 9)), set(infoRef, "Title", pdf.String("Faux")),
		set(formRef, "NeedAppearances", true), set(markRef, "Subtype", pdf.Name("Link")), stream(shared, pdf.Dict{"Subtype": pdf.Name("Form"), "BBox": numbers(0, 0, 9, 9)}, "1 g"),
		set(catalogRef, "Lang", pdf.String("nl-BE")), addField(pdf.Dict{"FT": pdf.Name("Tx"), "T": pdf.String("new")}), drop(pageRef, "Annots"),
	}
	for form, shape := range pdftest.Forms {
		signed := handSign(t, pdftest.Build(shape, paperForm("")), 3, honest(t, w.P256))
		for range 40 {
			list := make([]edit, 1+rng.Intn(8))
			for i := range list {
				list[i] = fine[rng.Intn(len(fine))]
			}
			build := func(list []edit) []byte {
				file := signed
				for i := 0; i < len(list); {
					n := 1 + rng.Intn(2)
					for _, e := range list[i:min(len(list), i+n)] {
						file = later(t, file, e)
					}
					i += n
				}
				return file
			}
			if r := check(build(list)); r.Result != verify.Valid {
				t.Fatalf("%s: what is permitted: %s", form, dump(r))
			}
			at, which := rng.Intn(len(list)+1), rng.Intn(len(bad))
			file := build(slices.Insert(slices.Clone(list), at, bad[which]))
			if r := check(file); r.Result == verify.Valid || r.Signatures[0].Changes != verify.Altered {
				t.Fatalf("%s: forbidden %d at %d of %d: %s", form, which, at, len(list), dump(r))
			}
		}
	}
}
