// Package trustlisttest makes trusted lists that look like the Union's, signed by
// keys of the test that asks.
//
// It owns their XML and their XAdES signatures. It refuses to know how lists are
// read. It guarantees that a list of Make is what TS 119 612 wants of its form; a
// test bends it by Change, before it is signed, and by Bend, after.
package trustlisttest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"html"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/belfry-eid/belfry/signing/signingtest"
)

// List is a list to be made.
type List struct {
	Territory  string
	Top        bool // the list of the lists
	Sequence   int
	Issued     time.Time
	NextUpdate time.Time
	Pointers   []Pointer
	Services   []Service
	Pivots     []string // addresses, the newest first
	// PSS signs RSA with PSS.
	PSS bool
	// Inclusive uses the inclusive canonical form for SignedInfo.
	Inclusive bool
	// Change bends the text before it is signed.
	Change func(string) string
	// Properties bends the signed properties before they are signed.
	Properties func(string) string
}

// Pointer to another list.
type Pointer struct {
	Territory, Location string
	Top                 bool
	Signers             []*x509.Certificate
}

// Service of the one provider.
type Service struct {
	Kind, Name string
	Cert       *x509.Certificate
	Periods    []Period // the newest first
}

// Period of a service.
type Period struct {
	Status string
	From   time.Time
	Uses   []string
	Extra  string // XML of further extensions
}

const form = "2006-01-02T15:04:05Z"

// Granted is a service of this kind in good standing since long before signingtest.Now.
func Granted(kind string, c *x509.Certificate, uses ...string) Service {
	return Service{Kind: kind, Name: "Service " + c.Subject.CommonName, Cert: c, Periods: []Period{{Status: "granted", From: signingtest.Now.AddDate(-5, 0, 0), Uses: uses}}}
}

// Make writes and signs a list. It panics on what only a test's own mistake causes.
func Make(l List, signer signingtest.Identity) []byte {
	text := l.xml()
	if l.Change != nil {
		text = l.Change(text)
	}
	return l.sign(text, signer)
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func (l List) xml() string {
	var b strings.Builder
	kind, territory := "EUgeneric", l.Territory
	if l.Top {
		kind, territory = "EUlistofthelists", "EU"
	}
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"+`<TrustServiceStatusList xmlns="http://uri.etsi.org/02231/v2#" xmlns:ns2="http://www.w3.org/2000/09/xmldsig#" xmlns:tslx="http://uri.etsi.org/02231/v2/additionaltypes#" xmlns:ecc="http://uri.etsi.org/TrstSvc/SvcInfoExt/eSigDir-1999-93-EC-TrustedList/#" TSLTag="http://uri.etsi.org/19612/TSLTag" Id="list">
<SchemeInformation><TSLVersionIdentifier>5</TSLVersionIdentifier><TSLSequenceNumber>%d</TSLSequenceNumber><TSLType>http://uri.etsi.org/TrstSvc/TrustedList/TSLType/%s</TSLType>
<SchemeOperatorName><Name xml:lang="fr">Opérateur &amp; Cie</Name><Name xml:lang="en">Operator of %s</Name></SchemeOperatorName><!-- edited by people -->`, l.Sequence, kind, territory)
	p("<SchemeInformationURI>")
	for _, address := range append(slices.Clone(l.Pivots), "https://eur-lex.example/legal-content/EN/TXT/?uri=OJ:C_202600001", "https://lists.example/legalnotice.html") {
		p(`<URI xml:lang="en">%s</URI>`, html.EscapeString(address))
	}
	p("</SchemeInformationURI><SchemeTerritory>%s</SchemeTerritory>\n<PointersToOtherTSL>", territory)
	for _, o := range l.Pointers {
		of := "EUgeneric"
		if o.Top {
			of = "EUlistofthelists"
		}
		p("<OtherTSLPointer><ServiceDigitalIdentities><ServiceDigitalIdentity>")
		for _, c := range o.Signers {
			p("<DigitalId><X509Certificate>%s</X509Certificate></DigitalId>", b64(c.Raw))
		}
		p("</ServiceDigitalIdentity></ServiceDigitalIdentities><TSLLocation>%s</TSLLocation><AdditionalInformation><OtherInformation><TSLType>http://uri.etsi.org/TrstSvc/TrustedList/TSLType/%s</TSLType></OtherInformation><OtherInformation><SchemeTerritory>%s</SchemeTerritory></OtherInformation><OtherInformation><tslx:MimeType>application/vnd.etsi.tsl+xml</tslx:MimeType></OtherInformation></AdditionalInformation></OtherTSLPointer>\n", o.Location, of, o.Territory)
	}
	p("</PointersToOtherTSL><ListIssueDateTime>%s</ListIssueDateTime><NextUpdate><dateTime>%s</dateTime></NextUpdate></SchemeInformation>\n", l.Issued.UTC().Format(form), l.NextUpdate.UTC().Format(form))
	if len(l.Services) > 0 {
		p(`<TrustServiceProviderList><TrustServiceProvider><TSPInformation><TSPName><Name xml:lang="en">Provider of %s</Name></TSPName></TSPInformation><TSPServices>`, territory)
		for _, s := range l.Services {
			p("<TSPService>")
			for i, period := range s.Periods {
				tag := "ServiceHistoryInstance"
				if i == 0 {
					tag = "ServiceInformation"
				} else if i == 1 {
					p("<ServiceHistory>")
				}
				p("<%s><ServiceTypeIdentifier>http://uri.etsi.org/TrstSvc/Svctype/%s</ServiceTypeIdentifier><ServiceName><Name xml:lang=\"en\">%s</Name></ServiceName><ServiceDigitalIdentity><DigitalId><X509Certificate>%s</X509Certificate></DigitalId></ServiceDigitalIdentity><ServiceStatus>http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/%s</ServiceStatus><StatusStartingTime>%s</StatusStartingTime><ServiceInformationExtensions>",
					tag, s.Kind, html.EscapeString(s.Name), b64(s.Cert.Raw), period.Status, period.From.UTC().Format(form))
				for _, u := range period.Uses {
					p(`<Extension Critical="true"><AdditionalServiceInformation><URI xml:lang="en">http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/%s</URI></AdditionalServiceInformation></Extension>`, u)
				}
				p("%s</ServiceInformationExtensions></%s>", period.Extra, tag)
			}
			if len(s.Periods) > 1 {
				p("</ServiceHistory>")
			}
			p("</TSPService>\n")
		}
		p("</TSPServices></TrustServiceProvider></TrustServiceProviderList>")
	}
	p("</TrustServiceStatusList>")
	return b.String()
}

// Qualifies is an extension that gives a qualifier to certificates with these key usage bits.
func Qualifies(qualifier, assert string, bits ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<Extension Critical="true"><ecc:Qualifications><ecc:QualificationElement><ecc:Qualifiers><ecc:Qualifier uri="http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/%s"/></ecc:Qualifiers><ecc:CriteriaList assert="%s"><ecc:KeyUsage>`, qualifier, assert)
	for _, bit := range bits {
		fmt.Fprintf(&b, `<ecc:KeyUsageBit name="%s">true</ecc:KeyUsageBit>`, bit)
	}
	b.WriteString(`</ecc:KeyUsage></ecc:CriteriaList></ecc:QualificationElement></ecc:Qualifications></Extension>`)
	return b.String()
}

const exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // tests only
	}
	return v
}

func canonical(text string) []byte {
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		panic(err)
	}
	return must(dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(doc.Root()))
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return b64(sum[:])
}

// sign puts a XAdES signature at the end of the root.
func (l List) sign(text string, signer signingtest.Identity) []byte {
	properties := fmt.Sprintf(`<xades:SignedProperties xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:xades="http://uri.etsi.org/01903/v1.3.2#" Id="props"><xades:SignedSignatureProperties><xades:SigningTime>%s</xades:SigningTime><xades:SigningCertificateV2><xades:Cert><xades:CertDigest><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>%s</ds:DigestValue></xades:CertDigest></xades:Cert></xades:SigningCertificateV2></xades:SignedSignatureProperties></xades:SignedProperties>`,
		l.Issued.UTC().Format(form), digest(signer.Cert.Raw))
	if l.Properties != nil {
		properties = l.Properties(properties)
	}
	form := exclusive
	if l.Inclusive {
		form = string(dsig.CanonicalXML10RecAlgorithmId)
	}
	info := fmt.Sprintf(`<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:CanonicalizationMethod Algorithm="%s"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="%s"></ds:SignatureMethod><ds:Reference URI=""><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform><ds:Transform Algorithm="%s"></ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>%s</ds:DigestValue></ds:Reference><ds:Reference Type="http://uri.etsi.org/01903#SignedProperties" URI="#props"><ds:Transforms><ds:Transform Algorithm="%s"></ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>%s</ds:DigestValue></ds:Reference></ds:SignedInfo>`,
		form, l.method(signer.Key), exclusive, digest(canonical(text)), exclusive, digest(canonical(properties)))
	bytesToSign := canonical(info)
	if l.Inclusive {
		// Inside the list all its prefixes are in scope, so the inclusive form has them too.
		info = strings.Replace(info, "<ds:SignedInfo ", `<ds:SignedInfo xmlns="http://uri.etsi.org/02231/v2#" `, 1)
		bytesToSign = []byte(strings.Replace(info, "<ds:SignedInfo xmlns=\"http://uri.etsi.org/02231/v2#\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">",
			`<ds:SignedInfo xmlns="http://uri.etsi.org/02231/v2#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:ecc="http://uri.etsi.org/TrstSvc/SvcInfoExt/eSigDir-1999-93-EC-TrustedList/#" xmlns:ns2="http://www.w3.org/2000/09/xmldsig#" xmlns:tslx="http://uri.etsi.org/02231/v2/additionaltypes#">`, 1))
	}
	sum := sha256.Sum256(bytesToSign)
	value := l.value(signer.Key, sum[:])
	signature := fmt.Sprintf(`<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="sig">%s<ds:SignatureValue>%s</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>%s</ds:X509Certificate></ds:X509Data></ds:KeyInfo><ds:Object><xades:QualifyingProperties xmlns:xades="http://uri.etsi.org/01903/v1.3.2#" Target="#sig">%s</xades:QualifyingProperties></ds:Object></ds:Signature>`,
		info, b64(value), b64(signer.Cert.Raw), properties)
	end := strings.LastIndex(text, "</TrustServiceStatusList>")
	return []byte(text[:end] + signature + text[end:])
}

func (l List) method(key crypto.Signer) string {
	switch {
	case l.PSS:
		return "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
	case isECDSA(key):
		return "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
	}
	return "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
}

func isECDSA(key crypto.Signer) bool {
	_, ok := key.Public().(*ecdsa.PublicKey)
	return ok
}

func (l List) value(key crypto.Signer, sum []byte) []byte {
	if l.PSS {
		return must(key.Sign(rand.Reader, sum, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}))
	}
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return must(key.Sign(rand.Reader, sum, crypto.SHA256))
	}
	r, s, err := ecdsa.Sign(rand.Reader, k, sum)
	if err != nil {
		panic(err)
	}
	size := (k.Params().BitSize + 7) / 8
	return bytes.Join([][]byte{r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))}, nil)
}
