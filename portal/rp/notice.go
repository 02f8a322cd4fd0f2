package rp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/internal/commune"
)

// ErrNotice says that a logout token is not to be believed. Other errors of Notice say
// that it could not be judged.
var ErrNotice = errors.New("rp: this is no notice of our provider")

const (
	logoutType  = "logout+jwt"
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	noticeAge   = 5 * time.Minute // of a logout token at most
)

// logoutClaims are those of a logout token that go-oidc does not read itself.
type logoutClaims struct {
	Issuer string                     `json:"iss"`
	Nonce  json.RawMessage            `json:"nonce"`
	ID     string                     `json:"jti"`
	SID    string                     `json:"sid"`
	Events map[string]json.RawMessage `json:"events"`
}

// Notice judges a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6) and returns
// the name of the provider's session that is over: Login.SessionID of those begun in it.
// A token that comes twice ends what has ended already, so no jti is kept.
func (rp *RP) Notice(ctx context.Context, c commune.ID, token string) (session string, err error) {
	said, err := unverified(token)
	if err != nil {
		return "", err
	}
	client, known := rp.cfg.Clients[c]
	if !known || !slices.Contains(slices.Collect(maps.Values(rp.cfg.Issuers)), said.Issuer) {
		return "", fmt.Errorf("%w: another issuer's, or no client of it", ErrNotice)
	}
	p, err := rp.provider(ctx, said.Issuer)
	if err != nil {
		return "", err
	}
	ctx = oidc.ClientContext(ctx, rp.http)
	verified, err := p.VerifierContext(ctx, &oidc.Config{ClientID: client.ID, SupportedSigningAlgs: signingAlgs, Now: rp.cfg.Clock}).Verify(ctx, token)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotice, err)
	}
	if err := verified.Claims(&said); err != nil {
		return "", fmt.Errorf("%w: claims of another shape", ErrNotice)
	}
	age := rp.cfg.Clock().Sub(verified.IssuedAt)
	switch _, logout := said.Events[logoutEvent]; {
	case !logout:
		return "", fmt.Errorf("%w: no logout event", ErrNotice)
	case said.Nonce != nil:
		return "", fmt.Errorf("%w: it has a nonce, as ID tokens do", ErrNotice)
	case said.ID == "":
		return "", fmt.Errorf("%w: no jti", ErrNotice)
	case said.SID == "": // ours always has one; without, it would end all of a person's sessions
		return "", fmt.Errorf("%w: no sid", ErrNotice)
	case age > noticeAge || age < -clockSkew:
		return "", fmt.Errorf("%w: issued %s ago", ErrNotice, age)
	}
	return said.SID, nil
}

// unverified reads who a token says it is from, which decides by whose keys it is
// judged. Its type keeps an ID token from passing for a notice.
func unverified(token string) (said logoutClaims, err error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return said, fmt.Errorf("%w: %w", ErrNotice, err)
	}
	if typ := signed.Signatures[0].Header.ExtraHeaders[jose.HeaderType]; typ != logoutType {
		return said, fmt.Errorf("%w: a token of another type", ErrNotice)
	}
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &said); err != nil {
		return said, fmt.Errorf("%w: claims of another shape", ErrNotice)
	}
	return said, nil
}
