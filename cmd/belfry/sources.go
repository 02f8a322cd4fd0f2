package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/register"
	"github.com/belfry-eid/belfry/signing/verify"
)

// SourceSettings name a register that gives papers sealed by itself; one [[source]] each.
type SourceSettings struct {
	// Name is that of the products' source: "rn" is the National Register.
	Name      string `toml:"name"`
	URL       string `toml:"url"`
	TokenFile string `toml:"token_file"`
	// Roots is a PEM file of the certificates that the register's seal must chain to, and
	// Signers are the common names that may stand on it: other seals of the same issuers are
	// strangers'.
	Roots   string   `toml:"roots"`
	Signers []string `toml:"signers"`
	// StampRoots is a PEM file of the time-stamping authorities' certificates; those of Roots
	// where empty.
	StampRoots string `toml:"stamp_roots"`
	// TimeoutText is how long an answer may take, "30s" where empty.
	TimeoutText string `toml:"timeout"`
}

func (s SourceSettings) timeout() (time.Duration, error) {
	if s.TimeoutText == "" {
		return 30 * time.Second, nil
	}
	d, err := time.ParseDuration(s.TimeoutText)
	if err == nil && d <= 0 {
		err = errors.New("no time")
	}
	return d, err
}

// checkSources finds sources that cannot work, and products that go a way that is not there.
func (s *Settings) checkSources() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	seen := map[string]bool{}
	for _, src := range s.Sources {
		if src.Name == "" || src.URL == "" || src.TokenFile == "" || src.Roots == "" || len(src.Signers) == 0 {
			bad("[[source]] %q: name, url, token_file, roots and signers are all needed", src.Name)
		}
		if _, err := src.timeout(); err != nil {
			bad("[[source]] %q: timeout: %w", src.Name, err)
		}
		if seen[src.Name] {
			bad("[[source]] %q is there twice", src.Name)
		}
		seen[src.Name] = true
	}
	for _, c := range s.Communes {
		for id, set := range c.Products {
			p, ok := catalogue.Standard().Newest(id)
			switch {
			case !ok: // checkWays says so
			case set.Way == commune.FromSource && !(p.Registered() && seen[p.Source]):
				bad("commune %s: product.%s: way = %q needs a [[source]] called %q", c.ID, id, set.Way, p.Source)
			case set.Way == commune.Made && p.Registered() && s.Register.URL == "":
				bad("commune %s: product.%s: way = %q needs register.url", c.ID, id, set.Way)
			}
		}
	}
	return errors.Join(faults...)
}

// register is nil where the settings name none: clerks then attach what would rest on it.
func (in *install) register() (register.Source, error) {
	if in.settings.Register.URL == "" {
		return nil, nil
	}
	c, err := register.New(register.Config{URL: in.settings.Register.URL, TokenFile: in.settings.Register.TokenFile})
	if err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	return c, nil
}

// sources are the registers that give papers sealed by themselves.
func (in *install) sources() (map[string]orders.Source, error) {
	list := map[string]orders.Source{}
	for _, s := range in.settings.Sources {
		timeout, err := s.timeout()
		if err != nil {
			return nil, fmt.Errorf("[[source]] %s: timeout: %w", s.Name, err)
		}
		client, err := register.New(register.Config{URL: s.URL, TokenFile: s.TokenFile, Timeout: timeout})
		if err != nil {
			return nil, fmt.Errorf("[[source]] %s: %w", s.Name, err)
		}
		seal, err := in.sourceSeal(s)
		if err != nil {
			return nil, fmt.Errorf("[[source]] %s: %w", s.Name, err)
		}
		list[s.Name] = orders.Source{Documents: client, Seal: seal.read}
	}
	return list, nil
}

// sourceSeal reads the seals of one register in a child process.
type sourceSeal struct {
	roots, stampRoots []*x509.Certificate
	signers           []string
	specimen          bool // the roots are test certificates
}

func (in *install) sourceSeal(s SourceSettings) (*sourceSeal, error) {
	r := &sourceSeal{signers: s.Signers}
	var err error
	if r.roots, err = readCertificates(s.Roots); err != nil {
		return nil, fmt.Errorf("roots: %w", err)
	}
	r.specimen = slices.ContainsFunc(r.roots, isTest)
	if r.specimen && !in.settings.Test {
		return nil, errors.New("roots: there is a test certificate among them (set test = true for a local world)")
	}
	if s.StampRoots != "" {
		if r.stampRoots, err = readCertificates(s.StampRoots); err != nil {
			return nil, fmt.Errorf("stamp_roots: %w", err)
		}
	}
	return r, nil
}

// read implements orders.Source.Seal: every signature is the register's, and holds.
func (s *sourceSeal) read(ctx context.Context, file []byte) (orders.SourceSeal, error) {
	report := verify.ChildBytes(ctx, file, verify.Options{Roots: s.roots, StampRoots: s.stampRoots, Now: clock.System()})
	if err := untaken(report); err != nil {
		return orders.SourceSeal{}, err
	}
	seal := orders.SourceSeal{Specimen: s.specimen}
	for _, sig := range report.Signatures {
		if sig.Kind != verify.Signing {
			continue
		}
		if sig.Signer == nil || !slices.Contains(s.signers, sig.Signer.Name) {
			return orders.SourceSeal{}, fault.New(fault.Invalid, "way.source.stranger", errors.New("the seal has another name than the settings"))
		}
		seal.Signer, seal.Level = sig.Signer.Name, sig.Level
		for _, at := range []*time.Time{sig.ClaimedAt, sig.StampedAt} { // the stamp's counts
			if at != nil {
				seal.SealedAt = *at
			}
		}
	}
	if seal.SealedAt.IsZero() {
		return orders.SourceSeal{}, fault.New(fault.Invalid, "way.source.unsealed", errors.New("the seal says no time"))
	}
	return seal, nil
}

// untaken is why a file is not taken; nil where its signatures hold and lead to the roots.
func untaken(r *verify.Report) error {
	has := func(codes ...verify.Code) bool {
		all := slices.Clone(r.Findings)
		for _, s := range r.Signatures {
			all = append(all, s.Findings...)
		}
		return slices.ContainsFunc(all, func(f verify.Finding) bool { return slices.Contains(codes, f.Code) })
	}
	why := fmt.Errorf("%s: %v", r.Result, r.Findings)
	switch {
	case r.Result == verify.Valid:
		return nil
	case has(verify.Crashed, verify.TimedOut):
		return fault.New(fault.Unreachable, "way.source.unread", why)
	case has(verify.NoSignature, verify.NotPDF, verify.Encrypted, verify.Broken, verify.TooLarge):
		return fault.New(fault.Invalid, "way.source.unsealed", why)
	}
	for _, s := range r.Signatures {
		for _, f := range s.Findings {
			if f.Code.Result() == verify.NotValid && f.Code != verify.Untrusted && f.Code != verify.OutOfTime {
				return fault.New(fault.Invalid, "way.source.altered", fmt.Errorf("%s: %s", f.Code, f.Detail))
			}
		}
	}
	return fault.New(fault.Invalid, "way.source.stranger", why)
}

// sourceQuestions ask each source whether it is there, and say which way each product goes.
func (in *install) sourceQuestions() []question {
	var list []question
	for _, s := range in.settings.Sources {
		list = append(list, question{"source " + s.Name, func(ctx context.Context) (string, error) { return in.checkSource(ctx, s) }})
	}
	for _, c := range in.communes.All() {
		list = append(list, question{"papers of " + string(c.ID), func(context.Context) (string, error) { return in.papers(c), nil }})
	}
	return list
}

// checkSource only asks whether somebody answers: a question about a person needs a reason.
func (in *install) checkSource(ctx context.Context, s SourceSettings) (string, error) {
	seal, err := in.sourceSeal(s)
	if err != nil {
		return "", err
	}
	if _, err := readSecret(s.TokenFile); err != nil {
		return "", fmt.Errorf("token_file: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	answer.Body.Close()
	soonest := slices.MinFunc(seal.roots, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	return fmt.Sprintf("somebody answers; seals of %s, a root valid until %s", strings.Join(s.Signers, ", "), soonest.NotAfter.Format(time.DateOnly)), nil
}

// papers says which way each product of a commune goes.
func (in *install) papers(c *commune.Commune) string {
	service := orders.Service{Config: orders.Config{Communes: in.communes, Catalogue: catalogue.Standard(), Sources: map[string]orders.Source{}}}
	if in.settings.Register.URL != "" {
		service.Register = &register.Client{}
	}
	for _, s := range in.settings.Sources {
		service.Sources[s.Name] = orders.Source{}
	}
	var all []string
	for _, p := range service.Products(c.ID) {
		way, err := service.Way(c.ID, p.ID)
		if err != nil {
			continue
		}
		words := map[commune.Way]string{commune.Made: "made here", commune.FromSource: "sealed by " + p.Source, commune.Attached: "attached by a clerk"}
		all = append(all, p.ID+" "+words[way])
	}
	return strings.Join(all, ", ")
}
