package verify_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/tsa"
	"github.com/belfry-eid/belfry/signing/verify"
)

func trust() verify.Options {
	return verify.Options{Roots: signingtest.Shared().RootCertificates, Now: signingtest.Now.Add(time.Hour)}
}

func check(b []byte) *verify.Report {
	return verify.File(bytes.NewReader(b), int64(len(b)), trust())
}

type how struct {
	certify, stamped bool
	unit             signingtest.Identity // of the stamp, where it is not the honest one
	field            string
	at               time.Time
}

func sign(t testing.TB, content []byte, id signingtest.Identity, h how) []byte {
	t.Helper()
	if h.at.IsZero() {
		h.at = signingtest.Now
	}
	o := pades.Options{Chain: id.Chain, At: h.at, Certify: h.certify, Field: h.field, Reason: "Établi à la demande"}
	p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), o)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := p.Sign(id.Key)
	if err != nil {
		t.Fatal(err)
	}
	var token []byte
	if h.stamped {
		digest := sha256.Sum256(signature)
		token = stamp(t, h.unit, digest)
	}
	var b bytes.Buffer
	if err := p.Embed(&b, bytes.NewReader(content), signature, token); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func stamp(t testing.TB, unit signingtest.Identity, digest [32]byte) []byte {
	t.Helper()
	w := signingtest.Shared()
	if unit.Cert == nil {
		unit = w.TSA
	}
	c, err := tsa.New(tsa.Config{
		Authorities: []tsa.Authority{{URL: signingtest.NewAuthority(t, unit).Server.URL, Roots: append([]*x509.Certificate{w.StrangerRoot.Cert}, w.RootCertificates...)}},
		Clock:       clock.At(signingtest.Now), Transport: &http.Transport{DisableKeepAlives: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Stamp(t.Context(), signing.Imprint{Hash: crypto.SHA256, Sum: digest[:]})
	if err != nil {
		t.Fatal(err)
	}
	return s.Token
}

func codes(r *verify.Report) []string {
	set := map[string]bool{}
	for _, f := range r.Findings {
		set[string(f.Code)] = true
	}
	for _, s := range r.Signatures {
		for _, f := range s.Findings {
			set[string(f.Code)] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func dump(r *verify.Report) string {
	b, _ := json.MarshalIndent(r, "", " ")
	return string(b)
}

func TestOurOwnFilesAreValid(t *testing.T) {
	w := signingtest.Shared()
	for form, f := range pdftest.Forms {
		for key, id := range map[string]signingtest.Identity{"RSA": w.RSA, "P-256": w.P256, "P-384": w.P384} {
			for _, h := range []how{{}, {certify: true}, {stamped: true}, {certify: true, stamped: true}} {
				r := check(sign(t, pdftest.Build(f, pdftest.Fields()), id, h))
				if r.Result != verify.Valid || len(r.Signatures) != 1 {
					t.Fatalf("%s %s %+v: %s", form, key, h, dump(r))
				}
				s := r.Signatures[0]
				level := map[bool]string{false: "B-B", true: "B-T"}[h.stamped]
				if s.Level != level || !s.WholeFile || s.Changes != verify.Unchanged || s.Signer.Name != id.Cert.Subject.CommonName || !s.ClaimedAt.Equal(signingtest.Now) ||
					(s.StampedAt != nil) != h.stamped || (s.Certification == 1) != h.certify || s.Reason != "Établi à la demande" {
					t.Errorf("%s %s %+v: %s", form, key, h, dump(r))
				}
			}
		}
	}
}

func TestUnsigned(t *testing.T) {
	good := pdftest.Build(pdftest.Table, pdftest.Fields())
	for name, c := range map[string]struct {
		file []byte
		code string
		want verify.Result
	}{
		"plain":     {good, "no_signature", verify.NotValid},
		"html":      {[]byte("<html>"), "not_pdf", verify.Unknown},
		"empty":     {nil, "not_pdf", verify.Unknown},
		"cut":       {good[:len(good)-200], "broken", verify.Unknown},
		"encrypted": {bytes.Replace(good, []byte("/Root"), []byte("/Encrypt 9 0 R/Root"), 1), "encrypted", verify.Unknown},
	} {
		if r := check(c.file); r.Result != c.want || !slices.Contains(codes(r), c.code) {
			t.Errorf("%s: %s", name, dump(r))
		}
	}
}

// update appends what change makes of the file.
func update(t testing.TB, file []byte, change func(*pdf.File, *pdf.Update)) []byte {
	t.Helper()
	f, err := pdf.Bytes(file)
	if err != nil {
		t.Fatal(err)
	}
	u := f.Update()
	change(f, u)
	tail, err := u.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(file), tail...)
}

func with(d pdf.Dict, key pdf.Name, v pdf.Object) pdf.Dict {
	d = maps.Clone(d)
	if d == nil {
		d = pdf.Dict{}
	}
	d[key] = v
	return d
}

func dictOf(t testing.TB, f *pdf.File, o pdf.Object) pdf.Dict {
	t.Helper()
	d, err := f.Dict(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// documentStamp appends a document time stamp as other programs make them.
func documentStamp(t testing.TB, file []byte) []byte {
	t.Helper()
	ranges := &pdf.Hole{Text: "[" + strings.Repeat(" ", 40) + "]"}
	contents := &pdf.Hole{Text: "<" + strings.Repeat("0", 16000) + ">"}
	out := update(t, file, func(f *pdf.File, u *pdf.Update) {
		page, dict, _, err := f.FirstPage()
		if err != nil {
			t.Fatal(err)
		}
		signature := u.Add(pdf.Dict{"Type": pdf.Name("DocTimeStamp"), "Filter": pdf.Name("Adobe.PPKLite"), "SubFilter": pdf.Name("ETSI.RFC3161"), "ByteRange": ranges, "Contents": contents})
		field := u.Add(pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "FT": pdf.Name("Sig"), "T": pdf.String("Stamp"), "V": signature, "P": page,
			"F": pdf.Integer(132), "Rect": pdf.Array{pdf.Integer(0), pdf.Integer(0), pdf.Integer(0), pdf.Integer(0)}})
		annots, _ := f.Array(dict["Annots"])
		u.Set(page, with(dict, "Annots", append(slices.Clone(annots), field)))
		catalog := dictOf(t, f, f.Root())
		form := dictOf(t, f, catalog["AcroForm"])
		fields, _ := f.Array(form["Fields"])
		u.Set(catalog["AcroForm"].(pdf.Ref), with(form, "Fields", append(slices.Clone(fields), field)))
	})
	from := contents.Offset()
	to := from + int64(len(contents.Text))
	copy(out[ranges.Offset():], fmt.Sprintf("[0 %d %d %d", from, to, int64(len(out))-to))
	h := sha256.New()
	h.Write(out[:from])
	h.Write(out[to:])
	token := stamp(t, signingtest.Identity{}, [32]byte(h.Sum(nil)))
	copy(out[from+1:], hex.EncodeToString(token))
	return out
}

func addDSS(t testing.TB, file []byte) []byte {
	return update(t, file, func(f *pdf.File, u *pdf.Update) {
		cert := u.Add(pdf.NewStream(nil, signingtest.Shared().CA.Cert.Raw))
		u.Set(f.Root(), with(dictOf(t, f, f.Root()), "DSS", u.Add(pdf.Dict{"Type": pdf.Name("DSS"), "Certs": pdf.Array{cert}})))
	})
}

func TestLaterRevisionsThatExtend(t *testing.T) {
	w := signingtest.Shared()
	for form, f := range pdftest.Forms {
		t.Run(form, func(t *testing.T) {
			certified := sign(t, pdftest.Build(f, pdftest.Fields()), w.RSA, how{certify: true, stamped: true})
			approved := sign(t, pdftest.Build(f, pdftest.Fields()), w.RSA, how{stamped: true})
			for name, c := range map[string]struct {
				file []byte
				code string
			}{
				"validation data":    {addDSS(t, certified), "validation_data_added"},
				"document stamp":     {documentStamp(t, certified), "stamp_added"},
				"both, twice":        {documentStamp(t, addDSS(t, addDSS(t, certified))), "stamp_added"},
				"a second signature": {sign(t, approved, w.P384, how{}), "signature_added"},
				"an empty field":     {sign(t, approved, w.P384, how{field: "empty"}), "signature_added"},
				"an empty update":    {update(t, certified, func(_ *pdf.File, u *pdf.Update) { u.Add(pdf.Integer(1)) }), "certified"},
				"and then a stamp":   {documentStamp(t, sign(t, approved, w.P256, how{stamped: true})), "stamp_added"},
			} {
				r := check(c.file)
				if r.Result != verify.Valid || !slices.Contains(codes(r), c.code) || r.Signatures[0].Changes != verify.Extended {
					t.Errorf("%s: %s", name, dump(r))
				}
			}
		})
	}
}

// content replaces the page's contents by an update.
func content(t testing.TB, file []byte, text string) []byte {
	return update(t, file, func(f *pdf.File, u *pdf.Update) { u.Set(pdf.Ref{Number: 4}, pdf.NewStream(nil, []byte(text))) })
}

func TestAttacks(t *testing.T) {
	w := signingtest.Shared()
	base := pdftest.Build(pdftest.Table, pdftest.Fields())
	sealed := sign(t, base, w.P256, how{certify: true, stamped: true})
	signed := sign(t, base, w.P256, how{})
	page := func(t testing.TB, file []byte, change func(*pdf.Update, pdf.Dict) pdf.Dict) []byte {
		return update(t, file, func(f *pdf.File, u *pdf.Update) {
			ref, d, _, err := f.FirstPage()
			if err != nil {
				t.Fatal(err)
			}
			u.Set(ref, change(u, d))
		})
	}
	widget := func(rect pdf.Array, more pdf.Dict) pdf.Dict {
		d := pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "FT": pdf.Name("Sig"), "T": pdf.String("x"), "Rect": rect, "F": pdf.Integer(4),
			"V": pdf.Dict{"Type": pdf.Name("Sig"), "SubFilter": pdf.Name("ETSI.CAdES.detached")}}
		maps.Copy(d, more)
		return d
	}
	addField := func(t testing.TB, file []byte, d pdf.Dict) []byte {
		return update(t, file, func(f *pdf.File, u *pdf.Update) {
			form := dictOf(t, f, pdf.Ref{Number: 7})
			fields, _ := f.Array(form["Fields"])
			u.Set(pdf.Ref{Number: 7}, with(form, "Fields", append(slices.Clone(fields), u.Add(d))))
		})
	}
	big := pdf.Array{pdf.Integer(0), pdf.Integer(0), pdf.Integer(500), pdf.Integer(500)}
	none := pdf.Array{pdf.Integer(0), pdf.Integer(0), pdf.Integer(0), pdf.Integer(0)}
	for name, c := range map[string]struct {
		file []byte
		code string
	}{
		"a byte of the page":          {replace(t, sealed, "(Attestation) Tj", "(Attestatiom) Tj"), "content"},
		"a byte behind the signature": {replaceLast(t, sealed, "startxref", "startxreF"), "broken"},
		"the digits' case":            {upperHex(t, sealed), ""},
		"incremental update":          {content(t, sealed, "BT (Faux) Tj ET"), "altered"},
		"shadow: replaced font": {update(t, sealed, func(_ *pdf.File, u *pdf.Update) {
			u.Set(pdf.Ref{Number: 5}, pdf.Dict{"Type": pdf.Name("Font"), "Subtype": pdf.Name("Type3")})
		}), "altered"},
		"shadow: overlay annotation": {page(t, sealed, func(u *pdf.Update, d pdf.Dict) pdf.Dict {
			return with(d, "Annots", pdf.Array{pdf.Ref{Number: 9}, pdf.Ref{Number: 11}, pdf.Ref{Number: 13}, lastAnnot(t, sealed), u.Add(pdf.Dict{"Subtype": pdf.Name("FreeText"), "Rect": big})})
		}), "overlay"},
		"other page size": {page(t, sealed, func(_ *pdf.Update, d pdf.Dict) pdf.Dict { return with(d, "CropBox", big) }), "altered"},
		"an action on opening": {update(t, sealed, func(f *pdf.File, u *pdf.Update) {
			u.Set(f.Root(), with(dictOf(t, f, f.Root()), "OpenAction", pdf.Dict{"S": pdf.Name("JavaScript")}))
		}), "altered"},
		"a page more": {update(t, sealed, func(f *pdf.File, u *pdf.Update) {
			u.Set(pdf.Ref{Number: 2}, with(dictOf(t, f, pdf.Ref{Number: 2}), "Kids", pdf.Array{pdf.Ref{Number: 3}, pdf.Ref{Number: 3}}))
		}), "altered"},
		"another title": {update(t, sealed, func(_ *pdf.File, u *pdf.Update) { u.Set(pdf.Ref{Number: 6}, pdf.Dict{"Title": pdf.String("x")}) }), "altered"},
		"a filled field": {update(t, sealed, func(f *pdf.File, u *pdf.Update) {
			u.Set(pdf.Ref{Number: 9}, with(dictOf(t, f, pdf.Ref{Number: 9}), "V", pdf.String("Eve")))
		}), "field_set"},
		"a filled kid": {update(t, sealed, func(f *pdf.File, u *pdf.Update) {
			u.Set(pdf.Ref{Number: 13}, with(dictOf(t, f, pdf.Ref{Number: 13}), "V", pdf.String("Eve")))
		}), "field_set"},
		"a visible signature":          {addField(t, signed, widget(big, nil)), "visible"},
		"one upon certification":       {addField(t, sealed, widget(big, nil)), "forbidden"},
		"a signature with an action":   {addField(t, signed, widget(none, pdf.Dict{"AA": pdf.Dict{}})), "field_set"},
		"an added text field":          {addField(t, signed, widget(none, pdf.Dict{"FT": pdf.Name("Tx")})), "field_set"},
		"a removed field":              {update(t, signed, func(f *pdf.File, u *pdf.Update) { u.Set(pdf.Ref{Number: 8}, pdf.Array{lastField(t, signed)}) }), "field_set"},
		"signature upon certification": {addField(t, sealed, widget(none, nil)), "forbidden"},
		"junk behind the end":          {append(bytes.Clone(sealed), "\n<script>"...), "appended"},
		"junk and %%EOF":               {append(bytes.Clone(sealed), "\n%%EOF\n"...), "appended"},
		"objects without a table":      {append(bytes.Clone(sealed), "\n4 0 obj\n<<>>\nendobj\n"...), "appended"},
		"a stranger's seal":            {sign(t, base, w.Stranger, how{}), "untrusted"},
		"a key for other ends":         {wrongUse(t, base), "not_for_signing"},
		"an old signature, new field":  {adopt(t, signed), "wrapped"},
		"wrapped":                      {wrap(t, sealed, true), "byte_range"},
		"wrapped, own dictionary":      {wrap(t, sealed, false), "byte_range"},
		"range not from 0":             {rewriteRange(t, sealed, func(b []int64) { b[0] = 1; b[1]-- }), "byte_range"},
		"range with a larger gap":      {rewriteRange(t, sealed, func(b []int64) { b[2] += 20; b[3] -= 20 }), "byte_range"},
		"range with a smaller gap":     {rewriteRange(t, sealed, func(b []int64) { b[1]++ }), "byte_range"},
		"range outside":                {rewriteRange(t, sealed, func(b []int64) { b[3] += 1000 }), "byte_range"},
		"range too short":              {rewriteRange(t, sealed, func(b []int64) { b[3] -= 10 }), "uncovered"},
		"range of nothing":             {rewriteRange(t, sealed, func(b []int64) { clear(b) }), "byte_range"},
		"no range (USF)":               {replaceLast(t, sealed, "/ByteRange", "/BiteRange"), "byte_range"},
		"no contents (USF)":            {rename(t, sealed), "byte_range"},
		"null contents (USF)":          {blank(t, sealed), "signature_malformed"},
		"unknown SubFilter":            {replaceLast(t, sealed, "/ETSI.CAdES.detached", "/ETSI.CAdES.detachex"), "unsupported"},
		"stamp of something else":      {otherStamp(t, base), "stamp_wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			r := check(c.file)
			if c.code == "" {
				if r.Result != verify.Valid {
					t.Errorf("an honest file: %s", dump(r))
				}
				return
			}
			if r.Result == verify.Valid || !slices.Contains(codes(r), c.code) {
				t.Errorf("want %s: %s", c.code, dump(r))
			}
		})
	}
}

func replace(t testing.TB, b []byte, old, new string) []byte {
	t.Helper()
	if len(old) != len(new) || bytes.Count(b, []byte(old)) < 1 {
		t.Fatalf("%q is not there", old)
	}
	return bytes.Replace(b, []byte(old), []byte(new), 1)
}

func replaceLast(t testing.TB, b []byte, old, new string) []byte {
	t.Helper()
	at := bytes.LastIndex(b, []byte(old))
	if at < 0 {
		t.Fatalf("%q is not there", old)
	}
	b = bytes.Clone(b)
	copy(b[at:], new)
	return b
}

// gap is where the last signature's contents are, brackets included.
func gap(t testing.TB, b []byte) (from, to int) {
	t.Helper()
	at := bytes.LastIndex(b, []byte("/ByteRange "))
	from = at + bytes.Index(b[at:], []byte("/Contents <")) + len("/Contents ")
	return from, from + bytes.IndexByte(b[from:], '>') + 1
}

func upperHex(t testing.TB, b []byte) []byte {
	from, to := gap(t, b)
	b = bytes.Clone(b)
	copy(b[from:], bytes.ToUpper(b[from:to]))
	return b
}

func rename(t testing.TB, b []byte) []byte {
	from, _ := gap(t, b)
	b = bytes.Clone(b)
	copy(b[from-len("/Contents "):], "/Contends ")
	return b
}

func blank(t testing.TB, b []byte) []byte {
	from, to := gap(t, b)
	b = bytes.Clone(b)
	copy(b[from+1:to-1], bytes.Repeat([]byte{'0'}, to-from-2))
	return b
}

func rewriteRange(t testing.TB, b []byte, change func([]int64)) []byte {
	t.Helper()
	at := bytes.LastIndex(b, []byte("/ByteRange ["))
	end := at + bytes.IndexByte(b[at:], ']')
	n := make([]int64, 4)
	if _, err := fmt.Sscanf(string(b[at:]), "/ByteRange [%d %d %d %d", &n[0], &n[1], &n[2], &n[3]); err != nil {
		t.Fatal(err)
	}
	change(n)
	text := fmt.Sprintf("/ByteRange [%d %d %d %d", n[0], n[1], n[2], n[3])
	b = bytes.Clone(b)
	copy(b[at:], text+strings.Repeat(" ", end-at-len(text)))
	return b
}

func lastAnnot(t testing.TB, b []byte) pdf.Object {
	f, err := pdf.Bytes(b)
	if err != nil {
		t.Fatal(err)
	}
	_, page, _, _ := f.FirstPage()
	annots, _ := f.Array(page["Annots"])
	return annots[len(annots)-1]
}

func lastField(t testing.TB, b []byte) pdf.Object {
	f, err := pdf.Bytes(b)
	if err != nil {
		t.Fatal(err)
	}
	form, _ := f.Form()
	fields, _ := f.Array(form["Fields"])
	return fields[len(fields)-1]
}

// wrap hides the original in a stream of a forged document whose signature
// dictionary points at it, with the gap inside the stream or at its own contents.
func wrap(t testing.TB, sealed []byte, inside bool) []byte {
	t.Helper()
	from, to := gap(t, sealed)
	o := pdftest.Plain()
	head := "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
	o[0] = "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[7 0 R]/SigFlags 3>>>>"
	o[3] = "<</Length 20>>\nstream\nBT (Faux) Tj ET     \nendstream"
	o = append(o, "<</FT/Sig/T(Seal1)/V 8 0 R/Rect[0 0 0 0]/Type/Annot/Subtype/Widget>>")
	// the hidden original is the first object, so that the signed bytes begin where the file does but for its frame
	shift := len(head) + len("1 0 obj\n")
	br := fmt.Sprintf("[%d %d %d %d]", shift, from, shift+to, len(sealed)-to)
	if !inside {
		br = fmt.Sprintf("[0 %d %d %d]", from, to, len(sealed)-to)
	}
	o = append(o, "<</Type/Sig/SubFilter/ETSI.CAdES.detached/Filter/Adobe.PPKLite/ByteRange"+br+"/Contents "+string(sealed[from:to])+">>")
	o = append(o, fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(sealed), sealed))
	return pdftest.Build(pdftest.Table, o)
}

// adopt leaves the old signature where it is and names it from a new field, beside
// another page content.
func adopt(t testing.TB, signed []byte) []byte {
	return update(t, signed, func(f *pdf.File, u *pdf.Update) {
		old := dictOf(t, f, lastField(t, signed))
		u.Set(pdf.Ref{Number: 8}, pdf.Array{u.Add(maps.Clone(old))})
		u.Set(pdf.Ref{Number: 4}, pdf.NewStream(nil, []byte("BT (Faux) Tj ET")))
	})
}

func wrongUse(t testing.TB, base []byte) []byte {
	w := signingtest.Shared()
	twin := signingtest.Issue("Other use", &w.CA, w.P256.Key, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	wrong := signingtest.Issue("Other use", &w.CA, w.P256.Key, func(c *x509.Certificate) {
		c.KeyUsage, c.SerialNumber = x509.KeyUsageKeyEncipherment, twin.Cert.SerialNumber
	})
	if _, err := pades.Prepare(bytes.NewReader(base), int64(len(base)), pades.Options{Chain: wrong.Chain, At: signingtest.Now}); err == nil {
		t.Fatal("such a certificate is taken")
	}
	// made by a program that does not look
	wrong.Cert.KeyUsage = x509.KeyUsageDigitalSignature
	p, err := pades.Prepare(bytes.NewReader(base), int64(len(base)), pades.Options{Chain: wrong.Chain, At: signingtest.Now})
	if err != nil {
		t.Fatal(err)
	}
	signature, err := p.Sign(wrong.Key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Embed(&b, bytes.NewReader(base), signature, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func otherStamp(t testing.TB, base []byte) []byte {
	w := signingtest.Shared()
	p, err := pades.Prepare(bytes.NewReader(base), int64(len(base)), pades.Options{Chain: w.RSA.Chain, At: signingtest.Now})
	if err != nil {
		t.Fatal(err)
	}
	signature, err := p.Sign(w.RSA.Key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Embed(&b, bytes.NewReader(base), signature, stamp(t, w.TSA, sha256.Sum256([]byte("another")))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTime(t *testing.T) {
	w := signingtest.Shared()
	base := pdftest.Build(pdftest.Table, pdftest.Plain())
	later := trust()
	later.Now = signingtest.Now.AddDate(60, 0, 0) // the certificates have ended
	plain, stamped := sign(t, base, w.RSA, how{}), sign(t, base, w.RSA, how{stamped: true})
	for name, file := range map[string][]byte{"without a stamp": plain, "with one that has ended too": stamped} {
		if r := verify.File(bytes.NewReader(file), int64(len(file)), later); r.Result != verify.Unknown || !slices.Contains(codes(r), "expired") {
			t.Errorf("%s: %s", name, dump(r))
		}
	}
	foreign := sign(t, base, w.RSA, how{stamped: true, unit: w.TSAStranger})
	r := check(foreign)
	if r.Result != verify.Valid || r.Signatures[0].Level != "B-B" || r.Signatures[0].StampedAt != nil || !slices.Contains(codes(r), "stamp_untrusted") {
		t.Errorf("a stamp of an unknown authority counts: %s", dump(r))
	}
	if r := verify.File(bytes.NewReader(foreign), int64(len(foreign)), later); r.Result != verify.Unknown {
		t.Errorf("a stamp of an unknown authority saves an old signature: %s", dump(r))
	}
	own := trust()
	own.StampRoots = []*x509.Certificate{w.StrangerRoot.Cert}
	if r := verify.File(bytes.NewReader(foreign), int64(len(foreign)), own); r.Signatures[0].Level != "B-T" {
		t.Errorf("roots for stamps of their own: %s", dump(r))
	}
}

func TestNoByteMayChange(t *testing.T) {
	file := sign(t, pdftest.Build(pdftest.Table, pdftest.Plain()), signingtest.Shared().P256, how{certify: true})
	from, to := gap(t, file)
	rng := rand.New(rand.NewSource(2))
	for range 1000 {
		i := rng.Intn(len(file))
		bad := bytes.Clone(file)
		bad[i] ^= byte(1 << rng.Intn(8))
		if r := check(bad); r.Result == verify.Valid && (i < from || i >= to) {
			t.Errorf("byte %d may be changed", i)
		}
	}
}

func TestTextInFourLanguages(t *testing.T) {
	w := signingtest.Shared()
	good := check(documentStamp(t, sign(t, pdftest.Build(pdftest.Table, pdftest.Fields()), w.RSA, how{certify: true, stamped: true})))
	bad := check(content(t, sign(t, pdftest.Build(pdftest.Table, pdftest.Plain()), w.RSA, how{}), "x"))
	for lang, want := range map[i18n.Language]string{i18n.French: "attesté par Belfry Test TSU", i18n.Dutch: "bevestigd door Belfry Test TSU", i18n.German: "bestätigt durch Belfry Test TSU", i18n.English: "attested by Belfry Test TSU"} {
		var b bytes.Buffer
		if err := verify.WriteText(&b, lang, good); err != nil || !strings.Contains(b.String(), want) || strings.Contains(b.String(), "verify.") || strings.Contains(b.String(), "<no value>") {
			t.Errorf("%s: %v\n%s", lang, err, b.String())
		}
		b.Reset()
		if err := verify.WriteText(&b, lang, bad); err != nil || !strings.Contains(b.String(), i18n.T(lang, "verify.code.altered")) {
			t.Errorf("%s: %v\n%s", lang, err, b.String())
		}
		for _, c := range verify.Codes() {
			if i18n.T(lang, c.Key()) == c.Key() {
				t.Errorf("%s has no words for %s", lang, c)
			}
		}
	}
	if good.Result.ExitCode() != 0 || bad.Result.ExitCode() != 1 || verify.Unknown.ExitCode() != 2 {
		t.Error("the exit codes are wrong")
	}
}

func TestForeignTextIsCleaned(t *testing.T) {
	w := signingtest.Shared()
	content := pdftest.Build(pdftest.Table, pdftest.Plain())
	p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), pades.Options{Chain: w.RSA.Chain, At: signingtest.Now, Reason: "a\x1b[31m\u202eb\n" + strings.Repeat("x", 500)})
	if err != nil {
		t.Fatal(err)
	}
	signature, err := p.Sign(w.RSA.Key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Embed(&b, bytes.NewReader(content), signature, nil); err != nil {
		t.Fatal(err)
	}
	reason := check(b.Bytes()).Signatures[0].Reason
	if strings.ContainsAny(reason, "\x1b\n\u202e") || len(reason) > 210 {
		t.Errorf("%q", reason)
	}
}

func FuzzFile(f *testing.F) {
	w := signingtest.Shared()
	for _, form := range pdftest.Forms {
		file := sign(f, pdftest.Build(form, pdftest.Fields()), w.P256, how{stamped: true})
		f.Add(file)
		f.Add(addDSS(f, file))
	}
	f.Add(documentStamp(f, sign(f, pdftest.Build(pdftest.Table, pdftest.Fields()), w.P256, how{certify: true})))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := check(b)
		if err := verify.WriteText(io.Discard, i18n.English, r); err != nil {
			t.Error(err)
		}
	})
}

func TestMain(m *testing.M) {
	misbehave()
	verify.RunIfChild()
	os.Exit(m.Run())
}
