package outside

import (
	"bytes"
	"encoding/xml"
	"strings"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/internal/pdf"
)

const (
	maxTitle = 300 // characters that are kept
	maxXMP   = 1 << 20
)

// look is access to a file of which nothing is refused.
func look(file []byte) (Access, error) {
	f, err := open(file)
	if err != nil {
		return Access{}, err
	}
	return access(f)
}

// access says how a file can be read aloud.
func access(f *pdf.File) (Access, error) {
	pages, err := f.Pages(MaxPages)
	if err != nil {
		return Access{}, refuse("outside.pages", "%v", err)
	}
	if len(pages) == 0 {
		return Access{}, refuse("outside.pages", "no page")
	}
	catalog, err := f.Catalog()
	if err != nil {
		return Access{}, err
	}
	a := Access{Pages: len(pages), Tagged: tagged(f, catalog), Title: title(f, catalog)}
	if v, err := f.Resolve(catalog["Lang"]); err == nil {
		if s, ok := v.(pdf.String); ok && languageTag.MatchString(s.Text()) {
			a.Language = s.Text()
		}
	}
	return a, nil
}

// tagged says whether the file has a structure that holds something.
func tagged(f *pdf.File, catalog pdf.Dict) bool {
	marked, err := f.Dict(catalog["MarkInfo"])
	if err != nil || marked["Marked"] != true {
		return false
	}
	root, err := f.Dict(catalog["StructTreeRoot"])
	if err != nil {
		return false
	}
	k, err := f.Resolve(root["K"])
	if kids, isArray := k.(pdf.Array); err != nil || k == nil || isArray && len(kids) == 0 {
		return false
	}
	return true
}

// title is that of the metadata, else that of the information dictionary.
func title(f *pdf.File, catalog pdf.Dict) string {
	if v, err := f.Resolve(catalog["Metadata"]); err == nil {
		if s, ok := v.(*pdf.Stream); ok {
			if data, err := f.Data(s); err == nil && len(data) <= maxXMP {
				if t := clean(xmpTitle(data)); t != "" {
					return t
				}
			}
		}
	}
	info, err := f.Dict(f.Trailer()["Info"])
	if err != nil {
		return ""
	}
	v, err := f.Resolve(info["Title"])
	if err != nil {
		return ""
	}
	s, _ := v.(pdf.String)
	return clean(s.Text())
}

// xmpTitle is the first dc:title of XMP (ISO 16684-1).
func xmpTitle(data []byte) string {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.Strict = true
	in := 0 // elements below dc:title, itself included
	var text strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		switch t := token.(type) {
		case xml.StartElement:
			if in > 0 || t.Name.Space == "http://purl.org/dc/elements/1.1/" && t.Name.Local == "title" {
				in++
			}
		case xml.EndElement:
			if in > 0 {
				in--
				if strings.TrimSpace(text.String()) != "" {
					return text.String()
				}
			}
		case xml.CharData:
			if in > 0 {
				text.Write(t)
			}
		}
	}
}

// clean is a title on one line, of a length that a page can show.
func clean(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if utf8.RuneCountInString(s) > maxTitle {
		return string([]rune(s)[:maxTitle])
	}
	return s
}
