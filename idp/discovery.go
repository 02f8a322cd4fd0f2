package idp

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
)

// ClaimNumber is the claim of userinfo that holds the national number.
const ClaimNumber = "https://belfry.eu/claims/national_number"

// ClaimUpstream is the claim that holds the level as another service stated it.
const ClaimUpstream = "https://belfry.eu/claims/upstream_acr"

// ClaimFormer is the claim of userinfo that lists other subjects by which the client may
// know the person: those of records that were found to be the same person's.
const ClaimFormer = "https://belfry.eu/claims/former_subjects"

// metadata is OpenID Connect Discovery 1.0 §3, RFC 8414, RFC 9126 §5, RFC 9207 §3 and
// OpenID Connect Back-Channel Logout 1.0 §2.1.
type metadata struct {
	Issuer                   string          `json:"issuer"`
	Authorization            string          `json:"authorization_endpoint"`
	Token                    string          `json:"token_endpoint"`
	Userinfo                 string          `json:"userinfo_endpoint"`
	JWKS                     string          `json:"jwks_uri"`
	Pushed                   string          `json:"pushed_authorization_request_endpoint"`
	EndSession               string          `json:"end_session_endpoint"`
	Scopes                   []string        `json:"scopes_supported"`
	ResponseTypes            []string        `json:"response_types_supported"`
	ResponseModes            []string        `json:"response_modes_supported"`
	Grants                   []string        `json:"grant_types_supported"`
	ACR                      []string        `json:"acr_values_supported"`
	SubjectTypes             []string        `json:"subject_types_supported"`
	IDTokenAlgs              []string        `json:"id_token_signing_alg_values_supported"`
	AuthMethods              []string        `json:"token_endpoint_auth_methods_supported"`
	AuthAlgs                 []string        `json:"token_endpoint_auth_signing_alg_values_supported"`
	Claims                   []string        `json:"claims_supported"`
	Challenges               []string        `json:"code_challenge_methods_supported"`
	Prompts                  []string        `json:"prompt_values_supported"`
	Languages                []i18n.Language `json:"ui_locales_supported"`
	ClaimsParameter          bool            `json:"claims_parameter_supported"`
	RequestParameter         bool            `json:"request_parameter_supported"`
	RequestURIParameter      bool            `json:"request_uri_parameter_supported"`
	RequirePushed            bool            `json:"require_pushed_authorization_requests"`
	IssInAuthorizationAnswer bool            `json:"authorization_response_iss_parameter_supported"`
	BackchannelLogout        bool            `json:"backchannel_logout_supported"`
	BackchannelLogoutSession bool            `json:"backchannel_logout_session_supported"`
}

// discover makes the discovery document of each issuer.
func (p *Provider) discover() (map[string][]byte, error) {
	made := map[string][]byte{}
	var algs []string
	for _, a := range p.algorithms() {
		algs = append(algs, string(a))
	}
	for _, issuer := range p.Issuers {
		body, err := json.Marshal(metadata{
			Issuer:        issuer,
			Authorization: issuer + pathAuthorize, Token: issuer + pathToken, Userinfo: issuer + pathUserinfo,
			JWKS: issuer + pathJWKS, Pushed: issuer + pathPush, EndSession: issuer + pathLogout,
			Scopes:        []string{"openid", "profile", client.ScopeAddress, client.ScopeNumber},
			ResponseTypes: []string{"code"}, ResponseModes: []string{"query"}, Grants: []string{"authorization_code"},
			ACR: p.levels(), SubjectTypes: []string{"pairwise"}, IDTokenAlgs: algs,
			AuthMethods: []string{string(client.PrivateKeyJWT), string(client.SecretBasic)},
			AuthAlgs:    []string{"ES256", "PS256", "EdDSA", "RS256"},
			Claims: []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
				"given_name", "family_name", "name", "address", ClaimNumber, ClaimUpstream, ClaimFormer},
			Challenges: []string{"S256"}, Prompts: []string{"none", "login", "consent", "select_account"}, Languages: i18n.Languages,
			ClaimsParameter: true, IssInAuthorizationAnswer: true,
			BackchannelLogout: p.Jobs != nil, BackchannelLogoutSession: p.Jobs != nil,
		})
		if err != nil {
			return nil, err
		}
		made[issuer] = body
	}
	return made, nil
}

// levels are the acr values that some commune can reach by some method.
func (p *Provider) levels() []string {
	var have []string
	for _, level := range method.Levels {
		for _, m := range p.Methods {
			for _, c := range p.Communes.All() {
				if slices.Contains(method.Reaches(m, c.ID), level) && !slices.Contains(have, level) {
					have = append(have, level)
				}
			}
		}
	}
	return have
}

func (p *Provider) discovery(w http.ResponseWriter, r *http.Request) error {
	return serveJSON(w, r, p.documents[web.Origin(r)])
}

func (p *Provider) jwks(w http.ResponseWriter, r *http.Request) error {
	return serveJSON(w, r, p.keys.JWKS(r.Context()))
}

// serveJSON lets clients keep a public document for five minutes: short against the
// two days for which a key is published before it signs.
func serveJSON(w http.ResponseWriter, r *http.Request, body []byte) error {
	etag := `"` + page.Fingerprint(body) + `"`
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", etag)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "application/json")
	_, err := w.Write(body)
	return err
}
