package pdf

import (
	"fmt"
	"maps"
)

// Describe adds an annotation to the document's structure, at its end, so that it is read
// where others see it (ISO 14289-1, 7.18.1 and 7.18.4): kind is the element's, alt what it
// says, and key the annotation's /StructParent. ok is false where the document has no
// structure. It may be called for several annotations of one update.
func (u *Update) Describe(annotation, page Ref, kind Name, alt string) (key Integer, ok bool, err error) {
	catalog, err := u.file.Catalog()
	if err != nil {
		return 0, false, err
	}
	self, isRef := catalog["StructTreeRoot"].(Ref)
	root, err := u.dict(catalog["StructTreeRoot"])
	if err != nil || root == nil {
		return 0, false, err
	}
	if !isRef {
		return 0, false, fmt.Errorf("%w: the structure's root is no object of its own", ErrSyntax)
	}
	next, err := u.nextKey(root)
	if err != nil {
		return 0, false, err
	}
	parent, err := u.structureParent(self, root)
	if err != nil {
		return 0, false, err
	}
	element := u.Add(Dict{
		"Type": Name("StructElem"), "S": kind, "P": parent, "Alt": Text(alt),
		"K": Dict{"Type": Name("OBJR"), "Obj": annotation, "Pg": page},
	})
	return Integer(next), true, u.addElement(self, root, parent, element, next)
}

// dict is a dictionary as it will be after the update.
func (u *Update) dict(o Object) (Dict, error) {
	if r, ok := o.(Ref); ok {
		if set, ok := u.objects[r].(Dict); ok {
			return set, nil
		}
	}
	return u.file.Dict(o)
}

// nextKey is a key that the parent tree does not use yet (ISO 32000-1, table 322).
func (u *Update) nextKey(root Dict) (int, error) {
	if n, ok := u.file.Number(root["ParentTreeNextKey"]); ok && n >= 0 && n < 1<<31 {
		return int(n), nil
	}
	highest := -1
	if err := u.keys(root["ParentTree"], &highest, map[Ref]bool{}); err != nil {
		return 0, err
	}
	return highest + 1, nil
}

// keys finds the highest key of a number tree (ISO 32000-1, 7.9.7).
func (u *Update) keys(node Object, highest *int, seen map[Ref]bool) error {
	if r, ok := node.(Ref); ok {
		if seen[r] {
			return fmt.Errorf("%w: the parent tree turns in a circle", ErrSyntax)
		}
		seen[r] = true
	}
	d, err := u.dict(node)
	if err != nil {
		return err
	}
	pairs, err := u.file.Array(d["Nums"])
	if err != nil {
		return err
	}
	for i := 0; i < len(pairs); i += 2 {
		if n, ok := u.file.Number(pairs[i]); ok {
			*highest = max(*highest, int(n))
		}
	}
	kids, err := u.file.Array(d["Kids"])
	if err != nil {
		return err
	}
	for _, k := range kids {
		if _, ok := k.(Ref); !ok {
			continue
		}
		if err := u.keys(k, highest, seen); err != nil {
			return err
		}
	}
	return nil
}

// structureParent is the element that another one is put at the end of: the one that holds
// the whole document, or the root where there are several.
func (u *Update) structureParent(self Ref, root Dict) (Ref, error) {
	k := root["K"]
	if list, err := u.file.Array(k); err == nil && len(list) == 1 {
		k = list[0]
	}
	if r, ok := k.(Ref); ok {
		if d, err := u.dict(r); err == nil && d["S"] != nil {
			return r, nil
		}
	}
	return self, nil
}

// addElement adds an element to its parent, and to the tree that leads from the annotation
// to it.
func (u *Update) addElement(self Ref, root Dict, parent, element Ref, key int) error {
	root = maps.Clone(root)
	root["ParentTreeNextKey"] = Integer(key + 1)
	holder := root
	if parent != self {
		d, err := u.dict(parent)
		if err != nil {
			return err
		}
		holder = maps.Clone(d)
	}
	kids, err := u.list(holder["K"])
	if err != nil {
		return err
	}
	holder["K"] = append(kids, element)
	if parent != self {
		u.Set(parent, holder)
	}
	tree, err := u.dict(root["ParentTree"])
	if err != nil {
		return err
	}
	if tree, err = u.withKey(tree, key, element); err != nil {
		return err
	}
	if r, ok := root["ParentTree"].(Ref); ok {
		u.Set(r, tree)
	} else {
		root["ParentTree"] = tree
	}
	u.Set(self, root)
	return nil
}

// list is an entry that may be one thing or several, as several.
func (u *Update) list(o Object) (Array, error) {
	resolved, err := u.file.Resolve(o)
	if err != nil {
		return nil, err
	}
	switch v := resolved.(type) {
	case nil:
		return Array{}, nil
	case Array:
		return append(Array{}, v...), nil
	}
	return Array{o}, nil
}

// withKey is a number tree with one more key, higher than all it has.
func (u *Update) withKey(tree Dict, key int, value Ref) (Dict, error) {
	out := Dict{}
	maps.Copy(out, tree)
	delete(out, "Nums")
	pair := Array{Integer(key), value}
	if tree["Kids"] != nil {
		kids, err := u.list(tree["Kids"])
		if err != nil {
			return nil, err
		}
		limits := Array{Integer(key), Integer(key)}
		out["Kids"] = append(kids, u.Add(Dict{"Limits": limits, "Nums": pair}))
		return out, nil
	}
	pairs, err := u.list(tree["Nums"])
	if err != nil {
		return nil, err
	}
	out["Nums"] = append(pairs, pair...)
	return out, nil
}

// Annotate adds annotations to a page, with the tab order of the structure where the page
// has none (ISO 14289-1, 7.18.3). It is called once for each page.
func (u *Update) Annotate(page Ref, dict Dict, annotations ...Object) error {
	annots, err := u.file.Array(dict["Annots"])
	if err != nil {
		return err
	}
	annots = append(append(Array{}, annots...), annotations...)
	changed := maps.Clone(dict)
	r, indirect := dict["Annots"].(Ref)
	if indirect {
		u.Set(r, annots)
	} else {
		changed["Annots"] = annots
	}
	if _, ok := dict["Tabs"]; !ok {
		changed["Tabs"] = Name("S")
	} else if indirect {
		return nil
	}
	u.Set(page, changed)
	return nil
}
