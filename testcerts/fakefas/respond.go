package fakefas

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"text/template"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Answer is a response in all its parts. Honest fills it in; a test bends it.
type Answer struct {
	ID, AssertionID, InResponseTo, Confirms  string
	Destination, Recipient, Audience, Issuer string
	Status, Level, Version                   string
	Person                                   Person
	Issued, Asked, From, Until               string
	SessionUntil                             string

	SignResponse, SignAssertion bool
	// Signature algorithm; RSA with SHA-256 where empty.
	Algorithm string
	// EncryptTo encrypts the assertion.
	EncryptTo *x509.Certificate
	// Encryption is "gcm" where empty, "cbc", "rsa15" (GCM under RSA 1.5) or "oaep256".
	Encryption string
	// Assertion and Response bend the text before it is signed.
	Bend, BendResponse func(string) string
	// Sealed bends the signed assertion, before it is encrypted or put in its place.
	Sealed func(*etree.Element) *etree.Element
}

const clockForm = "2006-01-02T15:04:05Z"

// Honest is an answer to a request.
func (p *Provider) Honest(request, consumer, audience string, who Person, level string, now time.Time) Answer {
	at := func(d time.Duration) string { return now.UTC().Add(d).Format(clockForm) }
	return Answer{
		ID: "_" + rand.Text(), AssertionID: "_" + rand.Text(), InResponseTo: request, Confirms: request,
		Destination: consumer, Recipient: consumer, Audience: audience, Issuer: p.EntityID(),
		Status: "urn:oasis:names:tc:SAML:2.0:status:Success", Level: level, Version: "2.0", Person: who,
		Issued: at(0), Asked: at(0), From: at(-time.Minute), Until: at(5 * time.Minute), SessionUntil: at(time.Hour),
		SignResponse: true, SignAssertion: true,
	}
}

var escaping = template.FuncMap{"x": template.HTMLEscapeString}

var assertionText = template.Must(template.New("assertion").Funcs(escaping).Parse(`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema" ID="{{.AssertionID}}" Version="{{.Version}}" IssueInstant="{{.Issued}}"><saml:Issuer>{{x .Issuer}}</saml:Issuer><saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient">{{.AssertionID}}n</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="{{.Confirms}}" NotOnOrAfter="{{.Until}}" Recipient="{{x .Recipient}}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{{.From}}" NotOnOrAfter="{{.Until}}"><saml:AudienceRestriction><saml:Audience>{{x .Audience}}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{{.Asked}}" SessionIndex="{{.AssertionID}}s" SessionNotOnOrAfter="{{.SessionUntil}}"><saml:AuthnContext><saml:AuthnContextClassRef>{{x .Level}}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement>{{with .Person}}<saml:Attribute Name="egovNRN"><saml:AttributeValue xsi:type="xs:string">{{x .Number}}</saml:AttributeValue></saml:Attribute><saml:Attribute Name="givenName"><saml:AttributeValue xsi:type="xs:string">{{x .GivenNames}}</saml:AttributeValue></saml:Attribute><saml:Attribute Name="surname"><saml:AttributeValue xsi:type="xs:string">{{x .Surname}}</saml:AttributeValue></saml:Attribute>{{end}}</saml:AttributeStatement></saml:Assertion>`))

var responseText = template.Must(template.New("response").Funcs(escaping).Parse(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{{.ID}}" Version="{{.Version}}" IssueInstant="{{.Issued}}" Destination="{{x .Destination}}" InResponseTo="{{.InResponseTo}}"><saml:Issuer>{{x .Issuer}}</saml:Issuer><samlp:Status><samlp:StatusCode Value="{{.Status}}"/></samlp:Status></samlp:Response>`))

func element(t *template.Template, a Answer, bend func(string) string) (*etree.Element, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, a); err != nil {
		return nil, err
	}
	text := b.String()
	if bend != nil {
		text = bend(text)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		return nil, err
	}
	return doc.Root(), nil
}

// Respond is the response as XML.
func (p *Provider) Respond(a Answer) ([]byte, error) {
	response, err := element(responseText, a, a.BendResponse)
	if err != nil {
		return nil, err
	}
	if a.Status == "urn:oasis:names:tc:SAML:2.0:status:Success" {
		assertion, err := p.assertion(a)
		if err != nil {
			return nil, err
		}
		response.AddChild(assertion)
	}
	if a.SignResponse {
		if response, err = p.Sign(response, a.Algorithm); err != nil {
			return nil, err
		}
	}
	doc := etree.NewDocument()
	doc.SetRoot(response)
	return doc.WriteToBytes()
}

func (p *Provider) assertion(a Answer) (*etree.Element, error) {
	assertion, err := element(assertionText, a, a.Bend)
	if err == nil && a.SignAssertion {
		assertion, err = p.Sign(assertion, a.Algorithm)
	}
	if err != nil {
		return nil, err
	}
	if a.Sealed != nil {
		assertion = a.Sealed(assertion)
	}
	if a.EncryptTo == nil {
		return assertion, nil
	}
	doc := etree.NewDocument()
	doc.SetRoot(assertion)
	text, err := doc.WriteToBytes()
	if err != nil {
		return nil, err
	}
	return encrypt(text, a.EncryptTo, a.Encryption)
}

// Sign puts an enveloped signature behind the Issuer.
func (p *Provider) Sign(e *etree.Element, algorithm string) (*etree.Element, error) {
	ctx := dsig.NewDefaultSigningContext(dsig.TLSCertKeyStore(tls.Certificate{Certificate: [][]byte{p.Certificate.Raw}, PrivateKey: p.Key}))
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if algorithm == "" {
		algorithm = dsig.RSASHA256SignatureMethod
	}
	if err := ctx.SetSignatureMethod(algorithm); err != nil {
		return nil, err
	}
	signed, err := ctx.SignEnveloped(e)
	if err != nil {
		return nil, err
	}
	last := signed.Child[len(signed.Child)-1]
	signed.Child = signed.Child[:len(signed.Child)-1] // the library appended it without its place
	signed.InsertChildAt(1, last)
	return signed, nil
}

func verify(text []byte, certs []*x509.Certificate) error {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(text); err != nil {
		return err
	}
	_, err := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: certs}).Validate(doc.Root())
	return err
}

// encrypt makes an EncryptedAssertion.
func encrypt(text []byte, to *x509.Certificate, how string) (*etree.Element, error) {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	content, transport, digest := "http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p", `<ds:DigestMethod Algorithm="http://www.w3.org/2000/09/xmldsig#sha1"/>`
	var sealed []byte
	if how == "cbc" {
		content = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
		padding := aes.BlockSize - len(text)%aes.BlockSize
		padded := append(bytes.Clone(text), make([]byte, padding)...)
		padded[len(padded)-1] = byte(padding)
		sealed = make([]byte, aes.BlockSize+len(padded))
		rand.Read(sealed[:aes.BlockSize])
		cipher.NewCBCEncrypter(block, sealed[:aes.BlockSize]).CryptBlocks(sealed[aes.BlockSize:], padded)
	} else {
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		nonce := make([]byte, aead.NonceSize())
		rand.Read(nonce)
		sealed = aead.Seal(nonce, nonce, text, nil)
	}
	public := to.PublicKey.(*rsa.PublicKey)
	var wrapped []byte
	switch how {
	case "rsa15":
		transport, digest = "http://www.w3.org/2001/04/xmlenc#rsa-1_5", ""
		//lint:ignore SA1019 what a service of long ago sends
		wrapped, err = rsa.EncryptPKCS1v15(rand.Reader, public, key)
	case "oaep256":
		transport = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
		digest = `<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><xenc11:MGF xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" Algorithm="http://www.w3.org/2009/xmlenc11#mgf1sha256"/>`
		wrapped, err = rsa.EncryptOAEPWithOptions(rand.Reader, public, key, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA256})
	default:
		wrapped, err = rsa.EncryptOAEP(sha1.New(), rand.Reader, public, key, nil)
	}
	if err != nil {
		return nil, err
	}
	doc := etree.NewDocument()
	err = doc.ReadFromString(fmt.Sprintf(`<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod Algorithm="%s"/><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="%s">%s</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue>%s</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>%s</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>`,
		content, transport, digest, base64.StdEncoding.EncodeToString(wrapped), base64.StdEncoding.EncodeToString(sealed)))
	return doc.Root(), err
}
