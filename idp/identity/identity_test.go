package identity_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp/identity"
	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

func persons(t *testing.T) (*identity.Persons, *idpsql.Store, *sqldb.DB) {
	t.Helper()
	return personsOf(t, sqldbtest.SQLite(t), &journal{})
}

// journal is what was recorded.
type journal struct {
	sync.Mutex
	lines []string
}

func (j *journal) record(_ *sqldb.Tx, c commune.ID, action, actor, subject string, detail map[string]string) error {
	j.Lock()
	defer j.Unlock()
	j.lines = append(j.lines, fmt.Sprint(c, " ", action, " ", actor, " ", subject, " ", detail))
	return nil
}

func personsOf(t *testing.T, db *sqldb.DB, j *journal) (*identity.Persons, *idpsql.Store, *sqldb.DB) {
	t.Helper()
	now := clock.NewHand(time.Unix(1_800_000_000, 0))
	tick := func() time.Time { now.Add(time.Millisecond); return now.Now() }
	store, err := idpsql.New(t.Context(), db, tick)
	if err != nil {
		t.Fatal(err)
	}
	master, err := secret.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return identity.New(store, master, tick, j.record), store, db
}

func citizen(t *testing.T, n int) eid.Citizen {
	t.Helper()
	head := 509900000 + n // a month no calendar has
	number, err := eid.ParseNationalNumber(fmt.Sprintf("%09d%02d", head, 97-head%97))
	if err != nil {
		t.Fatal(err)
	}
	return eid.Citizen{Number: number, GivenNames: "Luc", Surname: "Lambertissimo"}
}

func know(t *testing.T, p *identity.Persons, c commune.ID, who eid.Citizen) identity.Person {
	t.Helper()
	person, err := p.Know(t.Context(), c, who, identity.Account{})
	if err != nil {
		t.Fatal(err)
	}
	return person
}

func TestAPersonIsOneForACommuneAndAnotherForTheNext(t *testing.T) {
	p, store, _ := persons(t)
	luc := citizen(t, 1)
	here, there := know(t, p, "beaumarais", luc), know(t, p, "zandvoorde", luc)
	if here.ID == there.ID || know(t, p, "beaumarais", luc).ID != here.ID || know(t, p, "beaumarais", citizen(t, 2)).ID == here.ID {
		t.Error("records are mixed up")
	}
	again, _, _ := persons(t) // another node, with the same secret
	if p.Subject("a", here.ID) == p.Subject("b", here.ID) || p.Subject("a", here.ID) != again.Subject("a", here.ID) {
		t.Error("subjects are not pairwise")
	}
	if _, found, err := p.Get(t.Context(), "zandvoorde", here.ID); found || err != nil {
		t.Errorf("another commune opens the record: %v %v", found, err)
	}
	// A row copied to another commune, or over another person, does not open.
	row, _, err := store.PersonByID(t.Context(), "beaumarais", here.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.ResealPerson(t.Context(), "zandvoorde", there.ID, row.Sealed); err != nil {
		t.Fatal(err)
	}
	if _, found, err := p.Get(t.Context(), "zandvoorde", there.ID); found || err == nil {
		t.Error("a moved record opens")
	}
}

func TestANameThatChangedIsTakenOver(t *testing.T) {
	p, _, _ := persons(t)
	luc := citizen(t, 1)
	before := know(t, p, "beaumarais", luc)
	luc.Surname = "Lambert-Dubois"
	know(t, p, "beaumarais", luc)
	after, found, err := p.Get(t.Context(), "beaumarais", before.ID)
	if err != nil || !found || after.Citizen != luc {
		t.Errorf("%v %v, the new name: %v", found, err, after.Citizen.Surname == luc.Surname)
	}
}

func TestManyFirstMeetingsAtOnceMakeOneRecord(t *testing.T) {
	p, _, _ := persons(t)
	luc := citizen(t, 1)
	ids := make([]string, 16)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			person, err := p.Know(t.Context(), "beaumarais", luc, identity.Account{})
			if err != nil {
				t.Error(err)
			}
			ids[i] = person.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatal("one citizen is several persons")
		}
	}
}

func TestARowNamesNobody(t *testing.T) {
	p, store, db := persons(t)
	luc := citizen(t, 1)
	person := know(t, p, "beaumarais", luc)
	row, _, err := store.PersonByID(t.Context(), "beaumarais", person.ID)
	if err != nil {
		t.Fatal(err)
	}
	var lookup string
	if err := db.QueryRow(t.Context(), `SELECT lookup FROM idp_link`).Scan(&lookup); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{lookup, row.Sealed, row.ID, p.Subject("a", person.ID)} {
		if strings.Contains(text, luc.Number.Reveal()) || strings.Contains(text, luc.Surname) {
			t.Error("a row shows who it is about")
		}
	}
	// Without the secret, hashing all numbers finds nobody: another secret, another hash.
	other, err := secret.New([]byte(strings.Repeat("x", 32)))
	if err != nil {
		t.Fatal(err)
	}
	stranger := identity.New(store, other, clock.System, (&journal{}).record)
	if again := know(t, stranger, "beaumarais", luc); again.ID == person.ID {
		t.Error("the look-up does not depend on the secret")
	}
	var n int
	if err := db.QueryRow(t.Context(), `SELECT count(*) FROM idp_person`).Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
	if _, err := p.Know(t.Context(), "beaumarais", eid.Citizen{}, identity.Account{Issuer: "https://fc.example"}); err == nil {
		t.Error("somebody without a number is known")
	}
}

// Who has no national number is known by the account elsewhere: the same issuer and
// subject, and nothing else, is the same person.
func TestPeopleWithoutANumber(t *testing.T) {
	p, _, _ := persons(t)
	claire := eid.Citizen{GivenNames: "Claire", Surname: "Martin", BirthDate: "1980-02-00"}
	know := func(c commune.ID, who eid.Citizen, a identity.Account) identity.Person {
		t.Helper()
		person, err := p.Know(t.Context(), c, who, a)
		if err != nil {
			t.Fatal(err)
		}
		return person
	}
	here := know("mairie", claire, identity.Account{Issuer: "https://fc.example", Subject: "1"})
	for name, a := range map[string]identity.Account{
		"another subject": {Issuer: "https://fc.example", Subject: "2"}, "another issuer": {Issuer: "https://fc.example.org", Subject: "1"}, "the parts turned": {Issuer: "1", Subject: "https://fc.example"},
	} {
		if know("mairie", claire, a).ID == here.ID {
			t.Errorf("%s is the same person", name)
		}
	}
	renamed := claire
	renamed.Surname = "Martin Leroy"
	again := know("mairie", renamed, identity.Account{Issuer: "https://fc.example", Subject: "1"})
	if again.ID != here.ID || again.Citizen != renamed {
		t.Errorf("after a marriage: %+v", again)
	}
	if kept, ok, err := p.Get(t.Context(), "mairie", here.ID); err != nil || !ok || kept.Citizen != renamed {
		t.Errorf("kept: %+v %v %v", kept, ok, err)
	}
	if know("beaumarais", claire, identity.Account{Issuer: "https://fc.example", Subject: "1"}).ID == here.ID {
		t.Error("two communes share a record")
	}
	luc := citizen(t, 1) // the number decides where there is one
	if know("mairie", luc, identity.Account{Issuer: "https://fas.example", Subject: "1"}).ID != know("mairie", luc, identity.Account{}).ID {
		t.Error("by card and by a service that tells the number one person is two")
	}
}
