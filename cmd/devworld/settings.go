package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// belfrySettings is the settings file of the Belfry in this world, as cmd/belfry reads it.
// It is the only place that knows its keys.
type belfrySettings struct {
	Test        bool              `toml:"test"`
	Environment map[string]string `toml:"environment"`
	Server      struct {
		Listen   string   `toml:"listen"`
		Operator string   `toml:"operator"`
		Proxies  []string `toml:"proxies"`
		Data     string   `toml:"data"`
		KeyFile  string   `toml:"key_file"`
	} `toml:"server"`
	Database struct {
		URL string `toml:"url"`
	} `toml:"database"`
	Provider struct {
		Issuers    []string `toml:"issuers"`
		AgentPorts []int    `toml:"agent_ports"`
		Roots      string   `toml:"roots"`
	} `toml:"provider"`
	Cards struct {
		Roots         string   `toml:"roots"`
		Intermediates string   `toml:"intermediates"`
		Hosts         []string `toml:"hosts"`
	} `toml:"cards"`
	Register struct {
		URL       string `toml:"url"`
		TokenFile string `toml:"token_file"`
	} `toml:"register"`
	Sources []sourceSettings `toml:"source"`
	Mail    struct {
		SMTP string `toml:"smtp"`
		From string `toml:"from"`
	} `toml:"mail"`
	Renderer struct {
		Modules string `toml:"modules"`
	} `toml:"renderer"`
	Seals    []sealSettings     `toml:"seal"`
	Stamps   []stampSettings    `toml:"stamp"`
	Lasting  lastingSettings    `toml:"lasting"`
	Federal  []federalSettings  `toml:"federal"`
	Upstream []upstreamSettings `toml:"upstream"`
	Communes []*commune.Commune `toml:"commune"`
}

type sealSettings struct {
	Commune  string    `toml:"commune"`
	Module   string    `toml:"module"`
	Token    string    `toml:"token"`
	Serial   string    `toml:"serial"`
	Key      string    `toml:"key"`
	PINFile  string    `toml:"pin_file"`
	Chain    string    `toml:"chain"`
	Operator bool      `toml:"operator"`
	Proofs   bool      `toml:"proofs,omitempty"`
	Level    string    `toml:"level"`
	Mark     *sealMark `toml:"mark,omitempty"`
}

// sealMark shows the operator's seal on the page.
type sealMark struct {
	Code   string  `toml:"code"`
	Page   string  `toml:"page"`
	Corner string  `toml:"corner"`
	Width  float64 `toml:"width"`
	Margin float64 `toml:"margin"`
}

// markOf is the box of an operator's seal: documents of the issuing keys say all of it already.
func (w *world) markOf(operator bool, commune string) *sealMark {
	if !operator {
		return nil
	}
	for _, c := range w.communes() {
		if string(c.ID) == commune {
			return &sealMark{Code: c.Origin() + "/verify", Page: "last", Corner: "bottom-right", Width: 60, Margin: 5}
		}
	}
	return nil
}

// lastingSettings name who proves certificates valid: this world's own responders.
type lastingSettings struct {
	Hosts []string `toml:"hosts"`
	Roots string   `toml:"roots"`
}

type stampSettings struct {
	URL   string `toml:"url"`
	Roots string `toml:"roots"`
}

func (w *world) settingsFile() string { return w.path("belfry.toml") }

// writeSettings writes the file anew at each start: what a person changed in it is lost,
// and the file says so.
func (w *world) writeSettings() error {
	var s belfrySettings
	s.Test = true
	s.Environment = map[string]string{"SOFTHSM2_CONF": w.path("belfry-softhsm", "softhsm2.conf")}
	s.Server.Listen = loopback(w.config.belfry)
	s.Server.Operator = loopback(w.operator)
	s.Server.Proxies = []string{"127.0.0.1/32", "::1/128"}
	s.Server.Data = "data"
	s.Server.KeyFile = w.path("secrets", "install.key")
	s.Database.URL = w.database
	s.Provider.Issuers = w.origins("id.belfry.localhost")
	s.Provider.AgentPorts = w.agentPorts()
	s.Provider.Roots = w.caFile()
	s.Cards.Roots = w.path("trust", "roots.pem")
	s.Cards.Intermediates = w.path("intermediates.pem")
	s.Cards.Hosts = w.pki.Hosts()
	s.Register.URL = w.registerURL()
	s.Register.TokenFile = w.path("secrets", "register.token")
	s.Sources = w.sealedSources()
	s.Mail.SMTP = loopback(w.smtp)
	s.Mail.From = "Belfry <belfry@belfry.example>"
	s.Renderer.Modules = w.rendererModules()
	for _, seal := range w.seals() {
		operator := seal == w.pki.DefaultOperatorSeal(seal.Commune)
		s.Seals = append(s.Seals, sealSettings{
			Commune: seal.Commune, Module: w.pki.ModulePath(), Token: seal.Label, Serial: seal.Serial, Key: seal.Key,
			PINFile: w.sealPIN(seal), Chain: w.sealChain(seal), Operator: operator, Proofs: operator && seal.Commune == "beaumarais", Level: "B-LTA", Mark: w.markOf(operator, seal.Commune),
		})
	}
	s.Stamps = []stampSettings{{URL: w.pki.StampURL(), Roots: w.path("trust", "roots.pem")}}
	s.Lasting = lastingSettings{Hosts: w.pki.Hosts(), Roots: w.path("trust", "roots.pem")}
	s.Federal = w.federalSettings()
	s.Upstream = w.upstreamSettings()
	s.Communes = w.communes()
	if err := w.writeLogos(s.Communes); err != nil {
		return err
	}
	if err := w.setWays(s.Communes); err != nil {
		return err
	}
	for _, c := range s.Communes {
		if err := c.Check(); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	b.WriteString("# Written by devworld at each start: change it in a copy.\n")
	if err := toml.NewEncoder(&b).Encode(s); err != nil {
		return fmt.Errorf("settings of belfry: %w", err)
	}
	return os.WriteFile(w.settingsFile(), b.Bytes(), 0o600)
}

// rendererModules is the node_modules folder with the document renderer: of the flag, of
// the working directory, or beside the folder of this program.
func (w *world) rendererModules() string {
	places := []string{w.modules}
	if w.modules == "" {
		places = []string{"node_modules"}
		if own, err := os.Executable(); err == nil {
			places = append(places, filepath.Join(filepath.Dir(own), "..", "node_modules"))
		}
	}
	for _, p := range places {
		if abs, err := filepath.Abs(p); err == nil && exists(abs) {
			return abs
		}
	}
	abs, _ := filepath.Abs(places[0])
	return abs
}

// communes are those that the local Belfry serves, one under each regime of languages that
// differs much. Two have a site of their own, as communes with their own domain do; one of
// these is French.
func (w *world) communes() []*commune.Commune {
	return []*commune.Commune{
		{
			ID: "beaumarais", NIS: "99001",
			Name:           map[i18n.Language]string{i18n.French: "Beaumarais", i18n.Dutch: "Schoonmeers", i18n.German: "Schönbruch"},
			Origins:        w.origins("beaumarais.belfry.localhost"),
			LanguageRegime: "fr", EnglishPages: true,
			ClerkSignature: commune.OptionalClerkSignature,
			Products: map[string]commune.Product{
				"residence": {Demand: commune.Demand{Level: "high"}}, // so that the app of CSAM is not enough
				// The one paper of this world that costs something: other communes give it free.
				"residence_history": {Tariff: commune.Tariff{
					SurchargeCents: map[string]int64{"bank": 200, "insurance": 200, "notary": 200, "lawyer_bailiff": 200, "inheritance": 200, "abroad": 200},
					PostCents:      100, Deliveries: []string{"download", "post", "counter"}, MaxCopies: 5, Regulation: "https://beaumarais.example/reglement-redevance",
					Payment: map[i18n.Language]string{
						i18n.French: "Vous payez au guichet, ou par virement sur invitation de la commune.", i18n.Dutch: "U betaalt aan het loket, of met een overschrijving op vraag van de gemeente.",
						i18n.English: "You pay at the counter, or by transfer when the municipality invites you to.",
					},
				}},
			},
			Theme: commune.Theme{Brand: "#0f4c5c", OnBrand: "#ffffff", Link: "#0b5a6f", Accent: "#e0a526"},
			Closed: []commune.Closing{
				{From: "09-27", Text: map[i18n.Language]string{i18n.French: "fête de la Communauté française"}},
				{From: "12-24", To: "12-31", Text: map[i18n.Language]string{i18n.French: "congés de fin d’année", i18n.English: "end of the year"}},
			},
			Contact: commune.Contact{
				Street: "Place du Marché 1", City: "7999 Beaumarais", Phone: "+32 00 00 00 01", Email: "population@beaumarais.example",
				Hours: map[i18n.Language]string{
					i18n.French: "lundi à vendredi, 8 h 30 – 12 h ; mercredi aussi 13 h 30 – 18 h",
					i18n.Dutch:  "maandag tot vrijdag 8.30–12 uur; woensdag ook 13.30–18 uur",
					i18n.German: "Montag bis Freitag 8.30–12 Uhr; mittwochs auch 13.30–18 Uhr", i18n.English: "Monday to Friday 8:30–12:00; Wednesday also 13:30–18:00",
				},
			},
		},
		{
			ID: "zandvoorde", NIS: "99002",
			Name:           map[i18n.Language]string{i18n.Dutch: "Zandvoorde"},
			Origins:        w.origins("zandvoorde.localhost"),
			LanguageRegime: "nl", EnglishPages: true,
			ClerkSignature: commune.OptionalClerkSignature,
			Theme:          commune.Theme{Brand: "#5b2a6e", OnBrand: "#ffffff", Link: "#5b2a6e", Accent: "#f2b705"},
			Closed:         []commune.Closing{{From: "07-11", Text: map[i18n.Language]string{i18n.Dutch: "feest van de Vlaamse Gemeenschap"}}},
			Contact: commune.Contact{
				Street: "Gemeenteplein 1", City: "8999 Zandvoorde", Phone: "+32 00 00 00 02", Email: "burgerzaken@zandvoorde.example",
				Hours: map[i18n.Language]string{
					i18n.Dutch: "maandag tot vrijdag 9–12 uur; donderdag ook 14–19 uur", i18n.French: "lundi à vendredi, 9 h – 12 h ; jeudi aussi 14 h – 19 h",
					i18n.German: "Montag bis Freitag 9–12 Uhr; donnerstags auch 14–19 Uhr", i18n.English: "Monday to Friday 9:00–12:00; Thursday also 14:00–19:00",
				},
			},
		},
		{
			ID: "montclair", NIS: "99004",
			Name:           map[i18n.Language]string{i18n.French: "Montclair", i18n.Dutch: "Klaarberg"},
			Origins:        w.origins("montclair.belfry.localhost"),
			LanguageRegime: "brussels", EnglishPages: true,
			Theme: commune.Theme{Brand: "#8a1c3b", OnBrand: "#ffffff", Link: "#8a1c3b", Accent: "#2f9e8f"},
			Contact: commune.Contact{
				Street: "Place du Conseil – Raadsplein 3", City: "1999 Montclair – Klaarberg", Phone: "+32 00 00 00 04", Email: "population-bevolking@montclair.example",
				Hours: map[i18n.Language]string{
					i18n.French: "lundi à jeudi, 8 h – 13 h ; mardi aussi 15 h – 18 h 30", i18n.Dutch: "maandag tot donderdag 8–13 uur; dinsdag ook 15–18.30 uur",
					i18n.English: "Monday to Thursday 8:00–13:00; Tuesday also 15:00–18:30",
				},
			},
		},
		{
			ID: "ahornfeld", NIS: "99005",
			Name:           map[i18n.Language]string{i18n.German: "Ahornfeld", i18n.French: "Champ-d’Érable"},
			Origins:        w.origins("ahornfeld.belfry.localhost"),
			LanguageRegime: "de",
			Theme:          commune.Theme{Brand: "#2f5d34", OnBrand: "#ffffff", Link: "#2f5d34", Accent: "#c75b12"},
			Closed:         []commune.Closing{{From: "11-15", Text: map[i18n.Language]string{i18n.German: "Tag der Deutschsprachigen Gemeinschaft"}}},
			Contact: commune.Contact{
				Street: "Rathausplatz 4", City: "4998 Ahornfeld", Phone: "+32 00 00 00 05", Email: "buergerdienst@ahornfeld.example",
				Hours: map[i18n.Language]string{
					i18n.German: "Montag bis Freitag 8–12 Uhr; donnerstags auch 13–17 Uhr", i18n.French: "lundi à vendredi, 8 h – 12 h ; jeudi aussi 13 h – 17 h",
				},
			},
		},
		{
			ID: "wilgenrode", NIS: "99006",
			Name:           map[i18n.Language]string{i18n.Dutch: "Wilgenrode", i18n.French: "Saulerode"},
			Origins:        w.origins("wilgenrode.belfry.localhost"),
			LanguageRegime: "nl-fr",
			Theme:          commune.Theme{Brand: "#26456b", OnBrand: "#ffffff", Link: "#26456b", Accent: "#9bbf3b"},
			Contact: commune.Contact{
				Street: "Gemeenteplein 12", City: "1998 Wilgenrode", Phone: "+32 00 00 00 06", Email: "onthaal@wilgenrode.example",
				Hours: map[i18n.Language]string{
					i18n.Dutch: "dinsdag tot zaterdag 9–12.30 uur", i18n.French: "mardi à samedi, 9 h – 12 h 30",
				},
			},
		},
		{
			ID: mairie, NIS: "59999", Country: commune.France,
			Name:           map[i18n.Language]string{i18n.French: "Saint-Aubin"},
			Origins:        w.origins("saintaubin.localhost"),
			LanguageRegime: "france",
			SignIn:         []string{"franceconnect", "franceconnect-plus"},
			StaffSignIn:    []string{"directory"},
			CitizenLevel:   "low", StaffLevel: "substantial",
			Theme: commune.Theme{Brand: "#1f3a6e", OnBrand: "#ffffff", Link: "#1f3a6e", Accent: "#c8102e"},
			Contact: commune.Contact{
				Street: "1 place de la Mairie", City: "59999 Saint-Aubin", Phone: "+33 0 00 00 00 03", Email: "etatcivil@saint-aubin.example",
				Hours: map[i18n.Language]string{i18n.French: "lundi à vendredi, 9 h – 12 h et 14 h – 17 h ; samedi, 9 h – 12 h"},
			},
		},
	}
}

// origins are the addresses of a host name, over http and over https.
func (w *world) origins(host string) []string {
	return []string{fmt.Sprintf("http://%s:%d", host, w.http), fmt.Sprintf("https://%s:%d", host, w.https)}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func touch(path string) error { return os.WriteFile(path, nil, 0o600) }
