package upstream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/upstream"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/testcerts/fakeoidc"
)

type answer = fakeoidc.Answer

func bend(f func(*answer)) func(*answer) { return f }

func id(name string, v any) func(*answer) { return func(a *answer) { a.ID[name] = v } }

func noID(name string) func(*answer) { return func(a *answer) { delete(a.ID, name) } }

func info(name string, v any) func(*answer) { return func(a *answer) { a.Info[name] = v } }

// twice signs userinfo, or the ID token, with a member that is there twice.
func twice(claims map[string]any, name string, v any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	more, err := json.Marshal(map[string]any{name: v})
	if err != nil {
		panic(err)
	}
	return string(text[:len(text)-1]) + "," + string(more[1:])
}

// Each answer that is not what it must be signs nobody in, and the record says why.
func TestBentAnswers(t *testing.T) {
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	strangerEC, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	type bent struct {
		bend       func(*answer)
		key, cause string
	}
	re := func(cause string, f func(*answer)) bent { return bent{f, "refused", cause} }
	sites := map[string]*site{}
	for preset, table := range map[string]map[string]bent{
		"fas-oidc": {
			"another issuer":           re("token", id("iss", "https://evil.example")),
			"no issuer":                re("token", noID("iss")),
			"another audience":         re("token", id("aud", "client-zandvoorde")),
			"no audience":              re("token", noID("aud")),
			"two audiences, no azp":    re("azp", id("aud", []string{"client-beaumarais", "other"})),
			"another azp":              re("azp", id("azp", "other")),
			"azp is a number":          re("azp", id("azp", 7)),
			"another nonce":            re("nonce", id("nonce", "made up")),
			"no nonce":                 re("nonce", noID("nonce")),
			"expired":                  re("token", id("exp", int64(1_700_000_000))),
			"no exp":                   re("token", noID("exp")),
			"no iat":                   re("time", noID("iat")),
			"issued long ago":          re("time", id("iat", int64(1_700_000_000))),
			"issued in the future":     re("time", id("iat", int64(1_900_000_000))),
			"not yet valid":            re("token", id("nbf", int64(1_900_000_000))),
			"no subject":               re("subject", noID("sub")),
			"a subject with a space":   re("subject", id("sub", "a b")),
			"a long subject":           re("subject", id("sub", strings.Repeat("x", 256))),
			"at_hash of another token": re("at_hash", id("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")),
			"none":                     re("token", func(a *answer) { a.IDAlg = "none" }),
			"HS256 under the secret":   re("token", func(a *answer) { a.IDAlg, a.IDKey = jose.HS256, []byte(secretOf("beaumarais")) }),
			"a stranger's key":         re("signature", func(a *answer) { a.IDKey = stranger }),
			"a stranger's key, no kid": re("signature", func(a *answer) { a.IDKey, a.IDKeyID = stranger, "" }),
			"an unknown kid":           re("signature", func(a *answer) { a.IDKey, a.IDKeyID = stranger, "unknown" }),
			"an algorithm not named":   re("token", func(a *answer) { a.IDAlg = jose.PS256 }),
			"another kind of key":      re("token", func(a *answer) { a.IDAlg, a.IDKey = jose.ES256, strangerEC }),
			"RS512":                    re("token", func(a *answer) { a.IDAlg = jose.RS512 }),
			"no token":                 re("tokens_missing", func(a *answer) { a.Token, a.Type = `{"access_token":"x","token_type":"Bearer"}`, "application/json" }),
			"not a token":              re("signature", func(a *answer) { a.RawID = "x" }),
			"no bearer": re("tokens_missing", func(a *answer) {
				a.Token, a.Type = `{"access_token":"x","token_type":"mac","id_token":"x"}`, "application/json"
			}),
			"a claim twice": re("token", func(a *answer) {
				a.RawID, _ = fakeoidc.SignText([]byte(twice(a.ID, "sub", "somebody else")), a.IDAlg, a.IDKey, a.IDKeyID)
			}),
			"encrypted, unasked": re("signature", func(a *answer) {
				a.RawID = "a.b.c.d.e"
			}),
			"JSON serialization":       re("signature", func(a *answer) { a.RawID = `{"payload":"e30","signatures":[]}` }),
			"no level":                 re("level", noID("acr")),
			"an unknown level":         re("level", id("acr", "urn:be:fedict:iam:fas:Level200")),
			"a level that is a number": re("level", id("acr", 500)),
			"a list of two levels":     re("level", id("acr", []string{"urn:be:fedict:iam:fas:Level500", "urn:be:fedict:iam:fas:Level400"})),
			"a level with a space":     re("level", id("acr", " urn:be:fedict:iam:fas:Level500")),
			"userinfo unsigned":        re("userinfo_form", func(a *answer) { a.InfoForm = "json" }),
			"userinfo, JSON as a JWT":  re("signature", func(a *answer) { a.InfoForm, a.InfoType = "json", "application/jwt" }),
			"userinfo, a JWT as JSON":  re("userinfo_form", func(a *answer) { a.InfoType = "application/json" }),
			"userinfo, none":           re("token", func(a *answer) { a.InfoAlg = "none" }),
			"userinfo by a stranger":   re("signature", func(a *answer) { a.InfoKey = stranger }),
			"userinfo of another":      re("userinfo_subject", info("sub", "somebody else")),
			"userinfo of nobody":       re("userinfo_subject", func(a *answer) { delete(a.Info, "sub") }),
			"userinfo of another iss":  re("userinfo_token", info("iss", "https://evil.example")),
			"userinfo for another":     re("userinfo_token", info("aud", "client-zandvoorde")),
			"userinfo expired":         re("userinfo_token", info("exp", int64(1_700_000_000))),
			"userinfo refused":         re("userinfo_refused", func(a *answer) { a.InfoStatus = http.StatusForbidden }),
			"no number":                re("number", func(a *answer) { delete(a.Info, "egovNRN") }),
			"an empty number":          re("number", info("egovNRN", "")),
			"a number of bad check":    re("number", info("egovNRN", "75713011984")),
			"a short number":           re("number", info("egovNRN", "7571301198")),
			"digits of another script": re("number", info("egovNRN", "٧٥٧١٣٠١١٩٨٣")),
			"two numbers":              re("claims", info("egovNRN", []string{luc.Number, luc.Number})),
			"a number that is one":     re("claims", info("egovNRN", 75713011983)),
			"another number in the ID": re("claims", id("egovNRN", "92820503225")),
			"no name":                  re("names", func(a *answer) { delete(a.Info, "givenName"); delete(a.Info, "surname") }),
			"a name that turns round":  re("names", info("surname", "\u202eLambert")),
			"a name of five kilobytes": re("names", info("surname", strings.Repeat("x", 5000))),
			"a name that is an object": re("claims", info("surname", map[string]string{"a": "b"})),
			"a number twice": re("token", func(a *answer) {
				a.RawInfo, _ = fakeoidc.SignText([]byte(twice(a.Info, "egovNRN", "92820503225")), a.InfoAlg, a.InfoKey, a.InfoKeyID)
			}),
			"HTML for tokens":    {func(a *answer) { a.Token, a.Type = "<html>", "text/html" }, "unreachable", "token_endpoint"},
			"half a JSON":        {func(a *answer) { a.Token, a.Type = `{"access_token":`, "application/json" }, "unreachable", "token_endpoint"},
			"huge tokens":        {func(a *answer) { a.Token, a.Type = `{"a":"`+strings.Repeat("x", 1<<20), "application/json" }, "unreachable", "token_endpoint"},
			"500":                {func(a *answer) { a.Token, a.Type, a.Status = `{}`, "application/json", 500 }, "unreachable", "token_endpoint"},
			"we are not known":   {func(a *answer) { a.Token, a.Type, a.Status = `{"error":"invalid_client"}`, "application/json", 401 }, "unreachable", "token_endpoint"},
			"userinfo 503":       {func(a *answer) { a.InfoStatus = http.StatusServiceUnavailable }, "unreachable", "userinfo_endpoint"},
			"huge userinfo":      {func(a *answer) { a.RawInfo = strings.Repeat("x", 1<<20) }, "unreachable", "userinfo_endpoint"},
			"invalid_grant":      re("code", func(a *answer) { a.Token, a.Type, a.Status = `{"error":"invalid_grant"}`, "application/json", 400 }),
			"an error and a 200": re("tokens_missing", func(a *answer) { a.Token, a.Type = `{"error":"server_error"}`, "application/json" }),
		},
		"franceconnect-plus": {
			"ID token in clear":         re("id_token_encryption", func(a *answer) { a.Encrypted = false }),
			"userinfo in clear":         re("userinfo_encryption", func(a *answer) { a.InfoEncrypted = false }),
			"compressed":                re("id_token_encryption", func(a *answer) { a.Zip = true }),
			"to another's key":          re("id_token_encryption", func(a *answer) { a.EncryptTo = &jose.JSONWebKey{Key: strangerEC.Public(), KeyID: "x"} }),
			"to another's key, no kid":  re("id_token_encryption", func(a *answer) { a.EncryptTo = &jose.JSONWebKey{Key: strangerEC.Public()} }),
			"a content of less":         re("id_token_encryption", func(a *answer) { a.ContentAlg = jose.A128GCM }),
			"RSA 1.5":                   re("id_token_encryption", func(a *answer) { a.KeyAlg, a.EncryptTo = jose.RSA1_5, &jose.JSONWebKey{Key: stranger.Public()} }),
			"a key algorithm not named": re("id_token_encryption", func(a *answer) { a.KeyAlg = jose.ECDH_ES_A128KW }),
			"direct": re("id_token_encryption", func(a *answer) {
				a.KeyAlg, a.EncryptTo = jose.DIRECT, &jose.JSONWebKey{Key: make([]byte, 32)}
			}),
			"encrypted and unsigned":     re("token", func(a *answer) { a.IDAlg = "none" }),
			"encrypted by a stranger":    re("signature", func(a *answer) { a.IDKey = strangerEC }),
			"userinfo by a stranger":     re("signature", func(a *answer) { a.InfoKey = strangerEC }),
			"RS256":                      re("token", func(a *answer) { a.IDAlg, a.IDKey = jose.RS256, stranger }),
			"a birth date of words":      re("birth_date", info("birthdate", "yesterday")),
			"a birth date turned":        re("birth_date", info("birthdate", "30-07-1975")),
			"the level of FranceConnect": re("level", id("acr", "eidas1")),
		},
	} {
		s := newSite(t, preset)
		sites[preset] = s
		if _, err := s.signIn(step("beaumarais"), s.means()); err != nil {
			t.Fatalf("%s: the honest one does not pass: %v", preset, err)
		}
		for what, b := range table {
			s.fake.Bend = b.bend
			_, err := s.signIn(step("beaumarais"), s.means())
			refusedFor(t, preset+", "+what, err, b.key, b.cause)
		}
		s.fake.Bend = nil
		if _, err := s.signIn(step("beaumarais"), s.means()); err != nil {
			t.Fatalf("%s: the honest one does not pass any more: %v", preset, err)
		}
	}
}

// A key that the service has changed since is followed; one that it took out is not believed.
func TestTheirKeysRotate(t *testing.T) {
	s := newSite(t, "fas-oidc")
	_, err := s.signIn(step("beaumarais"), s.means())
	must(t, err)
	was := s.fake.RSA
	s.fake.RSA, err = rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	if _, err := s.signIn(step("beaumarais"), s.means()); err != nil {
		t.Errorf("after their roll-over: %v", err)
	}
	s.fake.Bend = bend(func(a *answer) { a.IDKey = was })
	_, err = s.signIn(step("beaumarais"), s.means())
	refusedFor(t, "the key of before", err, "refused", "signature")
	s.front = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, "jwk_uri") {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		next.ServeHTTP(w, r)
	}
	_, err = s.signIn(step("beaumarais"), s.means())
	refusedFor(t, "their keys are away", err, "unreachable", "keys")
}

// Down, slow, and what is no description.
func TestServiceAway(t *testing.T) {
	for what, front := range map[string]func(http.ResponseWriter, *http.Request, http.Handler){
		"HTML": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			io.WriteString(w, "<html>maintenance</html>")
		},
		"503": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			http.Error(w, "no", http.StatusServiceUnavailable)
		},
		"huge": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"issuer":"`+strings.Repeat("x", 1<<20)+`"}`)
		},
		"elsewhere": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
		"hangs up": func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) },
	} {
		s := newSite(t, "fas-oidc")
		s.front = front
		_, err := s.address(step("beaumarais"))
		refusedFor(t, what, err, "unreachable", "discovery")
		if len(err.Error()) > 600 {
			t.Errorf("%s: the error quotes it all", what)
		}
		s.front = nil
		if _, err := s.address(step("beaumarais")); err != nil {
			t.Errorf("%s, and it is back: %v", what, err)
		}
	}
	for what, change := range map[string]map[string]any{
		"another issuer":     {"issuer": "https://evil.example"},
		"tokens elsewhere":   {"token_endpoint": "http://169.254.169.254/latest/meta-data"},
		"keys elsewhere":     {"jwks_uri": "http://10.0.0.1/keys"},
		"userinfo elsewhere": {"userinfo_endpoint": "http://localhost:22/"},
		"browser elsewhere":  {"authorization_endpoint": "https://evil.example/login"},
		"a script":           {"authorization_endpoint": "javascript:alert(1)"},
		"no keys":            {"jwks_uri": ""},
	} {
		s := newSite(t, "fas-oidc")
		s.front = func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			i := s.fake.Issuer()
			d := map[string]any{"issuer": i, "authorization_endpoint": i + "/authorize", "token_endpoint": i + "/access_token", "userinfo_endpoint": i + "/userinfo", "jwks_uri": i + "/connect/jwk_uri"}
			maps.Copy(d, change)
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(d)
		}
		_, err := s.address(step("beaumarais"))
		refusedFor(t, what, err, "unreachable", "discovery")
	}
}

// A service that hangs is waited for once; while it rests, nobody else waits.
func TestServiceHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("waits five seconds")
	}
	s := newSite(t, "fas-oidc")
	release := make(chan struct{})
	s.front = func(http.ResponseWriter, *http.Request, http.Handler) { <-release }
	_, err := s.address(step("beaumarais"))
	refusedFor(t, "hangs", err, "unreachable", "discovery")
	began := time.Now()
	_, err = s.address(step("beaumarais"))
	refusedFor(t, "still hangs", err, "unreachable", "discovery")
	if waited := time.Since(began); waited > time.Second {
		t.Errorf("the second waited %v", waited)
	}
	close(release)
}

// HS256 counts where a setting names it, alone, and under the secret only.
func TestSecretSignatures(t *testing.T) {
	s := newSite(t, "keycloak", each(func(r *upstream.Registration) { r.IDTokenAlgs = []jose.SignatureAlgorithm{jose.HS256} }))
	sign := func(key []byte) func(*answer) {
		return func(a *answer) { a.IDAlg, a.IDKey, a.IDKeyID = jose.HS256, key, "" }
	}
	s.fake.Bend = sign([]byte(secretOf("beaumarais")))
	if _, err := s.signIn(step("beaumarais"), ""); err != nil {
		t.Error(err)
	}
	s.fake.Bend = sign([]byte(secretOf("zandvoorde")))
	_, err := s.signIn(step("beaumarais"), "")
	refusedFor(t, "another commune's secret", err, "refused", "signature")
	s.fake.Bend = nil
	_, err = s.signIn(step("beaumarais"), "")
	refusedFor(t, "a public key", err, "refused", "token")
}

// With fixed addresses nothing is discovered; PS256 and ES256 sign assertions too.
func TestFixedAddressesAndAlgorithms(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256} {
		s := newSite(t, "itsme", func(c *upstream.Config) {
			for i := range c.Registrations {
				r := &c.Registrations[i]
				r.AssertionAlg, r.AssertionAudience = alg, "issuer"
				r.Authorize, r.Token, r.Userinfo, r.JWKS = r.Issuer+"/authorization", r.Issuer+"/token", r.Issuer+"/userinfo", r.Issuer+"/jwkset"
				r.ResponseMode = "form_post"
			}
		})
		s.front = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.Contains(r.URL.Path, "well-known") {
				t.Error("discovery is asked")
			}
			next.ServeHTTP(w, r)
		}
		if proof, err := s.signIn(step("beaumarais"), s.means()); err != nil || proof.Citizen.Number.Reveal() != luc.Number {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// Encryption by each algorithm that may be named.
func TestEncryption(t *testing.T) {
	for _, alg := range []jose.KeyAlgorithm{jose.RSA_OAEP, jose.RSA_OAEP_256, jose.ECDH_ES, jose.ECDH_ES_A256KW} {
		s := newSite(t, "franceconnect-plus", each(func(r *upstream.Registration) { r.KeyAlgs = []jose.KeyAlgorithm{alg} }))
		s.fake.Bend = bend(func(a *answer) { a.KeyAlg = alg })
		if _, err := s.signIn(step("beaumarais"), "eidas3"); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// A level that the commune's map gives for silence counts only where nothing is said.
func TestSilenceIsALevel(t *testing.T) {
	s := newSite(t, "keycloak")
	s.fake.Bend = bend(id("acr", "gold"))
	_, err := s.signIn(step("beaumarais"), "")
	refusedFor(t, "an unknown level", err, "refused", "level")
	s.fake.Bend = bend(id("acr", ""))
	proof, err := s.signIn(step("beaumarais"), "")
	if err != nil || fault.KeyOf(err) != fault.KeyOf(nil) {
		t.Error(err)
	}
	if l, ok := s.source.Level("beaumarais", proof.Upstream); !ok || l != method.Substantial {
		t.Errorf("%q %v", l, ok)
	}
}
