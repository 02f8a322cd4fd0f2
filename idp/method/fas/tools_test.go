package fas_test

import (
	"bytes"
	"compress/flate"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"testing"

	"github.com/beevik/etree"

	"github.com/belfry-eid/belfry/idp/method/fas"
)

func sprint(v any) string { return fmt.Sprintf("%+v", v) }

func inflate(t testing.TB, encoded string) *etree.Document {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(text); err != nil {
		t.Fatal(err)
	}
	return doc
}

func deflate(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(text)
	w.Close()
	return b.Bytes()
}

func certificates(list ...*x509.Certificate) []*x509.Certificate { return list }

// keyStore is a key as gosaml2 wants it.
type keyStore struct{ key fas.Key }

func (k keyStore) GetKeyPair() (*rsa.PrivateKey, []byte, error) {
	return k.key.Signer.(*rsa.PrivateKey), k.key.Certificate.Raw, nil
}
