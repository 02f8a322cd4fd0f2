package testcerts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Person is somebody who does not exist. The register's fields are those of the
// simulated National Register.
type Person struct {
	Name       string `json:"name"` // for programs: "sofie"
	GivenNames string `json:"givenNames"`
	Surname    string `json:"surname"`
	Number     string `json:"number"` // national number, eleven digits; impossible month, or day of a bis number
	Foreigner  bool   `json:"foreigner"`
	Language   string `json:"language"` // the one this person speaks

	BirthDate  string `json:"birthDate"` // as the register says it; not what the number says
	NIS        string `json:"nis"`       // commune of residence
	Street     string `json:"street"`
	House      string `json:"house"`
	Box        string `json:"box,omitempty"`
	PostalCode string `json:"postalCode"`
	Locality   string `json:"locality"`
	Since      string `json:"since"`
	// Registration is "registered", "reference_address", "undisclosed", "struck_off" or "deceased".
	Registration string `json:"registration"`
	// DeclaredMove says that another address was declared, which is not yet verified.
	DeclaredMove bool `json:"declaredMove,omitempty"`
	// ClerkOf is the commune this person works for, by its ID.
	ClerkOf string `json:"clerkOf,omitempty"`
}

// FullName is given names and surname.
func (p Person) FullName() string { return strings.TrimSpace(p.GivenNames + " " + p.Surname) }

// Status is what is the matter with a card.
type Status string

const (
	Good      Status = "good"
	Revoked   Status = "revoked"    // reported stolen
	Expired   Status = "expired"    // its ten years are over
	NotYet    Status = "not yet"    // valid from tomorrow
	UnknownCA Status = "unknown CA" // issued by nobody Belgium knows
	Suspended Status = "suspended"  // on hold, as DocStop does at first
)

// Commune is a commune of the invented country.
type Commune struct {
	ID        string            `json:"id"`
	NIS       string            `json:"nis"`
	Name      map[string]string `json:"name"`
	Country   string            `json:"country"`  // of its seal, Belgium where empty
	Official  string            `json:"official"` // the name on its seal
	Website   string            `json:"website"`
	Installed bool              `json:"installed"` // served by the local Belfry
}

var communes = []Commune{
	{ID: "beaumarais", NIS: "99001", Name: map[string]string{"fr": "Beaumarais", "nl": "Schoonmeers", "de": "Schönbruch"}, Official: "Commune de Beaumarais", Website: "http://beaumarais.belfry.localhost:8080", Installed: true},
	{ID: "zandvoorde", NIS: "99002", Name: map[string]string{"nl": "Zandvoorde", "fr": "Zandvoorde"}, Official: "Gemeente Zandvoorde", Website: "http://zandvoorde.localhost:8080", Installed: true},
	{ID: "saintaubin", NIS: "59999", Country: "FR", Name: map[string]string{"fr": "Saint-Aubin"}, Official: "Commune de Saint-Aubin", Website: "http://saintaubin.localhost:8080", Installed: true},
	{ID: "montclair", NIS: "99004", Name: map[string]string{"fr": "Montclair", "nl": "Klaarberg"}, Official: "Commune de Montclair – Gemeente Klaarberg", Website: "http://montclair.belfry.localhost:8080", Installed: true},
	{ID: "ahornfeld", NIS: "99005", Name: map[string]string{"de": "Ahornfeld", "fr": "Champ-d’Érable"}, Official: "Gemeinde Ahornfeld", Website: "http://ahornfeld.belfry.localhost:8080", Installed: true},
	{ID: "wilgenrode", NIS: "99006", Name: map[string]string{"nl": "Wilgenrode", "fr": "Saulerode"}, Official: "Gemeente Wilgenrode", Website: "http://wilgenrode.belfry.localhost:8080", Installed: true},
	{ID: "lindenberg", NIS: "99003", Name: map[string]string{"de": "Lindenberg", "fr": "Mont-Tilleul", "nl": "Lindenberg"}, Official: "Gemeinde Lindenberg", Website: "https://www.lindenberg.example"},
}

// Communes lists the invented communes.
func Communes() []Commune { return slices.Clone(communes) }

// somebody is a person and the card that is made for him or her.
type somebody struct {
	Person
	status  Status
	kind    Kind
	pin     string
	puk     string
	purpose string // what the card is good for, in words
}

// Number is the national number of the first nine digits: it adds the check digits, for
// those born from 2000 on where century21 (royal decree of 8 February 1991).
func Number(nine string, century21 bool) string {
	n, err := strconv.ParseInt(nine, 10, 64)
	if err != nil || len(nine) != 9 {
		panic("testcerts: national number of " + strconv.Itoa(len(nine)) + " digits")
	}
	if century21 {
		n += 2_000_000_000
	}
	return fmt.Sprintf("%s%02d", nine, 97-n%97)
}

// The months 71 to 99 are not in any calendar, and no bis number (+20, +40) has them; that
// one has a day which is in none.
var people = []somebody{
	{Person{Name: "sofie", GivenNames: "Sofie Anna", Surname: "Peeters", Number: Number("887312214", false), Language: "nl",
		BirthDate: "1988-03-12", NIS: "99002", Street: "Duinenstraat", House: "14", PostalCode: "8999", Locality: "Zandvoorde", Since: "2016-09-01", Registration: "registered"},
		Good, Today, "1357", "135790", "a good card of a Belgian who lives in Zandvoorde"},
	{Person{Name: "luc", GivenNames: "Luc Marie", Surname: "Lambert", Number: Number("757130119", false), Language: "fr",
		BirthDate: "1975-07-30", NIS: "99001", Street: "Rue du Beffroi", House: "12", Box: "3", PostalCode: "7999", Locality: "Beaumarais", Since: "2009-05-01", Registration: "registered"},
		Good, Today, "2468", "246802", "a good card of a Belgian who lives in Beaumarais"},
	{Person{Name: "amina", GivenNames: "Amina", Surname: "El Idrissi", Number: Number("928205032", false), Foreigner: true, Language: "fr",
		BirthDate: "1992-00-00", NIS: "99001", Street: "Place du Marché", House: "5", PostalCode: "7999", Locality: "Beaumarais", Since: "2021-02-15", Registration: "registered"},
		Good, Today, "4321", "432109", "a good card of a foreigner who lives in Beaumarais"},
	{Person{Name: "marc", GivenNames: "Marc", Surname: "Renard", Number: Number("697819077", false), Language: "fr",
		BirthDate: "1969-08-19", NIS: "99001", Street: "Chemin des Aulnes", House: "88", PostalCode: "7999", Locality: "Beaumarais", Since: "1998-11-03", Registration: "registered"},
		Revoked, Today, "1122", "112233", "a card that was reported stolen: sign-in is refused"},
	{Person{Name: "greta", GivenNames: "Greta Lutgart", Surname: "Maes", Number: Number("548124066", false), Language: "nl",
		BirthDate: "1954-11-24", NIS: "99002", Street: "Kerkplein", House: "2", PostalCode: "8999", Locality: "Zandvoorde", Since: "1981-04-20", Registration: "registered"},
		Expired, Today, "3344", "334455", "a card whose ten years are over: sign-in is refused"},
	{Person{Name: "jonas", GivenNames: "Jonas", Surname: "Klein", Number: Number("017409155", true), Language: "de",
		BirthDate: "2001-04-09", NIS: "99003", Street: "Lindenweg", House: "7", PostalCode: "4999", Locality: "Lindenberg", Since: "2023-06-30", Registration: "registered"},
		Good, Today, "5566", "556677", "a good card of somebody who lives in Lindenberg, a commune that is not served here"},
	{Person{Name: "nina", GivenNames: "Nina", Surname: "Thys", Number: Number("837617088", false), Language: "nl",
		BirthDate: "1983-06-17", NIS: "99002", Street: "Duinenstraat", House: "61", PostalCode: "8999", Locality: "Zandvoorde", Since: "2012-01-09", Registration: "registered"},
		UnknownCA, Today, "7788", "778899", "a card that nobody Belgium knows has issued: sign-in is refused"},
	{Person{Name: "claire", GivenNames: "Claire Louise", Surname: "Dubois", Number: Number("807902148", false), Language: "fr",
		BirthDate: "1980-09-02", NIS: "99001", Street: "Rue du Beffroi", House: "40", PostalCode: "7999", Locality: "Beaumarais", Since: "2005-03-14", Registration: "registered", ClerkOf: "beaumarais"},
		Good, Today, "9753", "975310", "the card of the clerk of Beaumarais, who lives there too"},
	{Person{Name: "wim", GivenNames: "Wim", Surname: "Janssens", Number: Number("779328031", false), Language: "nl",
		BirthDate: "1977-12-28", NIS: "99002", Street: "Vissersdijk", House: "9", PostalCode: "8999", Locality: "Zandvoorde", Since: "2010-10-10", Registration: "registered", ClerkOf: "zandvoorde"},
		Good, Today, "8642", "864200", "the card of the clerk of Zandvoorde"},
	{Person{Name: "paul", GivenNames: "Paul", Surname: "Wouters", Number: Number("718421015", false), Language: "fr",
		BirthDate: "1971-01-21", NIS: "99001", PostalCode: "", Locality: "", Registration: "undisclosed"},
		Good, Today, "6420", "642000", "a good card of somebody whose address is kept from others"},
	{Person{Name: "rita", GivenNames: "Rita", Surname: "Vandamme", Number: Number("668530024", false), Language: "nl",
		BirthDate: "1966-05-30", NIS: "99002", Street: "Gemeenteplein", House: "1", PostalCode: "8999", Locality: "Zandvoorde", Since: "2024-01-08", Registration: "reference_address"},
		Good, Today, "7531", "753100", "a good card of somebody who has a reference address in Zandvoorde"},
	{Person{Name: "henri", GivenNames: "Henri Joseph", Surname: "Collard", Number: Number("598607017", false), Language: "fr",
		BirthDate: "1959-06-07", NIS: "99001", Street: "Rue du Beffroi", House: "71", PostalCode: "7999", Locality: "Beaumarais", Since: "1990-04-02", Registration: "registered"},
		Good, Old, "1470", "147014", "a good card of before 2021, with RSA keys, of a Belgian who lives in Beaumarais"},
	{Person{Name: "olena", GivenNames: "Olena", Surname: "Marchenko", Number: Number("904573026", false), Foreigner: true, Language: "nl",
		BirthDate: "1990-05-17", NIS: "99002", Street: "Vissersdijk", House: "23", PostalCode: "8999", Locality: "Zandvoorde", Since: "2024-03-18", Registration: "registered"},
		Good, Today, "2580", "258025", "a good card of a foreigner with a bis number, whose month is raised by 40; she lives in Zandvoorde"},
	{Person{Name: "yara", GivenNames: "Yara Fleur", Surname: "Simon", Number: Number("049211038", true), Language: "fr",
		BirthDate: "2004-02-11", NIS: "99001", Street: "Place du Marché", House: "18", PostalCode: "7999", Locality: "Beaumarais", Since: "2004-02-20", Registration: "registered"},
		Good, Today, "3690", "369036", "a good card of somebody born after 2000, whose number has other check digits; she lives in Beaumarais"},
	{Person{Name: "emma", GivenNames: "Emma", Surname: "Wathelet", Number: Number("188409014", true), Language: "fr",
		BirthDate: "2018-04-09", NIS: "99001", Street: "Rue du Beffroi", House: "12", Box: "3", PostalCode: "7999", Locality: "Beaumarais", Since: "2018-04-16", Registration: "registered"},
		Good, Child, "1590", "159015", "a child's card, without certificates: the page explains and offers other ways"},
	{Person{Name: "dirk", GivenNames: "Dirk", Surname: "Claes", Number: Number("638919081", false), Language: "nl",
		BirthDate: "1963-09-19", NIS: "99002", Street: "Kerkplein", House: "11", PostalCode: "8999", Locality: "Zandvoorde", Since: "1994-06-01", Registration: "registered"},
		Good, Declined, "7410", "741074", "a card whose holder wanted no certificates: the page explains and offers other ways"},
	{Person{Name: "thomas", GivenNames: "Thomas", Surname: "Marchal", Number: Number("798011043", false), Language: "fr",
		BirthDate: "1979-10-11", NIS: "99001", Street: "Rue du Beffroi", House: "40", PostalCode: "7999", Locality: "Beaumarais", Since: "2014-07-01", Registration: "registered"},
		Good, Today, "1470", "147000", "a good card of the husband of Claire, the clerk of Beaumarais; his daughter lives there by turns"},
	{Person{Name: "aung", Surname: "Aung", Number: Number("907611077", false), Foreigner: true, Language: "fr",
		BirthDate: "1990-00-00", NIS: "99001", Street: "Rue des Tanneurs", House: "3", PostalCode: "7999", Locality: "Beaumarais", Since: "2022-10-10", Registration: "registered"},
		Good, Today, "2580", "258000", "a good card of a foreigner who has one name only"},
	{Person{Name: "eddy", GivenNames: "Eddy", Surname: "Lebrun", Number: Number("647405021", false), Language: "fr",
		BirthDate: "1964-04-05", Registration: "struck_off"},
		Good, Today, "3690", "369000", "a good card of somebody whom the register has struck off"},
	{Person{Name: "albert", GivenNames: "Albert Joseph", Surname: "Collin", Number: Number("398718011", false), Language: "fr",
		BirthDate: "1939-07-18", NIS: "99001", Street: "Place du Marché", House: "9", PostalCode: "7999", Locality: "Beaumarais", Since: "1970-01-02", Registration: "deceased"},
		Good, Today, "4710", "471000", "the card of somebody who has died, not yet withdrawn"},
	{Person{Name: "yann", GivenNames: "Yann", Surname: "Gillard", Number: Number("957922031", false), Language: "fr",
		BirthDate: "1995-09-22", NIS: "99001", Street: "Chemin des Aulnes", House: "14", PostalCode: "7999", Locality: "Beaumarais", Since: "2020-03-01", Registration: "registered", DeclaredMove: true},
		Good, Today, "5820", "582000", "a good card of somebody who has declared another address, not yet verified"},
	{Person{Name: "samira", GivenNames: "Samira", Surname: "Vanden Eynde", Number: Number("868619054", false), Language: "nl",
		BirthDate: "1986-06-19", NIS: "99004", Street: "Rue de la Senne – Zennestraat", House: "27", Box: "4", PostalCode: "1999", Locality: "Montclair – Klaarberg", Since: "2018-06-01", Registration: "registered"},
		Good, Today, "6930", "693000", "a good card of a Belgian who lives in Montclair, which is bilingual"},
	{Person{Name: "leila", GivenNames: "Leïla", Surname: "Haddad", Number: Number("828903072", false), Language: "fr",
		BirthDate: "1982-09-03", NIS: "99004", Street: "Rue de la Senne – Zennestraat", House: "80", PostalCode: "1999", Locality: "Montclair – Klaarberg", Since: "2011-04-01", Registration: "registered", ClerkOf: "montclair"},
		Good, Today, "7410", "741000", "the card of the clerk of Montclair"},
	{Person{Name: "heidi", GivenNames: "Heidi Maria", Surname: "Schmitz", Number: Number("728712062", false), Language: "de",
		BirthDate: "1972-07-12", NIS: "99005", Street: "Ahornallee", House: "5", PostalCode: "4998", Locality: "Ahornfeld", Since: "1999-09-09", Registration: "registered"},
		Good, Today, "8520", "852000", "a good card of a Belgian who lives in Ahornfeld, where German is spoken"},
	{Person{Name: "ute", GivenNames: "Ute", Surname: "Lejeune", Number: Number("858227018", false), Language: "de",
		BirthDate: "1985-02-27", NIS: "99005", Street: "Kirchstraße", House: "2", PostalCode: "4998", Locality: "Ahornfeld", Since: "2015-05-15", Registration: "registered", ClerkOf: "ahornfeld"},
		Good, Today, "9630", "963000", "the card of the clerk of Ahornfeld"},
	{Person{Name: "chloe", GivenNames: "Chloé", Surname: "Fontaine", Number: Number("937430088", false), Language: "fr",
		BirthDate: "1993-04-30", NIS: "99006", Street: "Wilgenlaan", House: "11", PostalCode: "1998", Locality: "Wilgenrode", Since: "2021-08-20", Registration: "registered"},
		Good, Today, "1590", "159000", "a good card of somebody who lives in Wilgenrode and asks for French there"},
	{Person{Name: "tine", GivenNames: "Tine", Surname: "De Backer", Number: Number("897719036", false), Language: "nl",
		BirthDate: "1989-07-19", NIS: "99006", Street: "Dorpsstraat", House: "1", PostalCode: "1998", Locality: "Wilgenrode", Since: "2013-03-03", Registration: "registered", ClerkOf: "wilgenrode"},
		Good, Today, "3570", "357000", "the card of the clerk of Wilgenrode"},
}

// People lists everybody.
func (w *World) People() []Person {
	var list []Person
	for _, p := range people {
		list = append(list, p.Person)
	}
	return list
}
