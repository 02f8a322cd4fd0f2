package orders

import (
	"context"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/register"
)

// A clerk decides neither about themselves nor about those they live with. The register
// is asked at submission and again at each preparation, and what is kept of its answer
// are names that mean something within the commune only: one of the number, and one of
// the name for clerks whose number nobody knows.

// members asks with whom somebody is registered; nobody where the register knows no household.
func (s *Service) members(ctx context.Context, chosen *catalogue.Product, n eid.NationalNumber) ([]register.Member, error) {
	if !chosen.Registered() || s.Register == nil {
		return nil, nil
	}
	list, err := s.Register.Household(ctx, n)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return list, err
}

// household are the members as they are kept with an order. A child who lives there by
// turns counts.
func (v vault) household(c commune.ID, members []register.Member) (string, error) {
	var kept []string
	for _, m := range members {
		given, _, _ := strings.Cut(words(m.GivenNames), " ")
		name, err := v.named(c, strings.Fields(words(m.Surname)+" "+given))
		if err != nil {
			return "", err
		}
		if m.Number.IsZero() {
			kept = append(kept, nameAlone+name)
			continue
		}
		number, err := v.person(c, m.Number, "")
		if err != nil {
			return "", err
		}
		kept = append(kept, number, nameToo+name)
	}
	slices.Sort(kept) // in the register's order they would tell who is who
	return strings.Join(slices.Compact(kept), " "), nil
}

// What stands before the name of a member: whether there is a number beside it.
const (
	nameAlone = "m:"
	nameToo   = "n:"
)

// named is what somebody is known by within a commune without their number: surname and
// first given name, in whichever order they are written.
func (v vault) named(c commune.ID, parts []string) (string, error) {
	return v.mac(c, "\x00name "+strings.Join(slices.Sorted(slices.Values(parts)), " "))
}

// livesWith says whether a clerk is of the household that is kept with an order. Where
// the numbers of both are not there to compare, whoever may be a member by name is held
// to be.
func (s *Service) livesWith(r row, clerk Clerk) (bool, error) {
	kept := strings.Fields(r.household)
	if len(kept) == 0 {
		return false, nil
	}
	if !clerk.Number.IsZero() {
		me, err := s.vault.person(r.Commune, clerk.Number, "")
		if err != nil || slices.Contains(kept, me) {
			return err == nil, err
		}
	}
	for _, parts := range choices(strings.Fields(words(clerk.Name))) {
		me, err := s.vault.named(r.Commune, parts)
		if err != nil {
			return false, err
		}
		if slices.Contains(kept, nameAlone+me) || clerk.Number.IsZero() && slices.Contains(kept, nameToo+me) {
			return true, nil
		}
	}
	return false, nil
}

// maxNameParts is how many parts of a clerk's name are tried together.
const maxNameParts = 7

// choices are the ways to leave parts of a name out: a second given name, for instance.
func choices(parts []string) [][]string {
	parts = parts[:min(len(parts), maxNameParts)]
	var all [][]string
	for chosen := 1; chosen < 1<<len(parts); chosen++ {
		var some []string
		for i, p := range parts {
			if chosen&(1<<i) != 0 {
				some = append(some, p)
			}
		}
		all = append(all, some)
	}
	return all
}

// apart notes with whom the person of an order lives now, and refuses a clerk who is one of
// them: they may be since the order was made.
func (s *Service) apart(r *row, members []register.Member, clerk Clerk) (err error) {
	if r.household, err = s.vault.household(r.Commune, members); err != nil {
		return err
	}
	together, err := s.livesWith(*r, clerk)
	if err == nil && together {
		err = fault.New(fault.Forbidden, "orders.own", nil)
	}
	return err
}
