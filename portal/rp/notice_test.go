package rp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/portal/rp"
)

func TestANoticeOfTheProvider(t *testing.T) {
	w := newWorld(t)
	token, err := w.provider.Notice("portal-beaumarais", "sid-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if session, err := w.Notice(context.Background(), "beaumarais", token); err != nil || session != "sid-1" {
		t.Errorf("%q, %v", session, err)
	}
	if _, err := w.Notice(context.Background(), "zandvoorde", token); !errors.Is(err, rp.ErrNotice) {
		t.Errorf("another commune's: %v", err)
	}
}

// Whoever can make the portal believe a notice can sign people out.
func TestNoticesThatAreNotBelieved(t *testing.T) {
	set := func(name string, value any) func(*string, map[string]any) {
		return func(_ *string, claims map[string]any) { claims[name] = value }
	}
	without := func(name string) func(*string, map[string]any) {
		return func(_ *string, claims map[string]any) { delete(claims, name) }
	}
	for name, lie := range map[string]func(typ *string, claims map[string]any){
		"an ID token's type": func(typ *string, _ map[string]any) { *typ = "JWT" },
		"another issuer":     set("iss", "https://id.evil.example"),
		"another client":     set("aud", "library"),
		"no audience":        without("aud"),
		"a nonce":            set("nonce", "n"),
		"an empty nonce":     set("nonce", ""),
		"no events":          without("events"),
		"another event":      set("events", map[string]any{"http://schemas.openid.net/event/other": map[string]any{}}),
		"events as a list":   set("events", []string{"http://schemas.openid.net/event/backchannel-logout"}),
		"no jti":             without("jti"),
		"no sid":             without("sid"),
		"a sid of no string": set("sid", 7),
		"expired":            set("exp", noon.Add(-time.Minute).Unix()),
		"no expiry":          without("exp"),
		"issued long ago":    set("iat", noon.Add(-time.Hour).Unix()),
		"issued later":       set("iat", noon.Add(time.Hour).Unix()),
		"issued at no time":  without("iat"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token, err := w.provider.Notice("portal-beaumarais", "sid-1", lie)
			if err != nil {
				t.Fatal(err)
			}
			if session, err := w.Notice(context.Background(), "beaumarais", token); !errors.Is(err, rp.ErrNotice) || session != "" {
				t.Errorf("%q, %v", session, err)
			}
		})
	}
	w := newWorld(t)
	honest, err := w.provider.Notice("portal-beaumarais", "sid-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(honest, ".")
	for name, token := range map[string]string{
		"nothing": "", "words": "x.y.z", "without its signature": parts[0] + "." + parts[1] + ".",
		"unsigned":         "eyJhbGciOiJub25lIiwidHlwIjoibG9nb3V0K2p3dCJ9." + parts[1] + ".",
		"in JSON":          `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"signed otherwise": parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
	} {
		if _, err := w.Notice(context.Background(), "beaumarais", token); !errors.Is(err, rp.ErrNotice) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.provider.Forge = true
	if token, _ := w.provider.Notice("portal-beaumarais", "sid-1", nil); token != "" {
		if _, err := w.Notice(context.Background(), "beaumarais", token); !errors.Is(err, rp.ErrNotice) {
			t.Errorf("a stranger's key: %v", err)
		}
	}
	w.provider.Forge, w.provider.Down = false, true
	fresh := newWorld(t)
	fresh.provider.Down = true
	if _, err := fresh.Notice(context.Background(), "beaumarais", honest); err == nil || errors.Is(err, rp.ErrNotice) {
		t.Errorf("while the provider is away the notice is not judged, and may come again: %v", err)
	}
}
