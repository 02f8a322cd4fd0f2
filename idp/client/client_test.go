package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

var now = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func communes(t testing.TB) *commune.Communes {
	t.Helper()
	set, err := commune.NewCommunes([]*commune.Commune{{
		ID: "beaumarais", NIS: "99001", Name: map[i18n.Language]string{"fr": "Beaumarais"}, Origins: []string{"https://beaumarais.example"},
		LanguageRegime: "fr",
	}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func high(t testing.TB, key *ecdsa.PrivateKey) client.Settings {
	t.Helper()
	return client.Settings{
		ID: "portal", Commune: "beaumarais", RedirectURIs: []string{"https://beaumarais.example/callback"},
		JWKS: &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1"}}},
	}
}

func TestARegistrationThatContradictsItselfIsRefusedByName(t *testing.T) {
	key := newKey(t)
	if _, err := client.New([]client.Settings{high(t, key)}, communes(t)); err != nil {
		t.Fatalf("a good registration is refused: %v", err)
	}
	auth := &client.Authorisation{LegalBasis: "a law", Until: now}
	for want, spoil := range map[string]func(*client.Settings){
		"id:":                         func(s *client.Settings) { s.ID = "a:b" },
		"commune \"nowhere\"":         func(s *client.Settings) { s.Commune = "nowhere" },
		"redirect_uris: at least one": func(s *client.Settings) { s.RedirectURIs = nil },
		"https is needed":             func(s *client.Settings) { s.RedirectURIs = []string{"http://beaumarais.example/callback"} },
		"without fragment":            func(s *client.Settings) { s.RedirectURIs = []string{"https://beaumarais.example/callback#x"} },
		"no address to return to":     func(s *client.Settings) { s.PostLogoutRedirectURIs = []string{"/bye"} },
		"wildcard":                    func(s *client.Settings) { s.RedirectURIs = []string{"https://*.example/callback"} },
		"profile \"medium\"":          func(s *client.Settings) { s.Profile = "medium" },
		"high goes with":              func(s *client.Settings) { s.Method, s.SecretSHA256 = client.SecretBasic, strings.Repeat("0", 64) },
		"pkce_optional":               func(s *client.Settings) { s.PKCEOptional = true },
		"jwks_file":                   func(s *client.Settings) { s.JWKS, s.JWKSFile = nil, "/does/not/exist" },
		"no key":                      func(s *client.Settings) { s.JWKS = &jose.JSONWebKeySet{} },
		"not a valid public key":      func(s *client.Settings) { s.JWKS.Keys[0].Key = key },
		"secret_sha256 and":           func(s *client.Settings) { s.SecretSHA256 = strings.Repeat("0", 64) },
		"secret_sha256: 64": func(s *client.Settings) {
			s.Profile, s.Method, s.SecretSHA256 = client.Ordinary, client.SecretBasic, "secret"
		},
		"token_endpoint_auth_method":   func(s *client.Settings) { s.Profile, s.Method = client.Ordinary, "none" },
		"id_token_signed_response_alg": func(s *client.Settings) { s.IDTokenAlg = "none" },
		"scopes: \"email\"":            func(s *client.Settings) { s.Scopes = []string{"email"} },
		"needs an authorisation":       func(s *client.Settings) { s.Scopes = []string{"national_number"} },
		"legal_basis":                  func(s *client.Settings) { s.NationalNumber = &client.Authorisation{Until: now} },
		"every authorisation ends":     func(s *client.Settings) { s.NationalNumber = &client.Authorisation{LegalBasis: "a law"} },
		"only profile high":            func(s *client.Settings) { s.Profile, s.NationalNumber = client.Ordinary, auth },
	} {
		s := high(t, key)
		spoil(&s)
		if _, err := client.New([]client.Settings{s}, communes(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
	if _, err := client.New([]client.Settings{high(t, key), high(t, key)}, communes(t)); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("two clients of one name: %v", err)
	}
}

func TestDefaultsAreTheStrictOnesAndThoseOfTheStandard(t *testing.T) {
	reg, err := client.New([]client.Settings{high(t, newKey(t))}, communes(t))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := reg.ByID("portal")
	if c.Profile != client.High || c.Method != client.PrivateKeyJWT || c.IDTokenAlg != jose.RS256 || c.Sector != "portal" || c.PKCEOptional {
		t.Errorf("%+v", c.Settings)
	}
	if c.May("profile") || !c.May("openid") || c.MayKnowNumber(now) {
		t.Error("a client may what it was not registered for")
	}
}

func TestTheAuthorisationForTheNumberEnds(t *testing.T) {
	s := high(t, newKey(t))
	s.Scopes, s.NationalNumber = []string{"national_number"}, &client.Authorisation{LegalBasis: "a law", Until: now}
	reg, err := client.New([]client.Settings{s}, communes(t))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := reg.ByID("portal")
	if !c.MayKnowNumber(now.Add(-time.Microsecond)) || c.MayKnowNumber(now) {
		t.Error("the day it ends is not the day it says")
	}
}

func TestKeysMayLieInAFileAndSecretsAsAHash(t *testing.T) {
	key := newKey(t)
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1"}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := high(t, key)
	s.JWKS, s.JWKSFile = nil, file
	sum := sha256.Sum256([]byte("a random secret"))
	o := client.Settings{ID: "library", Commune: "beaumarais", RedirectURIs: []string{"http://localhost:9/callback"}, Profile: client.Ordinary, Method: client.SecretBasic, SecretSHA256: hex.EncodeToString(sum[:])}
	reg, err := client.New([]client.Settings{s, o}, communes(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reg.VerifyAssertion(sign(t, key, "1", good()), []string{"https://id.example"}, now); err != nil {
		t.Error(err)
	}
	library, _ := reg.ByID("library")
	if !library.KnowsSecret("a random secret") || library.KnowsSecret("") || library.KnowsSecret(o.SecretSHA256) {
		t.Error("the secret is not compared by its hash")
	}
	portal, _ := reg.ByID("portal")
	if portal.KnowsSecret("") {
		t.Error("a client without a secret knows one")
	}
}

func good() jwt.Claims {
	return jwt.Claims{Issuer: "portal", Subject: "portal", Audience: jwt.Audience{"https://id.example"}, ID: "1", Expiry: jwt.NewNumericDate(now.Add(time.Minute))}
}

func sign(t testing.TB, key *ecdsa.PrivateKey, kid string, c jwt.Claims) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(c).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Whatever is sent: no panic, and nothing is accepted but what the client's key signed.
func FuzzVerifyAssertion(f *testing.F) {
	key := newKey(f)
	reg, err := client.New([]client.Settings{high(f, key)}, communes(f))
	if err != nil {
		f.Fatal(err)
	}
	right := sign(f, key, "1", good())
	f.Add(right)
	f.Add(sign(f, newKey(f), "1", good()))
	f.Add("eyJhbGciOiJub25lIn0.eyJzdWIiOiJwb3J0YWwifQ.")
	f.Add("..")
	f.Add(strings.Repeat("a", 9000))
	head, _, _ := strings.Cut(right, ".")
	f.Fuzz(func(t *testing.T, assertion string) {
		a, err := reg.VerifyAssertion(assertion, []string{"https://id.example"}, now)
		if err == nil && (!strings.HasPrefix(assertion, head) || a.Client.ID != "portal" || a.JTI == "") {
			t.Errorf("accepted %q", assertion)
		}
	})
}
