package upstream_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/upstream"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/testcerts/fakeoidc"
)

const origin = "http://id.belfry.test"

// luc has a number whose month no calendar has.
var luc = fakeoidc.Person{Name: "luc", GivenNames: "Luc Marie", Surname: "Lambert", Number: "75713011983", BirthDate: "1975-07-30", BirthPlace: "59350", Groups: []string{"etat-civil", "tous"}}

// site is a source and the service behind it.
type site struct {
	t      testing.TB
	hand   *clock.Hand
	fake   *fakeoidc.Provider
	front  func(http.ResponseWriter, *http.Request, http.Handler) // before the service; nil is nothing
	source *upstream.Source
	store  *idpsql.Store
	log    *bytes.Buffer
}

type change func(*upstream.Config)

// newSite makes a source of a preset, registered for beaumarais and zandvoorde.
func newSite(t testing.TB, preset string, changes ...change) *site {
	t.Helper()
	s := &site{t: t, hand: clock.NewHand(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)), log: new(bytes.Buffer)}
	shape := map[string]func() fakeoidc.Shape{
		"franceconnect": fakeoidc.FranceConnect, "franceconnect-plus": fakeoidc.FranceConnectPlus, "itsme": fakeoidc.Itsme, "keycloak": fakeoidc.Directory, "fas-oidc": fas,
	}[preset]()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.front != nil {
			s.front(w, r, s.fake)
			return
		}
		s.fake.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	var err error
	s.fake, err = fakeoidc.New(shape, server.URL, []fakeoidc.Person{luc})
	must(t, err)
	s.fake.Now = s.hand.Now
	s.store, err = idpsql.New(t.Context(), sqldbtest.SQLite(t), s.hand.Now)
	must(t, err)
	s.source, err = upstream.New(s.config(preset, changes...))
	must(t, err)
	for _, c := range []commune.ID{"beaumarais", "zandvoorde"} {
		s.fake.Clients = append(s.fake.Clients, fakeoidc.Client{
			ID: "client-" + string(c), Secret: secretOf(c), Redirects: []string{origin + upstream.ReturnPath(c, "source")},
			PostLogouts: []string{origin + "/signed-out"}, Keys: func() (*jose.JSONWebKeySet, error) { return s.published(c) },
		})
	}
	return s
}

// fas is the federal service's OpenID Connect side, as public code of its partners has it.
func fas() fakeoidc.Shape {
	return fakeoidc.Shape{
		Title: "FAS", Issuer: "/fas/oauth2", Paths: fakeoidc.Paths{Authorize: "/authorize", Token: "/access_token", Userinfo: "/userinfo", JWKS: "/connect/jwk_uri", Logout: "/connect/endSession"},
		Means: []fakeoidc.Means{{ACR: "urn:be:fedict:iam:fas:Level500", Label: "eID"}, {ACR: "urn:be:fedict:iam:fas:Level400", Label: "app"}},
		Auth:  "client_secret_basic", IDAlg: jose.RS256, Userinfo: "jwt", Given: "givenName", Family: "surname", Number: "egovNRN",
	}
}

func secretOf(c commune.ID) string { return "a secret: 100% of " + string(c) + " & nobody else" }

func (s *site) config(preset string, changes ...change) upstream.Config {
	p, levels, ok := upstream.Preset(preset)
	if !ok {
		s.t.Fatalf("no preset %q", preset)
	}
	p.Issuer = s.fake.Issuer()
	switch preset {
	case "itsme":
		p.Scopes = append(p.Scopes, "service:BEAUMARAIS")
	case "keycloak":
		levels = []upstream.Level{{Value: "", Level: method.Substantial}}
	case "fas-oidc":
		levels = []upstream.Level{{Value: "urn:be:fedict:iam:fas:Level500", Level: method.High, AMR: []string{"eid"}}, {Value: "urn:be:fedict:iam:fas:Level400", Level: method.Substantial}}
	}
	store, err := kv.NewSQL(sqldbtest.SQLite(s.t), s.hand.Now)
	must(s.t, err)
	key := make([]byte, 32)
	rand.Read(key)
	master, err := secret.New(key)
	must(s.t, err)
	cfg := upstream.Config{
		Name: "source", Issuers: []string{origin}, Store: s.store, KV: store, Secret: master, Clock: s.hand.Now,
		Log: slog.New(slog.NewTextHandler(s.log, nil)), Plain: true,
	}
	for _, c := range []commune.ID{"beaumarais", "zandvoorde"} {
		cfg.Registrations = append(cfg.Registrations, upstream.Registration{Commune: c, Preset: preset, Profile: p, ClientID: "client-" + string(c), Secret: secretOf(c), Levels: levels})
	}
	for _, change := range changes {
		change(&cfg)
	}
	return cfg
}

func (s *site) published(c commune.ID) (*jose.JSONWebKeySet, error) {
	w := httptest.NewRecorder()
	if err := s.source.Metadata(w, httptest.NewRequest("GET", origin, nil), c); err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	return &set, json.Unmarshal(w.Body.Bytes(), &set)
}

// step is a login under way at a commune.
func step(c commune.ID, changes ...func(*method.Step)) method.Step {
	st := method.Step{Login: "login", Browser: "browser", Origin: origin, Commune: &commune.Commune{ID: c}, Client: "Commune", Language: i18n.French, Action: "/login/x/source", Cancel: "/login/x/cancel"}
	for _, change := range changes {
		change(&st)
	}
	return st
}

var link = regexp.MustCompile(`class="govuk-button" role="button"[^>]*href="([^"]*)"`)

// address is where the page of a step leads.
func (s *site) address(st method.Step) (string, error) {
	s.t.Helper()
	view, err := s.source.Show(context.Background(), st)
	if err != nil {
		return "", err
	}
	w := httptest.NewRecorder()
	if err := view.Templates.Render(w, http.StatusOK, view.Name, page.Frame{Language: st.Language, Title: view.Title}, view.Content); err != nil {
		s.t.Fatal(err)
	}
	found := link.FindStringSubmatch(w.Body.String())
	if found == nil {
		s.t.Fatalf("no way on: %s", w.Body)
	}
	return html.UnescapeString(found[1]), nil
}

var handle = regexp.MustCompile(`name="handle" value="([^"]*)"`)

// there goes to the service as luc, by a means, and returns what comes back.
func (s *site) there(address, person, means string) url.Values {
	s.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(address)
	must(s.t, err)
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	h := handle.FindSubmatch(text)
	if h == nil {
		s.t.Fatalf("the service refuses the request: %s", text)
	}
	do := "go"
	if person == "" {
		do = "stop"
	}
	resp, err = client.PostForm(s.fake.Issuer()+"/choose", url.Values{"handle": {string(h[1])}, "person": {person}, "means": {means}, "do": {do}})
	must(s.t, err)
	text, _ = io.ReadAll(resp.Body)
	resp.Body.Close()
	if to, err := resp.Location(); err == nil {
		return to.Query()
	}
	fields := url.Values{}
	for _, f := range regexp.MustCompile(`name="([^"]*)" value="([^"]*)"`).FindAllSubmatch(text, -1) {
		fields.Set(string(f[1]), html.UnescapeString(string(f[2])))
	}
	return fields
}

// signIn is the whole way, honest at our side.
func (s *site) signIn(st method.Step, means string) (method.Proof, error) {
	s.t.Helper()
	to, err := s.address(st)
	if err != nil {
		return method.Proof{}, err
	}
	return s.answer(st, s.there(to, "luc", means))
}

func (s *site) answer(st method.Step, form url.Values) (method.Proof, error) {
	s.t.Helper()
	ctx := context.Background()
	if _, err := s.source.Login(ctx, st.Commune.ID, form); err != nil {
		return method.Proof{}, err
	}
	return s.source.Answer(ctx, st, form)
}

// means is the first of the service, its highest.
func (s *site) means() string {
	if len(s.fake.Means) == 0 {
		return ""
	}
	return s.fake.Means[0].ACR
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refusedFor fails unless err is a fault of this key and cause.
func refusedFor(t testing.TB, what string, err error, key, cause string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: somebody is signed in", what)
		return
	}
	if got := fault.KeyOf(err); got != "upstream."+key || method.Cause(err) != "upstream."+cause {
		t.Errorf("%s: %s for %s, want %s for %s (%v)", what, got, method.Cause(err), key, cause, err)
	}
	if strings.Contains(err.Error(), luc.Number) {
		t.Errorf("%s: the error holds the national number", what)
	}
}
