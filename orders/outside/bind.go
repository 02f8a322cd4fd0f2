package outside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
)

// Letter is a cover sheet and the copies of a paper that follow it.
type Letter struct {
	Sheet, Paper []byte
	Copies       int
}

// MaxBound is the most that is bound at once, in bytes of all sheets and papers.
const MaxBound = 32 << 20

// bound says how the files behind a task are cut and laid.
type bound struct {
	Sheet, Paper, Copies int // lengths, and how often
}

// Bind makes one file of letters, to be printed: each begins on the front of a leaf where
// both sides are printed. What is bound shows what its papers show and proves nothing: no
// seal, structure or promise of theirs comes along. Faults: outside.bound_much (Invalid) above
// MaxBound; those of Check for a paper that cannot be read.
func (Reader) Bind(ctx context.Context, letters []Letter) ([]byte, error) {
	t := task{Do: doBind}
	var all []byte
	for _, l := range letters {
		if len(all)+len(l.Sheet)+len(l.Paper) > MaxBound {
			return nil, fault.New(fault.Invalid, "outside.bound_much", nil)
		}
		t.Letters = append(t.Letters, bound{len(l.Sheet), len(l.Paper), l.Copies})
		all = append(append(all, l.Sheet...), l.Paper...)
	}
	a, err := run(ctx, t, all)
	if err != nil {
		return nil, err
	}
	if len(a.Tail) == 0 {
		return nil, unread(errors.New("the process bound nothing"))
	}
	return append(emptyFile(), a.Tail...), nil
}

// emptyFile is a file without a page, to which pages are added.
func emptyFile() []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	first := b.Len()
	b.WriteString("1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n")
	second := b.Len()
	b.WriteString("2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n")
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 3\n0000000000 65535 f\r\n%010d 00000 n\r\n%010d 00000 n\r\ntrailer\n<</Size 3/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", first, second, start)
	return b.Bytes()
}

// bind is what is appended to emptyFile.
func bind(plan []bound, all []byte) ([]byte, error) {
	base, err := pdf.Bytes(emptyFile())
	if err != nil {
		return nil, err
	}
	u := base.Update()
	tree := pdf.Ref{Number: 2}
	kids := pdf.Array{}
	add := func(pages []pdf.Dict) {
		for _, p := range pages {
			p = maps.Clone(p)
			p["Parent"] = tree
			kids = append(kids, u.Add(p))
		}
	}
	for _, l := range plan {
		if l.Sheet < 0 || l.Paper < 0 || l.Sheet > len(all) || l.Paper > len(all)-l.Sheet || l.Copies < 1 || l.Copies > maxBoundCopies {
			return nil, errors.New("a letter without its bytes")
		}
		sheet, err := leaves(u, all[:l.Sheet])
		if err != nil {
			return nil, err
		}
		paper, err := leaves(u, all[l.Sheet:l.Sheet+l.Paper])
		if err != nil {
			return nil, err
		}
		all = all[l.Sheet+l.Paper:]
		add(sheet)
		for range l.Copies {
			// The next copy, and the next letter, begin on the front of a leaf.
			add(slices.Concat(evened(len(kids), sheet), paper))
		}
		add(evened(len(kids), sheet))
	}
	u.Set(tree, pdf.Dict{"Type": pdf.Name("Pages"), "Kids": kids, "Count": pdf.Integer(len(kids))})
	return u.Encode()
}

const maxBoundCopies = 100

// evened is an empty page after an odd one, of the size of a sheet.
func evened(pages int, sheet []pdf.Dict) []pdf.Dict {
	if pages%2 == 0 || len(sheet) == 0 {
		return nil
	}
	return []pdf.Dict{{"Type": pdf.Name("Page"), "MediaBox": sheet[0]["MediaBox"], "Resources": pdf.Dict{}}}
}

// leaves are the pages of a file, with what they show brought into an update.
func leaves(u *pdf.Update, file []byte) ([]pdf.Dict, error) {
	f, err := open(file)
	if err != nil {
		return nil, err
	}
	pages, err := f.Pages(MaxPages)
	if err != nil {
		return nil, err
	}
	if len(pages) == 0 {
		return nil, refuse("outside.pages", "no page")
	}
	c := &carrier{from: f, to: u, known: map[pdf.Ref]pdf.Ref{}}
	var list []pdf.Dict
	for _, p := range pages {
		leaf := pdf.Dict{"Type": pdf.Name("Page")}
		for _, key := range []pdf.Name{"MediaBox", "CropBox", "Rotate", "Resources"} {
			if leaf[key], err = c.carry(p.Inherit[key], 0); err != nil {
				return nil, err
			}
		}
		for _, key := range []pdf.Name{"Contents", "UserUnit", "Group"} {
			if leaf[key], err = c.carry(p.Dict[key], 0); err != nil {
				return nil, err
			}
		}
		if leaf["Annots"], err = c.marks(p.Dict["Annots"]); err != nil {
			return nil, err
		}
		maps.DeleteFunc(leaf, func(_ pdf.Name, o pdf.Object) bool { return o == nil })
		list = append(list, leaf)
	}
	return list, nil
}

// carrier brings objects of one file into an update of another, each once.
type carrier struct {
	from  *pdf.File
	to    *pdf.Update
	known map[pdf.Ref]pdf.Ref
}

const deepest = 60 // of objects in objects

// carry is o with its references leading to what was brought along.
func (c *carrier) carry(o pdf.Object, depth int) (pdf.Object, error) {
	if depth > deepest {
		return nil, fmt.Errorf("%w: too deep", pdf.ErrLimit)
	}
	switch o := o.(type) {
	case pdf.Ref:
		return c.follow(o, depth)
	case pdf.Array:
		list := make(pdf.Array, len(o))
		for i := range o {
			var err error
			if list[i], err = c.carry(o[i], depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case pdf.Dict:
		return c.dict(o, depth)
	case *pdf.Stream:
		d, err := c.dict(o.Dict, depth)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(c.from.Raw(o))
		if err != nil {
			return nil, err
		}
		delete(d, "Length")
		return pdf.NewStream(d, data), nil
	}
	return o, nil
}

// dict leaves out what leads away from what is seen: to other pages, to the structure and
// to the tree above.
func (c *carrier) dict(d pdf.Dict, depth int) (pdf.Dict, error) {
	made := make(pdf.Dict, len(d))
	for key, o := range d {
		switch key {
		case "Parent", "P", "StructParent", "StructParents", "Dest", "A", "AA", "Popup", "Metadata", "PieceInfo":
			continue
		}
		var err error
		if made[key], err = c.carry(o, depth+1); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func (c *carrier) follow(r pdf.Ref, depth int) (pdf.Object, error) {
	if to, ok := c.known[r]; ok {
		return to, nil
	}
	o, err := c.from.Get(r)
	if err != nil {
		return nil, err
	}
	if o == nil {
		return nil, nil
	}
	to := c.to.Reserve()
	c.known[r] = to
	carried, err := c.carry(o, depth+1)
	if err != nil {
		return nil, err
	}
	c.to.Set(to, carried)
	return to, nil
}

// marks are the annotations that show something: stamps, and fields of seals. They become
// stamps, since what is bound has no form.
func (c *carrier) marks(o pdf.Object) (pdf.Object, error) {
	list, err := c.from.Array(o)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	kept := pdf.Array{}
	for _, one := range list {
		d, err := c.from.Dict(one)
		if err != nil {
			return nil, err
		}
		if d["AP"] == nil {
			continue
		}
		stamp := pdf.Dict{"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Stamp")}
		for _, key := range []pdf.Name{"Rect", "F", "AP", "AS"} {
			if d[key] == nil {
				continue
			}
			if stamp[key], err = c.carry(d[key], 0); err != nil {
				return nil, err
			}
		}
		kept = append(kept, c.to.Add(stamp))
	}
	if len(kept) == 0 {
		return nil, nil
	}
	return kept, nil
}
