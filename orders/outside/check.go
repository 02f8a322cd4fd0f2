package outside

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// examine refuses a file that is not to be sealed, and says how the others can be read.
func examine(file []byte) (Access, error) {
	if err := alone(file); err != nil {
		return Access{}, err
	}
	f, err := open(file)
	if err != nil {
		return Access{}, err
	}
	if f.Encrypted() {
		return Access{}, refuse("outside.encrypted", "the file has restrictions")
	}
	if !f.Closed() {
		return Access{}, refuse("outside.broken", "bytes behind the end of the file")
	}
	if err := f.Sound(); err != nil {
		return Access{}, err
	}
	x := &examiner{file: f, found: map[string]string{}}
	if err := f.Walk(x.object); err != nil {
		return Access{}, err
	}
	for _, key := range []string{"outside.signed", "outside.active", "outside.files", "outside.form"} {
		if what, there := x.found[key]; there {
			return Access{}, refuse(key, "%s", what)
		}
	}
	return access(f)
}

func open(file []byte) (*pdf.File, error) {
	f, err := pdf.Bytes(file)
	switch {
	case errors.Is(err, pdf.ErrNotPDF):
		return nil, refuse("outside.not_pdf", "%v", err)
	case errors.Is(err, pdf.ErrEncrypted), errors.Is(err, pdf.ErrPassword):
		return nil, refuse("outside.encrypted", "%v", err)
	}
	return f, err
}

// alone refuses a file that other programs take for one of their own: a page, an archive.
func alone(file []byte) error {
	head := bytes.ToLower(file[:min(len(file), 1024)])
	for _, mark := range []string{"<html", "<!doctype", "<script", "<svg"} {
		if bytes.Contains(head, []byte(mark)) {
			return refuse("outside.not_pdf", "it is a page too: %s", mark)
		}
	}
	// An archive is read from its end: its last record there, with a comment behind it.
	const record, most = 22, 1<<16 - 1
	tail := file[max(0, len(file)-record-most):]
	for at := bytes.LastIndex(tail, []byte("PK\x05\x06")); at >= 0; at = bytes.LastIndex(tail[:at], []byte("PK\x05\x06")) {
		if len(tail)-at >= record && int(binary.LittleEndian.Uint16(tail[at+20:])) <= len(tail)-at-record {
			return refuse("outside.not_pdf", "it is an archive too")
		}
	}
	return nil
}

// examiner looks at every object that a file's trailer leads to.
type examiner struct {
	file  *pdf.File
	found map[string]string // message key to what was found
}

const maxPixels = 100_000_000 // of one picture

func (x *examiner) note(key, what string) {
	if _, there := x.found[key]; !there {
		x.found[key] = what
	}
}

func (x *examiner) object(o pdf.Object) error {
	d, ok := o.(pdf.Dict)
	if s, isStream := o.(*pdf.Stream); isStream {
		d, ok = s.Dict, true
		if err := x.stream(s); err != nil {
			return err
		}
	}
	if !ok {
		return nil
	}
	for key, value := range d {
		if value == nil {
			continue
		}
		if about, listed := keys[key]; listed {
			x.note(about, "/"+string(key))
		}
	}
	for _, key := range []pdf.Name{"S", "Subtype", "Type"} {
		v, err := x.file.Resolve(d[key])
		if err != nil {
			return err
		}
		name, _ := v.(pdf.Name)
		if about, listed := names[name]; listed {
			x.note(about, "/"+string(key)+" /"+string(name))
		}
	}
	return x.values(d)
}

// keys are entries that a file has none of which is to be sealed.
var keys = map[pdf.Name]string{
	"ByteRange": "outside.signed", "DSS": "outside.signed", "Perms": "outside.signed",
	"JS": "outside.active", "JavaScript": "outside.active", "AA": "outside.active", "OCProperties": "outside.active",
	"Alternates": "outside.active", "OPI": "outside.active", "NeedsRendering": "outside.active", "Requirements": "outside.active",
	"EF": "outside.files", "EmbeddedFiles": "outside.files", "AF": "outside.files", "Collection": "outside.files",
	"XFA": "outside.form",
}

// names are kinds of objects, likewise: actions (ISO 32000-1, table 198), annotations (table
// 169) and XObjects. What leads within the document and to a web address is left.
var names = map[pdf.Name]string{
	"Sig": "outside.signed", "DocTimeStamp": "outside.signed",
	"JavaScript": "outside.active", "Launch": "outside.active", "SubmitForm": "outside.active", "ResetForm": "outside.active",
	"ImportData": "outside.active", "GoToR": "outside.active", "GoToE": "outside.active", "Rendition": "outside.active",
	"Movie": "outside.active", "Sound": "outside.active", "Hide": "outside.active", "SetOCGState": "outside.active",
	"Trans": "outside.active", "GoTo3DView": "outside.active", "RichMediaExecute": "outside.active", "Named": "outside.active",
	"Screen": "outside.active", "3D": "outside.active", "RichMedia": "outside.active", "PS": "outside.active",
	"FileAttachment": "outside.files", "EmbeddedFile": "outside.files", "Widget": "outside.form",
}

// values looks at entries whose value decides.
func (x *examiner) values(d pdf.Dict) error {
	if d["Subtype"] == pdf.Name("Form") && d["Ref"] != nil {
		x.note("outside.active", "a page of another file")
	}
	if fields, err := x.file.Array(d["Fields"]); d["Fields"] != nil && (err != nil || len(fields) > 0) {
		x.note("outside.form", "/Fields")
	}
	if o := d["OpenAction"]; o != nil {
		v, err := x.file.Resolve(o)
		if err != nil {
			return err
		}
		if action, ok := v.(pdf.Dict); ok && action["S"] != pdf.Name("GoTo") {
			x.note("outside.active", "/OpenAction")
		}
	}
	v, err := x.file.Resolve(d["URI"])
	if err != nil {
		return err
	}
	if address, ok := v.(pdf.String); ok && !webAddress(string(address)) {
		x.note("outside.active", "/URI of another kind")
	}
	return nil
}

func webAddress(s string) bool {
	scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s)), ":")
	return slices.Contains([]string{"https", "http", "mailto", "tel"}, scheme)
}

// stream decodes what can be decoded: a stream that is more than the limits allow would
// crowd out whoever opens the file.
func (x *examiner) stream(s *pdf.Stream) error {
	if s.Dict["F"] != nil {
		x.note("outside.active", "a stream in another file")
	}
	w, _ := x.file.Number(s.Dict["Width"])
	h, _ := x.file.Number(s.Dict["Height"])
	if w*h > maxPixels {
		return refuse("outside.too_much", "a picture of %.0f by %.0f", w, h)
	}
	if _, err := x.file.Data(s); err != nil && !errors.Is(err, pdf.ErrUnsupported) {
		return err
	}
	return nil
}
