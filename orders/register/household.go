package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/form"
)

// Member is somebody of a household.
type Member struct {
	Number     eid.NationalNumber // zero where the register tells none
	GivenNames string
	Surname    string
	BirthDate  Day
	Relation   Relation // to the reference person
	Since      Day      // of this household; zero where not told
	// LivesElsewhere is a child who lives here by turns and is registered with the other
	// parent: no member of this household.
	LivesElsewhere bool
}

// Relation is how a member is related to the reference person of the household. A value
// that is none of Relations is kept as it came: somebody decides about it, no program.
type Relation string

// Relations lists those whose words we have.
var Relations = []Relation{"reference", "spouse", "partner", "child", "stepchild", "grandchild", "parent", "sibling", "other_family", "unrelated"}

// Stay is one address where somebody was registered, or one country abroad.
type Stay struct {
	From, Until Day    // Until is zero for where they are now
	Country     string // ISO 3166-1, two letters; "BE" where the register tells none
	NIS         string // of the commune, "" abroad
	Commune     map[i18n.Language]string
	Street      string
	House       string
	Box         string
	PostalCode  string
	Locality    string
}

// Address is the address on one line, "" where the register gives none.
func (s Stay) Address(l i18n.Language) string {
	return oneLine(l, s.Street, s.House, s.Box, s.PostalCode, s.Locality)
}

// Nationality is one of a person's.
type Nationality struct {
	Code  string // ISO 3166-1, two letters
	Since Day    // zero where not told
}

// Belgian is the code of the nationality that communes certify.
const Belgian = "BE"

// Most that is read of one answer: more is no household and no life.
const (
	maxMembers = 100
	maxStays   = 200
)

// Household implements Source; its errors are those of Residence.
func (c *Client) Household(ctx context.Context, n eid.NationalNumber) ([]Member, error) {
	body, err := c.ask(ctx, "household", n)
	if err != nil {
		return nil, err
	}
	return parseHousehold(body)
}

func parseHousehold(body []byte) ([]Member, error) {
	var a struct {
		Members []struct {
			Number     string `json:"number"`
			GivenNames string `json:"given_names"`
			Surname    string `json:"surname"`
			BirthDate  string `json:"birth_date"`
			Relation   string `json:"relation"`
			Since      string `json:"since"`
			Elsewhere  bool   `json:"lives_elsewhere"`
		} `json:"members"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, errShape
	}
	if len(a.Members) == 0 || len(a.Members) > maxMembers {
		return nil, unreadable(fmt.Errorf("a household of %d", len(a.Members)))
	}
	var list []Member
	for _, m := range a.Members {
		made := Member{Relation: Relation(m.Relation), LivesElsewhere: m.Elsewhere}
		if err := lines(map[*string]string{&made.GivenNames: m.GivenNames, &made.Surname: m.Surname}); err != nil {
			return nil, err
		}
		var err error
		if m.Number != "" {
			if made.Number, err = eid.ParseNationalNumber(m.Number); err != nil {
				return nil, unreadable(errors.New("a member's number is none"))
			}
		}
		switch {
		case made.Surname == "" && made.GivenNames == "":
			return nil, unreadable(errors.New("a member has no name"))
		case !statusWord.MatchString(m.Relation):
			return nil, unreadable(errors.New("a relation is missing or no word"))
		}
		if made.BirthDate, err = mustDay(m.BirthDate); err != nil {
			return nil, err
		}
		if made.Since, err = mayDay(m.Since); err != nil {
			return nil, err
		}
		list = append(list, made)
	}
	return list, nil
}

// History implements Source; its errors are those of Residence.
func (c *Client) History(ctx context.Context, n eid.NationalNumber) ([]Stay, error) {
	body, err := c.ask(ctx, "history", n)
	if err != nil {
		return nil, err
	}
	return parseHistory(body)
}

func parseHistory(body []byte) ([]Stay, error) {
	var a struct {
		Stays []struct {
			From       string            `json:"from"`
			Until      string            `json:"until"`
			Country    string            `json:"country"`
			NIS        string            `json:"nis"`
			Commune    map[string]string `json:"commune"`
			Street     string            `json:"street"`
			House      string            `json:"number"`
			Box        string            `json:"box"`
			PostalCode string            `json:"postal_code"`
			Locality   string            `json:"locality"`
		} `json:"stays"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, errShape
	}
	if len(a.Stays) == 0 || len(a.Stays) > maxStays {
		return nil, unreadable(fmt.Errorf("%d stays", len(a.Stays)))
	}
	var list []Stay
	for _, st := range a.Stays {
		made := Stay{Country: st.Country, NIS: st.NIS, Commune: communeNames(st.Commune)}
		if made.Country == "" {
			made.Country = Belgian
		}
		err := lines(map[*string]string{&made.Street: st.Street, &made.House: st.House, &made.Box: st.Box, &made.PostalCode: st.PostalCode, &made.Locality: st.Locality})
		switch {
		case err != nil:
			return nil, err
		case !countryCode.MatchString(made.Country):
			return nil, unreadable(errors.New("a country is no code"))
		case made.NIS != "" && !nisCode.MatchString(made.NIS):
			return nil, unreadable(errors.New("nis is not five digits"))
		}
		if made.From, err = mustDay(st.From); err != nil {
			return nil, err
		}
		if made.Until, err = mayDay(st.Until); err != nil {
			return nil, err
		}
		list = append(list, made)
	}
	return list, nil
}

// Nationality implements Source; its errors are those of Residence.
func (c *Client) Nationality(ctx context.Context, n eid.NationalNumber) ([]Nationality, error) {
	body, err := c.ask(ctx, "nationality", n)
	if err != nil {
		return nil, err
	}
	return parseNationality(body)
}

func parseNationality(body []byte) ([]Nationality, error) {
	var a struct {
		Nationalities []struct {
			Code  string `json:"code"`
			Since string `json:"since"`
		} `json:"nationalities"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, errShape
	}
	var list []Nationality
	for _, n := range a.Nationalities {
		since, err := mayDay(n.Since)
		switch {
		case err != nil:
			return nil, err
		case !countryCode.MatchString(n.Code):
			return nil, unreadable(errors.New("a nationality is no code"))
		}
		list = append(list, Nationality{n.Code, since})
	}
	return list, nil
}

var countryCode = regexp.MustCompile(`^[A-Z]{2}$`)

var errShape = unreadable(errors.New("no JSON of the expected shape"))

// lines cleans texts and bounds them.
func lines(texts map[*string]string) error {
	for to, from := range texts {
		if *to = form.Line(from); tooLong(*to) {
			return unreadable(fmt.Errorf("a text is longer than %d characters", maxText))
		}
	}
	return nil
}

func communeNames(from map[string]string) map[i18n.Language]string {
	names := map[i18n.Language]string{}
	for code, name := range from {
		if l, ok := i18n.Parse(code); ok && !tooLong(name) {
			names[l] = form.Line(name)
		}
	}
	return names
}

func mustDay(s string) (Day, error) {
	d, ok := ParseDay(s)
	if !ok {
		return "", unreadable(errors.New("a date is none"))
	}
	return d, nil
}

// mayDay is mustDay for a date that may be left out.
func mayDay(s string) (Day, error) {
	if s == "" {
		return "", nil
	}
	return mustDay(s)
}
