package fakeoidc

import (
	"crypto/rsa"

	"github.com/go-jose/go-jose/v4"
)

func rsaKey(k any) (*rsa.PublicKey, bool) {
	public, ok := k.(*rsa.PublicKey)
	return public, ok
}

// franceParameters are those that FranceConnect takes; it refuses all others.
var franceParameters = []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "acr_values", "claims", "prompt", "idp_hint", "code_challenge", "code_challenge_method"}

// FranceConnect is the French service for citizens: its userinfo is a signed JWT, one acr
// value must be asked for, and each client knows a person under another subject.
func FranceConnect() Shape {
	return Shape{
		Title: "FranceConnect", Issuer: "/api/v2", Paths: Paths{"/authorize", "/token", "/userinfo", "/jwks", "/session/end"},
		Means: []Means{{"eidas1", "impots.gouv.fr"}}, Auth: "client_secret_post", IDAlg: jose.ES256, Userinfo: "jwt", Iss: true,
		Pairwise: true, Allowed: franceParameters, OneACR: true, Given: "given_name", Family: "family_name",
	}
}

// FranceConnectPlus is its sister of higher levels, which encrypts all it tells.
func FranceConnectPlus() Shape {
	s := FranceConnect()
	s.Title = "FranceConnect+"
	s.Means = []Means{{"eidas3", "France Identité"}, {"eidas2", "L’Identité Numérique La Poste"}}
	s.Encrypted, s.KeyAlg = true, jose.ECDH_ES
	return s
}

// Itsme is the Belgian app: RSA only, a client proves itself by a key it publishes, all is
// encrypted, and the national number comes only where the claims parameter asks for it.
func Itsme() Shape {
	return Shape{
		Title: "itsme", Issuer: "/v2", Paths: Paths{"/authorization", "/token", "/userinfo", "/jwkset", "/logout"},
		Means: []Means{{"http://itsme.services/v2/claim/acr_advanced", "itsme code"}, {"http://itsme.services/v2/claim/acr_basic", "fingerprint"}},
		Auth:  "private_key_jwt", IDAlg: jose.RS256, Encrypted: true, KeyAlg: jose.RSA_OAEP, Userinfo: "jwt",
		Pairwise: true, Scope: "service:", Given: "given_name", Family: "family_name",
		Number: "http://itsme.services/v2/claim/BENationalNumber", ByClaims: true,
	}
}

// Directory is that of those who work somewhere, as Keycloak and Entra ID are: PKCE is
// demanded, all is in the ID token, groups too, and who is signed in is not asked again.
func Directory() Shape {
	return Shape{
		Title: "Directory", Issuer: "/realms/commune",
		Paths: Paths{"/protocol/openid-connect/auth", "/protocol/openid-connect/token", "/protocol/openid-connect/userinfo", "/protocol/openid-connect/certs", "/protocol/openid-connect/logout"},
		Auth:  "client_secret_basic", IDAlg: jose.RS256, Iss: true, PKCE: true, Sessions: true,
		Given: "given_name", Family: "family_name", NoLevel: true, Groups: true,
	}
}
