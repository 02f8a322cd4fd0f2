package fas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
	validator "github.com/mattermost/xml-roundtrip-validator"
)

// Limits of a message.
const (
	maxElements = 2000
	maxDepth    = 30
)

// parse is the one parser of this package. Declarations (hence DTDs and entities) are
// refused in the bytes, before they are parsed. In messages, comments and CDATA are
// too: no honest provider writes them, and text that they split reads differently
// here and there. Metadata, which people edit, may have comments.
func parse(text []byte, metadata bool) (*etree.Element, error) {
	switch {
	case !utf8.Valid(text):
		return nil, errors.New("not UTF-8")
	case !metadata && bytes.Contains(text, []byte("<!")):
		return nil, errors.New("a declaration, comment or CDATA")
	case bytes.Contains(text, []byte("<!DOCTYPE")), bytes.Contains(text, []byte("<!ENTITY")):
		return nil, errors.New("a document type declaration")
	case !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n\ufeff"), []byte("<")):
		return nil, errors.New("no XML")
	}
	if err := validator.Validate(bytes.NewReader(text)); err != nil {
		return nil, fmt.Errorf("it does not survive reading and writing: %w", err)
	}
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
	var root *etree.Element
	for _, t := range doc.Child {
		switch t := t.(type) {
		case *etree.Element:
			if root != nil {
				return nil, errors.New("two root elements")
			}
			root = t
		case *etree.CharData:
			if strings.TrimSpace(t.Data) != "" {
				return nil, errors.New("text outside the root element")
			}
		case *etree.ProcInst:
			if t.Target != "xml" || root != nil {
				return nil, errors.New("a processing instruction")
			}
		}
	}
	if root == nil {
		return nil, errors.New("no element")
	}
	limit := maxElements
	if metadata {
		limit = 100 * maxElements
	}
	return root, sound(root, &limit, 0, metadata)
}

// sound refuses what other readers may read otherwise: an attribute there twice, a
// prefix that means nothing, instructions, and bombs.
func sound(e *etree.Element, left *int, depth int, metadata bool) error {
	if *left--; *left < 0 || depth > maxDepth {
		return errors.New("too many elements, or too deep")
	}
	if e.Space != "" && e.NamespaceURI() == "" {
		return errors.New("an unknown prefix")
	}
	seen := map[string]bool{} // by local name: some readers look no further
	for _, a := range e.Attr {
		if a.Space != "" && a.Space != "xmlns" && a.Space != "xml" && a.NamespaceURI() == "" {
			return errors.New("an unknown prefix")
		}
		if seen[a.Key] {
			return errors.New("an attribute is there twice")
		}
		seen[a.Key] = true
	}
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			if err := sound(t, left, depth+1, metadata); err != nil {
				return err
			}
		case *etree.CharData:
		default:
			if !metadata {
				return errors.New("an instruction or a comment")
			}
		}
	}
	return nil
}

func is(e *etree.Element, space, tag string) bool { return e.Tag == tag && e.NamespaceURI() == space }

// attr is the attribute of this name and no namespace.
func attr(e *etree.Element, name string) *etree.Attr {
	for i := range e.Attr {
		if e.Attr[i].Space == "" && e.Attr[i].Key == name {
			return &e.Attr[i]
		}
	}
	return nil
}

func has(e *etree.Element, name string) bool { return attr(e, name) != nil }

// value is the attribute's value, "" where it is not there.
func value(e *etree.Element, name string) string {
	if a := attr(e, name); a != nil {
		return a.Value
	}
	return ""
}

// children are the child elements of this name.
func children(e *etree.Element, space, tag string) []*etree.Element {
	var list []*etree.Element
	for _, c := range e.ChildElements() {
		if is(c, space, tag) {
			list = append(list, c)
		}
	}
	return list
}

// only is the one child of this name.
func only(e *etree.Element, space, tag string) (*etree.Element, error) {
	list := children(e, space, tag)
	if len(list) != 1 {
		return nil, fmt.Errorf("%d %s in %s: %w", len(list), tag, e.Tag, errShape)
	}
	return list[0], nil
}

// text is an element's text; an element inside it makes it unreadable.
func text(e *etree.Element) (string, error) {
	if len(e.ChildElements()) > 0 {
		return "", fmt.Errorf("elements in %s: %w", e.Tag, errShape)
	}
	var b strings.Builder
	for _, t := range e.Child {
		if d, ok := t.(*etree.CharData); ok {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String()), nil
}

// Algorithms.
var (
	signatures = []string{
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
	}
	digests = []string{
		"http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha512",
	}
	canonical = []string{
		"http://www.w3.org/2001/10/xml-exc-c14n#", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
	}
)

const (
	signatureSHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
	digestSHA1    = "http://www.w3.org/2000/09/xmldsig#sha1"
	enveloped     = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
)

// shape checks what a message looks like before any key is touched: as many assertions
// as are wanted, where they belong; IDs that are there once; signatures that are children of what they sign.
// It says nothing about who wrote it.
func (a *Agreement) shape(root *etree.Element, want int) error {
	assertions, ids := 0, map[string]bool{}
	var walk func(*etree.Element) error
	walk = func(e *etree.Element) error {
		for _, attr := range e.Attr {
			if attr.Space == "xmlns" || !strings.EqualFold(attr.Key, "id") || e.NamespaceURI() == nsEncrypted {
				continue
			}
			if ids[attr.Value] || attr.Value == "" {
				return errors.New("an ID is there twice, or empty")
			}
			ids[attr.Value] = true
		}
		switch {
		case is(e, nsAssertion, "Assertion"), is(e, nsAssertion, "EncryptedAssertion"):
			if assertions++; e != root && e.Parent() != root {
				return errors.New("an assertion at the wrong place")
			}
		case is(e, nsProtocol, "Response") && e != root:
			return errors.New("a response in another")
		case is(e, nsSignature, "Signature"):
			if err := a.signature(root, e); err != nil {
				return err
			}
		case is(e, nsSignature, "Object"), is(e, nsAssertion, "Advice"), is(e, nsProtocol, "Extensions"):
			return fmt.Errorf("%s: %w", e.Tag, errShape)
		}
		for _, c := range e.ChildElements() {
			if err := walk(c); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(root); err != nil {
		return err
	}
	if assertions != want {
		return fmt.Errorf("%d assertions", assertions)
	}
	return nil
}

// signature checks one signature's place and algorithms.
func (a *Agreement) signature(root, s *etree.Element) error {
	over := s.Parent()
	if over == nil || over != root && (over.Parent() != root || !is(over, nsAssertion, "Assertion")) || len(children(over, nsSignature, "Signature")) != 1 {
		return errors.New("a signature at the wrong place")
	}
	info, err := only(s, nsSignature, "SignedInfo")
	if err != nil {
		return err
	}
	reference, err := only(info, nsSignature, "Reference")
	if err != nil {
		return err
	}
	if id := value(over, "ID"); id == "" || value(reference, "URI") != "#"+id {
		return errors.New("a signature of something else than what holds it")
	}
	if err := a.algorithm(info, "SignatureMethod", signatures, signatureSHA1); err != nil {
		return err
	}
	if err := a.algorithm(reference, "DigestMethod", digests, digestSHA1); err != nil {
		return err
	}
	if err := a.algorithm(info, "CanonicalizationMethod", canonical, ""); err != nil {
		return err
	}
	transforms, err := only(reference, nsSignature, "Transforms")
	if err != nil {
		return err
	}
	list := children(transforms, nsSignature, "Transform")
	if len(list) > 2 || len(list) == 0 {
		return errors.New("unusual transforms")
	}
	for i, t := range list {
		name := value(t, "Algorithm")
		if (i == 0) != (name == enveloped) || i == 1 && !slices.Contains(canonical, name) {
			return errors.New("unusual transforms")
		}
	}
	return nil
}

func (a *Agreement) algorithm(parent *etree.Element, tag string, good []string, sha1 string) error {
	e, err := only(parent, nsSignature, tag)
	if err != nil {
		return err
	}
	name := value(e, "Algorithm")
	if slices.Contains(good, name) || sha1 != "" && name == sha1 && a.allows(SHA1) {
		return nil
	}
	return errAlgorithm
}

var errAlgorithm = errors.New("an algorithm that is not allowed")
