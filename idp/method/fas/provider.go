package fas

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// metadataLimit is the most that a provider's metadata may weigh, in bytes.
const metadataLimit = 2 << 20

// refresh is how old metadata may be before it is read again, retry how long a
// failure is left alone.
const (
	refresh = time.Hour
	retry   = time.Minute
)

// Provider is an identity provider as the settings name it. Several communes may
// share one.
type Provider struct {
	Name string
	// EntityID picks the entity where the metadata holds several, and must be its name
	// where it is set.
	EntityID string
	// Metadata is a file's path or an https address.
	Metadata string
	// Signers of the metadata. Metadata from an address must be signed by one of them; a
	// file may be unsigned where there is none, for whoever wrote the settings put it there.
	Signers []*x509.Certificate
	// Plain accepts an http address, for a local world.
	Plain  bool
	Client *http.Client

	mu    sync.Mutex
	last  *description
	tried time.Time
	err   error
}

// description is what metadata says of a provider.
type description struct {
	entity   string
	post     string // addresses of single sign-on
	redirect string
	logout   exits
	keys     []*x509.Certificate
	until    time.Time // zero where the metadata has no end
}

func (d *description) address(binding string) string {
	if binding == Post {
		return d.post
	}
	return d.redirect
}

// current is the description of now: read again when an hour old. Where that fails
// the last one stays good until its own end.
func (p *Provider) current(ctx context.Context, now time.Time) (*description, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := refresh
	if p.err != nil {
		wait = retry
	}
	if p.tried.IsZero() || now.Sub(p.tried) >= wait {
		var fresh *description
		fresh, p.err = p.read(ctx, now)
		p.tried = now
		if p.err == nil {
			p.last = fresh
		}
	}
	if p.last != nil && (p.last.until.IsZero() || now.Before(p.last.until)) {
		return p.last, nil
	}
	if p.err != nil {
		return nil, p.err
	}
	return nil, fmt.Errorf("fas: the metadata of %s is no longer valid", p.Name)
}

func (p *Provider) read(ctx context.Context, now time.Time) (*description, error) {
	text, err := p.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("fas: metadata of %s: %w", p.Name, err)
	}
	d, err := p.parse(text, now)
	if err != nil {
		return nil, fmt.Errorf("fas: metadata of %s: %w", p.Name, err)
	}
	return d, nil
}

func (p *Provider) remote() bool { return strings.Contains(p.Metadata, "://") }

func (p *Provider) fetch(ctx context.Context) ([]byte, error) {
	if !p.remote() {
		f, err := os.Open(p.Metadata)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return bounded(f)
	}
	if !strings.HasPrefix(p.Metadata, "https://") && !p.Plain {
		return nil, errors.New("an address must be https")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Metadata, nil)
	if err != nil {
		return nil, err
	}
	client := p.Client
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s", answer.Status)
	}
	return bounded(answer.Body)
}

func bounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, metadataLimit+1))
	if err == nil && len(text) > metadataLimit {
		err = errors.New("too large")
	}
	return text, err
}

func (p *Provider) parse(text []byte, now time.Time) (*description, error) {
	root, err := parse(text, true)
	if err != nil {
		return nil, err
	}
	if len(p.Signers) > 0 {
		if root, err = validate(root, p.Signers, now); err != nil {
			return nil, fmt.Errorf("signature: %w", err)
		}
	} else if p.remote() && !p.Plain {
		return nil, errors.New("from an address it must be signed by a certificate of the settings")
	}
	entity, err := p.entity(root)
	if err != nil {
		return nil, err
	}
	d := &description{entity: value(entity, "entityID")}
	for _, e := range []*etree.Element{root, entity} {
		until := value(e, "validUntil")
		if until == "" {
			continue
		}
		end, err := time.Parse(time.RFC3339, until)
		if err != nil {
			return nil, fmt.Errorf("validUntil: %w", err)
		}
		if d.until.IsZero() || end.Before(d.until) {
			d.until = end
		}
	}
	if !d.until.IsZero() && !now.Before(d.until) {
		return nil, errors.New("it is no longer valid")
	}
	return d, d.fill(entity)
}

func (p *Provider) entity(root *etree.Element) (*etree.Element, error) {
	candidates := []*etree.Element{root}
	if is(root, nsMetadata, "EntitiesDescriptor") {
		candidates = children(root, nsMetadata, "EntityDescriptor")
	}
	for _, e := range candidates {
		if !is(e, nsMetadata, "EntityDescriptor") || len(children(e, nsMetadata, "IDPSSODescriptor")) != 1 {
			continue
		}
		if id := value(e, "entityID"); id != "" && (p.EntityID == "" && len(candidates) == 1 || p.EntityID == id) {
			return e, nil
		}
	}
	return nil, errors.New("the identity provider is not in it")
}

func (d *description) fill(entity *etree.Element) error {
	idp := children(entity, nsMetadata, "IDPSSODescriptor")[0]
	for _, s := range children(idp, nsMetadata, "SingleSignOnService") {
		switch value(s, "Binding") {
		case bindingPost:
			d.post = value(s, "Location")
		case bindingRedirect:
			d.redirect = value(s, "Location")
		}
	}
	for _, s := range children(idp, nsMetadata, "SingleLogoutService") {
		switch value(s, "Binding") {
		case bindingPost:
			d.logout.post, d.logout.postAnswer = value(s, "Location"), value(s, "ResponseLocation")
		case bindingRedirect:
			d.logout.redirect, d.logout.redirectAnswer = value(s, "Location"), value(s, "ResponseLocation")
		}
	}
	for _, k := range children(idp, nsMetadata, "KeyDescriptor") {
		if use := value(k, "use"); use != "" && use != "signing" {
			continue
		}
		for _, info := range children(k, nsSignature, "KeyInfo") {
			for _, data := range children(info, nsSignature, "X509Data") {
				for _, c := range children(data, nsSignature, "X509Certificate") {
					cert, err := certificate(c.Text())
					if err != nil {
						return err
					}
					d.keys = append(d.keys, cert)
				}
			}
		}
	}
	for _, address := range []string{d.post, d.redirect, d.logout.post, d.logout.postAnswer, d.logout.redirect, d.logout.redirectAnswer} {
		if address != "" && !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
			return errors.New("an address that is none")
		}
	}
	if len(d.keys) == 0 || d.post == "" && d.redirect == "" {
		return errors.New("no signing certificate, or no address of single sign-on")
	}
	return nil
}

func certificate(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// validate returns the element that a signature by one of certs covers, as it was
// canonicalised: nothing but this may be read. Without a certificate in the
// signature each of certs is tried, so that a roll-over with two goes on.
func validate(e *etree.Element, certs []*x509.Certificate, now time.Time) (*etree.Element, error) {
	check := func(certs []*x509.Certificate) (*etree.Element, error) {
		ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: certs})
		ctx.Clock = dsig.NewFakeClockAt(now)
		return ctx.Validate(e)
	}
	for _, s := range children(e, nsSignature, "Signature") {
		if len(children(s, nsSignature, "KeyInfo")) > 0 {
			return check(certs)
		}
	}
	err := errors.New("no certificate to check it with")
	for _, c := range certs {
		var good *etree.Element
		if good, err = check([]*x509.Certificate{c}); err == nil {
			return good, nil
		}
	}
	return nil, err
}
