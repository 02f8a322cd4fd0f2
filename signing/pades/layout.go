package pades

import (
	"fmt"
	"maps"
	"strings"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// layout builds the update that carries the signature.
type layout struct {
	file     *pdf.File
	o        Options
	kind     kind
	update   *pdf.Update
	catalog  pdf.Dict // a copy, to be changed
	fields   []pdf.Field
	fill     *pdf.Field // the empty field to fill; nil adds one
	lock     pdf.Dict   // what that field locks; nil is nothing
	permits  int        // what a certification lets others do, the P of DocMDP; 0 is none
	ranges   *pdf.Hole
	contents *pdf.Hole
}

// kind is what an update adds.
type kind bool

const (
	signing  kind = false
	stamping kind = true // a document time stamp
)

func newLayout(f *pdf.File, o Options, k kind, room int) (*layout, error) {
	catalog, err := f.Catalog()
	if err != nil {
		return nil, readFault(err)
	}
	if catalog == nil {
		return nil, broken(fmt.Errorf("pades: no catalog"))
	}
	if !f.Closed() {
		return nil, broken(fmt.Errorf("pades: bytes behind the end of the file"))
	}
	if err := f.Sound(); err != nil {
		return nil, readFault(err)
	}
	fields, err := f.Fields()
	if err != nil {
		return nil, readFault(err)
	}
	l := &layout{file: f, o: o, kind: k, update: f.Update(), catalog: maps.Clone(catalog), fields: fields}
	l.ranges = &pdf.Hole{Text: "[" + strings.Repeat(" ", len("0 0000000000 0000000000 0000000000")) + "]"}
	l.contents = &pdf.Hole{Text: "<" + strings.Repeat("0", room) + ">"}
	if o.Certify {
		l.permits = 1
	}
	dict := l.signature
	if k == stamping {
		dict = l.stamp
	} else if err := l.choose(); err != nil {
		return nil, err
	} else if err := l.allowed(); err != nil {
		return nil, err
	}
	signature := l.update.Add(dict())
	field, err := l.field(signature)
	if err != nil {
		return nil, err
	}
	if field != nil {
		if err := l.addField(*field); err != nil {
			return nil, readFault(err)
		}
	}
	if err := l.finishCatalog(signature); err != nil {
		return nil, readFault(err)
	}
	return l, nil
}

const (
	handler = "Adobe.PPKLite"
	format  = "ETSI.CAdES.detached"
)

func (l *layout) signature() pdf.Dict {
	d := pdf.Dict{
		"Type": pdf.Name("Sig"), "Filter": pdf.Name(handler), "SubFilter": pdf.Name(format),
		"M": pdf.Date(l.o.At), "ByteRange": l.ranges, "Contents": l.contents,
	}
	for key, text := range map[pdf.Name]string{"Name": l.o.Name, "Reason": l.o.Reason, "Location": l.o.Location} {
		if text != "" {
			d[key] = pdf.Text(text)
		}
	}
	if l.o.Certify {
		params := pdf.Dict{"Type": pdf.Name("TransformParams"), "P": pdf.Integer(l.permits), "V": pdf.Name("1.2")}
		d["Reference"] = pdf.Array{pdf.Dict{"Type": pdf.Name("SigRef"), "TransformMethod": pdf.Name("DocMDP"), "TransformParams": params}}
	}
	if l.lock != nil {
		references, _ := d["Reference"].(pdf.Array)
		d["Reference"] = append(references, l.lockReference())
	}
	return d
}

// stamp is the dictionary of a document time stamp, EN 319 142-1, clause 5.4.3.
func (l *layout) stamp() pdf.Dict {
	return pdf.Dict{
		"Type": pdf.Name("DocTimeStamp"), "Filter": pdf.Name(handler), "SubFilter": pdf.Name("ETSI.RFC3161"),
		"ByteRange": l.ranges, "Contents": l.contents,
	}
}

// field fills the empty field that was asked for, or returns a new one that is
// to be added to the form and the page.
func (l *layout) field(signature pdf.Ref) (*pdf.Ref, error) {
	if l.fill != nil {
		l.fillField(signature)
		return nil, nil
	}
	page, dict, inherit, err := l.page()
	if err != nil {
		return nil, readFault(err)
	}
	x, y := l.corner(inherit)
	label := l.o.Label
	if label == "" {
		label = l.o.Chain[0].Subject.CommonName
	}
	field := l.update.Reserve()
	widget := pdf.Dict{
		"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "FT": pdf.Name("Sig"),
		"T": pdf.Text(l.newName()), "TU": pdf.Text(label), "Contents": pdf.Text(label),
		"V": signature, "P": page,
		"F":    pdf.Integer(4 | 128), // print, as PDF/A wants; locked
		"Rect": pdf.Array{x, y, x, y},
	}
	l.update.Set(field, widget)
	box, err := l.visible(inherit)
	if err != nil {
		return nil, err
	}
	if box != nil {
		if err := l.show(widget, field, page, box); err != nil {
			return nil, readFault(err)
		}
	}
	return &field, l.annotate(page, dict, field)
}

// page is the one that carries the widget.
func (l *layout) page() (ref pdf.Ref, page, inherit pdf.Dict, err error) {
	if l.o.Visible != nil && l.o.Visible.Last {
		return l.file.LastPage()
	}
	return l.file.FirstPage()
}

// corner is the lower left corner of what is shown of the page: there a widget
// without area counts as outside, and needs no tag (ISO 14289-1, 7.18.1) and no
// appearance (ISO 19005-2, 6.3.3).
func (l *layout) corner(inherit pdf.Dict) (x, y pdf.Object) {
	if e, ok := l.file.Edges(inherit); ok {
		return number(e[0]), number(e[1])
	}
	return pdf.Integer(0), pdf.Integer(0)
}

func number(v float64) pdf.Object {
	if v == float64(int64(v)) {
		return pdf.Integer(int64(v))
	}
	return pdf.Real(v)
}

// newName is a name no field has yet.
func (l *layout) newName() string {
	taken := map[string]bool{}
	for _, f := range l.fields {
		taken[f.Name] = true
	}
	prefix := "Seal"
	if l.kind == stamping {
		prefix = "Stamp"
	}
	for n := 1; ; n++ {
		if name := fmt.Sprintf("%s%d", prefix, n); !taken[name] {
			return name
		}
	}
}

// annotate adds the widget to the page.
func (l *layout) annotate(page pdf.Ref, dict pdf.Dict, widget pdf.Ref) error {
	if err := l.update.Annotate(page, dict, widget); err != nil {
		return readFault(err)
	}
	return nil
}

// addField adds the field to the form and keeps all that the form has.
func (l *layout) addField(field pdf.Ref) error {
	form, err := l.file.Form()
	if err != nil {
		return err
	}
	if form == nil {
		l.catalog["AcroForm"] = l.update.Add(pdf.Dict{"Fields": pdf.Array{field}, "SigFlags": pdf.Integer(3)})
		return nil
	}
	form = maps.Clone(form)
	list, err := l.file.Array(form["Fields"])
	if err != nil {
		return err
	}
	list = append(append(pdf.Array{}, list...), field)
	if r, ok := form["Fields"].(pdf.Ref); ok {
		l.update.Set(r, list)
	} else {
		form["Fields"] = list
	}
	l.setForm(form)
	return nil
}

// setForm writes the form where it was, as signed and to be appended to only (ISO 32000-1 table 219).
func (l *layout) setForm(form pdf.Dict) {
	flags, _ := form["SigFlags"].(pdf.Integer)
	form["SigFlags"] = flags | 3
	if r, ok := l.catalog["AcroForm"].(pdf.Ref); ok {
		l.update.Set(r, form)
	} else {
		l.catalog["AcroForm"] = form
	}
}

// finishCatalog names the certification and, before PDF 2.0, the extension that
// PAdES is (ISO 32000-1, 7.12).
func (l *layout) finishCatalog(signature pdf.Ref) error {
	if l.fill != nil {
		form, err := l.file.Form()
		if err != nil {
			return err
		}
		l.setForm(maps.Clone(form))
	}
	if l.o.Certify {
		permissions, err := l.file.Dict(l.catalog["Perms"])
		if err != nil {
			return err
		}
		l.catalog["Perms"] = with(permissions, "DocMDP", signature)
	}
	if _, err := extension(l.file, l.catalog); err != nil {
		return err
	}
	l.update.Set(l.file.Root(), l.catalog)
	return nil
}

// extension names, before PDF 2.0, the extension that PAdES is, and says whether it had to.
func extension(f *pdf.File, catalog pdf.Dict) (bool, error) {
	if f.Version() >= "2.0" {
		return false, nil
	}
	extensions, err := f.Dict(catalog["Extensions"])
	if err != nil {
		return false, err
	}
	if _, ok := extensions["ESIC"]; ok {
		return false, nil
	}
	catalog["Extensions"] = with(extensions, "ESIC", pdf.Dict{"BaseVersion": pdf.Name("1.7"), "ExtensionLevel": pdf.Integer(1)})
	return true, nil
}

func with(d pdf.Dict, key pdf.Name, value pdf.Object) pdf.Dict {
	out := pdf.Dict{}
	maps.Copy(out, d)
	out[key] = value
	return out
}

// encode returns what is appended before and behind the signature's contents.
func (l *layout) encode() (head, foot []byte, err error) {
	tail, err := l.update.Encode()
	if err != nil {
		return nil, nil, err
	}
	size := l.file.Size()
	begin := l.contents.Offset()
	end := begin + int64(len(l.contents.Text))
	ranges := fmt.Sprintf("[0 %d %d %d", begin, end, size+int64(len(tail))-end)
	if len(ranges)+1 > len(l.ranges.Text) {
		return nil, nil, fmt.Errorf("%w: offsets of more than ten digits", pdf.ErrLimit)
	}
	copy(tail[l.ranges.Offset()-size:], ranges+strings.Repeat(" ", len(l.ranges.Text)-len(ranges)-1)+"]")
	return tail[:begin-size], tail[end-size:], nil
}
