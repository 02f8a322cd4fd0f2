package trustlist

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
	validator "github.com/mattermost/xml-roundtrip-validator"
)

// Limits of a list. The largest of 2025 weighs 6 MB and has 120,000 elements.
const (
	MaxSize     = 24 << 20 // bytes
	maxElements = 600_000
	maxDepth    = 40
)

// parse is the one parser of foreign bytes. Document types, and with them entities,
// are refused in the bytes; so is what does not survive reading and writing.
func parse(text []byte) (*etree.Element, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	switch {
	case len(text) > MaxSize:
		return nil, errors.New("too large")
	case !utf8.Valid(text):
		return nil, errors.New("not UTF-8")
	case bytes.Contains(text, []byte("<!DOCTYPE")), bytes.Contains(text, []byte("<!ENTITY")):
		return nil, errors.New("a document type declaration")
	}
	if err := validator.Validate(bytes.NewReader(text)); err != nil {
		return nil, fmt.Errorf("it does not survive reading and writing: %w", err)
	}
	return load(text)
}

// load is parse for bytes that are read once and never written again: what was hashed.
func load(text []byte) (*etree.Element, error) {
	doc := etree.NewDocument()
	doc.ReadSettings = etree.ReadSettings{PreserveDuplicateAttrs: true, CharsetReader: func(label string, r io.Reader) (io.Reader, error) {
		if strings.EqualFold(label, "utf-8") {
			return r, nil
		}
		return nil, errors.New("another encoding than UTF-8")
	}}
	if err := doc.ReadFromBytes(text); err != nil {
		return nil, err
	}
	if len(doc.ChildElements()) != 1 {
		return nil, errors.New("not one root element")
	}
	for _, t := range doc.Child {
		if p, ok := t.(*etree.ProcInst); ok && p.Target != "xml" {
			return nil, errors.New("an instruction")
		}
	}
	left := maxElements
	return doc.Root(), sound(doc.Root(), &left, 0)
}

// sound refuses what other readers may read otherwise, and bombs.
func sound(e *etree.Element, left *int, depth int) error {
	if *left--; *left < 0 || depth > maxDepth {
		return errors.New("too many elements, or too deep")
	}
	if e.Space != "" && e.NamespaceURI() == "" {
		return errors.New("an unknown prefix")
	}
	for i, a := range e.Attr {
		for _, b := range e.Attr[:i] {
			if a.Key == b.Key && a.Space == b.Space {
				return errors.New("an attribute is there twice")
			}
		}
	}
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			if err := sound(t, left, depth+1); err != nil {
				return err
			}
		case *etree.ProcInst, *etree.Directive:
			return errors.New("an instruction")
		}
	}
	return nil
}

func is(e *etree.Element, space, tag string) bool { return e.Tag == tag && e.NamespaceURI() == space }

// child is the first child of this local name; nil where there is none. What it is
// asked of was signed, so that names need not be told apart by more.
func child(e *etree.Element, path ...string) *etree.Element {
	for _, tag := range path {
		if e == nil {
			return nil
		}
		var found *etree.Element
		for _, c := range e.ChildElements() {
			if c.Tag == tag {
				found = c
				break
			}
		}
		e = found
	}
	return e
}

// children are those of this local name.
func children(e *etree.Element, tag string) (list []*etree.Element) {
	if e == nil {
		return nil
	}
	for _, c := range e.ChildElements() {
		if c.Tag == tag {
			list = append(list, c)
		}
	}
	return list
}

// text is the text of the first child along a path, "" where there is none.
func text(e *etree.Element, path ...string) string {
	if e = child(e, path...); e == nil {
		return ""
	}
	return strings.TrimSpace(e.Text())
}

func decode(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}
