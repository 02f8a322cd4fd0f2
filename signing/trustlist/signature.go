package trustlist

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // registers the hashes
	_ "crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

const (
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
	enveloped   = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	propsType   = "http://uri.etsi.org/01903#SignedProperties"
)

// Algorithms that are believed; SHA-1 is not among them.
var (
	digests = map[string]crypto.Hash{
		"http://www.w3.org/2001/04/xmlenc#sha256":       crypto.SHA256,
		"http://www.w3.org/2001/04/xmldsig-more#sha384": crypto.SHA384,
		"http://www.w3.org/2001/04/xmlenc#sha512":       crypto.SHA512,
	}
	methods = map[string]method{
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":      {crypto.SHA256, rsaPKCS1},
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha384":      {crypto.SHA384, rsaPKCS1},
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512":      {crypto.SHA512, rsaPKCS1},
		"http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1": {crypto.SHA256, rsaPSS},
		"http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1": {crypto.SHA384, rsaPSS},
		"http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1": {crypto.SHA512, rsaPSS},
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256":    {crypto.SHA256, rawECDSA},
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384":    {crypto.SHA384, rawECDSA},
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512":    {crypto.SHA512, rawECDSA},
	}
)

type method struct {
	hash  crypto.Hash
	check func(key crypto.PublicKey, h crypto.Hash, sum, signature []byte) error
}

var errKey = errors.New("the key is of another kind than the signature")

func rsaPKCS1(key crypto.PublicKey, h crypto.Hash, sum, signature []byte) error {
	k, ok := key.(*rsa.PublicKey)
	if !ok || k.N.BitLen() < 2048 {
		return errKey
	}
	return rsa.VerifyPKCS1v15(k, h, sum, signature)
}

func rsaPSS(key crypto.PublicKey, h crypto.Hash, sum, signature []byte) error {
	k, ok := key.(*rsa.PublicKey)
	if !ok || k.N.BitLen() < 2048 {
		return errKey
	}
	return rsa.VerifyPSS(k, h, sum, signature, &rsa.PSSOptions{SaltLength: h.Size()})
}

// rawECDSA reads r and s one behind the other, as XML signatures write them.
func rawECDSA(key crypto.PublicKey, _ crypto.Hash, sum, signature []byte) error {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return errKey
	}
	size := (k.Curve.Params().BitSize + 7) / 8
	if len(signature) != 2*size || !ecdsa.Verify(k, sum, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])) {
		return errors.New("wrong signature")
	}
	return nil
}

// authenticated checks the enveloped XAdES signature of a list (TS 119 612, 5.7.1)
// and returns the root as it was signed, read again from the very bytes that were
// hashed: nothing else may be looked at. The signer must be one of those given.
//
// Of goxmldsig only the canonical forms are used: its own search for a signature
// gives up after 1,000 elements, and it reads ECDSA otherwise than XML writes it.
func authenticated(root *etree.Element, signers []*x509.Certificate, now time.Time) (*etree.Element, *x509.Certificate, error) {
	s, err := onlySignature(root)
	if err != nil {
		return nil, nil, err
	}
	signer, err := signerOf(s, signers, now)
	if err != nil {
		return nil, nil, err
	}
	info, err := signedInfo(s, signer)
	if err != nil {
		return nil, nil, err
	}
	var signed []byte
	var properties *etree.Element
	for _, r := range children(info, "Reference") {
		uri := r.SelectAttrValue("URI", "none")
		switch {
		case uri == "" || uri == "#"+root.SelectAttrValue("Id", ""):
			if signed != nil {
				return nil, nil, errors.New("the list is referred to twice")
			}
			if signed, err = rootBytes(root, s, r); err != nil {
				return nil, nil, err
			}
		default:
			part, err := within(s, uri)
			if err != nil {
				return nil, nil, err
			}
			b, err := partBytes(part, r)
			if err != nil {
				return nil, nil, err
			}
			if r.SelectAttrValue("Type", "") == propsType {
				if properties, err = parse(b); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	if signed == nil {
		return nil, nil, errors.New("the signature does not cover the list")
	}
	if err := namesSigner(properties, signer); err != nil {
		return nil, nil, err
	}
	again, err := load(signed)
	return again, signer, err
}

// onlySignature is the one signature, a child of the root; every Id is there once.
func onlySignature(root *etree.Element) (*etree.Element, error) {
	var found []*etree.Element
	ids := map[string]bool{}
	var walk func(*etree.Element) error
	walk = func(e *etree.Element) error {
		for _, name := range []string{"Id", "ID", "id"} {
			a := e.SelectAttr(name)
			if a == nil || a.Space != "" {
				continue
			}
			if ids[a.Value] || a.Value == "" {
				return errors.New("an Id is there twice, or empty")
			}
			ids[a.Value] = true
		}
		if is(e, nsSignature, "Signature") {
			found = append(found, e)
		}
		for _, c := range e.ChildElements() {
			if err := walk(c); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(root); err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errors.New("it is not signed")
	}
	if len(found) != 1 || found[0].Parent() != root {
		return nil, errors.New("a signature at the wrong place")
	}
	for _, tag := range []string{"SignedInfo", "SignatureValue", "KeyInfo"} {
		if len(children(found[0], tag)) != 1 {
			return nil, fmt.Errorf("not one %s in the signature", tag)
		}
	}
	return found[0], nil
}

// signerOf is the certificate of the signature, where it is one of those that may sign.
func signerOf(s *etree.Element, signers []*x509.Certificate, now time.Time) (*x509.Certificate, error) {
	der, err := decode(text(s, "KeyInfo", "X509Data", "X509Certificate"))
	if err != nil {
		return nil, fmt.Errorf("the signer's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("the signer's certificate: %w", err)
	}
	if !slices.ContainsFunc(signers, cert.Equal) {
		return nil, fmt.Errorf("%q (until %s): %w", cert.Subject.CommonName, cert.NotAfter.Format(time.DateOnly), ErrSigner)
	}
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, fmt.Errorf("the certificate of the signer %q is good from %s to %s", cert.Subject.CommonName, cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly))
	}
	return cert, nil
}

// signedInfo checks the signature's value and returns what it covers, read again.
func signedInfo(s *etree.Element, signer *x509.Certificate) (*etree.Element, error) {
	info := child(s, "SignedInfo")
	form, err := canonicalizer(child(info, "CanonicalizationMethod"))
	if err != nil {
		return nil, err
	}
	b, err := form.Canonicalize(detached(info))
	if err != nil {
		return nil, err
	}
	again, err := parse(b)
	if err != nil {
		return nil, err
	}
	m, ok := methods[attribute(child(again, "SignatureMethod"), "Algorithm")]
	if !ok {
		return nil, errors.New("a signature algorithm that is not believed")
	}
	value, err := decode(text(s, "SignatureValue"))
	if err != nil {
		return nil, err
	}
	h := m.hash.New()
	h.Write(b)
	if err := m.check(signer.PublicKey, m.hash, h.Sum(nil), value); err != nil {
		return nil, fmt.Errorf("the signature: %w", err)
	}
	return again, nil
}

func attribute(e *etree.Element, name string) string {
	if e == nil {
		return ""
	}
	return e.SelectAttrValue(name, "")
}

// canonicalizer is the form that an element's Algorithm names.
func canonicalizer(e *etree.Element) (dsig.Canonicalizer, error) {
	switch attribute(e, "Algorithm") {
	case string(dsig.CanonicalXML10ExclusiveAlgorithmId):
		return dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(attribute(child(e, "InclusiveNamespaces"), "PrefixList")), nil
	case string(dsig.CanonicalXML10RecAlgorithmId):
		return dsig.MakeC14N10RecCanonicalizer(), nil
	case string(dsig.CanonicalXML11AlgorithmId):
		return dsig.MakeC14N11Canonicalizer(), nil
	}
	return nil, errors.New("a canonical form that is not known")
}

// rootBytes are those of the list without its signature; r must allow no other reading.
func rootBytes(root, s, r *etree.Element) ([]byte, error) {
	transforms := children(child(r, "Transforms"), "Transform")
	if len(transforms) == 0 || len(transforms) > 2 || attribute(transforms[0], "Algorithm") != enveloped {
		return nil, errors.New("unusual transforms")
	}
	var form dsig.Canonicalizer = dsig.MakeC14N10RecCanonicalizer() // XMLDSig 1.1, 4.4.3.2: what a reference without one means
	if len(transforms) == 2 {
		var err error
		if form, err = canonicalizer(transforms[1]); err != nil {
			return nil, err
		}
	}
	bare := root.Copy()
	bare.RemoveChildAt(s.Index())
	return hashed(form, bare, r)
}

// partBytes are those of a part of the signature itself.
func partBytes(part, r *etree.Element) ([]byte, error) {
	transforms := children(child(r, "Transforms"), "Transform")
	if len(transforms) > 1 {
		return nil, errors.New("unusual transforms")
	}
	var form dsig.Canonicalizer = dsig.MakeC14N10RecCanonicalizer()
	if len(transforms) == 1 {
		var err error
		if form, err = canonicalizer(transforms[0]); err != nil {
			return nil, err
		}
	}
	return hashed(form, detached(part), r)
}

// hashed returns the canonical bytes, whose digest must be the reference's.
func hashed(form dsig.Canonicalizer, e, r *etree.Element) ([]byte, error) {
	hash := digests[attribute(child(r, "DigestMethod"), "Algorithm")]
	if hash == 0 {
		return nil, errors.New("a digest that is not believed")
	}
	b, err := form.Canonicalize(e)
	if err != nil {
		return nil, err
	}
	want, err := decode(text(r, "DigestValue"))
	if err != nil {
		return nil, err
	}
	h := hash.New()
	h.Write(b)
	if !bytes.Equal(h.Sum(nil), want) {
		return nil, errors.New("it is not what was signed")
	}
	return b, nil
}

// within finds the element of an Id inside the signature; nothing outside may be meant.
func within(s *etree.Element, uri string) (*etree.Element, error) {
	var found *etree.Element
	var walk func(*etree.Element)
	walk = func(e *etree.Element) {
		if id := e.SelectAttrValue("Id", ""); id != "" && uri == "#"+id {
			found = e
		}
		for _, c := range e.ChildElements() {
			walk(c)
		}
	}
	walk(s)
	if found == nil {
		return nil, errors.New("the signature refers to something else")
	}
	return found, nil
}

// detached is a copy of an element that declares all prefixes in scope.
func detached(e *etree.Element) *etree.Element {
	out := e.Copy()
	for up := e.Parent(); up != nil; up = up.Parent() {
		for _, a := range up.Attr {
			if (a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns") && !declares(out, a) {
				out.Attr = append(out.Attr, etree.Attr{Space: a.Space, Key: a.Key, Value: a.Value})
			}
		}
	}
	return out
}

func declares(e *etree.Element, a etree.Attr) bool {
	return slices.ContainsFunc(e.Attr, func(b etree.Attr) bool { return a.Space == b.Space && a.Key == b.Key })
}

// namesSigner wants the signed properties to name the signer (EN 319 132-1, 5.2.2), so
// that the certificate cannot be exchanged for another of the same key.
func namesSigner(properties *etree.Element, signer *x509.Certificate) error {
	if properties == nil {
		return errors.New("the signature signs no properties: it is no XAdES")
	}
	signed := child(properties, "SignedSignatureProperties")
	for _, tag := range []string{"SigningCertificateV2", "SigningCertificate"} {
		digest := child(signed, tag, "Cert", "CertDigest")
		if digest == nil {
			continue
		}
		hash := digests[attribute(child(digest, "DigestMethod"), "Algorithm")]
		want, err := decode(text(digest, "DigestValue"))
		if hash == 0 || err != nil {
			return errors.New("the signed properties name the signer by a digest that is not believed")
		}
		h := hash.New()
		h.Write(signer.Raw)
		if !bytes.Equal(h.Sum(nil), want) {
			return errors.New("the signed properties name another signer")
		}
		return nil
	}
	return errors.New("the signed properties name no signer")
}
