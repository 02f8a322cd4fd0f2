package verify

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// Namespaces of XMP (ISO 16684-1).
const (
	nsRDF      = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
	nsXML      = "http://www.w3.org/XML/1998/namespace"
	nsX        = "adobe:ns:meta/"
	nsBasic    = "http://ns.adobe.com/xap/1.0/"
	nsPDF      = "http://ns.adobe.com/pdf/1.3/"
	nsDC       = "http://purl.org/dc/elements/1.1/"
	nsMedia    = "http://ns.adobe.com/xap/1.0/mm/"
	nsResource = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
)

const maxXMP = 1 << 20

// property is one statement of metadata: its name and what it says.
type property struct {
	xml.Name
	value string
}

// saving says whether a property only tells when and by which program a file was saved.
func (p property) saving() bool {
	switch p.Name {
	case xml.Name{Space: nsBasic, Local: "ModifyDate"}, xml.Name{Space: nsBasic, Local: "MetadataDate"}, xml.Name{Space: nsPDF, Local: "Producer"}:
		return true
	}
	return p.Space == nsMedia || p.Space == nsResource || p.Space == nsX
}

var errXMP = errors.New("verify: no XMP")

// properties reads metadata, however it is written down: properties may be elements or
// attributes (ISO 16684-1, 7).
func properties(b []byte) (map[property]int, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	out := map[property]int{}
	var open []xml.Name // what text belongs to: the nearest element that is none of RDF's
	described := false
	add := func(name xml.Name, value string) {
		if value = strings.TrimSpace(value); value != "" {
			if p := (property{name, value}); !p.saving() {
				out[p]++
			}
		}
	}
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && described:
			return out, nil
		case err != nil:
			return nil, errXMP
		}
		switch t := token.(type) {
		case xml.Directive: // declarations of entities and the like
			return nil, errXMP
		case xml.StartElement:
			name := t.Name
			if name.Space == nsRDF {
				described = described || name.Local == "RDF"
				if len(open) > 0 {
					name = open[len(open)-1]
				}
			}
			open = append(open, name)
			for _, a := range t.Attr {
				switch {
				case a.Name.Space == "xmlns" || a.Name.Local == "xmlns" || a.Name.Space == nsXML || a.Name.Space == "xml":
				case a.Name.Space == nsRDF && a.Name.Local != "resource":
				case a.Name.Space == nsRDF:
					add(name, a.Value)
				default:
					add(a.Name, a.Value)
				}
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				add(open[len(open)-1], string(t))
			}
		}
	}
}

// resaved says whether the metadata of the file say what they said, but for when and by
// what it was saved; where it had none, whether they say no more than /Info does.
func (c *comparison) resaved(before, after pdf.Object) bool {
	is, ok := c.xmp(c.after, after)
	if !ok {
		return false
	}
	if before != nil {
		was, ok := c.xmp(c.before, before)
		return ok && maps.Equal(was, is)
	}
	said := c.information()
	for p := range is {
		format := p.Name == xml.Name{Space: nsDC, Local: "format"} && p.value == "application/pdf"
		created := p.Name == xml.Name{Space: nsBasic, Local: "CreateDate"}
		if !format && !created && !slices.Contains(said, p.value) {
			return false
		}
	}
	return true
}

// information is what /Info says in words.
func (c *comparison) information() (out []string) {
	d, err := c.before.Dict(c.before.Trailer()["Info"])
	if err != nil {
		return nil
	}
	for _, o := range d {
		if v, err := c.before.Resolve(o); err == nil {
			if text, ok := v.(pdf.String); ok {
				out = append(out, text.Text())
			}
		}
	}
	return out
}

// xmp reads a metadata stream that is nothing else.
func (c *comparison) xmp(f *pdf.File, o pdf.Object) (map[property]int, bool) {
	v, err := f.Resolve(o)
	st, ok := v.(*pdf.Stream)
	if err != nil || !ok {
		return nil, false
	}
	for k := range st.Dict {
		if !slices.Contains([]pdf.Name{"Type", "Subtype", "Length", "Filter", "DecodeParms"}, k) {
			return nil, false
		}
	}
	if _, length := st.Span(); st.Dict["Type"] != pdf.Name("Metadata") || st.Dict["Subtype"] != pdf.Name("XML") || length > maxXMP {
		return nil, false
	}
	b, err := f.Data(st)
	if err != nil || len(b) > maxXMP {
		return nil, false
	}
	p, err := properties(b)
	return p, err == nil
}

// metadata compares the metadata of the file.
func (c *comparison) metadata(root *trail, before, after pdf.Dict) error {
	where, err := c.sameKey(root, "Metadata", before, after)
	if err != nil {
		return err
	}
	if where != nil && c.resaved(before["Metadata"], after["Metadata"]) {
		c.grown = append(c.grown, after["Metadata"])
		c.change(Change{Kind: MetadataChanged, Object: where.String(), resaved: true})
		return nil
	}
	return c.key(Change{Kind: MetadataChanged}, root, "Metadata", before, after)
}
