package main

import (
	"fmt"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

type communeCmd struct {
	Add   addCommuneCmd `cmd:"" help:"Add a commune to the settings."`
	List  listCommunes  `cmd:"" help:"List the communes of this install, their languages and their seals."`
	Key   keyCmd        `cmd:"" help:"The key of a commune's seal."`
	Reset resetCmd      `cmd:"" help:"Empty a training commune: its orders, papers and numbers."`
}

type addCommuneCmd struct {
	settingsFlag
	ID      commune.ID               `arg:"" help:"For programs and folders: lower-case letters, digits and hyphens."`
	NIS     string                   `required:"" help:"Its code: five digits of Statbel, in France that of INSEE."`
	Regime  commune.Regime           `required:"" help:"Its language regime: fr, nl, de, fr-nl, fr-de, nl-fr, brussels, or france for a French mairie."`
	Name    map[i18n.Language]string `required:"" placeholder:"LANGUAGE=NAME" help:"Its name in each official language: --name fr=Beaumarais --name nl=Schoonmeers."`
	Origins []string                 `required:"" name:"origin" placeholder:"https://HOST" help:"Address that people use; the first is printed on documents."`
	Brand   string                   `placeholder:"#RRGGBB" help:"Colour of its pages, under white text."`
	Street  string                   `help:"Street and number of the town hall."`
	City    string                   `help:"Postal code and locality."`
	Phone   string                   `help:"Where people call."`
	Email   string                   `help:"Where people write."`

	Training bool `help:"A commune to practise in: its papers are specimens, and it can be emptied."`
}

// Run writes the commune into the settings file, where the rest of it can be changed.
func (c *addCommuneCmd) Run() error {
	s, err := c.load()
	if err != nil {
		return err
	}
	one := addedCommune{ID: c.ID, NIS: c.NIS, Regime: c.Regime, Name: c.Name, Origins: c.Origins, Training: c.Training}
	if c.Regime == "france" {
		one.Country = commune.France
	}
	if c.Brand != "" {
		one.Theme = &addedTheme{Brand: c.Brand, OnBrand: "#ffffff"}
	}
	if contact := (addedContact{c.Street, c.City, c.Phone, c.Email}); contact != (addedContact{}) {
		one.Contact = &contact
	}
	if err := s.add(added{Communes: []addedCommune{one}}); err != nil {
		return err
	}
	fmt.Printf("%s: %s is there. Next: belfry commune key make %s, and restart the service.\n", s.file, c.ID, c.ID)
	return nil
}

type listCommunes struct{ settingsFlag }

func (c *listCommunes) Run() error {
	s, err := c.load()
	if err != nil {
		return err
	}
	for _, home := range s.Communes {
		seal := "no seal"
		if k, ok := s.seal(home.ID, false); ok {
			seal = fmt.Sprintf("seal %q of token %q, level %s", k.Key, k.Token, k.Level)
		}
		if home.Training {
			seal += ", for training"
		}
		fmt.Printf("%s\t%s\t%s\t%s\n", home.ID, home.Origin(), home.SpeaksOf(), seal)
	}
	return nil
}
