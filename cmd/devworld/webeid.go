package main

import (
	"crypto"
	"encoding/base64"
	"net/http"

	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/testcerts"
)

// webEID is the authentication token of Web eID, format web-eid:1.0.
type webEID struct {
	Certificate string `json:"unverifiedCertificate"`
	Algorithm   string `json:"algorithm"`
	Signature   string `json:"signature"`
	Format      string `json:"format"`
	AppVersion  string `json:"appVersion"`
}

// webEIDToken has the card sign H(H(origin) ‖ H(nonce)); the nonce is hashed as the text it
// is. Cards sign with P-384, so the hash is SHA-384 and the algorithm ES384.
func webEIDToken(m *p11.Module, c *testcerts.Card, origin, nonce string, pin p11.PIN) (webEID, error) {
	if origin == "" || nonce == "" {
		return webEID{}, refuse(http.StatusBadRequest, "bad_request", "origin and nonce expected")
	}
	token, err := m.Open(c.Selector(), pin, p11.Exclusive())
	if err != nil {
		return webEID{}, err
	}
	defer token.Close()
	key, err := token.Signer("Authentication")
	if err != nil {
		return webEID{}, err
	}
	hash := func(b []byte) []byte {
		h := crypto.SHA384.New()
		h.Write(b)
		return h.Sum(nil)
	}
	der, err := key.Sign(nil, hash(append(hash([]byte(origin)), hash([]byte(nonce))...)), crypto.SHA384)
	if err != nil {
		return webEID{}, err
	}
	signature, err := fixedSignature(der, 48)
	if err != nil {
		return webEID{}, err
	}
	return webEID{
		Certificate: base64.StdEncoding.EncodeToString(c.Authentication.Raw),
		Algorithm:   "ES384",
		Signature:   base64.StdEncoding.EncodeToString(signature),
		Format:      "web-eid:1.0",
		AppVersion:  "https://belfry.example/devworld/1.0.0",
	}, nil
}
