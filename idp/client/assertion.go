package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// AssertionType is the client_assertion_type of private_key_jwt (RFC 7523 §2.2).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	assertionLimit    = 8 << 10          // characters
	assertionLifetime = 10 * time.Minute // the longest exp may lie ahead
	skew              = 10 * time.Second // clocks of clients run ahead by this much (FAPI 2.0 §5.3.2.1)
)

// Assertion is a client assertion whose signature and claims hold. It proves its
// client once: the caller must store JTI until Expires and refuse it a second time.
type Assertion struct {
	Client  *Client
	JTI     string
	Expires time.Time
}

// VerifyAssertion checks a private_key_jwt (OpenID Connect Core 1.0 §9): its one
// signature by a key of the client it names, issuer and subject both that client,
// one of audiences as the only audience, and times around now.
func (reg *Registry) VerifyAssertion(assertion string, audiences []string, now time.Time) (Assertion, error) {
	if len(assertion) > assertionLimit {
		return Assertion{}, errors.New("client assertion: too long")
	}
	token, err := jwt.ParseSigned(assertion, algorithms)
	if err != nil {
		return Assertion{}, fmt.Errorf("client assertion: %w", err)
	}
	var unverified jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&unverified); err != nil {
		return Assertion{}, fmt.Errorf("client assertion: %w", err)
	}
	c, ok := reg.ByID(unverified.Subject)
	if !ok || c.Method != PrivateKeyJWT {
		return Assertion{}, errors.New("client assertion: no client of this name proves itself so")
	}
	var claims jwt.Claims
	key, err := c.keyFor(token.Headers[0])
	if err != nil {
		return Assertion{}, fmt.Errorf("client assertion of %s: %w", c.ID, err)
	}
	if err := token.Claims(key, &claims); err != nil {
		return Assertion{}, fmt.Errorf("client assertion of %s: %w", c.ID, err)
	}
	if err := checkClaims(claims, c.ID, audiences, now); err != nil {
		return Assertion{}, fmt.Errorf("client assertion of %s: %w", c.ID, err)
	}
	return Assertion{Client: c, JTI: claims.ID, Expires: claims.Expiry.Time()}, nil
}

// keyFor is the registered key that the header names; an unnamed one is that of a
// client that has one alone.
func (c *Client) keyFor(h jose.Header) (any, error) {
	keys := c.JWKS.Keys
	if h.KeyID != "" {
		keys = c.JWKS.Key(h.KeyID)
	}
	if len(keys) != 1 {
		return nil, errors.New("kid names no registered key, or several")
	}
	if a := keys[0].Algorithm; a != "" && a != h.Algorithm {
		return nil, fmt.Errorf("the key is for %s, not %s", a, h.Algorithm)
	}
	return keys[0].Key, nil
}

func checkClaims(claims jwt.Claims, id string, audiences []string, now time.Time) error {
	switch {
	case claims.Issuer != id || claims.Subject != id:
		return errors.New("iss and sub must both be the client")
	case len(claims.Audience) != 1 || !slices.Contains(audiences, claims.Audience[0]):
		return errors.New("aud is not this provider alone")
	case claims.ID == "" || len(claims.ID) > 256:
		return errors.New("jti is missing or too long")
	case claims.Expiry == nil || !now.Before(claims.Expiry.Time()):
		return errors.New("exp is missing or past")
	case claims.Expiry.Time().After(now.Add(assertionLifetime + skew)):
		return fmt.Errorf("exp lies more than %v ahead", assertionLifetime)
	case claims.NotBefore != nil && claims.NotBefore.Time().After(now.Add(skew)):
		return errors.New("nbf lies ahead")
	case claims.IssuedAt != nil && claims.IssuedAt.Time().After(now.Add(skew)):
		return errors.New("iat lies ahead")
	}
	return nil
}
