// Package fas signs a citizen in by a SAML 2.0 identity provider, such as the federal
// authentication service.
//
// It owns the service provider that each commune is (an entity, keys, metadata and
// agreements of its own), the signed AuthnRequest, and the consumer of what comes
// back. It refuses to know sessions, clients and what a level is good for. It
// guarantees (threat T6) that a citizen comes out only of bytes that a key of the
// provider's metadata signed, in an answer to a request of this commune that this
// browser took there, asserted for us and now, and that request and assertion are
// each used once. What the person is told of a refusal is one plain page; which check
// refused is in the log and the audit record.
//
// The order of the consumer: size and encoding → bytes without declarations, comments
// and CDATA → one parse → one shape (a single assertion, unique IDs, signatures where
// they belong, allowed algorithms) → signature of the response → decryption →
// signature of the assertion → claims, read from the verified element alone → request
// and assertion consumed in one transaction.
//
// Implements the web browser SSO profile of SAML 2.0 (saml-profiles-2.0-os §4.1), with
// the redirect and POST bindings out and the POST binding in, single logout (§4.4) by
// both, and signed metadata (saml-metadata-2.0-os). Artifacts, NameID mapping, logout
// by SOAP and EncryptedAttribute are not implemented; ECDSA signatures are not accepted.
package fas

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
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
	"github.com/belfry-eid/belfry/internal/web"
)

//go:embed templates
var files embed.FS

const (
	lifetime = 20 * time.Minute // of a request: as long as a person may take there
	skew     = 2 * time.Minute  // by which clocks may differ
)

// Store keeps requests and used assertions; *idpsql.Store does.
type Store interface {
	AddSAMLRequest(context.Context, idpsql.SAMLRequest) error
	SAMLRequest(context.Context, commune.ID, string) (idpsql.SAMLRequest, bool, error)
	UseSAML(context.Context, idpsql.SAMLRequest, idpsql.SAMLAssertion) (bool, error)
	UseSAMLMessage(context.Context, commune.ID, idpsql.SAMLAssertion) (bool, error)
}

// Config of New. All must be set.
type Config struct {
	Store Store
	Clock clock.Clock
	// KV keeps what a sign-out needs to know, sealed under a key of Secret.
	KV     kv.Store
	Secret *secret.Master
	// Issuers are our own addresses; the first names the entities.
	Issuers    []string
	Agreements []Agreement
}

// FAS is the method.
type FAS struct {
	Config
	pages      *page.Templates
	sealer     secret.Sealer
	agreements map[commune.ID][]*Agreement
}

// New checks the agreements and returns the method.
func New(cfg Config) (*FAS, error) {
	f := &FAS{Config: cfg, pages: page.Parse(files), sealer: cfg.Secret.Sealer("fas"), agreements: map[commune.ID][]*Agreement{}}
	for _, a := range cfg.Agreements {
		if err := a.check(); err != nil {
			return nil, fmt.Errorf("fas: %s with %s: %w", a.Commune, a.Provider.Name, err)
		}
		if f.with(a.Commune, a.Provider.Name) != nil {
			return nil, fmt.Errorf("fas: %s has two agreements with %s", a.Commune, a.Provider.Name)
		}
		if a.EntityID == "" {
			a.EntityID = cfg.Issuers[0] + metadataPath(a.Commune)
		}
		f.agreements[a.Commune] = append(f.agreements[a.Commune], &a)
	}
	return f, nil
}

func metadataPath(c commune.ID) string { return "/saml/" + string(c) + "/metadata" }
func consumerPath(c commune.ID) string { return "/saml/" + string(c) + "/acs" }
func logoutPath(c commune.ID) string   { return "/saml/" + string(c) + "/slo" }

func (f *FAS) with(c commune.ID, provider string) *Agreement {
	for _, a := range f.agreements[c] {
		if a.Provider.Name == provider {
			return a
		}
	}
	return nil
}

func (*FAS) Name() string  { return "fas" }
func (*FAS) Label() string { return "fas.label" }
func (*FAS) Hint() string  { return "fas.hint" }

// Offered says whether c has an agreement (method.Selective).
func (f *FAS) Offered(c commune.ID) bool { return len(f.agreements[c]) > 0 }

// Level is what c's own map makes of a provider's value. The upstream value is the
// provider's name, a space and what it stated: a commune without an agreement with
// that provider accepts nothing of it.
func (f *FAS) Level(c commune.ID, upstream string) (string, bool) {
	provider, value, _ := strings.Cut(upstream, " ")
	a := f.with(c, provider)
	if a == nil {
		return "", false
	}
	l, ok := a.level(value)
	return l.Level, ok
}

// Reaches are the levels that people of c may reach.
func (f *FAS) Reaches(c commune.ID) []string {
	var all []string
	for _, a := range f.agreements[c] {
		for _, l := range a.Levels {
			all = append(all, l.Level)
		}
	}
	return all
}

// door is one provider on the page.
type door struct {
	Name   string
	Link   string // for the redirect binding
	Action template.URL
	Fields []field // for the POST binding
}

type field struct{ Name, Value string }

type content struct {
	method.Step
	Doors   []door
	Problem string
}

// Show makes a request for each provider of the commune and the page that leads there.
func (f *FAS) Show(ctx context.Context, s method.Step) (method.View, error) {
	view := content{Step: s}
	if s.Problem != nil {
		view.Problem = i18n.Message(s.Language, s.Problem.Key, s.Problem.Args)
	}
	var addresses []string
	var down error
	for _, a := range f.agreements[s.Commune.ID] {
		d, address, err := f.door(ctx, s, a)
		if err != nil {
			down = err
			continue
		}
		view.Doors = append(view.Doors, d)
		addresses = append(addresses, address)
	}
	if len(view.Doors) == 0 {
		return method.View{}, down
	}
	return method.View{Templates: f.pages, Name: "fas", Title: i18n.T(s.Language, "fas.title"), Content: view, Forms: addresses}, nil
}

func (f *FAS) door(ctx context.Context, s method.Step, a *Agreement) (door, string, error) {
	there, err := a.Provider.current(ctx, f.Clock())
	if err != nil {
		return door{}, "", fault.New(fault.Unreachable, "fas.unreachable", err)
	}
	r := idpsql.SAMLRequest{
		Relay: web.NewSecret(), ID: "_" + web.NewSecret(), Commune: s.Commune.ID, Provider: a.Provider.Name, Login: s.Login, Browser: s.Browser,
		Consumer: s.Origin + consumerPath(s.Commune.ID), Forced: s.Fresh || s.Problem != nil, Issued: f.Clock(), Expires: f.Clock().Add(lifetime),
	}
	asked := a.values(s.Levels)
	if s.Must {
		if len(asked) == 0 {
			return door{}, "", refused("level_unreachable", nil)
		}
		r.Wanted = asked
	}
	if len(asked) == 0 {
		asked = a.values(nil)
	}
	d, err := a.request(there, r, asked)
	if err != nil {
		return door{}, "", err
	}
	d.Name = a.label(s.Language)
	return d, there.address(a.Binding), f.Store.AddSAMLRequest(ctx, r)
}

// Login is the login request of an answer's RelayState (method.Remote).
func (f *FAS) Login(ctx context.Context, c commune.ID, form url.Values) (string, error) {
	r, err := f.asked(ctx, c, form)
	return r.Login, err
}

func (f *FAS) asked(ctx context.Context, c commune.ID, form url.Values) (idpsql.SAMLRequest, error) {
	if len(form["RelayState"]) != 1 || len(form["SAMLResponse"]) != 1 {
		return idpsql.SAMLRequest{}, refused("unsolicited", nil)
	}
	r, ok, err := f.Store.SAMLRequest(ctx, c, form.Get("RelayState"))
	switch {
	case err != nil:
		return r, err
	case !ok:
		return r, refused("unsolicited", nil)
	case r.Used:
		return r, refused("request_used", nil)
	}
	return r, nil
}

// Answer checks what the provider sent, in the order of the package comment.
func (f *FAS) Answer(ctx context.Context, s method.Step, form url.Values) (method.Proof, error) {
	r, err := f.asked(ctx, s.Commune.ID, form)
	if err != nil {
		return method.Proof{}, err
	}
	if r.Login != s.Login || r.Browser != s.Browser || !slices.Contains(f.Issuers, s.Origin) {
		return method.Proof{}, refused("other_browser", nil)
	}
	a := f.with(r.Commune, r.Provider)
	if a == nil {
		return method.Proof{}, refused("agreement_gone", nil)
	}
	there, err := a.Provider.current(ctx, f.Clock())
	if err != nil {
		return method.Proof{}, fault.New(fault.Unreachable, "fas.unreachable", err)
	}
	c := consumer{agreement: a, provider: there, request: r, now: f.Clock()}
	said, err := c.consume(form.Get("SAMLResponse"))
	if err != nil {
		return method.Proof{}, err
	}
	first, err := f.Store.UseSAML(ctx, r, idpsql.SAMLAssertion{Issuer: there.entity, ID: said.id, Expires: said.until.Add(skew)})
	if err != nil {
		return method.Proof{}, err
	}
	if !first {
		return method.Proof{}, refused("replay", nil)
	}
	if err := f.keep(ctx, s.Login, departure{Commune: r.Commune, Provider: a.Provider.Name, Name: said.name, Session: said.session}); err != nil {
		return method.Proof{}, err
	}
	l, _ := a.level(said.level)
	return method.Proof{Citizen: said.citizen, Upstream: a.Provider.Name + " " + said.level, AMR: l.AMR, At: said.at}, nil
}

// refusal is the cause of a refusal, for the record.
type refusal struct {
	word string
	err  error
}

func (r *refusal) Cause() string { return "fas." + r.word }
func (r *refusal) Unwrap() error { return r.err }
func (r *refusal) Error() string {
	if r.err == nil {
		return r.word
	}
	return r.word + ": " + r.err.Error()
}

// refused is one sentence for the person, whatever the word for the record.
func refused(word string, err error) error {
	return fault.New(fault.Forbidden, "fas.refused", &refusal{word, err})
}

// gaveUp is said where the provider reports that the person did not go through with it.
func gaveUp(err error) error {
	return fault.New(fault.Conflict, "fas.gave_up", &refusal{"status", err})
}

// Health is what an operator should know of an agreement.
type Health struct {
	Commune  commune.ID
	Provider string
	// Until is when the provider's metadata ends, zero where it has no end.
	Until time.Time
	// Certificates end then: those that the provider signs with, and our own.
	Theirs, Ours []time.Time
}

// Check asks the agreement's provider for its metadata, makes the commune's key sign and
// open something, and says until when all of it is good.
func (f *FAS) Check(ctx context.Context, c commune.ID, provider string) (Health, error) {
	a := f.with(c, provider)
	if a == nil {
		return Health{}, fmt.Errorf("fas: %s has no agreement with %s", c, provider)
	}
	h := Health{Commune: c, Provider: provider}
	there, err := a.Provider.current(ctx, f.Clock())
	if err != nil {
		return h, err
	}
	h.Until = there.until
	for _, k := range there.keys {
		h.Theirs = append(h.Theirs, k.NotAfter)
	}
	for _, k := range slices.Concat(a.Signing, a.Encryption) {
		h.Ours = append(h.Ours, k.Certificate.NotAfter)
	}
	return h, a.usable()
}

// usable says whether each key does its work.
func (a *Agreement) usable() error {
	digest := sha256.Sum256([]byte("belfry check"))
	for _, k := range a.Signing {
		signature, err := k.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err == nil {
			err = rsa.VerifyPKCS1v15(k.Signer.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], signature)
		}
		if err != nil {
			return fmt.Errorf("fas: a signing key: %w", err)
		}
	}
	for _, k := range a.Encryption {
		sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, k.Signer.Public().(*rsa.PublicKey), digest[:], nil)
		if err != nil {
			return fmt.Errorf("fas: an encryption key: %w", err)
		}
		plain, err := k.Signer.(crypto.Decrypter).Decrypt(rand.Reader, sealed, &rsa.OAEPOptions{Hash: crypto.SHA1})
		if err == nil && !bytes.Equal(plain, digest[:]) {
			err = errDecrypt
		}
		if err != nil {
			return fmt.Errorf("fas: an encryption key: %w", err)
		}
	}
	return nil
}

// Metadata describes the commune as a service provider (method.Remote).
func (f *FAS) Metadata(w http.ResponseWriter, _ *http.Request, c commune.ID) error {
	list := f.agreements[c]
	if len(list) == 0 {
		return fault.New(fault.NotFound, "fault.not_found", nil)
	}
	text, err := f.describe(list[0])
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, err = w.Write(text)
	return err
}

var errShape = errors.New("another shape than SAML's")
