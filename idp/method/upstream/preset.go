package upstream

import (
	"maps"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/method"
)

// words are the message keys of a preset.
type words struct{ label, hint, about string }

var presetWords = map[string]words{
	"fas-oidc":           {"upstream.label_fas", "upstream.hint_fas", ""},
	"itsme":              {"upstream.label_itsme", "upstream.hint_itsme", ""},
	"franceconnect":      {"upstream.label_franceconnect", "upstream.hint_franceconnect", "https://franceconnect.gouv.fr/"},
	"franceconnect-plus": {"upstream.label_franceconnect_plus", "upstream.hint_franceconnect_plus", "https://franceconnect.gouv.fr/"},
	"acm-idm":            {"upstream.label_acm", "upstream.hint_acm", ""},
	"entra":              {"upstream.label_directory", "upstream.hint_directory", ""},
	"keycloak":           {"upstream.label_directory", "upstream.hint_directory", ""},
}

func (r *Registration) words() words { return presetWords[r.Preset] }

// Presets lists the names of the presets.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

var standard = Profile{
	Auth: SecretBasic, AssertionAlg: jose.RS256, AssertionAudience: "token",
	Scopes: []string{"openid", "profile"}, ACR: "list", ResponseMode: "query",
	IDTokenAlgs: []jose.SignatureAlgorithm{jose.RS256}, UserinfoAlgs: []jose.SignatureAlgorithm{jose.RS256}, UserinfoForm: JSONUserinfo,
	KeyAlgs: []jose.KeyAlgorithm{jose.RSA_OAEP_256, jose.RSA_OAEP}, ContentAlgs: []jose.ContentEncryption{jose.A256GCM},
	Claims: Claims{GivenNames: "given_name", Surname: "family_name"}, LevelClaim: "acr",
}

// presets are what public documents and code of the services' partners show; each value
// may be set otherwise. Where no public text says what a level is worth, the preset says
// nothing either, and the operator does.
var presets = map[string]func() (Profile, []Level){
	"fas-oidc": func() (Profile, []Level) {
		p := standard
		p.Issuer = "https://idp.iamfas.belgium.be/fas/oauth2"
		p.Scopes = []string{"openid", "profile", "egovnrn"}
		p.UserinfoForm = SignedUserinfo
		p.Claims = Claims{Number: "egovNRN", GivenNames: "givenName", Surname: "surname"}
		return p, nil
	},
	"itsme": func() (Profile, []Level) {
		p := standard
		p.Issuer = "https://idp.prd.itsme.services/v2"
		p.Auth, p.AssertionAlg = PrivateKeyJWT, jose.RS256
		p.Scopes = []string{"openid", "profile", "eid"}
		p.ACR = "lowest"
		p.AskClaims = []string{"given_name", "family_name", itsmeNumber}
		p.UserinfoForm = EncryptedUserinfo
		p.IDTokenEncrypted = true
		p.KeyAlgs = []jose.KeyAlgorithm{jose.RSA_OAEP, jose.RSA_OAEP_256}
		p.ContentAlgs = []jose.ContentEncryption{jose.A256GCM, jose.A128CBC_HS256}
		p.Claims.Number = itsmeNumber
		p.AlwaysFresh = true // the person confirms each sign-in in the app
		return p, []Level{{"http://itsme.services/v2/claim/acr_advanced", method.High, []string{"mfa"}}}
	},
	"franceconnect": func() (Profile, []Level) {
		p := standard
		p.Issuer = "https://oidc.franceconnect.gouv.fr/api/v2"
		p.Auth = SecretPost
		p.Scopes = []string{"openid", "given_name", "family_name", "birthdate"}
		p.ACR = "lowest" // one value only
		p.LeaveOut = []string{"ui_locales", "max_age"}
		p.IDTokenAlgs = []jose.SignatureAlgorithm{jose.ES256, jose.RS256}
		p.UserinfoAlgs = p.IDTokenAlgs
		p.UserinfoForm = SignedUserinfo
		p.Claims.BirthDate = "birthdate"
		return p, []Level{{"eidas1", method.Low, nil}}
	},
	"franceconnect-plus": func() (Profile, []Level) {
		p := standard
		p.Issuer = "https://auth.franceconnect.gouv.fr/api/v2"
		p.Auth = SecretPost
		p.Scopes = []string{"openid", "given_name", "family_name", "birthdate"}
		p.ACR = "lowest"
		p.LeaveOut = []string{"ui_locales", "max_age"}
		p.IDTokenAlgs = []jose.SignatureAlgorithm{jose.ES256}
		p.UserinfoAlgs = p.IDTokenAlgs
		p.IDTokenEncrypted, p.UserinfoForm = true, EncryptedUserinfo
		p.KeyAlgs = []jose.KeyAlgorithm{jose.ECDH_ES, jose.RSA_OAEP}
		p.Claims.BirthDate = "birthdate"
		return p, []Level{{"eidas3", method.High, []string{"mfa"}}, {"eidas2", method.Substantial, []string{"mfa"}}}
	},
	"acm-idm": func() (Profile, []Level) {
		p := standard
		p.Issuer = "https://authenticatie.vlaanderen.be/op"
		p.Scopes = []string{"openid", "profile", "rrn"}
		p.Claims.Number = "rrn"
		return p, nil
	},
	"entra": func() (Profile, []Level) {
		p := standard
		p.Scopes = []string{"openid", "profile"}
		p.ACR = "none"
		p.UserinfoForm = NoUserinfo
		return p, nil
	},
	"keycloak": func() (Profile, []Level) {
		p := standard
		p.IDTokenAlgs = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.PS256}
		p.UserinfoForm = NoUserinfo
		return p, nil
	},
}

const itsmeNumber = "http://itsme.services/v2/claim/BENationalNumber"

// Preset is the profile and the levels of a name; false where there is none.
func Preset(name string) (Profile, []Level, bool) {
	make, ok := presets[name]
	if !ok {
		return Profile{}, nil, false
	}
	p, levels := make()
	return p, levels, true
}
