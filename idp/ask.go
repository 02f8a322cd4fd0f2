package idp

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/login"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// parameters of an authorization request that we read; each may come once.
var parameters = []string{
	"response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge",
	"code_challenge_method", "prompt", "max_age", "acr_values", "claims", "ui_locales", "id_token_hint",
	"request", "request_uri", "registration", parameterStaff,
}

// parameterStaff, when "1", says that people who work at the commune are to sign in. It
// chooses which ways they are shown, and proves nothing.
const parameterStaff = "belfry_staff"

// limit of one parameter, in bytes: an address must carry several of them back.
const parameterLimit = 4096

// challengeShape is BASE64URL(SHA256(…)) (RFC 7636 §4.2).
var challengeShape = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// single returns a parameter that must come at most once; an empty one is none
// (RFC 6749 §3.1).
func single(v url.Values, name string) (string, *oauthError) {
	switch all := v[name]; {
	case len(all) == 0:
		return "", nil
	case len(all) > 1:
		return "", &oauthError{Code: "invalid_request", Description: name + " is there more than once"}
	case len(all[0]) > parameterLimit:
		return "", &oauthError{Code: "invalid_request", Description: name + " is too long"}
	default:
		return all[0], nil
	}
}

// readAsk checks the parameters of a request by client c whose redirect_uri is
// already known to be registered. It knows no time, no store and no person. What it
// returns besides an error holds the state at least, for the way back.
func readAsk(c *client.Client, issuer, redirectURI string, v url.Values) (login.Ask, *oauthError) {
	ask := login.Ask{Issuer: issuer, Client: c.ID, RedirectURI: redirectURI}
	one := map[string]string{}
	var twice *oauthError
	for _, name := range parameters {
		value, err := single(v, name)
		if err != nil {
			twice = err
		}
		one[name] = value
	}
	ask.State, ask.Nonce = one["state"], one["nonce"]
	ask.Staff = one[parameterStaff] == "1"
	if twice != nil {
		return ask, twice
	}
	for _, check := range []func(*login.Ask, *client.Client, map[string]string) *oauthError{
		readUnsupported, readResponse, readScope, readChallenge, readPrompt, readLevels,
	} {
		if err := check(&ask, c, one); err != nil {
			return ask, err
		}
	}
	for _, tag := range strings.Fields(one["ui_locales"]) {
		if l, ok := i18n.Parse(tag); ok {
			ask.Languages = append(ask.Languages, l)
		}
	}
	return ask, nil
}

// readUnsupported refuses what would otherwise be silently ignored, and thereby
// weaken what the client believes it asked (OpenID Connect Core 1.0 §6, §7.2.1).
func readUnsupported(_ *login.Ask, _ *client.Client, one map[string]string) *oauthError {
	for name, code := range map[string]string{
		"request": "request_not_supported", "request_uri": "request_uri_not_supported", "registration": "registration_not_supported",
	} {
		if one[name] != "" {
			return &oauthError{Code: code, Description: "the parameter " + name + " is not supported"}
		}
	}
	return nil
}

func readResponse(_ *login.Ask, _ *client.Client, one map[string]string) *oauthError {
	switch {
	case one["response_type"] == "":
		return &oauthError{Code: "invalid_request", Description: "response_type is missing"}
	case one["response_type"] != "code":
		return &oauthError{Code: "unsupported_response_type", Description: "only the response_type code is given"}
	case one["response_mode"] != "" && one["response_mode"] != "query":
		return &oauthError{Code: "invalid_request", Description: "only the response_mode query is given"}
	}
	return nil
}

// readScope keeps the scopes that the client is registered for; unknown ones are
// left out, as §3.1.2.1 asks, and the token answer says what is granted.
func readScope(ask *login.Ask, c *client.Client, one map[string]string) *oauthError {
	asked := strings.Fields(one["scope"])
	if !slices.Contains(asked, "openid") {
		return &oauthError{Code: "invalid_scope", Description: "the scope must contain openid"}
	}
	for _, scope := range asked {
		if c.May(scope) && !slices.Contains(ask.Scopes, scope) {
			ask.Scopes = append(ask.Scopes, scope)
		}
	}
	return nil
}

func readChallenge(ask *login.Ask, c *client.Client, one map[string]string) *oauthError {
	challenge, how := one["code_challenge"], one["code_challenge_method"]
	switch {
	case challenge == "" && how == "" && c.PKCEOptional:
		return nil
	case challenge == "":
		return &oauthError{Code: "invalid_request", Description: "code_challenge is missing"}
	case how != "S256":
		return &oauthError{Code: "invalid_request", Description: "code_challenge_method must be S256"}
	case !challengeShape.MatchString(challenge):
		return &oauthError{Code: "invalid_request", Description: "code_challenge is not the base64url of a SHA-256"}
	}
	ask.Challenge = challenge
	return nil
}

// readPrompt: consent and select_account are answered by the method's page, which
// says who asks and for what, and where another card may be used.
func readPrompt(ask *login.Ask, _ *client.Client, one map[string]string) *oauthError {
	prompts := strings.Fields(one["prompt"])
	for _, prompt := range prompts {
		switch prompt {
		case "none":
			ask.None = true
		case "login", "consent", "select_account":
			ask.Login = true
		default:
			return &oauthError{Code: "invalid_request", Description: "prompt has an unknown value"}
		}
	}
	if ask.None && len(prompts) > 1 {
		return &oauthError{Code: "invalid_request", Description: "prompt none stands alone"}
	}
	if one["max_age"] != "" {
		seconds, err := strconv.ParseInt(one["max_age"], 10, 64)
		if err != nil || seconds < 0 {
			return &oauthError{Code: "invalid_request", Description: "max_age is no number of seconds"}
		}
		seconds = min(seconds, 10*365*24*3600) // a duration holds no more than 292 years
		ask.MaxAge = &seconds
	}
	return nil
}

// readLevels reads acr_values, which are voluntary, and the claims parameter, whose
// acr may be essential (§5.5.1.1) and whose names ask for the scope profile.
func readLevels(ask *login.Ask, c *client.Client, one map[string]string) *oauthError {
	ask.Levels = strings.Fields(one["acr_values"])
	if one["claims"] == "" {
		return nil
	}
	var claims struct {
		IDToken struct {
			ACR *struct {
				Essential bool     `json:"essential"`
				Value     string   `json:"value"`
				Values    []string `json:"values"`
			} `json:"acr"`
		} `json:"id_token"`
		Userinfo map[string]any `json:"userinfo"`
	}
	if err := json.Unmarshal([]byte(one["claims"]), &claims); err != nil {
		return &oauthError{Code: "invalid_request", Description: "claims is not the JSON of OpenID Connect Core 1.0 section 5.5"}
	}
	if acr := claims.IDToken.ACR; acr != nil {
		values := acr.Values
		if acr.Value != "" {
			values = append(values, acr.Value)
		}
		if len(values) > 0 {
			ask.Levels, ask.Essential = values, acr.Essential
		}
	}
	for _, name := range []string{"given_name", "family_name", "name"} {
		if _, asked := claims.Userinfo[name]; asked && c.May("profile") && !slices.Contains(ask.Scopes, "profile") {
			ask.Scopes = append(ask.Scopes, "profile")
		}
	}
	return nil
}
