package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/outside"
	"github.com/belfry-eid/belfry/orders/register"
	"github.com/belfry-eid/belfry/testcerts/fakesource"
	"github.com/belfry-eid/belfry/testcerts/responder"
)

// aSource is a register that seals, and the install's view of it.
func aSource(t *testing.T) (*fakesource.Source, orders.Source) {
	t.Helper()
	dir := t.TempDir()
	s, err := fakesource.Make(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.TokenFile = filepath.Join(dir, "token")
	if err := os.WriteFile(s.TokenFile, []byte("secret\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	s.People = func(number string) (fakesource.Person, bool) {
		return fakesource.Person{Number: number, Name: "Zoë Öztürk", BirthDate: "1985-07-30", Address: "Rue du Beffroi 12"}, number != "00000000097"
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	roots := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Root().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	in := &install{settings: &Settings{Test: true, Sources: []SourceSettings{{
		Name: "rn", URL: srv.URL, TokenFile: s.TokenFile, Roots: roots, Signers: []string{fakesource.Signer}, TimeoutText: "2s",
	}}}}
	list, err := in.sources()
	if err != nil {
		t.Fatal(err)
	}
	return s, list["rn"]
}

func someNumber(t *testing.T) eid.NationalNumber {
	t.Helper()
	n, err := eid.ParseNationalNumber("71715100070")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Every way in which a source can be wrong, through the client and the child that reads seals.
func TestWhatASourceGivesIsHeldAgainstTheQuestion(t *testing.T) {
	s, source := aSource(t)
	ask := func() (orders.SourceSeal, register.Sealed, error) {
		a, err := source.Documents.Document(context.Background(), register.Question{Request: "0197-abc", Number: someNumber(t), Product: "MainResidence", Language: i18n.Dutch})
		if err != nil {
			return orders.SourceSeal{}, a, err
		}
		seal, err := source.Seal(context.Background(), a.File)
		return seal, a, err
	}
	seal, first, err := ask()
	if err != nil || seal.Signer != fakesource.Signer || !seal.Specimen || time.Since(seal.SealedAt) > time.Minute {
		t.Fatalf("%+v, %v", seal, err)
	}
	if _, again, err := ask(); err != nil || !bytes.Equal(again.File, first.File) || again.Reference != first.Reference {
		t.Errorf("the same request got another paper (%v)", err)
	}
	access, err := outside.Reader{}.Look(context.Background(), first.File)
	if err != nil || !access.Full() || access.Language != "nl-BE" || !strings.HasPrefix(access.Title, "Rijksregister") {
		t.Errorf("the paper reads as %+v, %v", access, err)
	}
	for b, want := range map[responder.Behaviour]*fault.Error{
		responder.Gone:            fault.New(fault.Unreachable, "way.source.down", nil),
		responder.Error500:        fault.New(fault.Unreachable, "way.source.down", nil),
		responder.Late(time.Hour): fault.New(fault.Unreachable, "way.source.down", nil),
		responder.HTML:            fault.New(fault.Internal, "way.source.unreadable", nil),
		responder.Huge:            fault.New(fault.Internal, "way.source.unreadable", nil),
		responder.Malformed:       fault.New(fault.Internal, "way.source.unreadable", nil),
		responder.Redirect:        fault.New(fault.Internal, "way.source.unreadable", nil),
		fakesource.NoDocument:     fault.New(fault.Forbidden, "way.source.none", nil),
		fakesource.OtherPerson:    fault.New(fault.Invalid, "way.source.mismatch", nil),
		fakesource.OtherLanguage:  fault.New(fault.Invalid, "way.source.mismatch", nil),
		fakesource.Unsealed:       fault.New(fault.Invalid, "way.source.unsealed", nil),
		fakesource.NoPDF:          fault.New(fault.Invalid, "way.source.unsealed", nil),
		fakesource.Altered:        fault.New(fault.Invalid, "way.source.altered", nil),
		fakesource.Stranger:       fault.New(fault.Invalid, "way.source.stranger", nil),
		fakesource.Sibling:        fault.New(fault.Invalid, "way.source.stranger", nil),
	} {
		if err := s.Mood.Set(fakesource.Service, b); err != nil {
			t.Fatal(err)
		}
		_, _, err := ask()
		if err == nil || fault.KindOf(err) != want.Kind || fault.KeyOf(err) != want.Key {
			t.Errorf("%s: %v, want %v", b, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "71715100070") || strings.Contains(err.Error(), "Öztürk") || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: the error tells of the person or the token", b)
		}
	}
	s.Mood.Reset()
	if _, _, err := ask(); err != nil {
		t.Errorf("good again: %v", err)
	}
}

func TestSourceSettings(t *testing.T) {
	good := SourceSettings{Name: "rn", URL: "https://rn.example", TokenFile: "t", Roots: "r", Signers: []string{"RN"}}
	with := func(change func(*SourceSettings), way commune.Way, register string) *Settings {
		s := good
		change(&s)
		set := &Settings{Sources: []SourceSettings{s}, Communes: []*commune.Commune{{ID: "a", Products: map[string]commune.Product{"residence": {Way: way}}}}}
		set.Register.URL = register
		return set
	}
	same := func(*SourceSettings) {}
	for name, c := range map[string]struct {
		s    *Settings
		want string
	}{
		"good":                {with(same, commune.FromSource, "https://r.example"), ""},
		"attached, bare":      {with(same, commune.Attached, ""), ""},
		"no signers":          {with(func(s *SourceSettings) { s.Signers = nil }, "", ""), "signers"},
		"no time":             {with(func(s *SourceSettings) { s.TimeoutText = "-1s" }, "", ""), "timeout"},
		"another source":      {with(func(s *SourceSettings) { s.Name = "baec" }, commune.FromSource, ""), `called "rn"`},
		"made without asking": {with(same, commune.Made, ""), "register.url"},
	} {
		err := c.s.checkSources()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := &install{settings: with(same, "", "")}
	var err error
	in.communes, err = commune.NewCommunes([]*commune.Commune{{
		ID: "beaumarais", NIS: "99001", Name: map[i18n.Language]string{i18n.French: "Beaumarais"}, Origins: []string{"https://a.example"},
		LanguageRegime: "fr",
	}})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := in.communes.ByID("beaumarais")
	if got := in.papers(c); !strings.Contains(got, "residence attached by a clerk") {
		t.Errorf("without a register: %s", got)
	}
	in.settings.Register.URL = "https://r.example"
	if got := in.papers(c); !strings.Contains(got, "residence made here") {
		t.Errorf("with a register: %s", got)
	}
	c.Products = map[string]commune.Product{"residence": {Way: commune.FromSource}}
	if got := fmt.Sprint(in.papers(c)); !strings.Contains(got, "residence sealed by rn") {
		t.Errorf("with a source: %s", got)
	}
}
