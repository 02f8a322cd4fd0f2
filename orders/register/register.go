// Package register asks the National Register where a person lives, with whom, and of
// which nationality they are, and registers for the papers that they have sealed
// themselves (Documents).
//
// It owns the questions, the answers as we understand them and the client that asks
// over HTTP. It does not look into files. It refuses to know orders, communes' settings and who may ask: its
// caller has a reason recorded. It guarantees that a national number travels in a
// request's body only (never in an address, a log or an error), that an answer is
// read within limits and a deadline, and that each way to fail is a fault of its own.
//
// The register is reached through an integrator (MAGDA, Fidus, BCED or the
// iMio gateway), and each has its own protocol. This client speaks the plain
// interface that cmd/devworld simulates and that an adapter to an integrator offers:
//
//	POST {base}/residence
//	Authorization: Bearer {token of the commune's integrator}
//	Content-Type: application/json
//
//	{"number": "71715100070"}
//
// 200 with Content-Type application/json, unknown members ignored:
//
//	{
//	  "status":      "registered",     // or struck_off, reference_address, undisclosed, deceased, ...
//	  "nis":         "99001",          // commune of main residence (Statbel code)
//	  "commune":     {"fr": "Beaumarais", "nl": "Schoonmeers", "de": "..."}, // at least one
//	  "website":     "https://www.beaumarais.example",                       // of that commune, may be absent
//	  "street":      "Rue du Beffroi", // in the language of the commune
//	  "number":      "12",             // of the house
//	  "box":         "3",              // may be absent
//	  "postal_code": "9901",
//	  "locality":    "Beaumarais",
//	  "since":       "2019-05-01",     // registered at this address; may be absent
//	  "given_names": "Luc Marie",      // may be "" for those who have none
//	  "surname":     "Lambert",
//	  "birth_date":  "1985-07-30",     // unknown parts are 00: "1985-00-00"
//	  "declared_move": false           // another address was declared and is not yet verified
//	}
//
// Three questions more have the same form and answer with
//
//	POST {base}/household    {"members": [{"number": "…", "given_names": "…", "surname": "…", "birth_date": "…",
//	                           "relation": "reference", "since": "2019-05-01", "lives_elsewhere": false}]}
//	POST {base}/history      {"stays": [{"from": "2019-05-01", "until": "", "nis": "99001", "commune": {…},
//	                           "street": "…", "number": "…", "box": "…", "postal_code": "…", "locality": "…", "country": "BE"}]}
//	POST {base}/nationality  {"nationalities": [{"code": "BE", "since": "1985-07-30"}]}
//
// The reference person of a household comes first; of the stays and the nationalities the
// newest. Countries are those of ISO 3166-1, with two letters.
//
// 404: the register does not know this number. 401 and 403: the token is not good.
// 429 and every 5xx: try again later. Anything else is an answer we cannot use.
package register

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// Source tells what the register knows of a person. Its errors are those of Client.Residence.
type Source interface {
	Residence(ctx context.Context, n eid.NationalNumber) (Residence, error)
	// Household lists who is registered in the household of a person, whom it includes.
	Household(ctx context.Context, n eid.NationalNumber) ([]Member, error)
	// History lists where a person was registered, the newest first.
	History(ctx context.Context, n eid.NationalNumber) ([]Stay, error)
	// Nationality lists a person's nationalities.
	Nationality(ctx context.Context, n eid.NationalNumber) ([]Nationality, error)
}

// Status is what the register says about a registration. A value that is none of
// the constants is kept as it came: somebody decides about it, no program.
type Status string

const (
	Registered       Status = "registered"        // lives at the address
	ReferenceAddress Status = "reference_address" // has an address for letters only
	Undisclosed      Status = "undisclosed"       // the address is kept from others
	StruckOff        Status = "struck_off"        // lives nowhere that is known
	Deceased         Status = "deceased"
)

// Residence is the register's answer. All text is one clean line (form.Line).
type Residence struct {
	Status     Status
	NIS        string // five digits
	Commune    map[i18n.Language]string
	Website    string // https or http, "" where there is none
	Street     string
	House      string
	Box        string
	PostalCode string
	Locality   string
	Since      Day // zero where not told
	GivenNames string
	Surname    string
	BirthDate  Day
	// DeclaredMove says that another address was declared, which nobody has verified yet.
	DeclaredMove bool
}

// CommuneName is the commune's name in l, else in the first language it has one.
func (r Residence) CommuneName(l i18n.Language) string {
	for _, try := range append([]i18n.Language{l}, i18n.Languages...) {
		if name := r.Commune[try]; name != "" {
			return name
		}
	}
	return r.NIS
}

var boxWord = map[i18n.Language]string{i18n.French: "boîte", i18n.Dutch: "bus", i18n.German: "Briefkasten", i18n.English: "box"}

const noBreak = "\u00a0" // keeps two words on one line

// Address is the address on one line, "" where the register gives none.
func (r Residence) Address(l i18n.Language) string {
	return oneLine(l, r.Street, r.House, r.Box, r.PostalCode, r.Locality)
}

func oneLine(l i18n.Language, street, house, box, postalCode, locality string) string {
	street = strings.TrimSpace(street + " " + house)
	if box != "" {
		street += " " + boxWord[l] + noBreak + box
	}
	place := strings.Trim(postalCode+noBreak+locality, noBreak)
	return strings.Trim(street+", "+place, ", ")
}

// Day is a date of which month and day may be unknown, "1985-00-00". "" is no date.
type Day string

// ParseDay reads YYYY-MM-DD, where MM and DD may be 00.
func ParseDay(s string) (Day, bool) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return "", false
	}
	year, err1 := strconv.ParseUint(s[:4], 10, 16)
	month, err2 := strconv.ParseUint(s[5:7], 10, 8)
	day, err3 := strconv.ParseUint(s[8:], 10, 8)
	if err1 != nil || err2 != nil || err3 != nil || year < 1800 || month > 12 || day > 31 || (month == 0 && day != 0) {
		return "", false
	}
	if month != 0 && day != 0 {
		if _, err := time.Parse(time.DateOnly, s); err != nil {
			return "", false
		}
	}
	return Day(s), true
}

// In is the day in words, as far as it is known: "30 juillet 1985", "07/1985", "1985".
func (d Day) In(l i18n.Language) string {
	if d == "" {
		return ""
	}
	if t, err := time.ParseInLocation(time.DateOnly, string(d), i18n.Brussels()); err == nil {
		return i18n.Date(l, t)
	}
	if d[5:7] != "00" {
		return string(d[5:7]) + "/" + string(d[:4])
	}
	return string(d[:4])
}
