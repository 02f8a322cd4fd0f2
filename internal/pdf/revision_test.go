package pdf_test

import (
	"reflect"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
)

// states are a file and its earlier revisions, opened both ways.
func states(t *testing.T, file []byte, first int, share bool) []*pdf.File {
	t.Helper()
	f, err := pdf.Bytes(file)
	if err != nil {
		t.Fatal(err)
	}
	if share {
		f.Share()
	}
	out := []*pdf.File{f}
	for _, s := range f.Sections()[1:] {
		before, err := f.AsOf(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, before)
	}
	prefix, err := f.Prefix(int64(first))
	if err != nil {
		t.Fatal(err)
	}
	return append(out, prefix)
}

// Each revision reads what it held, also where they share what was read.
func TestRevisions(t *testing.T) {
	for form, shape := range pdftest.Forms {
		original := pdftest.Build(shape, pdftest.Fields())
		file := original
		for _, title := range []string{"One", "Two"} {
			file = pdftest.Append(file, 20, map[int]string{6: "<</Title(" + title + ")>>"}, "/Info 6 0 R")
		}
		for _, share := range []bool{false, true} {
			list := states(t, file, len(original), share)
			for i, want := range []string{"Two", "One", "Attestation", "Attestation"} {
				d, err := list[i].Dict(pdf.Ref{Number: 6})
				if err != nil || d["Title"] != pdf.Object(pdf.String(want)) {
					t.Errorf("%s, shared %v, %d: %v (%v)", form, share, i, d, err)
				}
			}
			now, before, first := list[0], list[1], list[2]
			if got := now.Replaced(before); !reflect.DeepEqual(got, []pdf.Ref{{Number: 6}}) {
				t.Errorf("%s: replaced %v", form, got)
			}
			if before.Kept(now, pdf.Ref{Number: 6}) || !before.Kept(now, pdf.Ref{Number: 3}) || !first.Kept(now, pdf.Ref{Number: 9}) {
				t.Errorf("%s: what is kept", form)
			}
			if end := now.Ends(now.Sections()[2]); end != int64(len(original)) {
				t.Errorf("%s: the first revision ends at %d, not %d", form, end, len(original))
			}
			if end := now.Ends(now.Sections()[0]); end != int64(len(file)) {
				t.Errorf("%s: the last ends at %d, not %d", form, end, len(file))
			}
		}
	}
}
