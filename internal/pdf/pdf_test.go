package pdf_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
)

func open(t testing.TB, b []byte) *pdf.File {
	t.Helper()
	f, err := pdf.Bytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEveryFormReadsTheSame(t *testing.T) {
	for name, form := range pdftest.Forms {
		t.Run(name, func(t *testing.T) {
			f := open(t, pdftest.Build(form, pdftest.Fields()))
			if !f.Closed() || f.Version() != "1.7" || len(f.Sections()) != 1 {
				t.Errorf("closed %v, version %s, %d sections", f.Closed(), f.Version(), len(f.Sections()))
			}
			ref, page, inherit, err := f.FirstPage()
			if err != nil || ref.Number != 3 {
				t.Fatalf("first page %v: %v", ref, err)
			}
			if got := fmt.Sprint(inherit["MediaBox"]); got != "[0 0 595.276 841.89]" {
				t.Errorf("media box %s", got)
			}
			content, err := f.Resolve(page["Contents"])
			if err != nil {
				t.Fatal(err)
			}
			data, err := f.Data(content.(*pdf.Stream))
			if err != nil || !bytes.Contains(data, []byte("(Attestation) Tj")) {
				t.Errorf("content %q: %v", data, err)
			}
			kid, err := f.Dict(pdf.Ref{Number: 13})
			if err != nil || kid["V"] != pdf.String(`(a\b) c`) {
				t.Errorf("a field out of the object stream: %v, %v", kid, err)
			}
		})
	}
}

func TestObjects(t *testing.T) {
	for text, want := range map[string]pdf.Object{
		"42": pdf.Integer(42), "-7": pdf.Integer(-7), "+3": pdf.Integer(3), "-.5": pdf.Real(-.5), "5.": pdf.Real(5),
		"true": true, "null": nil, "/A#20b": pdf.Name("A b"), "/": pdf.Name(""),
		"(a(b)\\)\\n\\101\\7)": pdf.String("a(b))\nA\a"), "(a\\\r\nb\r\nc)": pdf.String("ab\nc"),
		"<48 65 6C6c 6>": pdf.String("Hell`"), "[1 2 R 3 0 R]": nil,
		"<</A[1 0 R/B]/C<</D(x)>>>>": pdf.Dict{"A": pdf.Array{pdf.Ref{Number: 1}, pdf.Name("B")}, "C": pdf.Dict{"D": pdf.String("x")}},
		"%comment\n 7":               pdf.Integer(7),
	} {
		o := pdftest.Plain()
		o[5] = text
		f := open(t, pdftest.Build(pdftest.Table, o))
		got, err := f.Get(pdf.Ref{Number: 6})
		if text == "[1 2 R 3 0 R]" { // 1 2 R is a reference too
			want = pdf.Array{pdf.Ref{Number: 1, Generation: 2}, pdf.Ref{Number: 3}}
		}
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q reads as %#v, %v", text, got, err)
		}
	}
}

func TestBrokenObjectsAreErrors(t *testing.T) {
	for _, text := range []string{
		"(open", "<4z>", "<</A 1/A 2>>", "<</A>>", "<<(a) 1>>", "[1", "--5", "1e5", "0x10", "truely", "<</Length 9999>>\nstream\nx\nendstream",
		"<</Length -1>>\nstream\nx\nendstream", "<</Length 6 0 R>>\nstream\nx\nendstream", strings.Repeat("[", 10000), strings.Repeat("<</A", 10000),
	} {
		o := pdftest.Plain()
		o[5] = text
		f := open(t, pdftest.Build(pdftest.Table, o))
		if got, err := f.Get(pdf.Ref{Number: 6}); err == nil {
			t.Errorf("%.40q reads as %#v", text, got)
		}
	}
}

func TestHostileFilesAreRefused(t *testing.T) {
	good := string(pdftest.Build(pdftest.Table, pdftest.Plain()))
	loop := pdftest.Append([]byte(good), 7, map[int]string{6: "null"}, "")
	at := bytes.LastIndex(loop, []byte("/Prev "))
	start := bytes.LastIndex(loop, []byte("xref\n6 1"))
	loop = append(append(append([]byte{}, loop[:at]...), fmt.Sprintf("/Prev %d", start)...), loop[at+len("/Prev 000"):]...)
	for name, c := range map[string]struct {
		file string
		want error
	}{
		"empty":             {"", pdf.ErrNotPDF},
		"html":              {"<html>" + good, pdf.ErrNotPDF},
		"cut":               {good[:len(good)/2], pdf.ErrSyntax},
		"encrypted":         {strings.Replace(good, "/Root 1 0 R", "/Encrypt 9 0 R/Root 1 0 R", 1), pdf.ErrEncrypted},
		"no root":           {strings.Replace(good, "/Root 1 0 R", "/Toot 1 0 R", 1), pdf.ErrSyntax},
		"prev loop":         {string(loop), pdf.ErrSyntax},
		"huge table":        {strings.Replace(good, "xref\n0 7\n", "xref\n0 999999999\n", 1), pdf.ErrSyntax},
		"huge number":       {strings.Replace(good, "xref\n0 7\n", "xref\n8388605 7\n", 1), pdf.ErrLimit},
		"startxref outside": {good + "startxref\n99999999\n%%EOF\n", pdf.ErrSyntax},
	} {
		if f, err := pdf.Bytes([]byte(c.file)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, f != nil, err)
		}
	}
	if f := open(t, []byte(good+"junk")); f.Closed() {
		t.Error("bytes behind the end go unnoticed")
	}
}

func TestABombIsRefused(t *testing.T) {
	bomb := pdftest.Bomb(100 << 20)
	o := pdftest.Plain()
	o[3] = fmt.Sprintf("<</Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream", len(bomb), bomb)
	f := open(t, pdftest.Build(pdftest.Table, o))
	st, err := f.Get(pdf.Ref{Number: 4})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Data(st.(*pdf.Stream)); !errors.Is(err, pdf.ErrLimit) {
		t.Errorf("want a limit, have %v", err)
	}
}

func TestUpdateKeepsTheFileAndItsForm(t *testing.T) {
	for name, form := range pdftest.Forms {
		t.Run(name, func(t *testing.T) {
			file := pdftest.Build(form, pdftest.Fields())
			for round := range 3 { // updates upon updates
				f := open(t, file)
				u := f.Update()
				added := u.Add(pdf.Dict{"Round": pdf.Integer(round), "Text": pdf.Text("Élise ) \\ ĩ")})
				hole := &pdf.Hole{Text: "<0000>"}
				u.Set(pdf.Ref{Number: 5}, pdf.Dict{"Hole": hole, "New": added})
				u.Add(pdf.NewStream(pdf.Dict{"Type": pdf.Name("a b/c")}, []byte("stream data")))
				tail, err := u.Encode()
				if err != nil {
					t.Fatal(err)
				}
				again, _ := u.Encode()
				if !bytes.Equal(tail, again) {
					t.Error("the same update encodes differently")
				}
				whole := append(append([]byte{}, file...), tail...)
				if string(whole[hole.Offset():][:6]) != "<0000>" {
					t.Errorf("the hole is at %q", whole[hole.Offset():][:6])
				}
				g := open(t, whole)
				if !g.Closed() || len(g.Sections()) != round+2 || g.Sections()[0].Stream != (form == pdftest.Stream) {
					t.Errorf("closed %v, %d sections, stream %v", g.Closed(), len(g.Sections()), g.Sections()[0].Stream)
				}
				d, err := g.Dict(added)
				if err != nil || d["Round"] != pdf.Integer(round) || d["Text"].(pdf.String).Text() != "Élise ) \\ ĩ" {
					t.Errorf("added %v, %v", d, err)
				}
				was, is := f.Trailer(), g.Trailer()
				if is["Info"] != was["Info"] || is["ID"].(pdf.Array)[0] != was["ID"].(pdf.Array)[0] || is["ID"].(pdf.Array)[1] == was["ID"].(pdf.Array)[1] {
					t.Errorf("trailer was %v, is %v", was, is)
				}
				file = whole
			}
			check(t, file)
		})
	}
}

// check asks qpdf for its opinion.
func check(t *testing.T, file []byte) {
	t.Helper()
	if _, err := exec.LookPath("qpdf"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("qpdf is not installed")
		}
		t.Skip("qpdf is not installed")
	}
	path := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qpdf", "--check", path).CombinedOutput(); err != nil {
		t.Errorf("qpdf: %v\n%s", err, out)
	}
}

func TestDates(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	if got, ok := pdf.ParseDate(pdf.Date(at)); !ok || !got.Equal(at) {
		t.Errorf("%v reads back as %v", at, got)
	}
	if got, ok := pdf.ParseDate("D:20260203050506+01'00"); !ok || !got.Equal(at) {
		t.Errorf("an offset reads as %v, %v", got, ok)
	}
	if got, ok := pdf.ParseDate("D:20260203040506Z"); !ok || !got.Equal(at) {
		t.Errorf("Z reads as %v, %v", got, ok)
	}
	if _, ok := pdf.ParseDate("yesterday"); ok {
		t.Error("a word is a date")
	}
}

func TestWrittenObjectsReadBack(t *testing.T) {
	base := pdftest.Build(pdftest.Stream, pdftest.Plain())
	rapid.Check(t, func(t *rapid.T) {
		want := object(3).Draw(t, "object")
		f, err := pdf.Bytes(base)
		if err != nil {
			t.Fatal(err)
		}
		u := f.Update()
		r := u.Add(want)
		tail, err := u.Encode()
		if err != nil {
			t.Fatal(err)
		}
		g, err := pdf.Bytes(append(append([]byte{}, base...), tail...))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := g.Get(r); err != nil || !cmp.Equal(got, want) {
			t.Fatalf("wrote %#v, read %#v, %v", want, got, err)
		}
	})
}

func object(depth int) *rapid.Generator[pdf.Object] {
	text := rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })
	leaves := []*rapid.Generator[pdf.Object]{
		rapid.Map(rapid.Bool(), func(b bool) pdf.Object { return b }),
		rapid.Map(rapid.Int64(), func(n int64) pdf.Object { return pdf.Integer(n) }),
		rapid.Map(rapid.Int32(), func(n int32) pdf.Object { return pdf.Real(float64(n) / 4) }),
		rapid.Map(text, func(s string) pdf.Object { return pdf.Name(s) }),
		rapid.Map(text, func(s string) pdf.Object { return pdf.String(s) }),
		rapid.Map(rapid.Uint32Range(0, 8388607), func(n uint32) pdf.Object { return pdf.Ref{Number: n, Generation: 7} }),
		rapid.Just(pdf.Object(nil)),
	}
	if depth > 0 {
		inner := object(depth - 1)
		leaves = append(leaves,
			rapid.Map(rapid.SliceOfN(inner, 0, 4), func(a []pdf.Object) pdf.Object { return append(pdf.Array{}, a...) }),
			rapid.Map(rapid.MapOfN(text, inner, 0, 4), func(m map[string]pdf.Object) pdf.Object {
				d := pdf.Dict{}
				for k, v := range m {
					d[pdf.Name(k)] = v
				}
				return d
			}))
	}
	return rapid.OneOf(leaves...)
}

// walk reads everything that can be reached and decodes every stream.
func walk(f *pdf.File) {
	seen := map[pdf.Ref]bool{}
	todo := []pdf.Object{f.Trailer()}
	for len(todo) > 0 && len(seen) < 1000 {
		o := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch o := o.(type) {
		case pdf.Ref:
			if !seen[o] {
				seen[o] = true
				v, _ := f.Get(o)
				todo = append(todo, v)
			}
		case pdf.Array:
			todo = append(todo, o...)
		case pdf.Dict:
			for _, v := range o {
				todo = append(todo, v)
			}
		case *pdf.Stream:
			_, _ = f.Data(o)
			todo = append(todo, o.Dict)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, form := range pdftest.Forms {
		f.Add(pdftest.Build(form, pdftest.Fields()))
	}
	f.Add(pdftest.Append(pdftest.Build(pdftest.Table, pdftest.Plain()), 8, map[int]string{4: "null", 7: "<</A 7 0 R>>"}, "/Info 7 0 R"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := pdf.Bytes(b)
		if err != nil {
			return
		}
		walk(file)
		_, _, _, _ = file.FirstPage()
		u := file.Update()
		u.Add(pdf.Dict{"A": pdf.Integer(1)})
		_, _ = u.Encode()
	})
}
