package fas

import (
	"encoding/base64"
	"fmt"
	"html/template"

	saml2 "github.com/russellhaering/gosaml2"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/belfry-eid/belfry/idp/idpsql"
)

// request is the signed AuthnRequest of r, on its way by the agreement's binding.
func (a *Agreement) request(there *description, r idpsql.SAMLRequest, values []string) (door, error) {
	address := there.address(a.Binding)
	if address == "" {
		return door{}, fmt.Errorf("fas: %s has no address for the %s binding", a.Provider.Name, a.Binding)
	}
	asked := &saml2.RequestedAuthnContext{Comparison: a.Comparison, Contexts: values}
	if a.Comparison == "minimum" { // the levels of an agreement stand from the highest to the lowest
		asked.Contexts = values[len(values)-1:]
	}
	sp := &saml2.SAMLServiceProvider{
		IdentityProviderSSOURL: address, ServiceProviderIssuer: a.EntityID, AssertionConsumerServiceURL: r.Consumer,
		SignAuthnRequests: true, SignAuthnRequestsAlgorithm: dsig.RSASHA256SignatureMethod,
		SignAuthnRequestsCanonicalizer: dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(""),
		ForceAuthn:                     r.Forced, RequestedAuthnContext: asked,
		NameIdFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:transient", Clock: dsig.NewFakeClockAt(r.Issued),
	}
	if err := sp.SetSPSigningKeyStore(&saml2.KeyStore{Signer: a.Signing[0].Signer, Cert: a.Signing[0].Certificate.Raw}); err != nil {
		return door{}, fmt.Errorf("fas: %w", err)
	}
	doc, err := sp.BuildAuthRequestDocumentNoSig()
	if err != nil {
		return door{}, fmt.Errorf("fas: request: %w", err)
	}
	doc.Root().CreateAttr("ID", r.ID)
	if a.Binding == Redirect {
		link, err := sp.BuildAuthURLRedirect(r.Relay, doc)
		if err != nil {
			return door{}, fmt.Errorf("fas: request: %w", err)
		}
		return door{Link: link}, nil
	}
	signed, err := sp.SignAuthnRequest(doc.Root())
	if err != nil {
		return door{}, fmt.Errorf("fas: request: %w", err)
	}
	doc.SetRoot(signed)
	text, err := doc.WriteToBytes()
	if err != nil {
		return door{}, fmt.Errorf("fas: request: %w", err)
	}
	return door{Action: template.URL(address), Fields: []field{
		{"SAMLRequest", base64.StdEncoding.EncodeToString(text)}, {"RelayState", r.Relay},
	}}, nil
}
