package fas

import (
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp/idpsql"
)

// Foreign bytes never make the reader fall, and unsigned ones never say anything.
func FuzzUnsigned(f *testing.F) {
	for _, text := range []string{
		`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="a"><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" ID="b"/></samlp:Response>`,
		`<r:Response xmlns:r="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion"><r:Status><r:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></r:Status><a:EncryptedAssertion><e:EncryptedData xmlns:e="http://www.w3.org/2001/04/xmlenc#"/></a:EncryptedAssertion></r:Response>`,
		`<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata"><EntityDescriptor entityID="x"><IDPSSODescriptor><KeyDescriptor/></IDPSSODescriptor></EntityDescriptor></EntitiesDescriptor>`,
	} {
		f.Add([]byte(text))
	}
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text []byte) {
		c := consumer{agreement: &Agreement{EntityID: "us"}, provider: &description{entity: "them"}, request: idpsql.SAMLRequest{ID: "r", Consumer: "c"}, now: now}
		root, err := parse(text, false)
		if err != nil {
			return
		}
		if c.agreement.shape(root, 1) == nil {
			if _, err := c.assertion(root, false); err == nil {
				t.Fatal("an unsigned assertion is taken")
			}
		}
		p := Provider{EntityID: "x"}
		if d, err := p.parse(text, now); err == nil && len(d.keys) == 0 {
			t.Fatal("a provider without a key")
		}
	})
}
