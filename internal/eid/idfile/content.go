package idfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/eid"
)

// The tags of the identity file, version 5.0 of its description (2023), and of the address
// file.
const (
	tagCardNumber   = 1
	tagChipNumber   = 2
	tagValidFrom    = 3
	tagValidTo      = 4
	tagDelivered    = 5
	tagNumber       = 6
	tagSurname      = 7
	tagGivenNames   = 8
	tagThirdInitial = 9
	tagNationality  = 10
	tagBirthPlace   = 11
	tagBirthDate    = 12
	tagSex          = 13
	tagDocument     = 15
	tagPhotoHash    = 17

	tagStreet     = 1
	tagPostalCode = 2
	tagLocality   = 3
)

// Content is what the files of a card say. It holds the holder's number: it is not for logs.
type Content struct {
	Number       eid.NationalNumber
	GivenNames   string // two at most, as cards have them
	ThirdInitial string
	Surname      string
	BirthDate    string // YYYY-MM-DD, of which month and day may be 00; "" where it cannot be told
	BirthPlace   string
	Sex          string // "M" or "F"; "" where the card says neither
	Nationality  string // in words, in the language of the card
	CardNumber   string // the twelve digits printed on it
	ChipNumber   []byte
	Delivered    string // by which commune
	From, To     time.Time
	Document     int // type: 1 a Belgian's card, 6 a Belgian child's, 11 and more foreigners'
	Address      eid.Address

	photoHash []byte
}

// Child says whether the card is one for children.
func (c Content) Child() bool { return c.Document == 6 || c.Document >= 61 && c.Document <= 69 }

// Foreigner says whether the card is a foreigner's.
func (c Content) Foreigner() bool { return c.Document >= 11 }

// Citizen is the holder.
func (c Content) Citizen() eid.Citizen {
	return eid.Citizen{Number: c.Number, GivenNames: c.GivenNames, Surname: c.Surname, Foreigner: c.Foreigner(), BirthDate: c.BirthDate}
}

// Parse reads the files without believing them: for the screen of the computer in which
// the card is. address may be nil. Faults: ErrMalformed.
func Parse(identity, address []byte) (Content, error) {
	c, err := parse(identity, address)
	if err != nil {
		return Content{}, ErrMalformed.Because(err) // no cause quotes the file
	}
	return c, nil
}

func parse(identity, address []byte) (Content, error) {
	r, err := newReader("identity", identity)
	if err != nil {
		return Content{}, err
	}
	c := Content{
		GivenNames: r.text(tagGivenNames), ThirdInitial: r.text(tagThirdInitial), Surname: r.text(tagSurname),
		BirthDate: birthDate(r.text(tagBirthDate)), BirthPlace: r.text(tagBirthPlace), Sex: sexes[r.text(tagSex)],
		Nationality: r.text(tagNationality), CardNumber: r.text(tagCardNumber), Delivered: r.text(tagDelivered),
		ChipNumber: r.fields[tagChipNumber], photoHash: r.fields[tagPhotoHash],
		From: r.day(tagValidFrom), To: r.day(tagValidTo),
	}
	if c.Number, err = eid.ParseNationalNumber(r.text(tagNumber)); err != nil {
		return Content{}, err
	}
	if c.Document, err = strconv.Atoi(r.text(tagDocument)); err != nil || c.Document < 0 {
		return Content{}, errors.New("no document type")
	}
	if c.Citizen().Name() == "" {
		return Content{}, errors.New("nobody's name")
	}
	if r.err != nil || address == nil {
		return c, r.err
	}
	if r, err = newReader("address", address); err != nil {
		return Content{}, err
	}
	c.Address = eid.Address{Street: r.text(tagStreet), PostalCode: r.text(tagPostalCode), Locality: r.text(tagLocality)}
	return c, r.err
}

var sexes = map[string]string{"M": "M", "F": "F", "V": "F", "W": "F"}

// reader takes fields out of a file and remembers the first that is none.
type reader struct {
	name   string
	fields map[byte][]byte
	err    error
}

func newReader(name string, file []byte) (*reader, error) {
	found, err := fields(file)
	if err != nil {
		return nil, fmt.Errorf("%s file: %w", name, err)
	}
	return &reader{name: name, fields: found}, nil
}

// text is a field of one printable line, white space folded: real files hold two spaces
// here and there, and zeros behind the value.
func (r *reader) text(tag byte) string {
	raw := strings.TrimRight(string(r.fields[tag]), "\x00")
	if !eid.Printable(raw) {
		r.fail(tag, "no line of text")
		return ""
	}
	return strings.Join(strings.Fields(raw), " ")
}

func (r *reader) day(tag byte) time.Time {
	t, err := time.Parse("02.01.2006", r.text(tag))
	if err != nil {
		r.fail(tag, "no day")
	}
	return t
}

func (r *reader) fail(tag byte, what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s file: tag %d: %s", r.name, tag, what)
	}
}

// months as cards abbreviate them in French, Dutch and German.
var months = map[string]int{
	"JAN": 1, "FEV": 2, "FEB": 2, "MARS": 3, "MAAR": 3, "MÄR": 3, "AVR": 4, "APR": 4, "MAI": 5, "MEI": 5, "JUIN": 6, "JUN": 6,
	"JUIL": 7, "JUL": 7, "AOUT": 8, "AUG": 8, "SEPT": 9, "SEP": 9, "OCT": 10, "OKT": 10, "NOV": 11, "DEC": 12, "DEZ": 12,
}

// birthDate reads "30 JUIL 1975", "30.JUL.1975" and "1975" into YYYY-MM-DD, with 00 for
// what is not known; "" where it is none of these.
func birthDate(text string) string {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '.' })
	day, month := 0, 0
	switch len(parts) {
	case 1:
	case 3:
		var err error
		if day, err = strconv.Atoi(parts[0]); err != nil || day < 0 || day > 31 {
			return ""
		}
		if month = months[strings.ToUpper(parts[1])]; month == 0 {
			return ""
		}
	default:
		return ""
	}
	year, err := strconv.Atoi(parts[len(parts)-1])
	if err != nil || year < 1850 || year > 2200 {
		return ""
	}
	date := fmt.Sprintf("%04d-%02d-%02d", year, month, day)
	if day > 0 {
		if _, err := time.Parse(time.DateOnly, date); err != nil {
			return ""
		}
	}
	return date
}
