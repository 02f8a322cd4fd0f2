package token_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/idp/token"
	"github.com/belfry-eid/belfry/internal/clock"
)

// shelf keeps keys in memory with the store's one rule: a generation is added once.
type shelf struct {
	mu   sync.Mutex
	keys []idpsql.SigningKey
}

func (s *shelf) SigningKeys(context.Context) ([]idpsql.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys), nil
}

func (s *shelf) AddSigningKey(_ context.Context, k idpsql.SigningKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, have := range s.keys {
		if have.Alg == k.Alg && have.Generation == k.Generation {
			return nil
		}
	}
	s.keys = append(s.keys, k)
	slices.SortFunc(s.keys, func(a, b idpsql.SigningKey) int {
		if a.Alg != b.Alg {
			return map[bool]int{true: -1, false: 1}[a.Alg < b.Alg]
		}
		return int(a.Generation - b.Generation)
	})
	return nil
}

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func keys(t *testing.T, s token.Store, now clock.Clock, algs ...jose.SignatureAlgorithm) *token.Keys {
	t.Helper()
	master, err := secret.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	k, err := token.New(t.Context(), s, master, now, slog.New(slog.NewTextHandler(io.Discard, nil)), algs)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func published(t *testing.T, k *token.Keys) jose.JSONWebKeySet {
	t.Helper()
	body := k.JWKS(t.Context())
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		if !key.IsPublic() {
			t.Fatal("a private key is published")
		}
	}
	return set
}

func kidOf(t *testing.T, signed string) string {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(signed, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Signatures[0].Header.KeyID
}

func TestEveryAlgorithmSignsWhatThePublishedKeyVerifies(t *testing.T) {
	algs := []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA}
	k := keys(t, &shelf{}, clock.At(start), algs...)
	set := published(t, k)
	for _, alg := range algs {
		signed, err := k.Sign(t.Context(), alg, map[string]any{"sub": "x"})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jwt.ParseSigned(signed, []jose.SignatureAlgorithm{alg})
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		var claims jwt.Claims
		if err := parsed.Claims(&set, &claims); err != nil || claims.Subject != "x" {
			t.Errorf("%s: %v %q", alg, err, claims.Subject)
		}
		if err := k.Verify(t.Context(), signed, &claims); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
	if _, err := k.Sign(t.Context(), jose.ES512, nil); err == nil {
		t.Error("signs with an algorithm nobody asked for")
	}
}

// A client that reads the key set once a day must never meet an unknown key, and
// a token must verify for as long as it may come back.
func TestKeysArePublishedBeforeAndAfterTheySign(t *testing.T) {
	hand := clock.NewHand(start)
	k := keys(t, &shelf{}, hand.Now, jose.ES256)
	type daily struct {
		kid  string
		seen map[string]bool
	}
	var yesterday map[string]bool
	used := map[string]int{}
	var old string
	for day := range 200 {
		signed, err := k.Sign(t.Context(), jose.ES256, map[string]any{"day": day})
		if err != nil {
			t.Fatal(err)
		}
		d := daily{kidOf(t, signed), map[string]bool{}}
		for _, key := range published(t, k).Keys {
			d.seen[key.KeyID] = true
		}
		if yesterday != nil && !yesterday[d.kid] {
			t.Fatalf("day %d: signs with a key that was not published the day before", day)
		}
		if len(d.seen) > 3 {
			t.Fatalf("day %d: %d keys are published", day, len(d.seen))
		}
		if old != "" {
			if err := k.Verify(t.Context(), old, &struct{}{}); err != nil {
				t.Fatalf("day %d: yesterday's token: %v", day, err)
			}
		}
		used[d.kid]++
		yesterday, old = d.seen, signed
		hand.Add(24 * time.Hour)
	}
	if len(used) != 7 {
		t.Errorf("%d keys in 200 days", len(used))
	}
}

func TestTwoNodesAgree(t *testing.T) {
	s := &shelf{}
	hand := clock.NewHand(start)
	a, b := keys(t, s, hand.Now, jose.ES256), keys(t, s, hand.Now, jose.ES256)
	hand.Add(31 * 24 * time.Hour)
	if !bytes.Equal(a.JWKS(t.Context()), b.JWKS(t.Context())) {
		t.Error("two nodes publish different sets")
	}
	signed, err := a.Sign(t.Context(), jose.ES256, map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(t.Context(), signed, &struct{}{}); err != nil {
		t.Error(err)
	}
}

func TestVerifyRefusesStrangers(t *testing.T) {
	k := keys(t, &shelf{}, clock.At(start), jose.ES256)
	other := keys(t, &shelf{}, clock.At(start), jose.ES256)
	stranger, err := other.Sign(t.Context(), jose.ES256, map[string]any{"sub": "x"})
	if err != nil {
		t.Fatal(err)
	}
	for name, signed := range map[string]string{
		"a stranger's": stranger,
		"alg none":     "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
		"empty":        "",
	} {
		if err := k.Verify(t.Context(), signed, &struct{}{}); err == nil {
			t.Errorf("%s token is taken", name)
		}
	}
}

func TestSealedKeysNeedTheirSecret(t *testing.T) {
	s := &shelf{}
	keys(t, s, clock.At(start), jose.ES256)
	other, err := secret.New([]byte("another secret of thirty-two bytes"[:32]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.New(t.Context(), s, other, clock.At(start), slog.New(slog.NewTextHandler(io.Discard, nil)), []jose.SignatureAlgorithm{jose.ES256}); err == nil {
		t.Error("keys open under another secret")
	}
}
