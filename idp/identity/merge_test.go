package identity_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/belfry-eid/belfry/idp/identity"
	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// each runs f on both engines.
func each(t *testing.T, f func(*testing.T, hall)) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			p, _, _ := personsOf(t, open(t), j)
			f(t, hall{t, p, j})
		})
	}
}

// hall is a commune hall's records.
type hall struct {
	t *testing.T
	*identity.Persons
	*journal
}

const here = commune.ID("mairie")

var (
	itsme  = identity.Account{Issuer: "https://itsme.example", Subject: "1"}
	france = identity.Account{Issuer: "https://fc.example", Subject: "1"}
	claire = eid.Citizen{GivenNames: "Claire", Surname: "Martin"}
)

func (h hall) meet(c commune.ID, who eid.Citizen, a identity.Account) identity.Person {
	h.t.Helper()
	person, err := h.Know(h.t.Context(), c, who, a)
	if err != nil {
		h.t.Fatal(err)
	}
	return person
}

func (h hall) has(action string, n int) {
	h.t.Helper()
	got := 0
	for _, line := range h.lines {
		if strings.Contains(line, " "+action+" ") {
			got++
		}
	}
	if got != n {
		h.t.Errorf("%d lines of %s, want %d, in %q", got, action, n, h.lines)
	}
}

func (h hall) open(reader identity.Person) []identity.Merge {
	h.t.Helper()
	list, err := h.Merges(h.t.Context(), here, reader)
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

func numbered(t *testing.T, n int) eid.Citizen {
	who := citizen(t, n)
	who.GivenNames, who.Surname = claire.GivenNames, claire.Surname
	return who
}

// An account and a number that one sign-in shows are one person's: whatever was met
// first, and whatever is shown later.
func TestANumberAndAnAccountOfOneSignInAreOnePerson(t *testing.T) {
	each(t, func(t *testing.T, h hall) {
		who := numbered(t, 1)
		first := h.meet(here, claire, france) // known by the account alone
		brought := h.meet(here, who, france)  // which then tells the number
		if brought.Root != first.Root || brought.Citizen != who {
			t.Errorf("who brings a number is another subject: %+v", brought)
		}
		if card := h.meet(here, who, identity.Account{}); card.Root != first.Root {
			t.Error("and another again by card")
		}
		h.meet(here, who, itsme)
		later := h.meet(here, claire, itsme) // does not tell the number this time
		if later.Root != first.Root || later.Citizen.Number.IsZero() {
			t.Error("the second account is another person's")
		}
		h.has("person.linked", 2)
		if h.meet("beaumarais", claire, itsme).Root == first.Root {
			t.Error("another commune shares the record")
		}
		if h.meet(here, claire, identity.Account{Issuer: itsme.Issuer, Subject: "2"}).Root == first.Root {
			t.Error("a name links")
		}
	})
}

func TestTwoRecordsThatOneSignInShowsAreJoined(t *testing.T) {
	each(t, func(t *testing.T, h hall) {
		who := numbered(t, 1)
		byAccount := h.meet(here, claire, france)
		byCard := h.meet(here, who, identity.Account{})
		if byAccount.Root == byCard.Root {
			t.Fatal("a name links")
		}
		both := h.meet(here, who, france)
		if both.Root != byAccount.Root || h.meet(here, who, identity.Account{}).Root != byAccount.Root || h.meet(here, claire, france).Root != byAccount.Root {
			t.Error("one person is still two")
		}
		h.meet(here, who, france)
		h.has("person.joined", 1)
		former, err := h.Former(t.Context(), here, "portal", both.Root)
		if err != nil || !slices.Equal(former, []string{h.Subject("portal", byCard.ID)}) {
			t.Errorf("former subjects: %v %v", former, err)
		}
		// Staff hold that they are two: the next sign-in does not know better.
		one := h.meet(here, numbered(t, 8), identity.Account{})
		if err := h.Undo(t.Context(), here, h.open(one)[0].ID, one.ID); err != nil {
			t.Fatal(err)
		}
		h.meet(here, who, france)
		if h.meet(here, claire, france).Root != byAccount.ID || h.meet(here, who, identity.Account{}).Root != byCard.ID {
			t.Error("what was parted by people is joined again")
		}
	})
}

// An account whose number is another than before: the number decides, both records stay,
// and the journal shows the two to people.
func TestAnotherNumberIsNotTheSamePersonByItself(t *testing.T) {
	each(t, func(t *testing.T, h hall) {
		bis, national := numbered(t, 1), numbered(t, 2)
		before := h.meet(here, bis, itsme)
		after := h.meet(here, national, itsme)
		if after.Root == before.Root {
			t.Error("another number is taken for the same person")
		}
		if h.meet(here, bis, identity.Account{}).Root != before.Root || h.meet(here, claire, itsme).Root != after.Root {
			t.Error("the account is still that of its old number")
		}
		h.meet(here, national, itsme)
		h.has("person.parted", 1)
		h.meet(here, bis, identity.Account{Issuer: itsme.Issuer, Subject: "2"})
		h.meet(here, national, identity.Account{Issuer: itsme.Issuer, Subject: "2"}) // known by both numbers
		h.has("person.parted", 2)
	})
}

func TestManyMeetingsAtOnceLinkOnce(t *testing.T) {
	each(t, func(t *testing.T, h hall) {
		who := numbered(t, 1)
		h.meet(here, claire, france)
		h.meet(here, who, identity.Account{})
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				if _, err := h.Know(t.Context(), here, who, france); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := len(h.open(h.meet(here, who, france))); n != 1 {
			t.Errorf("%d merges", n)
		}
	})
}

func TestTwoPeopleMergeAndPartTwoRecords(t *testing.T) {
	each(t, func(t *testing.T, h hall) {
		ctx := t.Context()
		bis, national := numbered(t, 1), numbered(t, 2)
		older, younger := h.meet(here, bis, identity.Account{}), h.meet(here, national, identity.Account{})
		marc, nadia := h.meet(here, numbered(t, 8), identity.Account{}), h.meet(here, numbered(t, 9), identity.Account{})
		for typed, want := range map[string]string{bis.Number.Reveal(): older.ID, h.Subject("portal", younger.ID): younger.ID, h.Subject("library", younger.ID): "", "x": "", numbered(t, 7).Number.Reveal(): ""} {
			got, err := h.Find(ctx, here, []string{"portal"}, typed)
			if got != want || (err == nil) != (want != "") {
				t.Errorf("found %q, want %q: %v", got, want, err)
			}
		}
		if err := h.Propose(ctx, here, younger.ID, older.ID, " ", marc.ID); err == nil {
			t.Error("no reason is needed")
		}
		if err := h.Propose(ctx, here, younger.ID, older.ID, "A national number since May.", marc.ID); err != nil {
			t.Fatal(err)
		}
		if h.meet(here, national, identity.Account{}).Root != younger.ID {
			t.Error("one person alone merges")
		}
		m := h.open(nadia)
		if len(m) != 1 || m[0].Own || m[0].By != "Claire Martin" || !m[0].Confirmed.IsZero() || !h.open(marc)[0].Own || !h.open(younger)[0].Own {
			t.Fatalf("%+v", m)
		}
		if told, err := h.Notices(ctx, here, younger); err != nil || len(told) != 0 {
			t.Errorf("told of a proposal: %v %v", told, err)
		}
		if err := h.Confirm(ctx, here, m[0].ID, nadia.ID); err != nil {
			t.Fatal(err)
		}
		again := h.meet(here, national, identity.Account{})
		if again.ID != younger.ID || again.Root != older.ID || again.Citizen != national {
			t.Errorf("after the merge: %+v", again)
		}
		if back := h.meet(here, bis, identity.Account{}); back.Citizen != bis || back.Root != older.ID {
			t.Error("the older record changed")
		}
		for _, one := range []identity.Person{older, younger} { // each is told, once, as themselves
			if told, err := h.Notices(ctx, here, one); err != nil || len(told) != 1 || !told[0].Joined {
				t.Errorf("notices: %+v %v", told, err)
			}
			if err := h.Told(ctx, here, one); err != nil {
				t.Error(err)
			}
			if told, _ := h.Notices(ctx, here, one); len(told) != 0 {
				t.Error("told twice")
			}
		}
		if err := h.Undo(ctx, here, m[0].ID, marc.ID); err != nil {
			t.Fatal(err)
		}
		if h.meet(here, national, identity.Account{}).Root != younger.ID || h.meet(here, bis, identity.Account{}).Root != older.ID {
			t.Error("they are not what they were")
		}
		if told, _ := h.Notices(ctx, here, older); len(told) != 1 || told[0].Joined {
			t.Errorf("the end is not told: %+v", told)
		}
		if len(h.open(nadia)) != 0 {
			t.Error("what was undone is still there")
		}
		h.has("person.merge_proposed", 1)
		h.has("person.merged", 1)
		h.has("person.unmerged", 1)
		h.has("person.told", 2)
		for _, line := range h.lines {
			for _, who := range []eid.Citizen{bis, national} {
				if strings.Contains(line, who.Number.Reveal()) {
					t.Error("a number is in the journal")
				}
			}
		}
	})
}

// Taking somebody's place by a merge (T29): alone, under two records, for oneself, in
// another commune, twice.
func TestTakeovers(t *testing.T) {
	each(t, func(t *testing.T, h hall) {
		ctx := t.Context()
		victim := h.meet(here, numbered(t, 1), identity.Account{})
		thief := h.meet(here, numbered(t, 2), identity.Account{})
		marc, other := h.meet(here, numbered(t, 8), identity.Account{}), h.meet(here, claire, france)
		nadia := h.meet(here, numbered(t, 9), identity.Account{})
		elsewhere := h.meet("beaumarais", numbered(t, 3), identity.Account{})

		wants := func(name string, want error, err error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		propose := func(one, two, by identity.Person) error {
			return h.Propose(ctx, here, one.ID, two.ID, "because", by.ID)
		}
		wants("for oneself", idpsql.ErrOwn, propose(victim, thief, thief))
		wants("with oneself", idpsql.ErrOne, propose(thief, thief, marc))
		wants("with somebody of another commune", idpsql.ErrNoPerson, propose(victim, elsewhere, marc))
		wants("by somebody of another commune", idpsql.ErrNoPerson, propose(victim, thief, elsewhere))

		wants("", nil, propose(victim, thief, marc))
		wants("the same again", idpsql.ErrOpen, propose(thief, victim, nadia))
		id := h.open(nadia)[0].ID
		wants("alone", idpsql.ErrTwice, h.Confirm(ctx, here, id, marc.ID))
		wants("by the thief", idpsql.ErrOwn, h.Confirm(ctx, here, id, thief.ID))
		wants("in another commune", idpsql.ErrNoMerge, h.Confirm(ctx, "beaumarais", id, elsewhere.ID))
		wants("undone elsewhere", idpsql.ErrNoMerge, h.Undo(ctx, "beaumarais", id, elsewhere.ID))
		wants("a merge of no one's", idpsql.ErrNoMerge, h.Confirm(ctx, here, "x", nadia.ID))

		// Marc's second record becomes his first's: it is still Marc who would confirm.
		wants("", nil, propose(marc, other, nadia))
		wants("", nil, h.Confirm(ctx, here, h.open(victim)[0].ID, victim.ID))
		wants("under another record", idpsql.ErrTwice, h.Confirm(ctx, here, id, other.ID))

		var won atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if i%2 == 0 && h.Confirm(ctx, here, id, nadia.ID) == nil {
					won.Add(1)
				} else if i%2 == 1 {
					h.Know(ctx, here, numbered(t, 2), identity.Account{})
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%d confirmations of one proposal", won.Load())
		}
		wants("undone by the thief", idpsql.ErrOwn, h.Undo(ctx, here, id, thief.ID))
		wants("", nil, h.Undo(ctx, here, id, nadia.ID))
		wants("undone twice", idpsql.ErrNoMerge, h.Undo(ctx, here, id, nadia.ID))
		wants("confirmed after all", idpsql.ErrNoMerge, h.Confirm(ctx, here, id, nadia.ID))
	})
}

// Merges one upon the other make one person; undoing one leaves the rest.
func TestMergesStandUponEachOther(t *testing.T) {
	each(t, func(t *testing.T, h hall) {
		ctx := t.Context()
		var all []identity.Person
		for i := range 4 {
			all = append(all, h.meet(here, numbered(t, i+1), identity.Account{}))
		}
		marc, nadia := h.meet(here, numbered(t, 8), identity.Account{}), h.meet(here, numbered(t, 9), identity.Account{})
		merge := func(one, two identity.Person) string {
			t.Helper()
			if err := h.Propose(ctx, here, one.ID, two.ID, "because", marc.ID); err != nil {
				t.Fatal(err)
			}
			id := h.open(nadia)[0].ID
			if err := h.Confirm(ctx, here, id, nadia.ID); err != nil {
				t.Fatal(err)
			}
			return id
		}
		merge(all[3], all[2])
		upper := merge(all[3], all[1]) // named by its younger record
		merge(all[2], all[0])
		roots := func() (list []string) {
			for i := range all {
				list = append(list, h.meet(here, numbered(t, i+1), identity.Account{}).Root)
			}
			return list
		}
		if a := all[0].ID; !slices.Equal(roots(), []string{a, a, a, a}) {
			t.Errorf("roots %v", roots())
		}
		if former, err := h.Former(ctx, here, "portal", all[0].ID); err != nil || len(former) != 3 {
			t.Errorf("%v %v", former, err)
		}
		if err := h.Undo(ctx, here, upper, marc.ID); err != nil {
			t.Fatal(err)
		}
		if a, c := all[0].ID, all[2].ID; !slices.Equal(roots(), []string{a, a, c, c}) {
			t.Errorf("after one is undone: %v of %v", roots(), all)
		}
	})
}
