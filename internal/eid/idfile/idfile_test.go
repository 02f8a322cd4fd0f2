package idfile_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/responder"
)

func verifier(t testing.TB, w *testcerts.World, at clock.Clock) *idfile.Verifier {
	t.Helper()
	v, err := trust.New(trust.Config{Roots: w.Roots(), Intermediates: w.Intermediates(), Hosts: w.Hosts()})
	if err != nil {
		t.Fatal(err)
	}
	return &idfile.Verifier{Authority: v, Clock: at}
}

// files are those of a card, with change in what is signed.
func files(t testing.TB, w *testcerts.World, c *testcerts.Card, change func(identity, address *[]testcerts.Entry)) idfile.Files {
	t.Helper()
	f, err := w.FilesOf(c, change)
	if err != nil {
		t.Fatal(err)
	}
	return idfile.Files{
		Identity: f.Identity, IdentitySignature: f.IdentitySignature, Address: f.Address, AddressSignature: f.AddressSignature,
		Photo: f.Photo, Registry: f.Registry,
	}
}

// Both generations, citizens and foreigners, children and those without certificates: the
// content is what the Register signed, and it is linked to nobody else.
func TestEveryCardIsRead(t *testing.T) {
	w := testcerts.New(t)
	v := verifier(t, w, clock.System)
	luc := number(t, w.Citizen("luc").Number)
	for name, want := range map[string]struct {
		line, born string
		document   int
		child      bool
		foreigner  bool
	}{
		"sofie": {"Duinenstraat 14, 8999 Zandvoorde", "1988-03-12", 1, false, false},
		"henri": {"Rue du Beffroi 71, 7999 Beaumarais", "1959-06-07", 1, false, false},
		"amina": {"Place du Marché 5, 7999 Beaumarais", "1992-00-00", 33, false, true},
		"olena": {"Vissersdijk 23, 8999 Zandvoorde", "1990-05-17", 33, false, true},
		"emma":  {"Rue du Beffroi 12 /3, 7999 Beaumarais", "2018-04-09", 6, true, false},
		"dirk":  {"Kerkplein 11, 8999 Zandvoorde", "1963-09-19", 1, false, false},
		"jonas": {"Lindenweg 7, 4999 Lindenberg", "2001-04-09", 1, false, false},
		"paul":  {"", "1971-01-21", 1, false, false},
	} {
		c := w.Citizen(name)
		made, err := v.Verify(context.Background(), files(t, w, c, nil))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := made.Content()
		if got.Number.Reveal() != c.Number || got.Surname != c.Surname || got.GivenNames != c.GivenNames || got.BirthDate != want.born {
			t.Errorf("%s: another holder, born %s", name, got.BirthDate)
		}
		if got.Address.Line() != want.line || got.Document != want.document || got.Child() != want.child || got.Foreigner() != want.foreigner {
			t.Errorf("%s: %q, document %d", name, got.Address.Line(), got.Document)
		}
		if !bytes.Equal(got.ChipNumber, c.ChipNumber()) || len(made.Photo()) == 0 || made.At().IsZero() {
			t.Errorf("%s: the chip's number or the photo is missing", name)
		}
		if err := made.Of(got.Citizen()); err != nil {
			t.Errorf("%s: not of their holder: %v", name, err)
		}
		if name != "luc" {
			if err := made.Of(eid.Citizen{Number: luc}); !errors.Is(err, idfile.ErrOtherHolder) {
				t.Errorf("%s: of Luc: %v", name, err)
			}
		}
		if err := made.Of(eid.Citizen{}); !errors.Is(err, idfile.ErrOtherHolder) {
			t.Errorf("%s: of nobody: %v", name, err)
		}
	}
	if (idfile.Identity{}).Of(eid.Citizen{}) == nil {
		t.Error("a zero Identity is nobody's, and is taken for nobody")
	}
}

func number(t testing.TB, text string) eid.NationalNumber {
	t.Helper()
	n, err := eid.ParseNationalNumber(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What somebody could hand in instead of a card's files.
func TestForgedFiles(t *testing.T) {
	w := testcerts.New(t)
	v := verifier(t, w, clock.System)
	for _, name := range []string{"sofie", "henri"} {
		c := w.Citizen(name)
		other := map[string]*testcerts.Card{"sofie": w.Citizen("luc"), "henri": w.Citizen("sofie")}[name]
		theirs := files(t, w, other, nil)
		for what, test := range map[string]struct {
			change func(*idfile.Files)
			want   error
		}{
			"as it is":        {func(*idfile.Files) {}, nil},
			"without address": {func(f *idfile.Files) { f.Address, f.AddressSignature = nil, nil }, nil},
			"without photo":   {func(f *idfile.Files) { f.Photo = nil }, nil},
			"one letter of the name": {func(f *idfile.Files) {
				f.Identity = bytes.Replace(f.Identity, []byte(c.Surname), []byte("X"+c.Surname[1:]), 1)
			}, idfile.ErrForged},
			"one letter of the street":        {func(f *idfile.Files) { f.Address = bytes.Replace(f.Address, []byte("e"), []byte("a"), 1) }, idfile.ErrForged},
			"a byte behind the identity":      {func(f *idfile.Files) { f.Identity = append(f.Identity, 0) }, idfile.ErrForged},
			"less padding, which is unsigned": {func(f *idfile.Files) { f.Address = bytes.TrimRight(f.Address, "\x00") }, nil},
			"a field in the padding":          {func(f *idfile.Files) { f.Address = append(bytes.TrimRight(f.Address, "\x00"), 9, 1, 'x') }, idfile.ErrForged},
			"another card's address":          {func(f *idfile.Files) { f.Address, f.AddressSignature = theirs.Address, theirs.AddressSignature }, idfile.ErrForged},
			"another card's identity":         {func(f *idfile.Files) { f.Identity = theirs.Identity; f.Photo = nil }, idfile.ErrForged},
			"signatures swapped": {func(f *idfile.Files) {
				f.IdentitySignature, f.AddressSignature = f.AddressSignature, f.IdentitySignature
			}, idfile.ErrForged},
			"another card's photo":         {func(f *idfile.Files) { f.Photo = theirs.Photo }, idfile.ErrForged},
			"no photo but bytes":           {func(f *idfile.Files) { f.Photo = []byte("GIF89a") }, idfile.ErrMalformed},
			"a photo without end":          {func(f *idfile.Files) { f.Photo = append([]byte{0xff, 0xd8, 0xff}, make([]byte, 33<<10)...) }, idfile.ErrMalformed},
			"no signature":                 {func(f *idfile.Files) { f.IdentitySignature = nil }, idfile.ErrForged},
			"a signature of zeros":         {func(f *idfile.Files) { f.IdentitySignature = make([]byte, 256) }, idfile.ErrForged},
			"a signature and more":         {func(f *idfile.Files) { f.IdentitySignature = append(bytes.Clone(f.IdentitySignature), 1) }, idfile.ErrForged},
			"an address without signature": {func(f *idfile.Files) { f.AddressSignature = nil }, idfile.ErrMalformed},
			"a signature without address":  {func(f *idfile.Files) { f.Address = nil }, idfile.ErrMalformed},
			"no certificate":               {func(f *idfile.Files) { f.Registry = nil }, idfile.ErrMalformed},
			"the holder's certificate":     {func(f *idfile.Files) { f.Registry = c.Authentication.Raw }, idfile.ErrForged},
			"the root's certificate":       {func(f *idfile.Files) { f.Registry = c.Root.Raw }, idfile.ErrForged},
			"no identity":                  {func(f *idfile.Files) { f.Identity = nil }, idfile.ErrMalformed},
			"an identity without end":      {func(f *idfile.Files) { f.Identity = append(f.Identity, bytes.Repeat([]byte{0xff}, 5000)...) }, idfile.ErrMalformed},
		} {
			f := files(t, w, c, nil)
			test.change(&f)
			if made, err := v.Verify(context.Background(), f); !errors.Is(err, test.want) || err != nil && !made.At().IsZero() {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

// What the Register would have to sign for these, and is no card all the same.
func TestSignedNonsense(t *testing.T) {
	w := testcerts.New(t)
	v := verifier(t, w, clock.System)
	set := func(tag byte, value string) func(identity, address *[]testcerts.Entry) {
		return func(identity, _ *[]testcerts.Entry) {
			for i := range *identity {
				if (*identity)[i].Tag == tag {
					(*identity)[i].Value = []byte(value)
				}
			}
		}
	}
	for name, test := range map[string]struct {
		change func(identity, address *[]testcerts.Entry)
		want   error
	}{
		"a number with other check digits": {set(6, "88731221400"), idfile.ErrMalformed},
		"no number":                        {set(6, ""), idfile.ErrMalformed},
		"an unknown kind of card":          {set(15, "x"), idfile.ErrMalformed},
		"a negative kind of card":          {set(15, "-1"), idfile.ErrMalformed},
		"no names":                         {func(i, a *[]testcerts.Entry) { set(7, "")(i, a); set(8, "")(i, a) }, idfile.ErrMalformed},
		"a name that turns the line round": {set(7, "Peeters\u202e"), idfile.ErrMalformed},
		"a name that is no UTF-8":          {set(7, "Peeters\xff"), idfile.ErrMalformed},
		"no day of its end":                {set(4, "soon"), idfile.ErrMalformed},
		"ended yesterday":                  {set(4, time.Now().AddDate(0, 0, -2).Format("02.01.2006")), trust.ErrExpired},
		"ends today":                       {set(4, time.Now().Format("02.01.2006")), nil},
		"from next week":                   {set(3, time.Now().AddDate(0, 0, 7).Format("02.01.2006")), trust.ErrNotYetValid},
		"the same tag twice":               {func(i, _ *[]testcerts.Entry) { *i = append(*i, testcerts.Entry{Tag: 6, Value: []byte("x")}) }, idfile.ErrMalformed},
		"a tag nobody knows":               {func(i, _ *[]testcerts.Entry) { *i = append(*i, testcerts.Entry{Tag: 200, Value: []byte("x")}) }, nil},
		"a long field": {func(i, _ *[]testcerts.Entry) {
			*i = append(*i, testcerts.Entry{Tag: 200, Value: bytes.Repeat([]byte("x"), 700)})
		}, nil},
		"a field of 255 bytes": {func(i, _ *[]testcerts.Entry) {
			*i = append(*i, testcerts.Entry{Tag: 200, Value: bytes.Repeat([]byte("x"), 255)})
		}, nil},
		"a street of two lines":     {func(_, a *[]testcerts.Entry) { (*a)[0].Value = []byte("Rue\nBelle") }, idfile.ErrMalformed},
		"a hash of no known length": {set(17, "short"), idfile.ErrMalformed},
		"a given name in two words": {set(8, "Sofie  Anna\x00\x00"), nil},
	} {
		made, err := v.Verify(context.Background(), files(t, w, w.Citizen("sofie"), test.change))
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && made.Content().GivenNames != "Sofie Anna" {
			t.Errorf("%s: %q", name, made.Content().GivenNames)
		}
		if err != nil && strings.Contains(err.Error(), "8873122") {
			t.Errorf("%s: the error holds the number", name)
		}
	}
}

func TestBirthDates(t *testing.T) {
	w := testcerts.New(t)
	c := w.Citizen("luc")
	for text, want := range map[string]string{
		"30 JUIL 1975": "1975-07-30", "30 JUL  1975": "1975-07-30", "30.JUL.1975": "1975-07-30", "01 FEV 1990": "1990-02-01", "01 MAAR 1990": "1990-03-01",
		"09.MÄR.1990": "1990-03-09", "31 AOUT 1990": "1990-08-31", "24.DEZ.1990": "1990-12-24", "1961": "1961-00-00", "00 JAN 1961": "1961-01-00",
		"": "", "1 2 3 4": "", "30 FEV 1990": "", "30 XYZ 1990": "", "32 JAN 1990": "", "-1 JAN 1990": "", "30 JUIL 19750": "", "10000": "",
	} {
		f := files(t, w, c, func(identity, _ *[]testcerts.Entry) { (*identity)[12].Value = []byte(text) })
		if got, err := idfile.Parse(f.Identity, nil); err != nil || got.BirthDate != want {
			t.Errorf("%q: %q, %v", text, got.BirthDate, err)
		}
	}
}

// Who signed: the Register of today and that of before 2021, below our roots, not revoked.
func TestTheRegistersCertificate(t *testing.T) {
	w := testcerts.New(t, testcerts.Own())
	sofie, henri := files(t, w, w.Citizen("sofie"), nil), files(t, w, w.Citizen("henri"), nil)

	other := testcerts.New(t, testcerts.Own())
	if _, err := verifier(t, w, clock.System).Verify(context.Background(), files(t, other, other.Citizen("sofie"), nil)); !errors.Is(err, trust.ErrUnknownCA) {
		t.Errorf("another country's Register: %v", err)
	}
	w.Responder.Set(responder.OCSP, responder.Gone)
	w.Responder.Set(responder.CRL, responder.Gone)
	if _, err := verifier(t, w, clock.System).Verify(context.Background(), sofie); !errors.Is(err, trust.ErrResponderDown) {
		t.Errorf("nobody vouches for it: %v", err)
	}
	w.Reset()
	for _, kind := range []testcerts.Kind{testcerts.Today, testcerts.Old} {
		if err := w.RevokeRegistry(kind); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]idfile.Files{"sofie": sofie, "henri": henri} {
		if _, err := verifier(t, w, clock.System).Verify(context.Background(), f); !errors.Is(err, trust.ErrRevoked) {
			t.Errorf("%s, revoked: %v", name, err)
		}
	}
	// A card is signed by it and is no reason to believe it as something else.
	v, err := trust.New(trust.Config{Roots: w.Roots(), Intermediates: w.Intermediates(), Hosts: w.Hosts()})
	if err != nil {
		t.Fatal(err)
	}
	w.Reset()
	for what, check := range map[string]func() (trust.Certificate, error){
		"signs somebody in": func() (trust.Certificate, error) { return v.Authentication(context.Background(), sofie.Registry) },
		"signs documents":   func() (trust.Certificate, error) { return v.Signature(context.Background(), sofie.Registry) },
		"a card's is the Register's": func() (trust.Certificate, error) {
			return v.Registry(context.Background(), w.Citizen("sofie").Authentication.Raw)
		},
		"a CA's is the Register's": func() (trust.Certificate, error) {
			return v.Registry(context.Background(), w.CitizenCA.Certificate.Raw)
		},
	} {
		if _, err := check(); !errors.Is(err, trust.ErrWrongUse) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestEveryFailureHasWords(t *testing.T) {
	for _, e := range []*fault.Error{idfile.ErrMalformed, idfile.ErrForged, idfile.ErrOtherHolder} {
		for _, l := range i18n.Languages {
			if text := i18n.T(l, e.Key); text == e.Key {
				t.Errorf("%s has no words in %s", e.Key, l)
			}
		}
	}
}

// Whatever is in the files: no panic, and nothing that could not be printed.
func FuzzParse(f *testing.F) {
	w := testcerts.New(f)
	for _, name := range []string{"sofie", "amina", "jonas"} {
		made := files(f, w, w.Citizen(name), nil)
		f.Add(made.Identity, made.Address)
	}
	f.Add([]byte{6, 0xff}, []byte{1, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, identity, address []byte) {
		c, err := idfile.Parse(identity, address)
		if err != nil {
			if fault.KeyOf(err) != idfile.ErrMalformed.Key || !c.Number.IsZero() {
				t.Errorf("%v", err)
			}
			return
		}
		for _, text := range []string{c.GivenNames, c.Surname, c.BirthPlace, c.Nationality, c.CardNumber, c.Delivered, c.Address.Line()} {
			if !eid.Printable(strings.ReplaceAll(text, ", ", "")) && len(text) < 256 {
				t.Errorf("%q could disturb a page", text)
			}
		}
		if c.Number.IsZero() || c.Citizen().Name() == "" {
			t.Error("nobody's file is taken for somebody's")
		}
	})
}

// FuzzVerify: no files but those that the Register signed make an Identity.
func FuzzVerify(f *testing.F) {
	w := testcerts.New(f)
	good := files(f, w, w.Citizen("sofie"), nil)
	v := verifier(f, w, clock.System)
	f.Add(good.Identity, good.IdentitySignature, good.Address, good.AddressSignature, good.Photo, good.Registry)
	f.Fuzz(func(t *testing.T, identity, identitySignature, address, addressSignature, photo, registry []byte) {
		made, err := v.Verify(t.Context(), idfile.Files{Identity: identity, IdentitySignature: identitySignature, Address: address, AddressSignature: addressSignature, Photo: photo, Registry: registry})
		if err != nil {
			if fault.KeyOf(err) == "" {
				t.Errorf("no words for %v", err)
			}
			return
		}
		if !bytes.Equal(identity, good.Identity) || len(address) > 0 && !bytes.Equal(bytes.TrimRight(address, "\x00"), bytes.TrimRight(good.Address, "\x00")) || made.At().IsZero() {
			t.Error("what nobody signed is believed")
		}
	})
}
