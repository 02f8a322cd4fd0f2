package verify_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// shifted counts a file's offsets from n bytes before its header: of tables and of startxref.
func shifted(b []byte, n int) []byte {
	move := func(re string, width int) {
		b = regexp.MustCompile(re).ReplaceAllFunc(b, func(m []byte) []byte {
			digits := regexp.MustCompile(`\d+`).Find(m)
			v, _ := strconv.Atoi(string(digits))
			return bytes.Replace(m, digits, fmt.Appendf(nil, "%0*d", width, v+n), 1)
		})
	}
	move(`\d{10} \d{5} n`, 10)
	move(`startxref\n\d+`, 1)
	return b
}

// What stands before the header is no part of the PDF: blank bytes are told of, with
// others nobody can say what a program makes of the file.
func TestBytesBeforeTheHeader(t *testing.T) {
	w := signingtest.Shared()
	plain := pdftest.Build(pdftest.Table, pdftest.Fields())
	moved := shifted(plain, 40)
	for form, shape := range pdftest.Forms {
		signed := sign(t, pdftest.Build(shape, pdftest.Fields()), w.P256, how{certify: true, stamped: true})
		extended := documentStamp(t, addDSS(t, signed))
		for name, c := range map[string]struct {
			lead string
			code verify.Code
			want verify.Result
		}{
			"nothing":             {"", "", verify.Valid},
			"line ends":           {"\r\n\n", verify.BytesBefore, verify.Valid},
			"a byte order mark":   {"\xef\xbb\xbf\n", verify.BytesBefore, verify.Valid},
			"a page of the web":   {"<html><script>alert(1)</script><!--\n", verify.Polyglot, verify.Unknown},
			"a printer's command": {"\x1b%-12345X@PJL\r\n", verify.Polyglot, verify.Unknown},
			"an archive":          {"PK\x03\x04" + strings.Repeat("\x00", 900), verify.Polyglot, verify.Unknown},
			"a kilobyte":          {strings.Repeat(" ", 1024), verify.BytesBefore, verify.Valid},
			"a byte more":         {strings.Repeat(" ", 1025), verify.NotPDF, verify.Unknown},
			"an object":           {"4 0 obj\n<<>>\nendobj\n", verify.Broken, verify.Unknown},
			"a trailer":           {"trailer<</Root 1 0 R>>\n", verify.Broken, verify.Unknown},
			"an end":              {"%%EOF\n", verify.Broken, verify.Unknown},
			"half a header":       {"%PDF-\n", verify.NotPDF, verify.Unknown},
			"another file":        {"%PDF-1.7\n", verify.Broken, verify.Unknown},
		} {
			for kind, file := range map[string][]byte{"signed": signed, "extended": extended} {
				r := check(append([]byte(c.lead), file...))
				if r.Result != c.want || c.code != "" && !slices.Contains(codes(r), string(c.code)) || c.want == verify.Valid && r.Before != int64(len(c.lead)) {
					t.Errorf("%s, %s, %s: %s", form, kind, name, dump(r))
				}
				if (r.Indication == verify.TotalPassed) && c.want != verify.Valid {
					t.Errorf("%s, %s passes", form, name)
				}
			}
			if c.lead == "" {
				continue
			}
			content := append([]byte(c.lead), pdftest.Build(shape, pdftest.Fields())...)
			if _, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), pades.Options{Chain: w.P256.Chain, At: signingtest.Now}); err == nil {
				t.Errorf("%s: %s is signed", form, name)
			}
		}
		changed := append([]byte("\n"), content(t, signed, forgedText)...)
		mustNotPass(t, form+", a change behind a line end", changed, verify.Changed)
	}
	// Offsets that count from the first byte are another file for another reader.
	if r := check(append(bytes.Repeat([]byte(" "), 40), moved...)); r.Result != verify.Unknown || !slices.Contains(codes(r), "broken") || !strings.Contains(dump(r), "count from the first byte") {
		t.Errorf("offsets from the first byte: %s", dump(r))
	}
}

// What follows the end and means nothing changes nothing; all else is refused.
func TestBytesBehindTheEnd(t *testing.T) {
	w := signingtest.Shared()
	for form, shape := range pdftest.Forms {
		signed := sign(t, pdftest.Build(shape, pdftest.Fields()), w.P256, how{certify: true})
		bare := bytes.TrimRight(signed, "\n") // as others sign: up to %%EOF
		for name, tail := range map[string]string{
			"a line feed": "\n", "a carriage return": "\r", "both, often": "\r\n\r\n\r\n", "noughts of a disk's block": strings.Repeat("\x00", 4096),
			"an old system's end": "\r\n\x1a", "spaces": strings.Repeat(" ", 70000),
		} {
			r := check(append(bytes.Clone(signed), tail...))
			if s := r.Signatures[0]; r.Result != verify.Valid || s.Changes != verify.Unchanged || s.WholeFile || !slices.Contains(codes(r), "bytes_after") {
				t.Errorf("%s, %s: %s", form, name, dump(r))
			}
			stamped := documentStamp(t, append(bytes.Clone(signed), tail...))
			if r := check(stamped); r.Result != verify.Valid || r.Signatures[0].Changes != verify.Extended {
				t.Errorf("%s, %s, and a stamp: %s", form, name, dump(r))
			}
			mustNotPass(t, form+", a change behind "+name, content(t, append(bytes.Clone(signed), tail...), forgedText), verify.Changed)
		}
		for name, tail := range map[string]string{
			"a letter": "x", "HTML": "\n<br />\n", "a comment": "\n% faux\n", "an archive": "PK\x05\x06", "blank, then not": strings.Repeat("\x00", 500) + "x",
			"an end more": "\n%%EOF\n", "a script": "\n<script>alert(1)</script>",
		} {
			mustNotPass(t, form+", "+name, append(bytes.Clone(signed), tail...), verify.Appended)
		}
		mustNotPass(t, form+", an end cut off", bare[:len(bare)-1], verify.ByteRange, verify.Broken)
	}
}
