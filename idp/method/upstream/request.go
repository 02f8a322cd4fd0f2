package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/internal/web"
)

// nonce and verifier belong to a state; who reads the database knows neither.
func (s *Source) nonce(state string) string    { return encode(s.derive.Sum("nonce", state)) }
func (s *Source) verifier(state string) string { return encode(s.derive.Sum("verifier", state)) }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// request stores a request and returns the address that takes the browser to it.
func (s *Source) request(ctx context.Context, step method.Step, r *registration) (string, error) {
	if !slices.Contains(s.Issuers, step.Origin) {
		return "", fmt.Errorf("upstream: %s is no address of ours", step.Origin)
	}
	if step.Must && !r.reaches(step.Levels) {
		return "", refused("level_unreachable", nil)
	}
	there, err := s.issuer.current(ctx)
	if err != nil {
		return "", err
	}
	now := s.Clock()
	asked := idpsql.UpstreamRequest{
		State: web.NewSecret(), Commune: r.Commune, Source: s.Config.Name, Login: step.Login, Browser: step.Browser,
		Redirect: step.Origin + ReturnPath(r.Commune, s.Config.Name), Forced: step.Fresh, Issued: now, Expires: now.Add(lifetime),
	}
	if step.Must {
		asked.Wanted = step.Levels
	}
	address, err := url.Parse(there.authorize)
	if err != nil {
		return "", unreachable("discovery", err)
	}
	q := address.Query()
	for name, value := range s.parameters(step, r, asked) {
		q.Set(name, value)
	}
	address.RawQuery = q.Encode()
	return address.String(), s.Store.AddUpstreamRequest(ctx, asked)
}

func (s *Source) parameters(step method.Step, r *registration, asked idpsql.UpstreamRequest) map[string]string {
	challenge := sha256.Sum256([]byte(s.verifier(asked.State)))
	p := map[string]string{
		"client_id": r.ClientID, "response_type": "code", "redirect_uri": asked.Redirect,
		"scope": strings.Join(r.Scopes, " "), "state": asked.State, "nonce": s.nonce(asked.State),
		"code_challenge": encode(challenge[:]), "code_challenge_method": "S256",
		"ui_locales": string(step.Language),
	}
	if r.ResponseMode != "query" {
		p["response_mode"] = r.ResponseMode
	}
	if step.Fresh || step.Problem != nil { // who failed may want to be somebody else there
		p["prompt"] = "login"
	}
	if step.Fresh {
		p["max_age"] = "0"
	}
	values := r.values(step.Levels)
	if len(values) == 0 {
		values = r.values(nil)
	}
	switch {
	case len(values) == 0:
	case r.ACR == "list":
		p["acr_values"] = strings.Join(values, " ")
	case r.ACR == "lowest":
		p["acr_values"] = values[len(values)-1]
	}
	if c := claimsParameter(r, values, step.Must); c != "" {
		p["claims"] = c
	}
	for _, name := range r.LeaveOut {
		delete(p, name)
	}
	if r.leaves("code_challenge") {
		delete(p, "code_challenge_method")
	}
	return p
}

// claimsParameter is OpenID Connect Core 1.0 §5.5; "" where nothing is asked by it.
func claimsParameter(r *registration, values []string, must bool) string {
	type wish struct {
		Essential bool     `json:"essential,omitempty"`
		Values    []string `json:"values,omitempty"`
	}
	ask := map[string]map[string]wish{}
	if len(r.AskClaims) > 0 {
		ask["userinfo"] = map[string]wish{}
		for _, c := range r.AskClaims {
			ask["userinfo"][c] = wish{Essential: true}
		}
	}
	if r.ACR == "claims" && len(values) > 0 {
		ask["id_token"] = map[string]wish{"acr": {Essential: must, Values: values}}
	}
	if len(ask) == 0 {
		return ""
	}
	text, err := json.Marshal(ask)
	if err != nil {
		panic(err) // strings and booleans
	}
	return string(text)
}
