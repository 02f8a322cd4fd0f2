package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/fee"
)

// checkWays refuses names in sign_in, staff_sign_in and product that mean nothing: a way
// that is not offered, or a demand that is not made, would be noticed by nobody.
func (s *Settings) checkWays() error {
	var faults []error
	for _, c := range s.Communes {
		for key, names := range map[string][]string{"sign_in": c.SignIn, "staff_sign_in": c.StaffSignIn} {
			for _, name := range names {
				if !s.way(c.ID, name) {
					faults = append(faults, fmt.Errorf("commune %s: %s: %q is not set up for it", c.ID, key, name))
				}
			}
		}
		for id := range c.Products {
			product, ok := catalogue.Standard().Newest(id)
			if !ok {
				faults = append(faults, fmt.Errorf("commune %s: product.%s: no product is called so", c.ID, id))
				continue
			}
			if _, err := fee.Of(c, product); err != nil {
				faults = append(faults, fmt.Errorf("commune %s: product.%s.tariff: %w", c.ID, id, err))
			}
		}
	}
	return errors.Join(faults...)
}

// way says whether people of c can sign in by what is called name.
func (s *Settings) way(c commune.ID, name string) bool {
	switch name {
	case "card":
		return true
	case "fas":
		return slices.ContainsFunc(s.Federal, func(f FederalSettings) bool { return f.Commune == c })
	}
	return slices.ContainsFunc(s.Upstream, func(u UpstreamSettings) bool { return u.Commune == c && u.Source == name })
}

// feesOf says what a commune asks for its papers.
func feesOf(c *commune.Commune) (string, error) {
	var list []string
	for _, p := range catalogue.Standard().Current() {
		if !p.Of(c.Country) {
			continue
		}
		t, err := fee.Of(c, p)
		if err != nil {
			return "", err
		}
		for _, d := range t.Deliveries {
			if from, most := t.From(d), t.UpTo(d); most > 0 {
				list = append(list, fmt.Sprintf("%s by %s %s to %s", p.ID, d, i18n.Euro(i18n.English, from), i18n.Euro(i18n.English, most)))
			}
		}
	}
	switch {
	case len(list) == 0:
		return "every paper is free", nil
	case c.FeeFirst():
		list = append(list, "received before the paper is issued")
	default:
		list = append(list, "papers are issued before")
	}
	return strings.Join(list, "; "), nil
}
