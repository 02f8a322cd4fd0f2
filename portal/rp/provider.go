package rp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/loopback"
)

// signingAlgs are named because go-oidc takes RS256 alone where nothing is named.
// Our clients are registered for ES256.
var signingAlgs = []string{oidc.ES256}

// provider is a discovered issuer.
type provider struct {
	*oidc.Provider
	issuer     string
	par        string // pushed_authorization_request_endpoint
	endSession string // end_session_endpoint
}

// provider discovers an issuer once. A failure is not kept: the next sign-in tries again.
func (rp *RP) provider(ctx context.Context, issuer string) (*provider, error) {
	rp.mu.Lock()
	p := rp.providers[issuer]
	rp.mu.Unlock()
	if p != nil {
		return p, nil
	}
	// The key set outlives this request, so it gets the client but not the request's context.
	discovered, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), rp.http), issuer)
	if err != nil {
		return nil, unreachable(fmt.Errorf("discovery of %s: %w", issuer, err))
	}
	var more struct {
		PAR        string `json:"pushed_authorization_request_endpoint"`
		EndSession string `json:"end_session_endpoint"`
		Iss        bool   `json:"authorization_response_iss_parameter_supported"`
	}
	if err := discovered.Claims(&more); err != nil {
		return nil, unreachable(fmt.Errorf("discovery of %s: %w", issuer, err))
	}
	if more.PAR == "" || !more.Iss {
		return nil, unreachable(fmt.Errorf("discovery of %s: no pushed authorization requests (RFC 9126) or no iss in answers (RFC 9207)", issuer))
	}
	p = &provider{Provider: discovered, issuer: issuer, par: more.PAR, endSession: more.EndSession}
	rp.mu.Lock()
	rp.providers[issuer] = p
	rp.mu.Unlock()
	return p, nil
}

// push sends an authorization request by the back channel and returns its request_uri (RFC 9126).
func (rp *RP) push(ctx context.Context, p *provider, c Client, form url.Values) (string, error) {
	assertion, err := rp.assertion(p, c)
	if err != nil {
		return "", err
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.par, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("pushed request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := rp.http.Do(req)
	if err != nil {
		return "", unreachable(fmt.Errorf("pushed request: %w", err))
	}
	defer resp.Body.Close()
	var answer struct {
		RequestURI string `json:"request_uri"`
		Error      string `json:"error"`
		Reason     string `json:"error_description"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", unreachable(fmt.Errorf("pushed request: %s: %w", resp.Status, err))
	}
	if resp.StatusCode != http.StatusCreated || answer.RequestURI == "" {
		return "", unreachable(fmt.Errorf("pushed request: %s: %s: %s", resp.Status, answer.Error, answer.Reason))
	}
	return answer.RequestURI, nil
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertion proves who the client is (RFC 7523 §3). Its audience is the issuer and
// nothing else, so that it is worth nothing elsewhere (FAPI 2.0 §5.3.3.1).
func (rp *RP) assertion(p *provider, c Client) (string, error) {
	key := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: c.Key, KeyID: c.KeyID}}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("client assertion: %w", err)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("client assertion: %w", err)
	}
	now := rp.cfg.Clock()
	signed, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer:   c.ID,
		Subject:  c.ID,
		Audience: jwt.Audience{p.issuer},
		ID:       id.String(),
		IssuedAt: jwt.NewNumericDate(now),
		Expiry:   jwt.NewNumericDate(now.Add(time.Minute)),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("client assertion: %w", err)
	}
	return signed, nil
}

func unreachable(err error) error {
	return fault.New(fault.Unreachable, "portal.signin_unavailable", err)
}

const maxAnswer = 1 << 20 // bytes the provider may answer with

// newHTTPClient follows no redirect and reads bounded answers.
func newHTTPClient(cfg Config) *http.Client {
	transport := cfg.Transport
	if transport == nil {
		transport = loopback.Transport(cfg.Roots)
	}
	return &http.Client{
		Transport:     bounded{transport},
		Timeout:       15 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}
