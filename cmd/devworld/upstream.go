package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/belfry-eid/belfry/testcerts/fakeoidc"
)

// mairie is the French commune: its people have no national number and no Belgian card.
const mairie = "saintaubin"

// signInSource is an imitated OpenID provider, at a host of its own, and the communes
// that are registered there.
type signInSource struct {
	name, preset string
	shape        fakeoidc.Shape
	communes     []string
	people       []fakeoidc.Person
	more         upstreamSettings // what the preset does not say

	provider *fakeoidc.Provider
}

func (s *signInSource) host() string { return s.name + ".localhost" }

// French are those whom FranceConnect knows; Yvonne also works at the mairie.
var french = []fakeoidc.Person{
	{Name: "helene", GivenNames: "Hélène Marie", Surname: "Moreau", BirthDate: "1951-04-12", BirthPlace: "59350"},
	{Name: "karim", GivenNames: "Karim", Surname: "Benali", BirthDate: "1987-00-00", BirthPlace: "99352"},
	{Name: "yvonne", GivenNames: "Yvonne Jeanne", Surname: "Lefèvre", BirthDate: "1979-09-21", BirthPlace: "62041"},
}

// colleagues are those whom the mairie's directory knows.
var colleagues = []fakeoidc.Person{
	{Name: "yvonne", GivenNames: "Yvonne", Surname: "Lefèvre", Groups: []string{"etat-civil"}},
	{Name: "bruno", GivenNames: "Bruno", Surname: "Caron", Groups: []string{"etat-civil"}},
	{Name: "luce", GivenNames: "Luce", Surname: "Petit", Groups: []string{"voirie"}},
}

func (w *world) makeUpstreams() error {
	var belgians []fakeoidc.Person
	for _, p := range w.pki.People() {
		belgians = append(belgians, fakeoidc.Person{Name: p.Name, GivenNames: p.GivenNames, Surname: p.Surname, Number: p.Number, BirthDate: p.BirthDate})
	}
	w.sources = []*signInSource{
		{name: "itsme", preset: "itsme", shape: fakeoidc.Itsme(), communes: []string{"beaumarais"}, people: belgians,
			more: upstreamSettings{Scopes: []string{"openid", "profile", "eid", "service:BEAUMARAIS_LOGIN"}, RotateDays: 90}},
		{name: "franceconnect", preset: "franceconnect", shape: fakeoidc.FranceConnect(), communes: []string{mairie}, people: french},
		{name: "franceconnect-plus", preset: "franceconnect-plus", shape: fakeoidc.FranceConnectPlus(), communes: []string{mairie}, people: french,
			more: upstreamSettings{ResponseMode: "form_post", RotateDays: 90}},
		{name: "directory", preset: "keycloak", shape: fakeoidc.Directory(), communes: []string{mairie}, people: colleagues,
			more: upstreamSettings{Require: map[string][]string{"groups": {"etat-civil"}}, Levels: []federalLevel{{"", "substantial", []string{"pwd"}}}}},
	}
	for _, s := range w.sources {
		if err := w.makeSource(s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// makeSource makes the provider, with keys that are new at each start, and the secrets of
// its clients, once.
func (w *world) makeSource(s *signInSource) error {
	var clients []fakeoidc.Client
	for _, c := range s.communes {
		random := make([]byte, 32)
		rand.Read(random)
		file := w.upstreamSecret(s.name, c)
		if err := writeSecret(file, hex.EncodeToString(random)); err != nil {
			return err
		}
		secret, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		client := fakeoidc.Client{ID: "belfry-" + c, Secret: strings.TrimSpace(string(secret))}
		for _, origin := range w.origins("id.belfry.localhost") {
			client.Redirects = append(client.Redirects, origin+"/upstream/"+c+"/"+s.name+"/return")
			client.PostLogouts = append(client.PostLogouts, origin+"/logout/return")
		}
		client.JWKS = w.origins("id.belfry.localhost")[0] + "/upstream/" + c + "/" + s.name + "/jwks"
		clients = append(clients, client)
	}
	var err error
	s.provider, err = fakeoidc.New(s.shape, fmt.Sprintf("http://%s:%d", s.host(), w.http), s.people, clients...)
	return err
}

func (w *world) upstreamSecret(source, commune string) string {
	return w.path("secrets", "client-"+source+"-"+commune)
}

// sourceAt is the imitated provider of a host name.
func (w *world) sourceAt(host string) (http.Handler, bool) {
	for _, s := range w.sources {
		if s.host() == host {
			return s.provider, true
		}
	}
	return nil, false
}

type upstreamSettings struct {
	Commune      string              `toml:"commune"`
	Source       string              `toml:"source"`
	Preset       string              `toml:"preset"`
	Issuer       string              `toml:"issuer"`
	ClientID     string              `toml:"client_id"`
	SecretFile   string              `toml:"secret_file,omitempty"`
	Scopes       []string            `toml:"scopes,omitempty"`
	ResponseMode string              `toml:"response_mode,omitempty"`
	RotateDays   int                 `toml:"rotate_days,omitempty"`
	Require      map[string][]string `toml:"require,omitempty"`
	Levels       []federalLevel      `toml:"level,omitempty"`
}

func (w *world) upstreamSettings() []upstreamSettings {
	var list []upstreamSettings
	for _, s := range w.sources {
		for _, c := range s.communes {
			u := s.more
			u.Commune, u.Source, u.Preset, u.Issuer, u.ClientID = c, s.name, s.preset, s.provider.Issuer(), "belfry-"+c
			if s.shape.Auth != "private_key_jwt" {
				u.SecretFile = w.upstreamSecret(s.name, c)
			}
			list = append(list, u)
		}
	}
	return list
}

// describedSource is an imitated OpenID provider.
type describedSource struct {
	Name     string            `json:"name"`
	Title    string            `json:"title"`
	Issuer   string            `json:"issuer"`
	Communes []string          `json:"communes"` // registered there
	People   []describedPerson `json:"people"`
}

type describedPerson struct {
	Name       string   `json:"name"`
	GivenNames string   `json:"givenNames"`
	Surname    string   `json:"surname"`
	Groups     []string `json:"groups,omitempty"`
}

func (w *world) sourceList() []describedSource {
	var list []describedSource
	for _, s := range w.sources {
		d := describedSource{Name: s.name, Title: s.shape.Title, Issuer: s.provider.Issuer(), Communes: s.communes}
		for _, p := range s.people {
			d.People = append(d.People, describedPerson{p.Name, p.GivenNames, p.Surname, p.Groups})
		}
		list = append(list, d)
	}
	return list
}

// colleague is somebody who works at a desk: with a card, or by the directory.
type colleague struct{ name, commune, fullName, surname string }

// colleagues are those who are invited to a desk.
func (w *world) colleagues() []colleague {
	var list []colleague
	for _, p := range w.pki.People() {
		if p.ClerkOf != "" {
			list = append(list, colleague{p.Name, p.ClerkOf, p.FullName(), p.Surname})
		}
	}
	for _, p := range colleagues[:2] {
		list = append(list, colleague{p.Name, mairie, p.GivenNames + " " + p.Surname, p.Surname})
	}
	return list
}
