package main

import "github.com/belfry-eid/belfry/testcerts"

// What the register of this world knows beside where people live: who lives with whom,
// where they lived before, and of which nationality they are. Whoever is not here lives
// alone, has moved once, and is Belgian, or Moroccan with a foreigner's card.

// relative is one of a household.
type relative struct {
	card     string // of a person with a card, "" for the others, of whom the rest tells
	number   string // nine digits, without the check digits
	newer    bool   // born from 2000 on
	given    string
	surname  string
	born     string
	relation string
	since    string
	away     bool // lives here by turns, and is registered with the other parent
}

// households begin with their reference person.
var households = [][]relative{
	{
		{card: "luc", relation: "reference", since: "2009-05-01"},
		{number: "779214088", given: "Nathalie Anne", surname: "Simon", born: "1977-12-14", relation: "spouse", since: "2009-05-01"},
		{number: "128806055", newer: true, given: "Hugo", surname: "Lambert", born: "2012-08-06", relation: "child", since: "2012-08-06"},
		{card: "emma", relation: "stepchild", since: "2018-04-16"},
	},
	{
		{card: "amina", relation: "reference", since: "2021-02-15"},
		{number: "908119033", given: "Karim", surname: "Benali", born: "1990-00-00", relation: "partner", since: "2021-02-15"},
		{number: "227925044", newer: true, given: "Yasmine", surname: "El Idrissi", born: "2022-09-25", relation: "child", since: "2022-09-25"},
	},
	{
		{card: "thomas", relation: "reference", since: "2014-07-01"},
		{card: "claire", relation: "spouse", since: "2014-07-01"},
		{number: "117217026", newer: true, given: "Zoé", surname: "Marchal", born: "2011-02-17", relation: "child", since: "2019-09-01", away: true},
	},
	{
		{card: "samira", relation: "reference", since: "2018-06-01"},
		{number: "848512011", given: "Jean-Baptiste", surname: "Vanden Eynde", born: "1984-05-12", relation: "sibling", since: "2020-11-30"},
	},
	{
		{card: "heidi", relation: "reference", since: "1999-09-09"},
		{number: "478421064", given: "Maria", surname: "Schmitz", born: "1947-04-21", relation: "parent", since: "2017-01-16"},
	},
}

// member is what the register answers of one of a household.
type member struct {
	Number     string `json:"number"`
	GivenNames string `json:"given_names"`
	Surname    string `json:"surname"`
	BirthDate  string `json:"birth_date"`
	Relation   string `json:"relation"`
	Since      string `json:"since"`
	Elsewhere  bool   `json:"lives_elsewhere,omitempty"`
}

// stay is what it answers of one address.
type stay struct {
	From       string            `json:"from"`
	Until      string            `json:"until,omitempty"`
	Country    string            `json:"country,omitempty"`
	NIS        string            `json:"nis,omitempty"`
	Commune    map[string]string `json:"commune,omitempty"`
	Street     string            `json:"street,omitempty"`
	House      string            `json:"number,omitempty"`
	Box        string            `json:"box,omitempty"`
	PostalCode string            `json:"postal_code,omitempty"`
	Locality   string            `json:"locality,omitempty"`
}

// nationality is one of a person's.
type nationality struct {
	Code  string `json:"code"`
	Since string `json:"since,omitempty"`
}

// earlier are the stays before the one of today, the newest first.
var earlier = map[string][]stay{
	"luc": {
		{From: "2004-10-15", Until: "2009-05-01", NIS: "99003", Street: "Lindenweg", House: "31", PostalCode: "4999", Locality: "Lindenberg"},
		{From: "2001-02-01", Until: "2004-10-15", Country: "FR"},
		{From: "1975-07-30", Until: "2001-02-01", NIS: "99001", Street: "Place du Marché", House: "2", PostalCode: "7999", Locality: "Beaumarais"},
	},
	"amina":  {{From: "1992-00-00", Until: "2021-02-15", Country: "MA"}},
	"samira": {{From: "1986-06-19", Until: "2018-06-01", NIS: "99002", Street: "Kerkplein", House: "8", PostalCode: "8999", Locality: "Zandvoorde"}},
	"yann":   {{From: "1995-09-22", Until: "2020-03-01", NIS: "99004", Street: "Rue de la Senne – Zennestraat", House: "1", PostalCode: "1999", Locality: "Montclair – Klaarberg"}},
}

// nationalities of those who are not only Belgian.
var nationalities = map[string][]nationality{
	"aung":   {{Code: "MM"}},
	"samira": {{Code: "BE", Since: "1999-11-03"}, {Code: "MA"}},
}

func nationalityOf(p testcerts.Person) []nationality {
	switch known := nationalities[p.Name]; {
	case known != nil:
		return known
	case p.Foreigner:
		return []nationality{{Code: "MA"}}
	}
	return []nationality{{Code: "BE", Since: p.BirthDate}}
}

// historyOf is where somebody has lived, today's address first.
func (w *world) historyOf(e *entry, p testcerts.Person) []stay {
	var list []stay
	if e.NIS != "" {
		list = append(list, stay{From: e.Since, NIS: e.NIS, Street: e.Street, House: e.House, Box: e.Box, PostalCode: e.PostalCode, Locality: e.Locality})
	}
	list = append(list, earlier[p.Name]...)
	for i := range list {
		for _, c := range testcerts.Communes() {
			if c.NIS == list[i].NIS {
				list[i].Commune = c.Name
			}
		}
	}
	return list
}

// householdOf is with whom somebody lives; alone where nothing else is told.
func (w *world) householdOf(p testcerts.Person) []member {
	for _, house := range households {
		var list []member
		found := false
		for _, r := range house {
			m := w.memberOf(r)
			found = found || m.Number == p.Number && !r.away
			list = append(list, m)
		}
		if found {
			return list
		}
	}
	return []member{{Number: p.Number, GivenNames: p.GivenNames, Surname: p.Surname, BirthDate: p.BirthDate, Relation: "reference", Since: p.Since}}
}

func (w *world) memberOf(r relative) member {
	m := member{Relation: r.relation, Since: r.since, Elsewhere: r.away}
	if r.card == "" {
		m.Number, m.GivenNames, m.Surname, m.BirthDate = testcerts.Number(r.number, r.newer), r.given, r.surname, r.born
		return m
	}
	for _, p := range w.pki.People() {
		if p.Name == r.card {
			m.Number, m.GivenNames, m.Surname, m.BirthDate = p.Number, p.GivenNames, p.Surname, p.BirthDate
		}
	}
	return m
}
