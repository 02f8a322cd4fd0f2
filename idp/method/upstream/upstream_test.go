package upstream_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/upstream"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// With each service's own quirks the honest way leads to the person, the level and the
// means; where the service knows no national number, to issuer and subject.
func TestSignInWithEach(t *testing.T) {
	for preset, want := range map[string]struct {
		level, value string
		number       bool
		birth        bool
	}{
		"franceconnect":      {method.Low, "source/beaumarais eidas1", false, true},
		"franceconnect-plus": {method.High, "source/beaumarais eidas3", false, true},
		"itsme":              {method.High, "source http://itsme.services/v2/claim/acr_advanced", true, false},
		"keycloak":           {method.Substantial, "source/beaumarais ", false, false},
		"fas-oidc":           {method.High, "source urn:be:fedict:iam:fas:Level500", true, false},
	} {
		t.Run(preset, func(t *testing.T) {
			s := newSite(t, preset)
			proof, err := s.signIn(step("beaumarais"), s.means())
			must(t, err)
			if proof.Citizen.Name() != "Luc Marie Lambert" || proof.Upstream != want.value || !proof.At.Equal(s.hand.Now()) {
				t.Errorf("%+v", proof)
			}
			if got := proof.Citizen.Number.Reveal() == luc.Number; got != want.number {
				t.Errorf("the number is told: %v", got)
			}
			if proof.Issuer != s.fake.Issuer() || proof.Subject != s.fake.Subject("client-beaumarais", luc) {
				t.Errorf("known as %s at %s", proof.Subject, proof.Issuer)
			}
			if (proof.Citizen.BirthDate == "1975-07-30") != want.birth {
				t.Errorf("born %q", proof.Citizen.BirthDate)
			}
			if level, ok := s.source.Level("beaumarais", proof.Upstream); !ok || level != want.level {
				t.Errorf("level %q %v", level, ok)
			}
			if _, ok := s.source.Level("zandvoorde", proof.Upstream); ok != want.number {
				t.Errorf("worth something at another commune: %v", ok)
			}
			if _, ok := s.source.Level("lindenberg", proof.Upstream); ok {
				t.Error("worth something at a commune that is not registered there")
			}
		})
	}
}

// What the settings name is what is asked for.
func TestRequest(t *testing.T) {
	s := newSite(t, "franceconnect-plus", func(c *upstream.Config) {
		for i := range c.Registrations {
			c.Registrations[i].LeaveOut = nil
			c.Registrations[i].AskClaims = []string{"email"}
			c.Registrations[i].ResponseMode = "form_post"
		}
	})
	asked := func(changes ...func(*method.Step)) url.Values {
		to, err := s.address(step("beaumarais", changes...))
		must(t, err)
		u, _ := url.Parse(to)
		return u.Query()
	}
	q := asked()
	for name, want := range map[string]string{
		"client_id": "client-beaumarais", "response_type": "code", "redirect_uri": origin + "/upstream/beaumarais/source/return",
		"acr_values": "eidas2", "ui_locales": "fr", "response_mode": "form_post", "code_challenge_method": "S256",
		"claims": `{"userinfo":{"email":{"essential":true}}}`, "prompt": "", "max_age": "",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	if len(q.Get("state")) < 43 || len(q.Get("nonce")) != 43 || len(q.Get("code_challenge")) != 43 || q.Get("nonce") == q.Get("code_challenge") {
		t.Errorf("state, nonce and challenge: %v", q)
	}
	again := asked(func(st *method.Step) {
		st.Fresh, st.Must, st.Levels, st.Language = true, true, []string{method.High}, i18n.Dutch
	})
	if again.Get("prompt") != "login" || again.Get("max_age") != "0" || again.Get("acr_values") != "eidas3" || again.Get("ui_locales") != "nl" || again.Get("state") == q.Get("state") || again.Get("nonce") == q.Get("nonce") {
		t.Errorf("anew: %v", again)
	}
	_, err := s.address(step("beaumarais", func(st *method.Step) { st.Must, st.Levels = true, []string{method.Low} }))
	refusedFor(t, "a level that cannot be reached", err, "refused", "level_unreachable")
}

// A level that must be reached is checked again on the way back.
func TestLevelTooLow(t *testing.T) {
	s := newSite(t, "franceconnect-plus")
	st := step("beaumarais", func(st *method.Step) { st.Must, st.Levels = true, []string{method.High} })
	_, err := s.signIn(st, "eidas2")
	refusedFor(t, "a lower means", err, "level", "level_low")
	if _, err := s.signIn(st, "eidas3"); err != nil {
		t.Error(err)
	}
}

// A state counts once, in parallel too; in its own browser, at its own commune, in time.
func TestStateCountsOnce(t *testing.T) {
	s := newSite(t, "franceconnect")
	st := step("beaumarais")
	fresh := func() url.Values {
		to, err := s.address(st)
		must(t, err)
		return s.there(to, "luc", "eidas1")
	}
	form := fresh()
	for what, c := range map[string]struct {
		st    method.Step
		form  url.Values
		cause string
	}{
		"another browser": {step("beaumarais", func(st *method.Step) { st.Browser = "other" }), form, "other_browser"},
		"another login":   {step("beaumarais", func(st *method.Step) { st.Login = "other" }), form, "other_browser"},
		"another origin":  {step("beaumarais", func(st *method.Step) { st.Origin = "https://evil.example" }), form, "other_browser"},
		"another commune": {step("zandvoorde"), form, "unsolicited"},
		"no state":        {st, url.Values{"code": form["code"]}, "unsolicited"},
		"two states":      {st, url.Values{"code": form["code"], "state": {form.Get("state"), form.Get("state")}}, "unsolicited"},
		"a made-up state": {st, url.Values{"code": form["code"], "state": {"made up"}}, "unsolicited"},
	} {
		_, err := s.answer(c.st, c.form)
		refusedFor(t, what, err, "refused", c.cause)
	}
	var passed atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := s.source.Answer(context.Background(), st, form); err == nil {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	if passed.Load() != 1 {
		t.Errorf("one answer signed in %d times", passed.Load())
	}
	_, err := s.answer(st, form)
	refusedFor(t, "a replay", err, "refused", "state_used")
	late := fresh()
	s.hand.Add(21 * time.Minute)
	_, err = s.answer(st, late)
	refusedFor(t, "a late answer", err, "refused", "unsolicited")
	code := fresh()
	other := fresh()
	if _, err := s.answer(st, code); err != nil {
		t.Fatal(err)
	}
	other["code"] = code["code"]
	_, err = s.answer(st, other)
	refusedFor(t, "a code that was used", err, "refused", "code")
}

// Whoever mixes up two services, or reports an error, is answered in words.
func TestErrorAnswers(t *testing.T) {
	s := newSite(t, "franceconnect")
	st := step("beaumarais")
	for what, c := range map[string]struct {
		change     url.Values
		key, cause string
	}{
		"another issuer":  {url.Values{"iss": {"https://evil.example"}}, "refused", "iss"},
		"no issuer":       {url.Values{"iss": nil}, "refused", "iss"},
		"two issuers":     {url.Values{"iss": {s.fake.Issuer(), s.fake.Issuer()}}, "refused", "answer"},
		"two codes":       {url.Values{"code": {"a", "b"}}, "refused", "answer"},
		"no code":         {url.Values{"code": nil}, "refused", "answer"},
		"a made-up code":  {url.Values{"code": {"made up"}}, "refused", "code"},
		"gave up":         {url.Values{"error": {"access_denied"}}, "gave_up", "error_answer"},
		"login required":  {url.Values{"error": {"login_required"}}, "again", "error_answer"},
		"unmet":           {url.Values{"error": {"unmet_authentication_requirements"}}, "level", "error_answer"},
		"down":            {url.Values{"error": {"temporarily_unavailable"}}, "unreachable", "error_answer"},
		"broken":          {url.Values{"error": {"server_error"}}, "unreachable", "error_answer"},
		"another":         {url.Values{"error": {"<script>"}}, "refused", "error_answer"},
		"error elsewhere": {url.Values{"error": {"access_denied"}, "iss": {"https://evil.example"}}, "refused", "iss"},
	} {
		to, err := s.address(st)
		must(t, err)
		form := s.there(to, "luc", "eidas1")
		for name, all := range c.change {
			delete(form, name)
			if all != nil {
				form[name] = all
			}
		}
		_, err = s.answer(st, form)
		refusedFor(t, what, err, c.key, c.cause)
	}
	to, err := s.address(st)
	must(t, err)
	_, err = s.answer(st, s.there(to, "", ""))
	refusedFor(t, "who gives up there", err, "gave_up", "error_answer")
}

// Who must be asked anew is, and the service says so.
func TestFresh(t *testing.T) {
	s := newSite(t, "keycloak")
	st := step("beaumarais", func(st *method.Step) { st.Fresh = true })
	if _, err := s.signIn(st, ""); err != nil {
		t.Fatal(err)
	}
	for what, at := range map[string]any{"no time": nil, "an hour ago": s.hand.Now().Add(-time.Hour).Unix(), "in the future": s.hand.Now().Add(time.Hour).Unix(), "a word": "now"} {
		s.fake.Bend = bend(func(a *answer) {
			a.ID["auth_time"] = at
			if at == nil {
				delete(a.ID, "auth_time")
			}
		})
		_, err := s.signIn(st, "")
		refusedFor(t, what, err, "refused", "auth_time")
	}
	s.fake.Bend = bend(func(a *answer) { a.ID["auth_time"] = s.hand.Now().Add(-time.Hour).Unix() })
	proof, err := s.signIn(step("beaumarais"), "")
	if err != nil || !proof.At.Equal(s.hand.Now().Add(-time.Hour)) {
		t.Errorf("an older sign-in, where that will do: %v, %v", proof.At, err)
	}
}

// Only those of a group of the directory sign in, where the settings require one.
func TestRequired(t *testing.T) {
	s := newSite(t, "keycloak", func(c *upstream.Config) {
		for i := range c.Registrations {
			c.Registrations[i].Required = []upstream.Requirement{{Claim: "groups", Values: []string{"etat-civil", "accueil"}}}
		}
	})
	if _, err := s.signIn(step("beaumarais"), ""); err != nil {
		t.Error(err)
	}
	for what, groups := range map[string]any{"another group": []string{"voirie"}, "no group": []string{}, "none told": nil, "a longer name": []string{"etat-civil-archives"}} {
		s.fake.Bend = bend(func(a *answer) { a.ID["groups"] = groups })
		_, err := s.signIn(step("beaumarais"), "")
		refusedFor(t, what, err, "not_allowed", "required")
	}
}

// Values of a source are read as the settings say.
func TestValueMaps(t *testing.T) {
	s := newSite(t, "fas-oidc", func(c *upstream.Config) {
		for i := range c.Registrations {
			c.Registrations[i].Values = map[string]map[string]string{"acr": {"500": "urn:be:fedict:iam:fas:Level500"}, "givenName": {"-": ""}}
			c.Registrations[i].LevelClaim = "amr"
		}
	})
	s.fake.Bend = bend(func(a *answer) {
		a.ID["amr"] = []string{"eid", "urn:be:fedict:iam:fas:Level500"}
		a.Info["givenName"] = "-"
	})
	proof, err := s.signIn(step("beaumarais"), s.means())
	if err != nil || proof.Citizen.Name() != "Lambert" {
		t.Errorf("%+v, %v", proof.Citizen.Name(), err)
	}
	s.fake.Bend = bend(func(a *answer) {
		a.ID["amr"] = []string{"urn:be:fedict:iam:fas:Level400", "urn:be:fedict:iam:fas:Level500"}
	})
	_, err = s.signIn(step("beaumarais"), s.means())
	refusedFor(t, "two levels at once", err, "refused", "level")
}

// What a service answers is kept for signing out there, once.
func TestSignOut(t *testing.T) {
	s := newSite(t, "franceconnect-plus")
	_, err := s.signIn(step("beaumarais"), "eidas3")
	must(t, err)
	exit, err := s.source.SignOut(t.Context(), "beaumarais", "login", origin+"/signed-out", "handle", i18n.French)
	must(t, err)
	to := exit.Address
	u, _ := url.Parse(to)
	q := u.Query()
	if !strings.HasPrefix(to, s.fake.Issuer()+"/session/end?") || strings.Count(q.Get("id_token_hint"), ".") != 2 || q.Get("post_logout_redirect_uri") != origin+"/signed-out" || q.Get("state") != "handle" || q.Has("ui_locales") {
		t.Errorf("sign-out goes to %s", to)
	}
	if to, err := s.source.SignOut(t.Context(), "beaumarais", "login", "", "", i18n.French); to.Address != "" || err != nil {
		t.Errorf("a second time: %q, %v", to, err)
	}
}

// Keys are published before they sign, and serve on after: what a source took from the
// key set a day ago still works.
func TestRotation(t *testing.T) {
	s := newSite(t, "itsme", func(c *upstream.Config) {
		for i := range c.Registrations {
			c.Registrations[i].Rotate = 30 * 24 * time.Hour
		}
	})
	first, err := s.published("beaumarais")
	must(t, err)
	if len(first.Keys) != 2 || first.Keys[0].Use != "sig" || first.Keys[1].Use != "enc" {
		t.Fatalf("the keys at first: %+v", first.Keys)
	}
	for _, k := range first.Keys {
		if !k.IsPublic() {
			t.Error("a private key is published")
		}
	}
	other, err := s.published("zandvoorde")
	must(t, err)
	if other.Keys[0].KeyID == first.Keys[0].KeyID {
		t.Error("two communes share a key")
	}
	// The service takes the key set anew once a day only.
	held := first
	for i := range s.fake.Clients {
		s.fake.Clients[i].Keys = func() (*jose.JSONWebKeySet, error) { return held, nil }
	}
	var kids []string
	for range 40 {
		s.hand.Add(24 * time.Hour)
		if _, err := s.signIn(step("beaumarais"), s.means()); err != nil {
			t.Fatalf("on %s: %v", s.hand.Now(), err)
		}
		set, err := s.published("beaumarais")
		must(t, err)
		held = set
		for _, k := range set.Keys {
			if !slices.Contains(kids, k.KeyID) {
				kids = append(kids, k.KeyID)
			}
		}
	}
	if len(kids) != 4 {
		t.Errorf("in 40 days %d keys were published, want 2 and then 2 more", len(kids))
	}
	if s.published("lindenberg"); err != nil {
		t.Error(err)
	}
}

// Settings that would not be safe, or cannot work, are not taken.
func TestSettingsAreChecked(t *testing.T) {
	s := newSite(t, "franceconnect")
	for what, change := range map[string]change{
		"none":               each(func(r *upstream.Registration) { r.IDTokenAlgs = []jose.SignatureAlgorithm{"none"} }),
		"no algorithm":       each(func(r *upstream.Registration) { r.IDTokenAlgs = nil }),
		"HS256 beside ES256": each(func(r *upstream.Registration) { r.IDTokenAlgs = append(r.IDTokenAlgs, jose.HS256) }),
		"HS256, short secret": each(func(r *upstream.Registration) {
			r.IDTokenAlgs, r.Secret = []jose.SignatureAlgorithm{jose.HS256}, "short"
		}),
		"RSA 1.5":                 each(func(r *upstream.Registration) { r.IDTokenEncrypted, r.KeyAlgs = true, []jose.KeyAlgorithm{jose.RSA1_5} }),
		"direct":                  each(func(r *upstream.Registration) { r.IDTokenEncrypted, r.KeyAlgs = true, []jose.KeyAlgorithm{jose.DIRECT} }),
		"no level":                each(func(r *upstream.Registration) { r.Levels = nil }),
		"a level twice":           each(func(r *upstream.Registration) { r.Levels = append(r.Levels, r.Levels[0]) }),
		"a level of no worth":     each(func(r *upstream.Registration) { r.Levels = []upstream.Level{{Value: "x", Level: "very high"}} }),
		"no secret":               each(func(r *upstream.Registration) { r.Secret = "" }),
		"no client":               each(func(r *upstream.Registration) { r.ClientID = "" }),
		"ftp":                     each(func(r *upstream.Registration) { r.Issuer = "ftp://x" }),
		"half of the addresses":   each(func(r *upstream.Registration) { r.Token = "https://x.example/token" }),
		"another auth":            each(func(r *upstream.Registration) { r.Auth = "tls_client_auth" }),
		"an empty requirement":    each(func(r *upstream.Registration) { r.Required = []upstream.Requirement{{Claim: "groups"}} }),
		"leaves the state out":    each(func(r *upstream.Registration) { r.LeaveOut = []string{"state"} }),
		"two issuers of one name": func(c *upstream.Config) { c.Registrations[1].Issuer = "https://other.example" },
		"a commune twice":         func(c *upstream.Config) { c.Registrations[1].Commune = "beaumarais" },
		"plain http, in earnest":  func(c *upstream.Config) { c.Plain = false },
		"a name with a slash":     func(c *upstream.Config) { c.Name = "a/b" },
	} {
		if _, err := upstream.New(s.config("franceconnect", change)); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

func each(f func(*upstream.Registration)) change {
	return func(c *upstream.Config) {
		for i := range c.Registrations {
			f(&c.Registrations[i])
		}
	}
}

// Whoever operates sees what is to be registered there, and that the source answers.
func TestCheck(t *testing.T) {
	s := newSite(t, "itsme")
	seen, err := s.source.Check(t.Context(), "beaumarais")
	if err != nil || !strings.Contains(seen, origin+"/upstream/beaumarais/source/return") || !strings.Contains(seen, "/jwks") {
		t.Errorf("%q, %v", seen, err)
	}
	if _, err := s.source.Check(t.Context(), commune.ID("lindenberg")); err == nil {
		t.Error("a commune that is not registered")
	}
}
