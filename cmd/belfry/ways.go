package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/orders/catalogue"
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
			if _, ok := catalogue.Standard().Newest(id); !ok {
				faults = append(faults, fmt.Errorf("commune %s: product.%s: no product is called so", c.ID, id))
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
