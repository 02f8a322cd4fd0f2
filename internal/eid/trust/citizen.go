package trust

import (
	"encoding/asn1"
	"strings"

	"github.com/belfry-eid/belfry/internal/eid"
)

// The attributes of a card's subject, X.520.
var (
	oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidSurname    = asn1.ObjectIdentifier{2, 5, 4, 4}
	oidSerial     = asn1.ObjectIdentifier{2, 5, 4, 5}
	oidGivenName  = asn1.ObjectIdentifier{2, 5, 4, 42}
)

// CitizenOf reads the holder from the subject of c. Foreigners without a surname
// or given name lack that attribute. The error is card.malformed.
func CitizenOf(c Certificate) (eid.Citizen, error) {
	if c.X509() == nil {
		return eid.Citizen{}, because(ErrMalformed, "no certificate")
	}
	common, err := attribute(c, oidCommonName)
	if err != nil {
		return eid.Citizen{}, err
	}
	var who eid.Citizen
	if who.Surname, err = attribute(c, oidSurname); err != nil {
		return eid.Citizen{}, err
	}
	if who.GivenNames, err = attribute(c, oidGivenName); err != nil {
		return eid.Citizen{}, err
	}
	if who.Name() == "" { // the common name always has something, and its purpose behind it
		who.Surname = WithoutPurpose(common)
	}
	if who.Name() == "" {
		return eid.Citizen{}, because(ErrMalformed, "a subject without a name")
	}
	serial, err := attribute(c, oidSerial)
	if err != nil {
		return eid.Citizen{}, err
	}
	if who.Number, err = eid.ParseNationalNumber(serial); err != nil {
		return eid.Citizen{}, because(ErrMalformed, "serial number of the subject: %w", err)
	}
	for _, p := range c.X509().PolicyIdentifiers {
		// 2.16.56.ARC.1.1.7.2 and …7.1 are a foreigner's card, …2.2 and …2.1 a Belgian's.
		if len(p) == 8 && p[6] == 7 {
			who.Foreigner = true
		}
	}
	return who, nil
}

// WithoutPurpose is a common name of a card without the word for what the certificate is
// for, by which those of one card differ.
func WithoutPurpose(common string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSuffix(common, "(Authentication)"), "(Signature)"))
}

// attribute returns the subject's only value of an attribute, "" where there is none.
func attribute(c Certificate, oid asn1.ObjectIdentifier) (string, error) {
	value, found := "", false
	for _, name := range c.X509().Subject.Names {
		if !name.Type.Equal(oid) {
			continue
		}
		text, ok := name.Value.(string)
		if found || !ok || !eid.Printable(text) {
			return "", because(ErrMalformed, "attribute %v of the subject", oid)
		}
		value, found = strings.TrimSpace(text), true
	}
	return value, nil
}
