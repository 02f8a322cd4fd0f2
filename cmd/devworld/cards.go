package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/testcerts"
)

// cardHandler is the card service: what a card reading program does, for programs that
// have no browser. PINs are right or wrong as on a card.
//
//	GET  /cards                     every card
//	GET  /cards/NAME                certificates, as Web eID's get-signing-certificate and more
//	POST /cards/NAME/authenticate   {origin, nonce, pin} → web-eid:1.0 token
//	POST /cards/NAME/sign           {certificate, hash, hashFunction, pin} → {signature, signatureAlgorithm}
func (w *world) cardHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cards", func(rw http.ResponseWriter, r *http.Request) { writeJSON(rw, http.StatusOK, w.cardList()) })
	mux.HandleFunc("GET /cards/{name}", w.withCard(w.showCard))
	mux.HandleFunc("POST /cards/{name}/authenticate", w.withCard(w.authenticate))
	mux.HandleFunc("POST /cards/{name}/sign", w.withCard(w.sign))
	return mux
}

// cardError is a refusal with a word for programs.
type cardError struct {
	status int
	code   string
	err    error
}

func (e *cardError) Error() string { return e.code + ": " + e.err.Error() }

func refuse(status int, code, format string, args ...any) error {
	return &cardError{status, code, fmt.Errorf(format, args...)}
}

// withCard finds the card of the path, calls f, and answers in JSON.
func (w *world) withCard(f func(*testcerts.Card, *http.Request) (any, error)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		found, err := w.cardOf(r.PathValue("name"))
		if err != nil {
			writeJSON(rw, http.StatusNotFound, failure{failureDetail{"no_card", err.Error()}})
			return
		}
		answer, err := f(found, r)
		if err != nil {
			status, code := cardStatus(err)
			writeJSON(rw, status, failure{failureDetail{code, err.Error()}})
			return
		}
		writeJSON(rw, http.StatusOK, answer)
	}
}

type failure struct {
	Error failureDetail `json:"error"`
}

type failureDetail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// cardStatus is the status and the word of an error; the words of internal/eid/card stay.
func cardStatus(err error) (int, string) {
	if e, ok := errors.AsType[*cardError](err); ok {
		return e.status, e.code
	}
	switch key := fault.KeyOf(err); {
	case strings.HasPrefix(key, "card.pin_"):
		return http.StatusForbidden, key
	case key != "":
		return http.StatusConflict, key
	}
	return http.StatusInternalServerError, "card.failed"
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(v)
}

// readJSON reads a small JSON body.
func readJSON(r *http.Request, v any) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "bad_request", "application/json expected")
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(v); err != nil {
		return refuse(http.StatusBadRequest, "bad_request", "no JSON of the expected shape")
	}
	return nil
}

func (w *world) showCard(c *testcerts.Card, _ *http.Request) (any, error) {
	if c.Signature == nil {
		return nil, card.ErrNoCertificate
	}
	return struct {
		Authentication []byte            `json:"authenticationCertificate"` // DER, base64
		Signature      []byte            `json:"certificate"`               // for signatures
		CA             []byte            `json:"caCertificate"`
		Supported      []signatureFormat `json:"supportedSignatureAlgorithms"`
	}{c.Authentication.Raw, c.Signature.Raw, c.CA.Raw, []signatureFormat{formatOf(c.Signature.PublicKey, "SHA-384"), formatOf(c.Signature.PublicKey, "SHA-256")}}, nil
}

func (w *world) authenticate(c *testcerts.Card, r *http.Request) (any, error) {
	var q struct{ Origin, Nonce, PIN string }
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	if err := errors.Join(card.CheckOrigin(q.Origin), card.CheckNonce(q.Nonce)); err != nil {
		return nil, refuse(http.StatusBadRequest, "bad_request", "%w", err)
	}
	pin := p11.ParsePIN(q.PIN)
	defer pin.Wipe()
	inserted, err := card.Find(w.pki.Module(), c.Serial)
	if err != nil {
		return nil, err
	}
	return inserted.Authenticate(q.Origin, q.Nonce, pin)
}

// signatureFormat is SignatureAlgorithm of Web eID.
type signatureFormat struct {
	Crypto  string `json:"cryptoAlgorithm"` // ECC or RSA
	Hash    string `json:"hashFunction"`
	Padding string `json:"paddingScheme"` // NONE or PKCS1.5
}

func formatOf(pub crypto.PublicKey, hash string) signatureFormat {
	if _, ok := pub.(*rsa.PublicKey); ok {
		return signatureFormat{"RSA", hash, "PKCS1.5"}
	}
	return signatureFormat{"ECC", hash, "NONE"}
}

var hashFunctions = map[string]crypto.Hash{"SHA-256": crypto.SHA256, "SHA-384": crypto.SHA384, "SHA-512": crypto.SHA512}

// sign signs a hash with the Signature key, when the certificate is the card's own.
func (w *world) sign(c *testcerts.Card, r *http.Request) (any, error) {
	var q struct {
		Certificate  []byte
		Hash         []byte
		HashFunction string
		PIN          string
	}
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(q.Certificate)
	if err != nil || c.Signature == nil || !cert.Equal(c.Signature) {
		return nil, refuse(http.StatusConflict, "other_certificate", "the card has another certificate for signatures")
	}
	hash, ok := hashFunctions[q.HashFunction]
	if !ok || len(q.Hash) != hash.Size() {
		return nil, refuse(http.StatusBadRequest, "bad_request", "hashFunction SHA-256, SHA-384 or SHA-512 and a hash of its length expected")
	}
	pin := p11.ParsePIN(q.PIN)
	defer pin.Wipe()
	inserted, err := card.Find(w.pki.Module(), c.Serial)
	if err != nil {
		return nil, err
	}
	made, err := inserted.Sign(hash, q.Hash, pin)
	if err != nil {
		return nil, err
	}
	return struct {
		Signature string          `json:"signature"`
		Algorithm signatureFormat `json:"signatureAlgorithm"`
	}{base64.StdEncoding.EncodeToString(made.Value), formatOf(cert.PublicKey, q.HashFunction)}, nil
}
