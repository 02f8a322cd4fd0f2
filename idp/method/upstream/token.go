package upstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/idpsql"
)

// idToken checks an ID token as OpenID Connect Core 1.0 §3.1.3.7 asks, and returns its
// claims, the moment of authentication and the signed token itself, for a later sign-out.
func (s *Source) idToken(ctx context.Context, there *description, r *registration, asked idpsql.UpstreamRequest, t tokens) (object, time.Time, string, error) {
	raw := t.id
	if r.IDTokenEncrypted {
		inner, err := r.keys.open(ctx, raw)
		if err != nil {
			return nil, time.Time{}, "", refused("id_token_encryption", err)
		}
		raw = inner
	}
	verified, claims, err := s.verify(ctx, there, r, raw, r.IDTokenAlgs, false)
	if err != nil {
		return nil, time.Time{}, "", err
	}
	at, err := s.checkID(verified, claims, r, asked)
	if err != nil {
		return nil, time.Time{}, "", err
	}
	if verified.AccessTokenHash != "" {
		if err := verified.VerifyAccessToken(t.access); err != nil {
			return nil, time.Time{}, "", refused("at_hash", err)
		}
	}
	return claims, at, raw, nil
}

// verify checks the signature of a compact JWS by a key of the issuer and one of algs;
// of an ID token also issuer, audience and time.
func (s *Source) verify(ctx context.Context, there *description, r *registration, raw string, algs []jose.SignatureAlgorithm, loose bool) (*oidc.IDToken, object, error) {
	if strings.Count(raw, ".") != 2 { // neither encrypted nor in JSON serialization
		return nil, nil, refused("signature", errors.New("no compact JWS"))
	}
	var names []string
	for _, a := range algs {
		names = append(names, string(a))
	}
	keys := there.keys
	if slices.Contains(algs, jose.HS256) {
		keys = keySet{secretKey(r.Secret)}
	}
	cfg := &oidc.Config{ClientID: r.ClientID, SupportedSigningAlgs: names, Now: func() time.Time { return s.Clock().Add(-skew) }}
	if loose {
		cfg.SkipClientIDCheck, cfg.SkipExpiryCheck, cfg.SkipIssuerCheck = true, true, true
	}
	var cause error
	verified, err := oidc.NewVerifier(r.Issuer, keys, cfg).Verify(context.WithValue(ctx, causeKey{}, &cause), raw)
	switch {
	case cause != nil && strings.Contains(cause.Error(), "fetching keys"):
		return nil, nil, unreachable("keys", clipped(cause))
	case cause != nil:
		return nil, nil, refused("signature", clipped(cause))
	case err != nil:
		return nil, nil, refused("token", clipped(err))
	}
	var payload json.RawMessage
	if err := verified.Claims(&payload); err != nil {
		return nil, nil, refused("token", err)
	}
	claims, err := parse(payload)
	if err != nil {
		return nil, nil, refused("token", err)
	}
	return verified, claims, nil
}

// checkID is what go-oidc leaves to its caller.
func (s *Source) checkID(id *oidc.IDToken, claims object, r *registration, asked idpsql.UpstreamRequest) (time.Time, error) {
	now := s.Clock()
	azp, hasAzp, err := claims.text("azp")
	if err != nil {
		return time.Time{}, refused("azp", err)
	}
	switch {
	case !validSubject(id.Subject):
		return time.Time{}, refused("subject", nil)
	case hasAzp && azp != r.ClientID, len(id.Audience) > 1 && !hasAzp:
		return time.Time{}, refusedf("azp", "%q for audience %q", azp, id.Audience)
	case id.Nonce != s.nonce(asked.State):
		return time.Time{}, refused("nonce", nil)
	case !claims.has("exp") || !claims.has("iat"):
		return time.Time{}, refused("time", errors.New("exp or iat is missing"))
	case id.IssuedAt.After(now.Add(skew)) || id.IssuedAt.Before(asked.Issued.Add(-skew)):
		return time.Time{}, refusedf("time", "issued at %s", id.IssuedAt)
	}
	return authenticated(claims, id.IssuedAt, now, r, asked)
}

// authenticated is when the person was asked. Where that had to be now, it must be told.
func authenticated(claims object, issued, now time.Time, r *registration, asked idpsql.UpstreamRequest) (time.Time, error) {
	at, ok, err := claims.moment("auth_time")
	switch {
	case err != nil:
		return at, refused("auth_time", err)
	case !ok && r.AlwaysFresh:
		return issued, nil
	case !ok && asked.Forced:
		return at, refused("auth_time", errors.New("missing, where the person had to be asked anew"))
	case !ok:
		return issued, nil
	case at.After(now.Add(skew)):
		return at, refusedf("auth_time", "in the future: %s", at)
	case asked.Forced && at.Before(asked.Issued.Add(-skew)):
		return at, refusedf("auth_time", "the person was not asked anew: %s", at)
	}
	return at, nil
}

// validSubject: OpenID Connect Core 1.0 §2, at most 255 ASCII characters.
func validSubject(sub string) bool {
	return sub != "" && len(sub) <= 255 && !strings.ContainsFunc(sub, func(c rune) bool { return c < 0x21 || c > 0x7e })
}

// signedUserinfo opens userinfo that is a JWT (OpenID Connect Core 1.0 §5.3.2).
func (s *Source) signedUserinfo(ctx context.Context, there *description, r *registration, raw string) (object, error) {
	if r.UserinfoForm == EncryptedUserinfo {
		inner, err := r.keys.open(ctx, raw)
		if err != nil {
			return nil, refused("userinfo_encryption", err)
		}
		raw = inner
	}
	verified, claims, err := s.verify(ctx, there, r, raw, r.UserinfoAlgs, true)
	if err != nil {
		return nil, err
	}
	switch {
	case verified.Issuer != "" && verified.Issuer != r.Issuer:
		return nil, refusedf("userinfo_token", "issuer %q", verified.Issuer)
	case len(verified.Audience) > 0 && !slices.Contains(verified.Audience, r.ClientID):
		return nil, refusedf("userinfo_token", "audience %q", verified.Audience)
	case claims.has("exp") && verified.Expiry.Before(s.Clock().Add(-skew)):
		return nil, refusedf("userinfo_token", "expired at %s", verified.Expiry)
	}
	return claims, nil
}

// headers of a JWE that we act upon or may ignore. Compression is not among them: it
// makes bombs, and nobody we know needs it.
var headers = []string{"alg", "enc", "kid", "typ", "cty", "epk", "apu", "apv"}

// openEncrypted decrypts a compact JWE to a compact JWS, with one of these keys.
func openEncrypted(raw string, keyAlgs []jose.KeyAlgorithm, contentAlgs []jose.ContentEncryption, find func(alg jose.KeyAlgorithm, kid string) []any) (string, error) {
	if len(raw) > answerLimit || strings.Count(raw, ".") != 4 {
		return "", errors.New("no compact JWE")
	}
	first, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return "", errors.New("its header is no base64url")
	}
	header, err := parse(text)
	if err != nil {
		return "", fmt.Errorf("its header: %w", err)
	}
	for name := range header {
		if !slices.Contains(headers, name) {
			return "", fmt.Errorf("its header has %.40q", name)
		}
	}
	jwe, err := jose.ParseEncryptedCompact(raw, keyAlgs, contentAlgs)
	if err != nil {
		return "", clipped(err)
	}
	for _, key := range find(jose.KeyAlgorithm(jwe.Header.Algorithm), jwe.Header.KeyID) {
		plain, err := jwe.Decrypt(key)
		if err != nil {
			continue
		}
		return string(plain), nil
	}
	return "", errors.New("by no key of ours")
}
