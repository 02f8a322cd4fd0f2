package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/belfry-eid/belfry/testcerts/fakefas"
)

// federalHost is the name at which the imitated federal service answers: another site
// than the provider and the communes.
const federalHost = "csam.localhost"

func (w *world) federalURL() string { return fmt.Sprintf("http://%s:%d", federalHost, w.http) }

// makeFederal makes the federal service, with keys that are new at each start, and the
// keys that the commune beaumarais has there, once.
func (w *world) makeFederal() error {
	var people []fakefas.Person
	for _, p := range w.pki.People() {
		people = append(people, fakefas.Person{Name: p.Name, Number: p.Number, GivenNames: p.GivenNames, Surname: p.Surname})
	}
	var err error
	if w.federal, err = fakefas.New(w.federalURL(), people); err != nil {
		return err
	}
	for _, use := range []string{"signing", "encryption"} {
		if err := w.makeFederalKey(use); err != nil {
			return err
		}
	}
	return os.WriteFile(w.path("federal.xml"), w.federal.Metadata(), 0o600)
}

func (w *world) federalKey(use string) string         { return w.path("secrets", "saml-"+use+".key") }
func (w *world) federalCertificate(use string) string { return w.path("saml-" + use + ".pem") }

func (w *world) makeFederalKey(use string) error {
	if _, err := os.Stat(w.federalCertificate(use)); err == nil {
		return nil
	}
	key, cert, err := fakefas.NewKey("beaumarais " + use)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.Remove(w.federalKey(use)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // of a world that ended between the two files
	}
	if err := writeSecret(w.federalKey(use), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))); err != nil {
		return err
	}
	return writeCertificates(w.federalCertificate(use), []*x509.Certificate{cert})
}

type federalSettings struct {
	Commune    string         `toml:"commune"`
	Provider   string         `toml:"provider"`
	Metadata   string         `toml:"metadata"`
	Signing    []federalKey   `toml:"signing"`
	Encryption []federalKey   `toml:"encryption"`
	Levels     []federalLevel `toml:"level"`
}

type federalKey struct {
	Key         string `toml:"key"`
	Certificate string `toml:"certificate"`
}

type federalLevel struct {
	Value string   `toml:"value"`
	Level string   `toml:"level"`
	Means []string `toml:"means"`
}

// federalSettings are those of beaumarais; zandvoorde has no agreement.
func (w *world) federalSettings() []federalSettings {
	key := func(use string) []federalKey {
		return []federalKey{{w.federalKey(use), w.federalCertificate(use)}}
	}
	return []federalSettings{{
		Commune: "beaumarais", Provider: "fas", Metadata: w.path("federal.xml"), Signing: key("signing"), Encryption: key("encryption"),
		Levels: []federalLevel{
			{fakefas.Belgian[0].Value, "high", []string{"eid", "sc", "pin"}},
			{fakefas.Belgian[1].Value, "high", []string{"mfa"}},
			{fakefas.Belgian[2].Value, "substantial", []string{"mfa", "otp"}},
		},
	}}
}
