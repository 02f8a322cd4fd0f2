package document

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"
)

// The typesetter writes one standard at a time and calls its file PDF/A-2a. Our
// templates keep the rules of PDF/UA-1 as well, so the file may say so: this pass
// adds the identification of ISO 14289-1 §5 to the metadata, its description as
// an extension schema, which PDF/A asks for (ISO 19005-2 §6.6.2.3.3), and
// DisplayDocTitle (ISO 14289-1 §7.1). It knows exactly the form that the pinned
// typesetter writes, and refuses every other rather than guess.

const uaIdentification = `<rdf:Description rdf:about="" xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/"><pdfuaid:part>1</pdfuaid:part></rdf:Description>`

const uaSchema = `<rdf:li rdf:parseType="Resource"><pdfaSchema:schema>PDF/UA identification schema</pdfaSchema:schema>` +
	`<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI><pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>` +
	`<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource"><pdfaProperty:category>internal</pdfaProperty:category>` +
	`<pdfaProperty:description>Part of ISO 14289 to which the document conforms</pdfaProperty:description>` +
	`<pdfaProperty:name>part</pdfaProperty:name><pdfaProperty:valueType>Integer</pdfaProperty:valueType>` +
	`</rdf:li></rdf:Seq></pdfaSchema:property></rdf:li>`

var (
	startxref = regexp.MustCompile(`startxref\n([0-9]{1,9})\n%%EOF\s*$`)
	xrefHead  = regexp.MustCompile(`^xref\n0 ([0-9]{1,6})\n`)
	rootRef   = regexp.MustCompile(`/Root ([0-9]{1,6}) 0 R`)
	metaRef   = regexp.MustCompile(`/Metadata ([0-9]{1,6}) 0 R`)
	viewer    = regexp.MustCompile(`/ViewerPreferences <<`)
	length    = regexp.MustCompile(`/Length ([0-9]{1,8})`)
)

// edit replaces drop bytes at an offset.
type edit struct {
	at, drop int
	put      []byte
}

// layout is where things stand in a PDF of one revision with a plain table.
type layout struct {
	pdf     []byte
	table   int   // offset of "xref"
	entries int   // offset of the first entry
	objects []int // offset by object number, 0 where free
	trailer []byte
}

// identifyUA returns pdf with the identification of PDF/UA-1 beside that of PDF/A.
func identifyUA(pdf []byte) ([]byte, error) {
	l, err := readLayout(pdf)
	if err != nil {
		return nil, fmt.Errorf("pdfua: %w", err)
	}
	catalog, at, err := l.referred(rootRef, l.trailer)
	if err != nil {
		return nil, fmt.Errorf("pdfua: catalog: %w", err)
	}
	prefs := viewer.FindIndex(catalog)
	if prefs == nil || bytes.Contains(catalog, []byte("/DisplayDocTitle")) {
		return nil, errors.New("pdfua: unexpected viewer preferences")
	}
	metadata, err := l.metadata(catalog)
	if err != nil {
		return nil, fmt.Errorf("pdfua: metadata: %w", err)
	}
	title := edit{at: at + prefs[1], put: []byte("\n    /DisplayDocTitle true")}
	return l.rewrite(append(metadata, title)), nil
}

func readLayout(pdf []byte) (*layout, error) {
	m := startxref.FindSubmatch(pdf)
	if m == nil {
		return nil, errors.New("no startxref at the end")
	}
	table, _ := strconv.Atoi(string(m[1]))
	if table >= len(pdf) {
		return nil, errors.New("startxref points behind the end")
	}
	head := xrefHead.FindSubmatch(pdf[table:])
	if head == nil {
		return nil, errors.New("no plain cross-reference table")
	}
	l := &layout{pdf: pdf, table: table, entries: table + len(head[0])}
	count, _ := strconv.Atoi(string(head[1]))
	end := l.entries + 20*count
	if end > len(pdf) || !bytes.HasPrefix(pdf[end:], []byte("trailer\n")) {
		return nil, errors.New("the cross-reference table has another size")
	}
	l.trailer = pdf[end:]
	for i := range count {
		entry := pdf[l.entries+20*i : l.entries+20*i+20]
		at, err := strconv.Atoi(string(entry[:10]))
		if err != nil || at >= table {
			return nil, fmt.Errorf("cross-reference entry %d: %q", i, entry)
		}
		if entry[17] != 'n' {
			at = 0
		}
		l.objects = append(l.objects, at)
	}
	return l, nil
}

// referred returns the object that ref names in src, from its dictionary to its
// end, and its offset.
func (l *layout) referred(ref *regexp.Regexp, src []byte) ([]byte, int, error) {
	m := ref.FindSubmatch(src)
	if m == nil {
		return nil, 0, fmt.Errorf("no %s", ref)
	}
	number, _ := strconv.Atoi(string(m[1]))
	if number >= len(l.objects) || l.objects[number] == 0 {
		return nil, 0, fmt.Errorf("no object %d", number)
	}
	at := l.objects[number]
	if want := fmt.Sprintf("%d 0 obj\n", number); !bytes.HasPrefix(l.pdf[at:], []byte(want)) {
		return nil, 0, fmt.Errorf("object %d is not where the table says", number)
	}
	end := bytes.Index(l.pdf[at:l.table], []byte("endobj"))
	if end < 0 {
		return nil, 0, fmt.Errorf("object %d has no end", number)
	}
	return l.pdf[at : at+end], at, nil
}

// metadata returns the edits of the XMP stream that catalog names.
func (l *layout) metadata(catalog []byte) ([]edit, error) {
	object, at, err := l.referred(metaRef, catalog)
	if err != nil {
		return nil, err
	}
	size := length.FindSubmatchIndex(object)
	begin := bytes.Index(object, []byte("\nstream\n"))
	if size == nil || begin < 0 || size[0] > begin || bytes.Contains(object[:begin], []byte("/Filter")) {
		return nil, errors.New("no unfiltered stream")
	}
	begin += len("\nstream\n")
	n, _ := strconv.Atoi(string(object[size[2]:size[3]]))
	if begin+n > len(object) {
		return nil, errors.New("the stream's length is wrong")
	}
	xmp := object[begin : begin+n]
	const schemas, end = "<pdfaExtension:schemas><rdf:Bag>", "</rdf:RDF>"
	bag, rdf := bytes.Index(xmp, []byte(schemas)), bytes.LastIndex(xmp, []byte(end))
	if bag < 0 || rdf < bag || bytes.Contains(xmp, []byte("pdfuaid")) {
		return nil, errors.New("unexpected XMP")
	}
	return []edit{
		{at: at + size[2], drop: size[3] - size[2], put: strconv.AppendInt(nil, int64(n+len(uaSchema)+len(uaIdentification)), 10)},
		{at: at + begin + bag + len(schemas), put: []byte(uaSchema)},
		{at: at + begin + rdf, put: []byte(uaIdentification)},
	}, nil
}

// rewrite applies the edits and makes the table right again.
func (l *layout) rewrite(edits []edit) []byte {
	sort.Slice(edits, func(i, j int) bool { return edits[i].at < edits[j].at })
	moved := func(offset int) int {
		to := offset
		for _, e := range edits {
			if e.at < offset {
				to += len(e.put) - e.drop
			}
		}
		return to
	}
	out := make([]byte, 0, len(l.pdf)+len(uaSchema)+len(uaIdentification)+100)
	from := 0
	for _, e := range edits {
		out = append(append(out, l.pdf[from:e.at]...), e.put...)
		from = e.at + e.drop
	}
	out = append(out, l.pdf[from:l.entries]...)
	for i, at := range l.objects {
		entry := l.pdf[l.entries+20*i : l.entries+20*i+20]
		if at == 0 {
			out = append(out, entry...)
			continue
		}
		out = append(fmt.Appendf(out, "%010d", moved(at)), entry[10:]...)
	}
	trailer := l.trailer[:bytes.LastIndex(l.trailer, []byte("startxref"))]
	return fmt.Appendf(append(out, trailer...), "startxref\n%d\n%%%%EOF\n", moved(l.table))
}
