package attachment_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"mime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders/attachment"
)

func jpegOf(t testing.TB) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t testing.TB, img image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// smallPDF has one empty page; the offsets of its table are right.
func smallPDF() []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	var at []int
	for i, body := range []string{"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"} {
		at = append(at, b.Len())
		b.WriteString(string(rune('1'+i)) + " 0 obj\n" + body + "\nendobj\n")
	}
	xref := b.Len()
	b.WriteString("xref\n0 4\n0000000000 65535 f \n")
	for _, n := range at {
		b.WriteString(fmt.Sprintf("%010d 00000 n \n", n))
	}
	b.WriteString("trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n" + fmt.Sprint(xref) + "\n%%EOF\n")
	return b.Bytes()
}

// huge is a picture of 30000 × 30000 pixels, in few bytes.
func huge(t testing.TB) []byte {
	b := pngOf(t, image.NewGray(image.Rect(0, 0, 1, 1)))
	copy(b[16:], []byte{0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30})
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestWhatAFileIs(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		kind    attachment.Kind
		key     string
	}{
		"pdf":                     {smallPDF(), attachment.PDF, ""},
		"jpeg":                    {jpegOf(t), attachment.JPEG, ""},
		"png":                     {pngOf(t, image.NewGray(image.Rect(0, 0, 3, 3))), attachment.PNG, ""},
		"nothing":                 {nil, "", "orders.file_empty"},
		"a page":                  {[]byte("<!doctype html><script>alert(1)</script>"), "", "orders.file_kind"},
		"a page called pdf":       {[]byte("<html>%PDF-1.7"), "", "orders.file_kind"},
		"a drawing":               {[]byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), "", "orders.file_kind"},
		"a program":               {[]byte("MZ\x90\x00"), "", "orders.file_kind"},
		"a document of an office": {[]byte("PK\x03\x04"), "", "orders.file_kind"},
		"half a pdf":              {smallPDF()[:60], attachment.PDF, "orders.file_broken"},
		"the head of a jpeg":      {[]byte("\xff\xd8\xff\xe0"), attachment.JPEG, "orders.file_broken"},
		"the head of a png":       {[]byte("\x89PNG\r\n\x1a\n"), attachment.PNG, "orders.file_broken"},
		"a bomb":                  {huge(t), attachment.PNG, "orders.file_large"},
		"too much":                {append(smallPDF(), make([]byte, attachment.MaxSize)...), "", "orders.file_large"},
	} {
		kind, err := attachment.Check(bytes.NewReader(c.content), int64(len(c.content)))
		if c.key != "" {
			if fault.KeyOf(err) != c.key || fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: %v, want %s", name, err, c.key)
			}
		} else if err != nil || kind != c.kind {
			t.Errorf("%s: %q, %v", name, kind, err)
		}
	}
}

func TestNames(t *testing.T) {
	for sent, want := range map[string]string{
		"Jugement 2026.PDF":             "Jugement 2026.pdf",
		`C:\Users\x\bewijs.jpeg`:        "bewijs.pdf",
		"../../etc/passwd":              "passwd.pdf",
		"a\u202egpj.exe":                "agpj.pdf",
		"\"; filename=\"evil.exe":       "filename__evil.pdf",
		"élève né à Liège.pdf":          "élève né à Liège.pdf",
		"":                              "document.pdf",
		"....":                          "document.pdf",
		strings.Repeat("x", 300) + ".p": strings.Repeat("x", 80) + ".pdf",
	} {
		if got := attachment.Name(sent, attachment.PDF); got != want {
			t.Errorf("%q is called %q, want %q", sent, got, want)
		}
	}
}

func FuzzAttachment(f *testing.F) {
	f.Add(smallPDF(), "a.pdf")
	f.Add(jpegOf(f), "b.jpg")
	f.Add(huge(f), "c\x00.png")
	f.Fuzz(func(t *testing.T, content []byte, sent string) {
		kind, err := attachment.Check(bytes.NewReader(content), int64(len(content)))
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Fatal(err)
		}
		name := attachment.Name(sent, kind)
		if !utf8.ValidString(name) || strings.ContainsAny(name, "/\\\"\r\n;") {
			t.Fatalf("%q is called %q", sent, name)
		}
		header := mime.FormatMediaType("attachment", map[string]string{"filename": name})
		if _, got, err := mime.ParseMediaType(header); err != nil || got["filename"] != name {
			t.Fatalf("%q in a header: %q, %v", name, header, err)
		}
	})
}
