package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/fas"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/loopback"
)

// FederalSettings are a commune's agreement with a SAML identity provider, such as
// the federal service; one [[federal]] each. Communes without one do not show it.
type FederalSettings struct {
	Commune commune.ID `toml:"commune"`
	// Provider names the identity provider, for records; "fas". Communes that share one
	// give it the same name and metadata.
	Provider string `toml:"provider"`
	// Label is what people call it, by language; "itsme or CSAM" where empty.
	Label map[i18n.Language]string `toml:"label"`
	// Metadata of the provider: a file, or an https address whose answer is signed by a
	// certificate of MetadataSigners (PEM file). It is read again every hour.
	Metadata        string `toml:"metadata"`
	MetadataSigners string `toml:"metadata_signers"`
	// ProviderID picks the provider where its metadata holds several.
	ProviderID string `toml:"provider_id"`
	// EntityID is the commune's name there; its metadata's address where empty.
	EntityID string `toml:"entity_id"`
	// Signing and Encryption keys (RSA), each two during a roll-over; the first signs.
	Signing    []KeySettings `toml:"signing"`
	Encryption []KeySettings `toml:"encryption"`
	// Levels the commune accepts, the highest first; any other value is refused.
	Levels []FederalLevel `toml:"level"`
	// Binding of the request, "redirect" (where empty) or "post".
	Binding string `toml:"binding"`
	// Comparison of levels, "exact" (where empty) or "minimum".
	Comparison string `toml:"comparison"`
	// Attributes' names, "egovNRN", "givenName" and "surname" where empty.
	NumberAttribute     string `toml:"number_attribute"`
	GivenNamesAttribute string `toml:"given_names_attribute"`
	SurnameAttribute    string `toml:"surname_attribute"`
	// Allow is the written exception of this commune for this provider: "sha1", "cbc",
	// "rsa15". AllowBecause says who decided it and until when; without it none counts.
	Allow        []string `toml:"allow"`
	AllowBecause string   `toml:"allow_because"`
}

// KeySettings name a private key and its certificate (PEM). The key is a file (PEM, PKCS
// #8, mode 0400), or the label of a key in a token where Module is set.
type KeySettings struct {
	Key         string `toml:"key"`
	Certificate string `toml:"certificate"`
	Module      string `toml:"module"` // PKCS#11 library of the token
	Token       string `toml:"token"`  // label of the token
	Serial      string `toml:"serial"` // its serial number; may be empty where the label is unique
	PINFile     string `toml:"pin_file"`
}

// FederalLevel is what one value of the provider is worth to the commune.
type FederalLevel struct {
	Value string   `toml:"value"`
	Level string   `toml:"level"` // low, substantial or high, as regulation (EU) 2015/1502 has them
	Means []string `toml:"means"` // for applications, as RFC 8176 names them
}

func (s *Settings) checkFederal() error {
	var faults []error
	known := map[commune.ID]bool{}
	for _, c := range s.Communes {
		known[c.ID] = true
	}
	for _, f := range s.Federal {
		switch {
		case !known[f.Commune]:
			faults = append(faults, fmt.Errorf("[[federal]] of %q: no such commune", f.Commune))
		case f.Provider == "" || f.Metadata == "" || strings.ContainsAny(f.Provider, " \t"):
			faults = append(faults, fmt.Errorf("[[federal]] of %s: provider (one word) and metadata are needed", f.Commune))
		case len(f.Allow) > 0 && f.AllowBecause == "":
			faults = append(faults, fmt.Errorf("[[federal]] of %s: allow needs allow_because", f.Commune))
		case !wholeKeys(f.Signing) || !wholeKeys(f.Encryption):
			faults = append(faults, fmt.Errorf("[[federal]] of %s: a key needs key and certificate, and in a token module, token and pin_file as well", f.Commune))
		case strings.HasPrefix(f.Metadata, "http://") && !s.Test:
			faults = append(faults, fmt.Errorf("[[federal]] of %s: metadata needs https", f.Commune))
		}
	}
	return errors.Join(faults...)
}

func wholeKeys(list []KeySettings) bool {
	return !slices.ContainsFunc(list, func(k KeySettings) bool {
		inToken := k.Module != "" || k.Token != "" || k.PINFile != "" || k.Serial != ""
		return k.Key == "" || k.Certificate == "" || inToken && (k.Module == "" || k.Token == "" || k.PINFile == "")
	})
}

// federal is the method of [[federal]]; nil where no commune has an agreement.
func (in *install) federal(store *idpsql.Store, master *secret.Master) (method.Method, error) {
	s := in.settings
	if len(s.Federal) == 0 {
		return nil, nil
	}
	providers := map[string]*fas.Provider{}
	cfg := fas.Config{Store: store, KV: in.kv, Secret: master, Clock: clock.System, Issuers: s.Provider.Issuers}
	for _, f := range s.Federal {
		p, err := s.identityProvider(f)
		if err != nil {
			return nil, err
		}
		if known := providers[p.Name]; known == nil {
			providers[p.Name] = p
		} else if known.Metadata != p.Metadata || known.EntityID != p.EntityID {
			return nil, fmt.Errorf("[[federal]] provider %s: two communes name different metadata", p.Name)
		}
		a, err := in.agreement(f)
		if err != nil {
			return nil, fmt.Errorf("[[federal]] of %s: %w", f.Commune, err)
		}
		a.Provider = providers[p.Name]
		cfg.Agreements = append(cfg.Agreements, a)
	}
	return fas.New(cfg)
}

func (s *Settings) identityProvider(f FederalSettings) (*fas.Provider, error) {
	p := &fas.Provider{Name: f.Provider, EntityID: f.ProviderID, Metadata: f.Metadata, Plain: s.Test}
	if !strings.Contains(p.Metadata, "://") {
		p.Metadata = s.path(p.Metadata)
	}
	if f.MetadataSigners != "" {
		var err error
		if p.Signers, err = readCertificates(s.path(f.MetadataSigners)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (in *install) agreement(f FederalSettings) (fas.Agreement, error) {
	a := fas.Agreement{
		Commune: f.Commune, Label: f.Label, EntityID: f.EntityID, Binding: f.Binding, Comparison: f.Comparison,
		Number: f.NumberAttribute, GivenNames: f.GivenNamesAttribute, Surname: f.SurnameAttribute, Allow: f.Allow,
	}
	for _, l := range f.Levels {
		a.Levels = append(a.Levels, fas.Level{Value: l.Value, Level: "http://eidas.europa.eu/LoA/" + l.Level, AMR: l.Means})
	}
	for list, into := range map[*[]KeySettings]*[]fas.Key{&f.Signing: &a.Signing, &f.Encryption: &a.Encryption} {
		for _, k := range *list {
			key, err := in.keyPair(k)
			if err != nil {
				return a, err
			}
			*into = append(*into, key)
		}
	}
	return a, nil
}

// keyPair finds a key and its certificate.
func (in *install) keyPair(k KeySettings) (fas.Key, error) {
	certs, err := readCertificates(in.settings.path(k.Certificate))
	if err != nil {
		return fas.Key{}, err
	}
	if k.Module != "" {
		key := in.tokenKey(SealSettings{Module: k.Module, Token: k.Token, Serial: k.Serial, Key: k.Key, PINFile: in.settings.path(k.PINFile)}, certs[0].PublicKey)
		in.onClose(key.Close)
		if err := key.Ready(); err != nil && !away(err) {
			return fas.Key{}, err
		}
		return fas.Key{Signer: federalKey{key}, Certificate: certs[0]}, nil
	}
	signer, err := in.settings.keyFile(k.Key)
	if err != nil {
		return fas.Key{}, err
	}
	if public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(certs[0].PublicKey) {
		return fas.Key{}, fmt.Errorf("%s is not the key of %s", k.Key, k.Certificate)
	}
	return fas.Key{Signer: signer, Certificate: certs[0]}, nil
}

func (s *Settings) keyFile(path string) (crypto.Signer, error) {
	text, err := readSecret(s.path(path))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: no key that signs", path)
	}
	return signer, nil
}

// federalKey is a key in a token that may go and come back between two sign-ins.
type federalKey struct{ *tokenKey }

func (k federalKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := k.Ready(); err != nil {
		return nil, err
	}
	return k.tokenKey.Sign(random, digest, opts)
}

// Decrypt is one call of the token.
func (k federalKey) Decrypt(random io.Reader, sealed []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	if err := k.Ready(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	key := k.key
	k.mu.Unlock()
	return key.Decrypt(random, sealed, opts)
}

// soon is how long before its end a certificate is told of.
const soon = 60 * 24 * time.Hour

// checkFederal asks for the provider's metadata, tries the commune's keys, and says what
// ends when. That our own metadata can be had is asked by the public address.
func (in *install) checkFederal(ctx context.Context, f FederalSettings) (string, error) {
	store, err := idpsql.New(ctx, in.db, clock.System)
	if err != nil {
		return "", err
	}
	master, err := secret.New(in.derive("provider"))
	if err != nil {
		return "", err
	}
	made, err := in.federal(store, master)
	if err != nil {
		return "", err
	}
	h, err := made.(*fas.FAS).Check(ctx, f.Commune, f.Provider)
	if err != nil {
		return "", err
	}
	if err := in.askMetadata(ctx, f.Commune); err != nil {
		return "", err
	}
	seen := fmt.Sprintf("metadata read, %d certificates of theirs, %d keys of ours", len(h.Theirs), len(h.Ours))
	now := clock.System()
	last := slices.MaxFunc(h.Theirs, time.Time.Compare)
	switch {
	case now.After(last):
		return "", fmt.Errorf("every certificate of the provider has ended, the last on %s: new metadata is needed", last.Format(time.DateOnly))
	case last.Sub(now) < soon:
		seen += fmt.Sprintf(" – THEIR LAST CERTIFICATE ENDS ON %s", last.Format(time.DateOnly))
	}
	for _, end := range h.Ours {
		if end.Sub(now) < soon {
			seen += fmt.Sprintf(" – A CERTIFICATE OF OURS ENDS ON %s", end.Format(time.DateOnly))
		}
	}
	if !h.Until.IsZero() {
		seen += ", metadata good until " + h.Until.Format(time.DateOnly)
	}
	return seen, nil
}

// askMetadata fetches what we tell the provider of a commune.
func (in *install) askMetadata(ctx context.Context, c commune.ID) error {
	address := in.settings.Provider.Issuers[0] + "/saml/" + string(c) + "/metadata"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: loopback.Transport(nil)}).Do(r)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: the provider cannot learn of our keys", address, answer.Status)
	}
	return nil
}
