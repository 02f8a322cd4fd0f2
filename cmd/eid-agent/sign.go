package main

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/p11"
)

// Signing documents, in two operations. A page first asks for the certificate: the
// person sees who asks, for which commune and for how many documents, and agrees that
// their name and national number are read. Only the origin they agreed to may then ask
// for signatures, by that card, for a while; each signature is confirmed again, with the
// PIN where the card wants it. There is no call that signs for anybody else (threat T3).

// trusted is how long an origin may ask for signatures after the person agreed.
const trusted = 30 * time.Minute

// documentsMax bounds what a page can say that it is about to have signed.
const documentsMax = 1000

// signer is the card whose certificate an origin was given.
type signer struct {
	certificate []byte
	until       time.Time
}

// signing is what is asked of the card that signs documents.
type signing struct {
	commune     string // in the page's own words; the origin says who it is
	number      int    // of this document, from 1; 0 where the certificate is asked for
	documents   int    // how many there are
	hash        crypto.Hash
	digest      []byte
	certificate []byte // DER of the one that is to sign
}

// signature is what a page gets, as Web eID's sign has it.
type signature struct {
	Value     []byte          `json:"signature"`
	Algorithm signatureFormat `json:"signatureAlgorithm"`
}

type signatureFormat struct {
	Crypto  string `json:"cryptoAlgorithm"` // ECC or RSA
	Hash    string `json:"hashFunction"`
	Padding string `json:"paddingScheme"` // NONE or PKCS1.5
}

var hashFunctions = map[string]crypto.Hash{"SHA-256": crypto.SHA256, "SHA-384": crypto.SHA384, "SHA-512": crypto.SHA512}

// signRequest is the body of /certificate, which has only the first three, and of /sign.
type signRequest struct {
	Commune      string `json:"commune"`
	Documents    int    `json:"documents"`
	Lang         string `json:"lang"`
	Number       int    `json:"number"`
	Certificate  []byte `json:"certificate"`
	Hash         []byte `json:"hash"`
	HashFunction string `json:"hashFunction"`
}

// communeName says whether s can stand in a window as a commune's name.
func communeName(s string) bool {
	n := utf8.RuneCountInString(s)
	return n > 0 && n <= 60 && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) })
}

// check returns what is asked for, or why it is no request.
func (r signRequest) check(sign bool) (*signing, error) {
	s := &signing{commune: r.Commune, number: r.Number, documents: r.Documents, certificate: r.Certificate, digest: r.Hash}
	if !communeName(r.Commune) {
		return nil, errors.New("a name of a commune wanted")
	}
	if r.Documents < 1 || r.Documents > documentsMax {
		return nil, errors.New("a number of documents wanted")
	}
	if !sign {
		if r.Number != 0 || r.Certificate != nil || r.Hash != nil || r.HashFunction != "" {
			return nil, errors.New("nothing is signed yet")
		}
		return s, nil
	}
	s.hash = hashFunctions[r.HashFunction]
	if s.hash == 0 || len(r.Hash) != s.hash.Size() || r.Number < 1 || r.Number > r.Documents {
		return nil, errors.New("a hash and which document it is of wanted")
	}
	return s, nil
}

// certificate asks for the certificate of the card that will sign.
func (a *agent) certificate(w http.ResponseWriter, r *http.Request, origin string) {
	a.askToSign(w, r, origin, false)
}

// signDocument asks for one signature.
func (a *agent) signDocument(w http.ResponseWriter, r *http.Request, origin string) {
	a.askToSign(w, r, origin, true)
}

func (a *agent) askToSign(w http.ResponseWriter, r *http.Request, origin string, sign bool) {
	var req signRequest
	var task *signing
	err := readJSON(r, &req)
	if err == nil {
		task, err = req.check(sign)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad_request")
		return
	}
	if sign && !a.maySign(origin, req.Certificate) {
		a.log.Warn("refused to sign", "origin", origin)
		refuse(w, http.StatusForbidden, "origin_refused")
		return
	}
	purpose := "certificate"
	if sign {
		purpose = "sign"
	}
	a.ask(w, &operation{origin: origin, purpose: purpose, lang: language(req.Lang), sign: task})
}

// maySign says whether the person agreed to this origin and this certificate.
func (a *agent) maySign(origin string, certificate []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.signers[origin]
	return ok && time.Now().Before(s.until) && len(certificate) > 0 && bytes.Equal(s.certificate, certificate)
}

func (a *agent) agreed(origin string, certificate []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.signers[origin] = signer{certificate, time.Now().Add(trusted)}
}

// fits says why a card is not for this operation, or nil.
func (o *operation) fits(c *card.Card) error {
	if o.readOnly() {
		return nil
	}
	if o.sign == nil {
		_, err := c.Certificate()
		return err
	}
	cert, err := c.SignatureCertificate()
	if err == nil && cert != nil && o.sign.number > 0 && !bytes.Equal(cert.Raw, o.sign.certificate) {
		return card.ErrOtherCard
	}
	return err
}

// among are the cards to choose from: where one of them was agreed to, that one.
func (o *operation) among(cards []*card.Card) []*card.Card {
	if o.sign == nil || o.sign.number == 0 {
		return cards
	}
	for _, c := range cards {
		if !c.Hidden() && o.fits(c) == nil {
			return []*card.Card{c}
		}
	}
	return cards
}

// wantsPIN says whether the PIN is to be typed for this use of a card.
func (o *operation) wantsPIN(c *card.Card) bool {
	certificateOnly := o.sign != nil && o.sign.number == 0 && !c.Hidden()
	return !c.AsksItself() && !certificateOnly && !o.readOnly()
}

// use does with a card what was asked for.
func (o *operation) use(a *agent, c *card.Card, pin p11.PIN, opts ...p11.Option) (outcome, error) {
	switch {
	case o.readOnly():
		files, err := c.Read(o.read.photo)
		return outcome{identity: &files}, err
	case o.sign == nil && o.read != nil:
		token, files, err := c.AuthenticateAndRead(o.origin, o.nonce, pin, opts...)
		return outcome{token: &token, identity: files}, err
	case o.sign == nil:
		token, err := c.Authenticate(o.origin, o.nonce, pin, opts...)
		return outcome{token: &token}, err
	}
	if o.sign.number == 0 {
		cert, err := c.ReadSignatureCertificate(pin, opts...)
		if err != nil {
			return outcome{}, err
		}
		a.agreed(o.origin, cert.Raw)
		return outcome{certificate: cert.Raw}, nil
	}
	if err := o.fits(c); err != nil {
		return outcome{}, err
	}
	made, err := c.Sign(o.sign.hash, o.sign.digest, pin, opts...)
	if err != nil {
		return outcome{}, err
	}
	if !bytes.Equal(made.Certificate.Raw, o.sign.certificate) { // a card that hid it until now
		return outcome{}, card.ErrOtherCard
	}
	format := signatureFormat{"ECC", o.sign.hash.String(), "NONE"}
	if _, ok := made.Certificate.PublicKey.(*rsa.PublicKey); ok {
		format = signatureFormat{"RSA", o.sign.hash.String(), "PKCS1.5"}
	}
	return outcome{signature: &signature{made.Value, format}}, nil
}

// what says in words what the card is used for.
func (o *operation) what() string {
	switch {
	case o.readOnly():
		return i18n.T(o.lang, "agent.purpose_identity")
	case o.sign == nil && o.read != nil:
		return i18n.T(o.lang, "agent.purpose_login_address")
	case o.sign == nil:
		return i18n.T(o.lang, purposes[o.purpose])
	}
	if o.sign.number == 0 {
		return i18n.T(o.lang, "agent.purpose_certificate", "Count", o.sign.documents)
	}
	return i18n.T(o.lang, "agent.purpose_sign", "Number", o.sign.number, "Documents", o.sign.documents)
}

// fingerprint is the hash to be signed, in groups that can be compared by eye.
func (s *signing) fingerprint() string {
	var groups []string
	for group := range slices.Chunk(s.digest, 4) {
		groups = append(groups, hex.EncodeToString(group))
	}
	return strings.Join(groups, " ")
}

// details are the lines below what: the commune, the hash, what is read; "" where there
// are none.
func (o *operation) details() string {
	var lines []string
	add := func(key, value string) {
		if value != "" {
			lines = append(lines, i18n.T(o.lang, key)+": "+value)
		}
	}
	add("agent.commune", o.commune())
	if o.sign != nil && o.sign.number > 0 {
		add("agent.hash", o.sign.fingerprint())
	}
	add("agent.data", o.data())
	return strings.Join(lines, "\n")
}

// commune is the one that a page names, "" where it names none.
func (o *operation) commune() string {
	switch {
	case o.sign != nil:
		return o.sign.commune
	case o.read != nil:
		return o.read.commune
	}
	return ""
}
