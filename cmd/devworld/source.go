package main

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/testcerts/fakesource"
)

// sourceSettings name a register that gives sealed papers: this world's National Register.
type sourceSettings struct {
	Name      string   `toml:"name"`
	URL       string   `toml:"url"`
	TokenFile string   `toml:"token_file"`
	Roots     string   `toml:"roots"`
	Signers   []string `toml:"signers"`
}

func (w *world) sourceRoots() string { return w.path("trust", "registers.pem") }

// makeSealed makes the part of the register that seals, with an issuer of its own.
func (w *world) makeSealed() error {
	var err error
	if w.source, err = fakesource.Make(w.path("source"), time.Now()); err != nil {
		return err
	}
	w.source.TokenFile = w.path("secrets", "register.token")
	return writeCertificates(w.sourceRoots(), []*x509.Certificate{w.source.Root()})
}

func (w *world) sealedSources() []sourceSettings {
	return []sourceSettings{{Name: "rn", URL: w.registerURL(), TokenFile: w.source.TokenFile, Roots: w.sourceRoots(), Signers: []string{fakesource.Signer}}}
}

// person is somebody as the register seals a paper about them.
func (r *register) person(number string) (fakesource.Person, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.people[number]
	if !ok {
		return fakesource.Person{}, false
	}
	return fakesource.Person{
		Number: number, Name: strings.TrimSpace(e.GivenNames + " " + e.Surname), BirthDate: e.BirthDate,
		Address: strings.TrimSpace(e.Street + " " + e.House + ", " + e.PostalCode + " " + e.Locality),
	}, true
}

// way is how a commune comes by one of its papers.
type way struct {
	commune commune.ID
	product string
	way     commune.Way
}

// parseWay reads "zandvoorde.residence=source".
func parseWay(s string) (way, error) {
	left, right, ok := strings.Cut(s, "=")
	id, product, ok2 := strings.Cut(left, ".")
	w := way{commune.ID(id), product, commune.Way(right)}
	if !ok || !ok2 || !slices.Contains(commune.Ways, w.way) {
		return way{}, fmt.Errorf("%q is not COMMUNE.PRODUCT=WAY", s)
	}
	return w, nil
}

// setWays puts what the command line says into the communes' settings.
func (w *world) setWays(list []*commune.Commune) error {
	for _, set := range w.ways {
		at := slices.IndexFunc(list, func(c *commune.Commune) bool { return c.ID == set.commune })
		if at < 0 {
			return fmt.Errorf("--way: no commune is called %s", set.commune)
		}
		c := list[at]
		if c.Products == nil {
			c.Products = map[string]commune.Product{}
		}
		p := c.Products[set.product]
		p.Way = set.way
		c.Products[set.product] = p
	}
	return nil
}
