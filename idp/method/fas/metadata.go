package fas

import (
	"encoding/base64"
	"fmt"

	"github.com/beevik/etree"
)

// Names of SAML, XML Signature and XML Encryption.
const (
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
	nsEncrypted = "http://www.w3.org/2001/04/xmlenc#"

	bindingRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	bindingPost     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
)

// describe is our metadata for an agreement (saml-metadata-2.0-os §2.4.4). It is not
// signed: the provider takes it from our own address, or is handed it.
func (f *FAS) describe(a *Agreement) ([]byte, error) {
	doc := etree.NewDocument()
	doc.CreateProcInst("xml", `version="1.0" encoding="UTF-8"`)
	entity := doc.CreateElement("md:EntityDescriptor")
	entity.CreateAttr("xmlns:md", nsMetadata)
	entity.CreateAttr("xmlns:ds", nsSignature)
	entity.CreateAttr("entityID", a.EntityID)
	sp := entity.CreateElement("md:SPSSODescriptor")
	sp.CreateAttr("AuthnRequestsSigned", "true")
	sp.CreateAttr("WantAssertionsSigned", "true")
	sp.CreateAttr("protocolSupportEnumeration", nsProtocol)
	for _, k := range a.Signing {
		describeKey(sp, "signing", k)
	}
	for _, k := range a.Encryption {
		method := describeKey(sp, "encryption", k)
		for _, algorithm := range []string{"http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2009/xmlenc11#aes128-gcm", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"} {
			method.CreateElement("md:EncryptionMethod").CreateAttr("Algorithm", algorithm)
		}
	}
	for _, origin := range f.Issuers {
		for _, binding := range []string{bindingRedirect, bindingPost} {
			slo := sp.CreateElement("md:SingleLogoutService")
			slo.CreateAttr("Binding", binding)
			slo.CreateAttr("Location", origin+logoutPath(a.Commune))
		}
	}
	sp.CreateElement("md:NameIDFormat").SetText("urn:oasis:names:tc:SAML:2.0:nameid-format:transient")
	for i, origin := range f.Issuers {
		acs := sp.CreateElement("md:AssertionConsumerService")
		acs.CreateAttr("Binding", bindingPost)
		acs.CreateAttr("Location", origin+consumerPath(a.Commune))
		acs.CreateAttr("index", fmt.Sprint(i))
		if i == 0 {
			acs.CreateAttr("isDefault", "true")
		}
	}
	return doc.WriteToBytes()
}

func describeKey(sp *etree.Element, use string, k Key) *etree.Element {
	key := sp.CreateElement("md:KeyDescriptor")
	key.CreateAttr("use", use)
	key.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").SetText(base64.StdEncoding.EncodeToString(k.Certificate.Raw))
	return key
}
