package upstream

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
)

// hintLife is how long an ID token is kept for a sign-out: as long as a session lasts.
const hintLife = 8 * time.Hour

func hintPlace(login string) string { return "idp:upstream:hint:" + login }

// remember keeps the ID token that a login request led to, sealed, for SignOut. Without
// it the person is only signed out here.
func (s *Source) remember(ctx context.Context, login, idToken string) {
	place := hintPlace(login)
	if err := s.KV.Put(ctx, place, s.hints.Seal([]byte(idToken), place), hintLife); err != nil {
		s.Log.Error("a sign-out will not be passed on", "source", s.Config.Name, "error", err)
	}
}

// SignOut is the address that signs the person out at the source too, who then comes
// back to back, which is registered there; the zero Exit where the source has none or nothing is
// known of the sign-in (OpenID Connect RP-Initiated Logout 1.0).
func (s *Source) SignOut(ctx context.Context, c commune.ID, login, back, state string, l i18n.Language) (method.Exit, error) {
	r := s.registrations[c]
	if r == nil {
		return method.Exit{}, nil
	}
	place := hintPlace(login)
	sealed, err := s.KV.Take(ctx, place)
	if errors.Is(err, kv.ErrMissing) {
		return method.Exit{}, nil
	}
	if err != nil {
		return method.Exit{}, err
	}
	hint, err := s.hints.Open(sealed, place)
	if err != nil {
		return method.Exit{}, nil // sealed under another install's key
	}
	there, err := s.issuer.current(ctx)
	if err != nil || there.endSession == "" {
		return method.Exit{}, err
	}
	address, err := url.Parse(there.endSession)
	if err != nil {
		return method.Exit{}, err
	}
	q := address.Query()
	for name, value := range map[string]string{
		"id_token_hint": string(hint), "client_id": r.ClientID, "post_logout_redirect_uri": back, "state": state, "ui_locales": string(l),
	} {
		if value != "" && !r.leaves(name) {
			q.Set(name, value)
		}
	}
	address.RawQuery = q.Encode()
	return method.Exit{Address: address.String()}, nil
}
