// Package upstream signs people in by an OpenID provider elsewhere.
//
// It owns the relying party that each commune is at a source (FranceConnect, itsme, the
// federal service's OpenID Connect side, ACM/IDM, a directory of its own): the request,
// the exchange, what is checked of tokens and userinfo, and the keys that the commune
// publishes there. What sources differ in is a Profile, data; there is no code for one
// source. It refuses to know sessions, clients and what a level is good for. It guarantees
// (threats T5, T15) that
//
//   - an answer counts once, at the commune and source it was asked of, in the browser
//     that asked: its state is consumed in the database before the code is exchanged;
//   - a person comes out only of a signed ID token of that issuer, for us, for this
//     request, now, and of userinfo about the same subject;
//   - signed means by a key of the issuer and an algorithm that the settings name, and
//     encrypted means to a key of ours: where the settings say so, nothing less counts;
//   - a level that the commune's own map does not hold signs nobody in;
//   - only hosts of the settings are asked, and never one inside, unless an operator said so.
//
// What the person is told of a refusal is one plain sentence; which check refused is in
// the log and the audit record.
//
// Implements OpenID Connect Core 1.0 (code flow, §3.1, §5.3, §5.5), Discovery 1.0,
// RP-Initiated Logout 1.0, RFC 7636 (PKCE, S256), RFC 7523 §2.2 (private_key_jwt), RFC 9207
// (iss), form_post, JWS, JWE and JWK (RFC 7515 to 7518). Encryption with compression,
// aggregated and distributed claims, request objects and hybrid flows are not implemented.
package upstream

import (
	"context"
	"crypto/x509"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
)

//go:embed templates
var files embed.FS

const (
	lifetime = 20 * time.Minute // of a request: as long as a person may take there
	skew     = 2 * time.Minute  // by which clocks may differ
)

// Store keeps requests and keys; *idpsql.Store does.
type Store interface {
	AddUpstreamRequest(context.Context, idpsql.UpstreamRequest) error
	UpstreamRequest(ctx context.Context, c commune.ID, source, state string) (idpsql.UpstreamRequest, bool, error)
	UseUpstreamRequest(context.Context, idpsql.UpstreamRequest) (bool, error)
	UpstreamKeys(ctx context.Context, c commune.ID, source string) ([]idpsql.UpstreamKey, error)
	AddUpstreamKey(context.Context, idpsql.UpstreamKey) error
}

// Config of New. All must be set but Plain and Roots.
type Config struct {
	// Name of the source, for addresses, records and the order of ways: "franceconnect".
	Name string
	// Registrations are those of the communes that have one there, at one issuer.
	Registrations []Registration
	// Issuers are our own addresses.
	Issuers []string
	Store   Store
	KV      kv.Store
	Secret  *secret.Master
	Clock   clock.Clock
	Log     *slog.Logger
	// Plain accepts http addresses, for a local world.
	Plain bool
	// Roots that vouch for the source's TLS certificate; the system's where nil.
	Roots *x509.CertPool
}

// Source is the method.
type Source struct {
	Config
	pages         *page.Templates
	registrations map[commune.ID]*registration
	issuer        *issuer
	derive        secret.MAC // nonce and PKCE verifier, of the state
	hints         secret.Sealer
}

var sourceName = regexp.MustCompile(`^[a-z][a-z0-9-]{1,30}$`)

// New checks the registrations and returns the method. It asks the source nothing yet.
func New(cfg Config) (*Source, error) {
	if !sourceName.MatchString(cfg.Name) {
		return nil, fmt.Errorf("upstream: source %q: lower-case letters, digits and hyphens, a letter first", cfg.Name)
	}
	if len(cfg.Registrations) == 0 {
		return nil, fmt.Errorf("upstream: %s: no registration", cfg.Name)
	}
	s := &Source{
		Config: cfg, pages: page.Parse(files), registrations: map[commune.ID]*registration{},
		derive: cfg.Secret.MAC("upstream"), hints: cfg.Secret.Sealer("upstream hint"),
	}
	first := cfg.Registrations[0].Profile
	for _, r := range cfg.Registrations {
		if err := r.check(cfg.Plain); err != nil {
			return nil, fmt.Errorf("upstream: %s of %s: %w", cfg.Name, r.Commune, err)
		}
		if s.registrations[r.Commune] != nil {
			return nil, fmt.Errorf("upstream: %s of %s is there twice", cfg.Name, r.Commune)
		}
		if !first.samePlace(r.Profile) {
			return nil, fmt.Errorf("upstream: %s of %s: communes that share a source share its issuer and addresses; give another one another name", cfg.Name, r.Commune)
		}
		keys, err := newKeys(cfg, r)
		if err != nil {
			return nil, fmt.Errorf("upstream: %s of %s: %w", cfg.Name, r.Commune, err)
		}
		s.registrations[r.Commune] = &registration{r, keys}
	}
	var err error
	if s.issuer, err = newIssuer(first, cfg); err != nil {
		return nil, fmt.Errorf("upstream: %s: %w", cfg.Name, err)
	}
	return s, nil
}

// Name is the source's (method.Method).
func (s *Source) Name() string { return s.Config.Name }

// Label and Hint are the words of the profile.
func (s *Source) Label() string { return s.Registrations[0].words().label }

// Hint is what the way needs.
func (s *Source) Hint() string { return s.Registrations[0].words().hint }

// Words are those of c's settings (method.Named).
func (s *Source) Words(c commune.ID, l i18n.Language) (label, hint string) {
	r := s.registrations[c]
	if r == nil {
		return "", ""
	}
	return r.Labels[l], r.Hints[l]
}

// Offered says whether c is registered there (method.Selective).
func (s *Source) Offered(c commune.ID) bool { return s.registrations[c] != nil }

// Paths are where answers come and where our keys are published (method.Placed).
func (s *Source) Paths() (answer, metadata string) {
	return "/upstream/{commune}/" + s.Config.Name + "/return", "/upstream/{commune}/" + s.Config.Name + "/jwks"
}

// ReturnPath is the redirect_uri that a commune registers at a source, below our address.
func ReturnPath(c commune.ID, source string) string {
	return "/upstream/" + string(c) + "/" + source + "/return"
}

// JWKSPath is where a source finds the commune's public keys, below our address.
func JWKSPath(c commune.ID, source string) string {
	return "/upstream/" + string(c) + "/" + source + "/jwks"
}

// Level is what c's own map makes of a value of the source. The upstream value is the
// source's name, a space and what it stated. Where people have no national number the
// source may know them at each commune under another subject, so the name is followed by
// the commune: a sign-in for one is then none for another.
func (s *Source) Level(c commune.ID, upstream string) (string, bool) {
	r := s.registrations[c]
	if r == nil {
		return "", false
	}
	place, value, _ := strings.Cut(upstream, " ")
	if place != s.place(r) {
		return "", false
	}
	l, ok := r.level(value)
	return l.Level, ok
}

func (s *Source) place(r *registration) string {
	if r.Claims.Number != "" {
		return s.Config.Name
	}
	return s.Config.Name + "/" + string(r.Commune)
}

// Reaches are the levels that people of c may reach.
func (s *Source) Reaches(c commune.ID) []string {
	var all []string
	if r := s.registrations[c]; r != nil {
		for _, l := range r.Levels {
			all = append(all, l.Level)
		}
	}
	return all
}

type content struct {
	method.Step
	Label, Link, Problem string
	About                string // where the source explains itself; "" for none
	Birth                bool   // date and place of birth are passed on
}

// Show makes a request and the page that leads to the source.
func (s *Source) Show(ctx context.Context, step method.Step) (method.View, error) {
	r := s.registrations[step.Commune.ID]
	if r == nil {
		return method.View{}, fault.New(fault.NotFound, "fault.not_found", nil)
	}
	link, err := s.request(ctx, step, r)
	if err != nil {
		return method.View{}, err
	}
	label, _ := s.Words(step.Commune.ID, step.Language)
	if label == "" {
		label = i18n.T(step.Language, s.Label())
	}
	view := content{Step: step, Label: label, Link: link, About: r.words().about, Birth: r.Claims.BirthDate != ""}
	if step.Problem != nil {
		view.Problem = i18n.Message(step.Language, step.Problem.Key, step.Problem.Args)
	}
	return method.View{Templates: s.pages, Name: "upstream", Title: label, Content: view}, nil
}

// Login is the login request of an answer's state (method.Remote).
func (s *Source) Login(ctx context.Context, c commune.ID, form url.Values) (string, error) {
	r, err := s.asked(ctx, c, form)
	return r.Login, err
}

func (s *Source) asked(ctx context.Context, c commune.ID, form url.Values) (idpsql.UpstreamRequest, error) {
	if len(form["state"]) != 1 || len(form.Get("state")) > 100 {
		return idpsql.UpstreamRequest{}, refused("unsolicited", nil)
	}
	r, ok, err := s.Store.UpstreamRequest(ctx, c, s.Config.Name, form.Get("state"))
	switch {
	case err != nil:
		return r, err
	case !ok:
		return r, refused("unsolicited", nil)
	case r.Used:
		return r, refused("state_used", nil)
	}
	return r, nil
}

// Metadata publishes the commune's keys for the source (method.Remote).
func (s *Source) Metadata(w http.ResponseWriter, r *http.Request, c commune.ID) error {
	reg := s.registrations[c]
	if reg == nil || !reg.keys.any() {
		return fault.New(fault.NotFound, "fault.not_found", nil)
	}
	text, err := reg.keys.jwks(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, err = w.Write(text)
	return err
}

// Check asks the source for its description, and c's own keys for themselves; it returns
// what was seen, for an operator.
func (s *Source) Check(ctx context.Context, c commune.ID) (string, error) {
	r := s.registrations[c]
	if r == nil {
		return "", errors.New("not registered")
	}
	there, err := s.issuer.current(ctx)
	if err != nil {
		return "", err
	}
	seen := "answers; it is to know " + s.Issuers[0] + ReturnPath(c, s.Config.Name)
	if r.keys.any() {
		if err := r.keys.try(ctx); err != nil {
			return "", err
		}
		seen += " and the keys at " + s.Issuers[0] + JWKSPath(c, s.Config.Name)
	}
	if there.endSession == "" {
		seen += "; it has no address for signing out"
	}
	return seen, nil
}

// refusal is the cause of a refusal, for the record.
type refusal struct {
	word string
	err  error
}

func (r *refusal) Cause() string { return "upstream." + r.word }
func (r *refusal) Unwrap() error { return r.err }
func (r *refusal) Error() string {
	if r.err == nil {
		return r.word
	}
	return r.word + ": " + r.err.Error()
}

// refused is one sentence for the person, whatever the word for the record.
func refused(word string, err error) error {
	return fault.New(fault.Forbidden, "upstream.refused", &refusal{word, err})
}

func refusedf(word, format string, args ...any) error {
	return refused(word, fmt.Errorf(format, args...))
}

// unreachable is said where the source does not answer as it should: another try may do.
func unreachable(word string, err error) error {
	return fault.New(fault.Unreachable, "upstream.unreachable", &refusal{word, err})
}
