package verify

import (
	"fmt"
	"maps"
	"slices"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// page is a page with what it takes from the nodes above it.
type page struct {
	ref       pdf.Object
	dict      pdf.Dict
	inherited pdf.Dict
}

// pages are those of both revisions.
type pages struct {
	was, is []page
	nodes   map[pdf.Ref]bool // of the earlier page tree
	same    bool             // the same pages in the same order
}

// pageTree lists the pages of one revision.
type pageTree struct {
	file    *pdf.File
	above   map[pdf.Ref]bool
	nodes   map[pdf.Ref]bool
	pages   []page
	visited int
}

const (
	maxPageNodes  = 1 << 18
	maxPageLevels = 64
)

// inheritable are the attributes that a page takes from the nodes above it, ISO 32000-1 table 30.
var inheritable = []pdf.Name{"Resources", "MediaBox", "CropBox", "Rotate"}

func pagesOf(f *pdf.File, root pdf.Object) (*pageTree, error) {
	t := &pageTree{file: f, above: map[pdf.Ref]bool{}, nodes: map[pdf.Ref]bool{}}
	return t, t.list(root, nil)
}

func (t *pageTree) list(o pdf.Object, inherited pdf.Dict) error {
	r, ok := o.(pdf.Ref)
	if ok {
		if t.above[r] {
			return fmt.Errorf("%w: the page tree turns in a circle at %v", pdf.ErrSyntax, r)
		}
		t.above[r] = true
		defer delete(t.above, r)
	}
	if t.visited++; t.visited > maxPageNodes || len(t.above) > maxPageLevels {
		return fmt.Errorf("%w: a page tree of more than %d nodes or %d levels", pdf.ErrLimit, maxPageNodes, maxPageLevels)
	}
	d, err := t.file.Dict(o)
	if err != nil {
		return err
	}
	kids, err := t.file.Array(d["Kids"])
	if err != nil {
		return err
	}
	for _, k := range inheritable {
		if v, ok := d[k]; ok {
			below := pdf.Dict{}
			maps.Copy(below, inherited)
			below[k] = v
			inherited = below
		}
	}
	if d["Type"] == pdf.Name("Page") || kids == nil {
		t.pages = append(t.pages, page{o, d, inherited})
		return nil
	}
	t.nodes[r] = true
	for _, k := range kids {
		if err := t.list(k, inherited); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) readPages(_ *trail, before, after pdf.Dict) error {
	was, err := pagesOf(c.before, before["Pages"])
	if err != nil {
		return err
	}
	is, err := pagesOf(c.after, after["Pages"])
	if err != nil {
		return err
	}
	c.pages = pages{was: was.pages, is: is.pages, nodes: was.nodes}
	c.pages.same = slices.EqualFunc(was.pages, is.pages, func(a, b page) bool { return sameRef(a.ref, b.ref) })
	return nil
}

func sameRef(a, b pdf.Object) bool {
	r, ok := a.(pdf.Ref)
	s, also := b.(pdf.Ref)
	return ok && also && r == s
}

// comparePages compares what the pages show, then the tree that they hang in.
func (c *comparison) comparePages(root *trail, before, after pdf.Dict) error {
	at := root.to("Pages")
	for _, p := range c.pages.was { // each is compared by itself, wherever it is named
		if r, ok := p.ref.(pdf.Ref); ok {
			c.clean[pair{r, r}] = true
		}
	}
	if c.pages.same {
		for i := range c.pages.was {
			if err := c.page(at.to("Kids").nth(i), i+1, c.pages.was[i], c.pages.is[i]); err != nil {
				return err
			}
		}
		return c.walkOn(Change{Kind: PageTree}, at, before["Pages"], after["Pages"])
	}
	return c.otherPages(at)
}

// page compares one page. Its annotations are compared on their own.
func (c *comparison) page(at *trail, number int, was, is page) error {
	area := Change{Kind: PageContent, Page: number}
	var later []pdf.Name
	for _, k := range unionOf(was.dict, is.dict) {
		_, had := was.dict[k]
		switch {
		case k == "Annots", k == "Tabs" && !had && scalar(is.dict[k]):
		case k == "Parent", k == "AA", k == "Metadata":
			later = append(later, k)
		default:
			if err := c.key(area, at, k, was.dict, is.dict); err != nil {
				return err
			}
		}
	}
	for _, k := range later {
		area := area
		if kind, ok := areas[k]; ok {
			area.Kind = kind
		}
		if k == "Parent" && !c.pages.same {
			if r, ok := was.dict[k].(pdf.Ref); !ok || !sameRef(r, is.dict[k]) || !c.pages.nodes[r] {
				c.area = area
				c.differs(at.to(k))
			}
			continue
		}
		if err := c.key(area, at, k, was.dict, is.dict); err != nil {
			return err
		}
	}
	return c.annotations(at.to("Annots"), number, was.dict["Annots"], is.dict["Annots"])
}

func refOf(o pdf.Object) pdf.Ref {
	r, _ := o.(pdf.Ref)
	return r
}

// otherPages names the pages that came and went, and compares those that stayed.
func (c *comparison) otherPages(at *trail) error {
	number := map[pdf.Ref]int{} // of the pages that were there
	for i, p := range c.pages.was {
		number[refOf(p.ref)] = i + 1
	}
	stayed := map[pdf.Ref]bool{}
	last := 0
	for i, p := range c.pages.is {
		r := refOf(p.ref)
		n := number[r]
		if n == 0 || stayed[r] {
			if err := c.addedPage(i+1, p); err != nil {
				return err
			}
			continue
		}
		stayed[r] = true
		if n < last {
			c.change(Change{Kind: PagesMoved, Page: i + 1})
		}
		last = n
		if err := c.page(at.to("Kids").nth(i), n, c.pages.was[n-1], p); err != nil {
			return err
		}
		for _, k := range unionOf(c.pages.was[n-1].inherited, p.inherited) {
			if err := c.key(Change{Kind: PageContent, Page: n}, at.nth(i), k, c.pages.was[n-1].inherited, p.inherited); err != nil {
				return err
			}
		}
	}
	for i, p := range c.pages.was {
		if !stayed[refOf(p.ref)] {
			c.change(Change{Kind: PageRemoved, Page: i + 1})
		}
	}
	return nil
}

// addedPage tells a page that is one of the file's own templates, in all that is shown,
// from any other (ISO 32000-2, 12.7.7).
func (c *comparison) addedPage(number int, p page) error {
	templates, err := c.templates()
	if err != nil {
		return err
	}
	for _, t := range templates {
		ok, err := c.instance(t, p)
		if err != nil {
			return err
		}
		if ok {
			c.change(Change{Kind: PageInstantiated, Page: number})
			return nil
		}
	}
	c.change(Change{Kind: PageAdded, Page: number})
	return nil
}

// instance says whether a page shows what a template does, and nothing on top of it.
func (c *comparison) instance(template pdf.Dict, p page) (bool, error) {
	at := (*trail)(nil).to("Template")
	for _, k := range unionOf(template, p.dict) {
		switch k {
		case "Type", "Parent", "Tabs", "StructParents", "LastModified":
			continue
		case "Annots":
			if _, has := p.dict[k]; !has {
				continue
			}
			return false, nil
		}
		v, has := p.dict[k]
		if is, inherits := p.inherited[k]; !has && inherits {
			v = is
		}
		where, err := c.same(at, template[k], v)
		if err != nil || where != nil {
			return false, err
		}
	}
	for k, v := range p.inherited { // what a template takes from nobody
		if where, err := c.same(at, template[k], v); err != nil || where != nil {
			return false, err
		}
	}
	return true, nil
}

// templates are the named pages of the earlier revision that are not shown by themselves.
func (c *comparison) templates() ([]pdf.Dict, error) {
	catalog, err := c.before.Catalog()
	if err != nil {
		return nil, err
	}
	names, err := c.before.Dict(catalog["Names"])
	if err != nil {
		return nil, err
	}
	var out []pdf.Dict
	seen := map[pdf.Ref]bool{}
	todo := []pdf.Object{names["Templates"]}
	for len(todo) > 0 && len(seen) < 1000 {
		o := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if r, ok := o.(pdf.Ref); ok {
			if seen[r] {
				continue
			}
			seen[r] = true
		}
		d, err := c.before.Dict(o)
		if err != nil {
			return nil, err
		}
		kids, err := c.before.Array(d["Kids"])
		if err != nil {
			return nil, err
		}
		todo = append(todo, kids...)
		list, err := c.before.Array(d["Names"])
		if err != nil {
			return nil, err
		}
		for i := 1; i < len(list); i += 2 {
			t, err := c.before.Dict(list[i])
			if err != nil {
				return nil, err
			}
			if t != nil {
				out = append(out, t)
			}
		}
		if len(out) > 1000 {
			return nil, pdf.ErrLimit
		}
	}
	return out, nil
}
