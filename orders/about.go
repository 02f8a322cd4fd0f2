package orders

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/register"
)

// about is what a paper says of a person, in its language, and what a clerk has had to
// look at.
type about struct {
	holder    string
	values    map[string]string
	lines     []map[string]string // of the paper's list
	told      string              // of them to whoever checks the paper
	members   []register.Member
	attention Attention
}

// about asks the register; where a paper rests on none, the order's own answers are what
// the clerk has verified.
func (s *Service) about(ctx context.Context, of *commune.Commune, r row, reason string) (about, error) {
	if !r.Product.Registered() || s.Register == nil {
		return ownWords(r.Order), nil
	}
	number, err := s.vault.open(r.Commune, r.ID, r.sealed)
	if err != nil {
		return about{}, err
	}
	residence, err := s.Register.Residence(ctx, number)
	if err != nil {
		return about{}, err
	}
	a := about{holder: holder(residence), values: registered(residence, r.DocumentLanguage())}
	if a.members, err = s.members(ctx, r.Product, number); err != nil {
		return about{}, err
	}
	if a.attention, err = certifiable(of, r, residence, a.members, reason); err != nil {
		return about{}, err
	}
	return a, s.more(ctx, r, number, &a)
}

// more asks what else the paper says: its list, and the nationality.
func (s *Service) more(ctx context.Context, r row, n eid.NationalNumber, a *about) error {
	l, text := r.DocumentLanguage(), r.Product.Paper
	if r.Product.OnlyBelgians {
		belgian, err := s.belgian(ctx, n)
		if err != nil {
			return err
		}
		a.values[Nationality], a.values[NationalitySince] = i18n.T(l, "orders.paper.belgian"), belgian.Since.In(l)
	}
	switch {
	case text.Lists(catalogue.Household):
		registered := living(a.members)
		a.values[Members], a.told = strconv.Itoa(len(registered)), firstNames(registered)
		for _, m := range registered {
			a.lines = append(a.lines, map[string]string{
				"name": named(m), "birth_date": m.BirthDate.In(l), "relation": relation(m, l), "since": m.Since.In(l),
			})
		}
	case text.Lists(catalogue.History):
		stays, err := s.Register.History(ctx, n)
		if err != nil {
			return err
		}
		for _, stay := range stays {
			a.lines = append(a.lines, map[string]string{"from": stay.From.In(l), "until": until(stay, l), "where": where(stay, l)})
		}
	}
	return nil
}

// belgian is the Belgian nationality of somebody; fault orders.not_belgian (Forbidden)
// where they have another or none.
func (s *Service) belgian(ctx context.Context, n eid.NationalNumber) (register.Nationality, error) {
	list, err := s.Register.Nationality(ctx, n)
	if err != nil {
		return register.Nationality{}, err
	}
	for _, one := range list {
		if one.Code == register.Belgian {
			return one, nil
		}
	}
	return register.Nationality{}, fault.New(fault.Forbidden, "orders.not_belgian", nil)
}

// living are the members who are registered there.
func living(members []register.Member) []register.Member {
	return slices.DeleteFunc(slices.Clone(members), func(m register.Member) bool { return m.LivesElsewhere })
}

// named is a member's name as lists have it: surname first.
func named(m register.Member) string {
	if m.Surname == "" || m.GivenNames == "" {
		return m.Surname + m.GivenNames
	}
	return m.Surname + ", " + m.GivenNames
}

// relation is empty where there is no word for it, which a clerk has looked at.
func relation(m register.Member, l i18n.Language) string {
	if !slices.Contains(register.Relations, m.Relation) {
		return ""
	}
	return i18n.T(l, "orders.relation."+string(m.Relation))
}

func until(s register.Stay, l i18n.Language) string {
	if s.Until == "" {
		return i18n.T(l, "orders.paper.today")
	}
	return s.Until.In(l)
}

// where is an address, with its commune where that has another name, or a country.
func where(s register.Stay, l i18n.Language) string {
	address := s.Address(l)
	switch {
	case s.Country != register.Belgian:
		return strings.TrimPrefix(address+", "+i18n.Country(l, s.Country), ", ")
	case address == "":
		return register.Residence{NIS: s.NIS, Commune: s.Commune}.CommuneName(l)
	}
	return address
}

func ownWords(o Order) about {
	a := about{holder: o.Name(), values: map[string]string{}}
	for _, answer := range o.Answers {
		a.values[answer.Name] = answer.In(o.DocumentLanguage())
	}
	return a
}

// registered are the facts of the register, as a paper in l prints them.
func registered(residence register.Residence, l i18n.Language) map[string]string {
	values := map[string]string{
		Surname: residence.Surname, GivenNames: residence.GivenNames,
		BirthDate: residence.BirthDate.In(l), Since: residence.Since.In(l),
	}
	if residence.Status == register.ReferenceAddress {
		values[ReferenceAddress] = residence.Address(l)
	} else {
		values[Address] = residence.Address(l)
	}
	return values
}

func holder(r register.Residence) string { return strings.TrimSpace(r.GivenNames + " " + r.Surname) }

// certifiable says whether the register's answer can stand on a paper of this commune,
// and what a clerk has had to look at. A reason is one for going on in spite of it.
func certifiable(of *commune.Commune, r row, residence register.Residence, members []register.Member, reason string) (Attention, error) {
	if err := inside(of, residence); err != nil {
		return "", err
	}
	attention := attentionFor(r.Product, residence, r.Surname, members)
	nothing := attention == StruckOff || attention == Deceased || attention == OtherStatus ||
		r.Product.Paper.Says(Address) && residence.Address(i18n.French) == "" || r.Product.Paper.Lists(catalogue.Household) && len(living(members)) == 0
	switch {
	case nothing:
		return "", fault.New(fault.Forbidden, "orders.nothing_to_certify", nil).With("Attention", string(attention))
	case attention != NoAttention && reason == "":
		return "", fault.New(fault.Conflict, "orders.needs_reason", nil).With("Attention", string(attention))
	}
	return attention, nil
}

// attentionFor says why somebody has to look twice at what a paper of this kind would say.
func attentionFor(p *catalogue.Product, r register.Residence, surname string, members []register.Member) Attention {
	odd := func(m register.Member) bool {
		return m.LivesElsewhere || !slices.Contains(register.Relations, m.Relation)
	}
	switch first := attentionOf(r, surname); {
	case first != NoAttention:
		return first
	case r.DeclaredMove && p.Paper.Says(Address):
		return MoveDeclared
	case p.Paper.Lists(catalogue.Household) && slices.ContainsFunc(members, odd):
		return OddHousehold
	}
	return NoAttention
}
