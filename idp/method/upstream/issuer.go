package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fetch"
)

const (
	described   = time.Hour // how long a description serves
	answerLimit = 256 << 10 // bytes the source may answer with
)

// issuer is the provider of a source, as it describes itself.
type issuer struct {
	profile Profile
	client  *http.Client
	allows  func(string) bool
	plain   bool
	now     clock.Clock

	mu   sync.Mutex
	last *description
	read time.Time
}

// description is what is known of it at one moment.
type description struct {
	authorize, token, userinfo, jwks, endSession string
	iss                                          bool // answers carry it (RFC 9207)
	keys                                         oidc.KeySet
}

func newIssuer(p Profile, cfg Config) (*issuer, error) {
	hosts := append([]string{}, p.Hosts...)
	for _, address := range []string{p.Issuer, p.Authorize, p.Token, p.Userinfo, p.JWKS, p.EndSession} {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			hosts = append(hosts, u.Host)
		}
	}
	f, err := fetch.New(fetch.Config{Hosts: hosts, Private: p.Internal, Roots: cfg.Roots, Clock: cfg.Clock, Limit: answerLimit})
	if err != nil {
		return nil, err
	}
	return &issuer{profile: p, client: f.Client(), allows: f.Allows, plain: cfg.Plain, now: cfg.Clock}, nil
}

// current is the description, read anew once an hour. Where that fails the last one
// serves on: its keys are followed by themselves.
func (i *issuer) current(ctx context.Context) (*description, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	if i.last != nil && now.Sub(i.read) < described {
		return i.last, nil
	}
	d, err := i.describe(ctx)
	if err == nil {
		err = i.checked(d)
	}
	if err != nil {
		if i.last != nil {
			i.read = now.Add(time.Minute - described) // not at every sign-in
			return i.last, nil
		}
		return nil, unreachable("discovery", clipped(err))
	}
	if i.last != nil && i.last.jwks == d.jwks {
		d.keys = i.last.keys
	} else {
		// The key set outlives this request, so it has the client but not the request's context.
		d.keys = keySet{oidc.NewRemoteKeySet(oidc.ClientContext(context.WithoutCancel(ctx), i.client), d.jwks)}
	}
	i.last, i.read = d, now
	return d, nil
}

func (i *issuer) describe(ctx context.Context) (*description, error) {
	p := i.profile
	if p.fixed() {
		return &description{authorize: p.Authorize, token: p.Token, userinfo: p.Userinfo, jwks: p.JWKS, endSession: p.EndSession, iss: p.Iss}, nil
	}
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), i.client), p.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		JWKS       string `json:"jwks_uri"`
		EndSession string `json:"end_session_endpoint"`
		Iss        bool   `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, err
	}
	d := &description{
		authorize: found.Endpoint().AuthURL, token: found.Endpoint().TokenURL, userinfo: found.UserInfoEndpoint(),
		jwks: more.JWKS, endSession: more.EndSession, iss: more.Iss || p.Iss,
	}
	if p.EndSession != "" {
		d.endSession = p.EndSession
	}
	return d, nil
}

// checked refuses a description that leads to hosts nobody listed: whoever answers for
// the issuer once must not choose where codes and secrets go.
func (i *issuer) checked(d *description) error {
	for name, address := range map[string]string{"authorization_endpoint": d.authorize, "token_endpoint": d.token, "jwks_uri": d.jwks, "userinfo_endpoint": d.userinfo, "end_session_endpoint": d.endSession} {
		if address == "" && (name == "end_session_endpoint" || name == "userinfo_endpoint") {
			continue
		}
		if err := checkAddress(address, i.plain); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !i.allows(address) {
			return fmt.Errorf("%s: %s is on a host that is not listed", name, address)
		}
	}
	return nil
}

// keySet notes why a key could not be had: go-oidc tells that only in words.
type keySet struct{ oidc.KeySet }

type causeKey struct{}

func (k keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	if cause, ok := ctx.Value(causeKey{}).(*error); ok {
		*cause = err
	}
	return payload, err
}

// secretKey verifies HS256 under the client's secret.
type secretKey []byte

func (k secretKey) VerifySignature(_ context.Context, jwt string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return nil, err
	}
	return jws.Verify([]byte(k))
}

// clipped keeps an error of a source, which may quote all it answered, short.
func clipped(err error) error {
	if text := err.Error(); len(text) > 300 {
		return errors.New(text[:300] + "…")
	}
	return err
}
