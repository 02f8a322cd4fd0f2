package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/testcerts"
)

// description is var/world.json: all a program needs to live in this world. Paths are
// absolute. GET /world.json on the page's and on the services' address has the same.
type description struct {
	Page     string             `json:"page"`     // the list of all this, for people
	Provider describedProvider  `json:"provider"` // OpenID provider of the local Belfry
	Communes []describedCommune `json:"communes"`
	Cards    []describedCard    `json:"cards"`
	Clerks   []describedClerk   `json:"clerks"`
	Card     describedService   `json:"cardService"`
	PKI      describedPKI       `json:"pki"`
	TSA      describedService   `json:"tsa"`
	Register describedRegister  `json:"register"`
	Federal  describedService   `json:"federal"` // the imitated federal service, a SAML identity provider
	Sources  []describedSource  `json:"sources"` // imitated OpenID providers
	Mail     describedMail      `json:"mail"`
	Control  describedService   `json:"control"` // see controlHandler
	TLS      describedTLS       `json:"tls"`
	Belfry   describedBelfry    `json:"belfry"`
	Agent    describedAgent     `json:"agent"`
}

type describedService struct {
	URL string `json:"url"`
}

type describedProvider struct {
	Issuers []string `json:"issuers"` // http, then https
}

type describedCommune struct {
	ID        string            `json:"id"`
	NIS       string            `json:"nis"`
	Name      map[string]string `json:"name"`
	Installed bool              `json:"installed"`                // served here
	Origins   []string          `json:"origins"`                  // http, then https
	Regime    commune.Regime    `json:"languageRegime,omitempty"` // of a commune served here
	Languages []i18n.Language   `json:"languages,omitempty"`      // of its pages, the official ones first
}

type describedCard struct {
	Name           string           `json:"name"`
	GivenNames     string           `json:"givenNames"`
	Surname        string           `json:"surname"`
	NationalNumber string           `json:"nationalNumber"`
	Foreigner      bool             `json:"foreigner"`
	Language       string           `json:"language"`
	Residence      string           `json:"residence"`         // NIS code, "" where it is not told
	ClerkOf        string           `json:"clerkOf,omitempty"` // commune's id
	PIN            string           `json:"pin"`
	PUK            string           `json:"puk"`
	Status         testcerts.Status `json:"status"`
	Kind           testcerts.Kind   `json:"kind"` // today, old, child or declined; the last two hold no certificates
	GoodFor        string           `json:"goodFor"`
	Serial         string           `json:"serial"`          // of the token, whose label is BELPIC
	InReader       bool             `json:"inReader"`        // of the card reading program
	Revoked        bool             `json:"revoked"`         // as the responders say now
	Authentication []byte           `json:"authentication"`  // certificate, DER in base64; null where there is none
	Signature      []byte           `json:"signature"`       // likewise
	Authenticate   string           `json:"authenticateURL"` // POST {origin, nonce, pin}
	Sign           string           `json:"signURL"`         // POST {certificate, hash, hashFunction, pin}
}

type describedClerk struct {
	Name    string `json:"name"` // of the card, or in the directory
	Commune string `json:"commune"`
	Desk    string `json:"desk"`
	// Joined says that the clerk had joined the desk when this was written.
	Joined bool `json:"joined"`
	// Invitation is the one-time address of the first sign-in, "" where the clerk has
	// joined or none could be had (Problem says why).
	Invitation string `json:"invitation"`
	Problem    string `json:"problem,omitempty"`
}

type describedPKI struct {
	Roots         string   `json:"roots"`         // PEM file, alone in its folder: cards, seals and stamps chain to it
	Intermediates string   `json:"intermediates"` // PEM file
	Hosts         []string `json:"hosts"`         // host:port of OCSP, CRL and CA files
	Module        string   `json:"module"`        // SoftHSM's PKCS#11 library
	Tokens        string   `json:"tokens"`        // SOFTHSM2_CONF with all cards and seals
}

type describedRegister struct {
	URL       string `json:"url"` // POST {url}/residence
	TokenFile string `json:"tokenFile"`
}

type describedMail struct {
	SMTP string `json:"smtp"`
	Page string `json:"page"`
	URL  string `json:"url"` // the same in JSON, newest first
}

type describedTLS struct {
	CA string `json:"ca"` // PEM file of the CA of the https addresses; good for localhost only
}

type describedBelfry struct {
	Config   string `json:"config"`
	Listen   string `json:"listen"`
	Operator string `json:"operator"`
	Log      string `json:"log"`
	Tokens   string `json:"tokens"` // SOFTHSM2_CONF with the seals
}

type describedAgent struct {
	Ports  []int  `json:"ports"`
	Tokens string `json:"tokens"` // SOFTHSM2_CONF with the cards in the reader
	Log    string `json:"log"`
}

func (w *world) pageURL() string         { return fmt.Sprintf("http://localhost:%d", w.http) }
func (w *world) service(p string) string { return "http://" + loopback(w.services) + p }

// website is the first address of a commune that is served here.
func (w *world) website(id string) string {
	for _, c := range w.communes() {
		if string(c.ID) == id {
			return c.Origin()
		}
	}
	return ""
}

func (w *world) describe() description {
	d := description{
		Page:     w.pageURL(),
		Provider: describedProvider{w.origins("id.belfry.localhost")},
		Cards:    w.cardList(),
		Clerks:   w.clerkList(),
		Card:     describedService{w.service("/cards")},
		PKI: describedPKI{
			Roots: w.path("trust", "roots.pem"), Intermediates: w.path("intermediates.pem"),
			Hosts: w.pki.Hosts(), Module: w.pki.ModulePath(), Tokens: w.path("softhsm", "softhsm2.conf"),
		},
		TSA:      describedService{w.pki.StampURL()},
		Register: describedRegister{w.registerURL(), w.path("secrets", "register.token")},
		Federal:  describedService{w.federalURL()},
		Sources:  w.sourceList(),
		Mail:     describedMail{loopback(w.smtp), w.pageURL() + "/mail", w.service("/mail")},
		Control:  describedService{w.service("/control")},
		TLS:      describedTLS{w.caFile()},
		Belfry: describedBelfry{
			Config: w.settingsFile(), Listen: loopback(w.config.belfry), Operator: "http://" + loopback(w.operator),
			Log: w.path("log", "belfry.log"), Tokens: w.path("belfry-softhsm", "softhsm2.conf"),
		},
		Agent: describedAgent{w.agentPorts(), w.path("reader-softhsm", "softhsm2.conf"), w.path("log", "eid-agent.log")},
	}
	for _, c := range testcerts.Communes() {
		described := describedCommune{ID: c.ID, NIS: c.NIS, Name: c.Name, Installed: c.Installed}
		for _, own := range w.communes() {
			if string(own.ID) == c.ID {
				described.Origins, described.Regime, described.Languages = own.Origins, own.LanguageRegime, own.Languages()
			}
		}
		d.Communes = append(d.Communes, described)
	}
	return d
}

func (w *world) cardList() []describedCard {
	var list []describedCard
	for _, c := range w.pki.Cards() {
		list = append(list, describedCard{
			Name: c.Name, GivenNames: c.GivenNames, Surname: c.Surname, NationalNumber: c.Number, Foreigner: c.Foreigner, Language: c.Language,
			Residence: c.NIS, ClerkOf: c.ClerkOf, PIN: c.PIN, PUK: c.PUK, Status: c.Status, Kind: c.Kind, GoodFor: c.Purpose, Serial: c.Serial,
			InReader: w.reader.holds(c), Revoked: c.IsRevoked(), Authentication: testcerts.DER(c.Authentication), Signature: testcerts.DER(c.Signature),
			Authenticate: w.service("/cards/" + c.Name + "/authenticate"), Sign: w.service("/cards/" + c.Name + "/sign"),
		})
	}
	return list
}

func (w *world) writeWorldFile() error {
	text, err := json.MarshalIndent(w.describe(), "", "  ")
	if err != nil {
		return err
	}
	tmp := w.path("world.json.new")
	if err := os.WriteFile(tmp, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, w.path("world.json"))
}

// invitation is how a clerk signs in the first time.
type invitation struct {
	Address string    `json:"address"`
	Made    time.Time `json:"made"`
	Joined  bool      `json:"joined"`
	Problem string    `json:"problem,omitempty"`
}

// invitationAge is when another one is made: Belfry lets them lapse after two weeks.
const invitationAge = 7 * 24 * time.Hour

var address = regexp.MustCompile(`https?://[^\s"<>]+`)

// inviteClerks has Belfry invite the clerks who have not joined their desk yet.
func (w *world) inviteClerks(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	file := w.path("secrets", "invitations.json")
	if text, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(text, &w.invited); err != nil {
			w.invited = map[string]invitation{}
		}
	}
	for _, c := range w.colleagues() {
		w.invited[c.name] = w.invite(ctx, c, w.invited[c.name])
	}
	if text, err := json.MarshalIndent(w.invited, "", "  "); err == nil {
		os.WriteFile(file, text, 0o600)
	}
}

// invite returns how somebody signs in, given how it was last time.
func (w *world) invite(ctx context.Context, c colleague, last invitation) invitation {
	members, err := w.staff(ctx, "list", c.commune)
	if err != nil {
		return invitation{Problem: err.Error()}
	}
	if strings.Contains(members, c.surname) {
		return invitation{Joined: true}
	}
	if last.Address != "" && time.Since(last.Made) < invitationAge {
		return last
	}
	out, err := w.staff(ctx, "invite", c.commune, c.fullName, "--delegate", "mayor", "--decision", "the local world's own")
	if err != nil {
		return invitation{Problem: err.Error()}
	}
	made := invitation{Address: strings.TrimRight(address.FindString(out), ".,"), Made: time.Now().UTC()}
	if made.Address == "" {
		made.Problem = "belfry staff invite gave no address: " + strings.TrimSpace(out)
	}
	return made
}

// staff runs one of Belfry's commands about staff.
func (w *world) staff(ctx context.Context, command string, args ...string) (string, error) {
	return w.command(ctx, "belfry", nil, append([]string{"staff", command, "--config", w.settingsFile()}, args...)...)
}

func (w *world) clerkList() []describedClerk {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []describedClerk
	for _, c := range w.colleagues() {
		i := w.invited[c.name]
		list = append(list, describedClerk{
			Name: c.name, Commune: c.commune, Desk: w.deskOf(c.commune), Joined: i.Joined, Invitation: i.Address, Problem: i.Problem,
		})
	}
	slices.SortFunc(list, func(a, b describedClerk) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// deskOf is the address of a commune's clerks, in their language.
func (w *world) deskOf(id string) string {
	for _, c := range w.communes() {
		if string(c.ID) == id {
			return c.Origin() + "/" + string(c.StaffLanguages()[0]) + "/desk"
		}
	}
	return ""
}
