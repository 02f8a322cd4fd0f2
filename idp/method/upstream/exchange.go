package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/idp/idpsql"
)

// tokens are what a code is exchanged for.
type tokens struct{ access, id string }

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// redeem exchanges a code (RFC 6749 §4.1.3). No scope is sent: the federal service
// refuses it there.
func (s *Source) redeem(ctx context.Context, there *description, r *registration, asked idpsql.UpstreamRequest, code string) (tokens, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {asked.Redirect}}
	if !r.leaves("code_challenge") {
		form.Set("code_verifier", s.verifier(asked.State))
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	switch r.Auth {
	case SecretBasic: // both parts are form-encoded first (RFC 6749 §2.3.1)
		fake := http.Request{Header: header}
		fake.SetBasicAuth(url.QueryEscape(r.ClientID), url.QueryEscape(r.Secret))
	case SecretPost:
		form.Set("client_id", r.ClientID)
		form.Set("client_secret", r.Secret)
	case PrivateKeyJWT:
		assertion, err := s.assertion(ctx, there, r)
		if err != nil {
			return tokens{}, err
		}
		form.Set("client_id", r.ClientID)
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", assertion)
	}
	status, kind, body, err := s.ask(ctx, http.MethodPost, there.token, header, form.Encode())
	if err != nil {
		return tokens{}, unreachable("token_endpoint", err)
	}
	if kind != "application/json" {
		return tokens{}, unreachable("token_endpoint", fmt.Errorf("%d with %q", status, kind))
	}
	return readTokens(status, body)
}

func readTokens(status int, body []byte) (tokens, error) {
	var said struct {
		Access string `json:"access_token"`
		Type   string `json:"token_type"`
		ID     string `json:"id_token"`
		Error  string `json:"error"`
	}
	if _, err := parse(body); err != nil {
		return tokens{}, unreachable("token_endpoint", err)
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return tokens{}, unreachable("token_endpoint", err)
	}
	switch {
	case said.Error == "invalid_grant":
		return tokens{}, refused("code", fmt.Errorf("%d %s", status, said.Error))
	case status != http.StatusOK: // invalid_client is ours to mend, not the person's
		return tokens{}, unreachable("token_endpoint", fmt.Errorf("%d %.60q", status, said.Error))
	case said.Access == "" || said.ID == "" || !strings.EqualFold(said.Type, "Bearer"):
		return tokens{}, refused("tokens_missing", nil)
	}
	return tokens{said.Access, said.ID}, nil
}

// assertion proves who the client is (RFC 7523 §3).
func (s *Source) assertion(ctx context.Context, there *description, r *registration) (string, error) {
	audience := there.token
	if r.AssertionAudience == "issuer" {
		audience = r.Issuer
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("upstream: %w", err)
	}
	now := s.Clock()
	payload, err := json.Marshal(map[string]any{
		"iss": r.ClientID, "sub": r.ClientID, "aud": audience, "jti": id.String(),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("upstream: %w", err)
	}
	return r.keys.sign(ctx, payload)
}

// ask sends one request and reads a bounded answer.
func (s *Source) ask(ctx context.Context, verb, address string, header http.Header, body string) (status int, kind string, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, verb, address, strings.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	req.Header = header
	resp, err := s.issuer.client.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		return 0, "", nil, err
	}
	kind, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return resp.StatusCode, kind, answer, nil
}

// userinfo is what the source says of the subject, in the form that the settings demand.
func (s *Source) userinfo(ctx context.Context, there *description, r *registration, t tokens) (object, error) {
	if there.userinfo == "" {
		return nil, unreachable("userinfo_endpoint", errors.New("the source has none"))
	}
	header := http.Header{"Authorization": {"Bearer " + t.access}, "Accept": {"application/json"}}
	want := "application/json"
	if r.UserinfoForm != JSONUserinfo {
		want = "application/jwt"
		header.Set("Accept", want)
	}
	status, kind, body, err := s.ask(ctx, http.MethodGet, there.userinfo, header, "")
	if err != nil {
		return nil, unreachable("userinfo_endpoint", err)
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return nil, refused("userinfo_refused", fmt.Errorf("%d", status))
	case status != http.StatusOK:
		return nil, unreachable("userinfo_endpoint", fmt.Errorf("%d", status))
	case kind != want:
		return nil, refused("userinfo_form", fmt.Errorf("%q where %q is demanded", kind, want))
	}
	if r.UserinfoForm == JSONUserinfo {
		claims, err := parse(body)
		if err != nil {
			return nil, refused("userinfo_form", err)
		}
		return claims, nil
	}
	return s.signedUserinfo(ctx, there, r, strings.TrimSpace(string(body)))
}
