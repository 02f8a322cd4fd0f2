package fas

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// redirect is a message in an address, signed beside itself (saml-bindings-2.0-os §3.4.4.1).
func (a *Agreement) redirect(address, kind string, e *etree.Element, relay string) (string, error) {
	raw, err := bytesOf(e)
	if err != nil {
		return "", err
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(raw); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	query := kind + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes()))
	if relay != "" {
		query += "&RelayState=" + url.QueryEscape(relay)
	}
	query += "&SigAlg=" + url.QueryEscape(dsig.RSASHA256SignatureMethod)
	sum := sha256.Sum256([]byte(query))
	signature, err := a.Signing[0].Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("fas: %w", err)
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), nil
}

// signed is a message for the POST binding, with its signature behind the Issuer.
func (a *Agreement) signed(e *etree.Element) (string, error) {
	ctx, err := dsig.NewSigningContext(a.Signing[0].Signer, [][]byte{a.Signing[0].Certificate.Raw})
	if err != nil {
		return "", fmt.Errorf("fas: %w", err)
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := ctx.SetSignatureMethod(dsig.RSASHA256SignatureMethod); err != nil {
		return "", fmt.Errorf("fas: %w", err)
	}
	e, err = ctx.SignEnveloped(e)
	if err != nil {
		return "", fmt.Errorf("fas: %w", err)
	}
	last := e.RemoveChildAt(len(e.Child) - 1) // the schema wants it second
	e.InsertChildAt(1, last)
	raw, err := bytesOf(e)
	return base64.StdEncoding.EncodeToString(raw), err
}

func bytesOf(e *etree.Element) ([]byte, error) {
	doc := etree.NewDocument()
	doc.SetRoot(e)
	raw, err := doc.WriteToBytes()
	if err != nil {
		return nil, fmt.Errorf("fas: %w", err)
	}
	return raw, nil
}

// unpack decodes a message, inflating what came by the redirect binding.
func unpack(encoded string, deflated bool) ([]byte, error) {
	if len(encoded) > messageLimit*4/3+4 {
		return nil, errors.New("too large")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(encoded))
	if err != nil || !deflated {
		return raw, err
	}
	raw, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw)), messageLimit+1))
	if err == nil && len(raw) > messageLimit {
		err = errors.New("too large")
	}
	return raw, err
}

// detachedHashes are the signatures of the redirect binding.
var detachedHashes = map[string]crypto.Hash{
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": crypto.SHA256,
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": crypto.SHA384,
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": crypto.SHA512,
	signatureSHA1: crypto.SHA1,
}

// detached checks the signature beside a message, over the query as it came: encoding
// a value again might give other bytes than were signed.
func (a *Agreement) detached(query, kind string, keys []*x509.Certificate, now time.Time) error {
	raw := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		name, v, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if _, twice := raw[plain]; err != nil || twice || plain != name {
			return errors.New("a parameter is there twice, or its name is disguised")
		}
		raw[name] = v
	}
	if encoding, ok := raw["SAMLEncoding"]; ok {
		if v, err := url.QueryUnescape(encoding); err != nil || v != "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE" {
			return errors.New("another encoding than DEFLATE")
		}
	}
	algorithm, err := url.QueryUnescape(raw["SigAlg"])
	if err != nil {
		return err
	}
	hash, ok := detachedHashes[algorithm]
	if !ok || hash == crypto.SHA1 && !a.allows(SHA1) {
		return errAlgorithm
	}
	encoded, err := url.QueryUnescape(raw["Signature"])
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	text := kind + "=" + raw[kind]
	if relay, ok := raw["RelayState"]; ok {
		text += "&RelayState=" + relay
	}
	h := hash.New()
	h.Write([]byte(text + "&SigAlg=" + raw["SigAlg"]))
	sum := h.Sum(nil)
	for _, c := range keys {
		key, ok := c.PublicKey.(*rsa.PublicKey)
		if ok && !now.Before(c.NotBefore) && !now.After(c.NotAfter) && rsa.VerifyPKCS1v15(key, hash, sum, signature) == nil {
			return nil
		}
	}
	return errors.New("by no key of the provider")
}
