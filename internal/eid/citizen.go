package eid

import "strings"

// Citizen is the holder of a card, as its certificate names them.
type Citizen struct {
	Number     NationalNumber
	GivenNames string // all those on the certificate; "" for those who have none
	Surname    string // "" for those who have none
	Foreigner  bool   // the card is a foreigner's
}

// Name is the given names and the surname, for a page that greets or a record that names.
func (c Citizen) Name() string { return strings.TrimSpace(c.GivenNames + " " + c.Surname) }
