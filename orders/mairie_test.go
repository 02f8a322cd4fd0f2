package orders_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

const mairie commune.ID = "saint-aubin"

var newClaire = orders.Person{Subject: "subject-claire", GivenNames: "Claire Louise", Surname: "Martin-Leroy", BirthDate: "1948-05-00"}

// atMairie is a world with a French mairie: no national number, and no register to ask.
func atMairie(t *testing.T) *orderstest.World {
	t.Helper()
	return orderstest.New(t, sqldbtest.SQLite(t), func(w *orderstest.World, cfg *orders.Config) {
		communes, err := commune.NewCommunes(append(w.Communes.All(), &commune.Commune{
			ID: mairie, Country: commune.France, NIS: "59999", Name: map[i18n.Language]string{i18n.French: "Saint-Aubin"},
			Origins: []string{"https://saint-aubin.example"}, LanguageRegime: "france",
		}))
		if err != nil {
			t.Fatal(err)
		}
		w.Communes, cfg.Communes = communes, communes
		w.Register.Fail(errors.New("the register is asked about a French person"))
	})
}

func lifeForm() orders.Submission {
	return orders.Submission{Product: "fr_life", Version: 1, Language: i18n.French, Key: orders.NewKey(), Answers: form.Answers{
		form.DocumentLanguage: "fr", form.BirthPlace: "Lille", form.HomeAddress: "3 rue du Port, 59999 Saint-Aubin", form.Contact: form.NoContact,
	}}
}

// At a mairie the paper says what sign-in and person tell and a clerk has verified.
func TestPaperOfAMairie(t *testing.T) {
	w := atMairie(t)
	for c, want := range map[commune.ID]string{mairie: "fr_life", orderstest.A: "residence household residence_history life nationality"} {
		var ids []string
		for _, p := range w.Service.Products(c) {
			ids = append(ids, p.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s offers %s", c, got)
		}
	}
	for c, other := range map[commune.ID]string{mairie: "residence", orderstest.A: "fr_life"} {
		if _, err := w.Service.Product(c, other); fault.KeyOf(err) != "orders.no_product" {
			t.Errorf("%s gives %s: %v", c, other, err)
		}
	}
	known, err := w.Service.Prefill(t.Context(), mairie, newClaire, "fr_life")
	if err != nil || len(known.Answers) != 3 || known.Answers[2] != (orders.Answer{Name: orders.BirthDate, Value: "1948-05-00", Origin: orders.FromSignIn}) {
		t.Fatalf("%+v, %v", known.Answers, err)
	}
	o, err := w.Service.Submit(t.Context(), mairie, newClaire, lifeForm())
	if err != nil {
		t.Fatal(err)
	}
	clerk := orders.Clerk{Subject: "subject-clerk", Name: "Paul Dupont"}
	w.Delegate(t, mairie, clerk)
	if o, err = w.Service.Prepare(t.Context(), mairie, o.ID, clerk); err != nil {
		t.Fatal(err)
	}
	drawn := w.Renderer.Last()
	got := map[string]string{}
	for _, f := range drawn.Facts {
		got[f.Label] = f.Value
	}
	if got["Nom"] != "Martin-Leroy" || got["Prénoms"] != "Claire Louise" || got["Date de naissance"] != "05/1948" || got["Lieu de naissance"] != "Lille" || got["Adresse déclarée"] != "3 rue du Port, 59999 Saint-Aubin" {
		t.Errorf("the paper says %v", got)
	}
	if drawn.Commune.Address[0] != "Mairie" || o.Paper.Holder != "Claire Louise Martin-Leroy" {
		t.Errorf("%q about %q", drawn.Commune.Address, o.Paper.Holder)
	}
	if _, err := w.Service.Approve(t.Context(), mairie, o.ID, clerk, o.Paper.Content); err != nil {
		t.Fatal(err)
	}
	w.Work(t)
	if o = w.Get(t, mairie, o.ID); o.State != orders.Issued {
		t.Errorf("the order is %s", o.State)
	}
	if err := w.Audit.Verify(t.Context(), mairie); err != nil {
		t.Error(err)
	}
}

// Where no number tells people apart, a clerk decides neither under the own subject nor
// for somebody who may be the clerk by name: a colleague does.
func TestClerkOfAMairieDecidesForOthers(t *testing.T) {
	w := atMairie(t)
	o, err := w.Service.Submit(t.Context(), mairie, newClaire, lifeForm())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		clerk orders.Clerk
		own   bool
	}{
		"the same subject":                  {orders.Clerk{Subject: newClaire.Subject, Name: "Somebody Else"}, true},
		"the same name":                     {orders.Clerk{Subject: "directory", Name: "Claire Martin-Leroy"}, true},
		"without accents and hyphens":       {orders.Clerk{Subject: "directory", Name: "MARTIN LEROY Clairé"}, true},
		"another given name":                {orders.Clerk{Subject: "directory", Name: "Louise Martin-Leroy"}, false},
		"half the surname":                  {orders.Clerk{Subject: "directory", Name: "Claire Martin"}, false},
		"another":                           {orders.Clerk{Subject: "directory", Name: "Paul Dupont"}, false},
		"without a name, which nobody is":   {orders.Clerk{Subject: "directory"}, false},
		"nobody, without a subject, either": {orders.Clerk{Name: "Paul Dupont"}, true},
	} {
		_, err := w.Service.Prepare(t.Context(), mairie, o.ID, c.clerk)
		if own := fault.KeyOf(err) == "orders.own"; own != c.own {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who is not known well enough, or asks too often, is told.
func TestWhoOrdersAtAMairie(t *testing.T) {
	w := atMairie(t)
	for name, p := range map[string]orders.Person{
		"no date of birth": {Subject: "s", GivenNames: "Claire", Surname: "Martin"}, "no date at all": {Subject: "s", Surname: "Martin", BirthDate: "yesterday"}, "no subject": {Surname: "Martin", BirthDate: "1948-05-01"},
	} {
		if _, err := w.Service.Submit(t.Context(), mairie, p, lifeForm()); fault.KeyOf(err) != "orders.no_birth_date" {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := newClaire
	other.Subject = "another"
	for i := range 11 {
		_, err := w.Service.Submit(t.Context(), mairie, newClaire, lifeForm())
		if many := fault.KeyOf(err) == "orders.too_many_open"; many != (i == 10) {
			t.Errorf("order %d: %v", i, err)
		}
	}
	if _, err := w.Service.Submit(t.Context(), mairie, other, lifeForm()); err != nil {
		t.Errorf("somebody of the same name and date of birth: %v", err)
	}
}

// A clerk who signed in by a directory, which tells no number, may have ordered with the
// card, under another subject: the name tells then too.
func TestClerkWithoutANumberInBelgium(t *testing.T) {
	w := atMairie(t)
	w.Register.Fail(nil)
	o := w.Order(t, orderstest.A, 1)
	for name, own := range map[string]bool{o.Name(): true, "Paul Dupont": false} {
		_, err := w.Service.Prepare(t.Context(), orderstest.A, o.ID, orders.Clerk{Subject: "directory", Name: name})
		if got := fault.KeyOf(err) == "orders.own"; got != own {
			t.Errorf("%s: %v", name, err)
		}
	}
	namesake := orders.Clerk{Subject: "card", Name: o.Name(), Number: orderstest.Number(77)}
	w.Delegate(t, orderstest.A, namesake)
	if _, err := w.Service.Prepare(t.Context(), orderstest.A, o.ID, namesake); err != nil {
		t.Errorf("a namesake whose number tells them apart: %v", err)
	}
}

// A French promise counts French holidays: not 21 July, but 14 July.
func TestAMairieKeepsTheHolidaysOfItsCountry(t *testing.T) {
	for noon, want := range map[string]map[commune.ID]string{
		"2026-07-13 12:00": {mairie: "2026-07-17", orderstest.A: "2026-07-16"},
		"2026-07-20 12:00": {mairie: "2026-07-23", orderstest.A: "2026-07-24"},
	} {
		w := atMairie(t)
		w.Clock.Add(day(noon).Sub(w.Clock.Now()))
		o, err := w.Service.Submit(t.Context(), mairie, newClaire, lifeForm())
		if err != nil {
			t.Fatal(err)
		}
		w.Register.Fail(nil)
		for c, got := range map[commune.ID]orders.Order{mairie: o, orderstest.A: w.Order(t, orderstest.A, 1)} {
			if due := got.DueOn.Format("2006-01-02"); due != want[c] || got.Product.WorkingDays != 3 {
				t.Errorf("%s, asked on %s: %s, want %s (%d days)", c, noon, due, want[c], got.Product.WorkingDays)
			}
		}
	}
}

// While it waits for the person over closed days, the promise moves by those worked on.
func TestClosedDaysDoNotCountInAPause(t *testing.T) {
	w := orderstest.New(t, sqldbtest.SQLite(t))
	of, _ := w.Communes.ByID(orderstest.A)
	of.Closed = []commune.Closing{{From: "2026-02-05", To: "2026-02-10"}}
	o := w.Order(t, orderstest.A, 1)
	if got := o.DueOn.Format("2006-01-02"); got != "2026-02-12" {
		t.Fatalf("due %s", got)
	}
	o, err := w.Service.Ask(t.Context(), orderstest.A, o.ID, orderstest.Clerk(1), "Une copie ?")
	if err != nil {
		t.Fatal(err)
	}
	w.Clock.Add(8 * 24 * time.Hour) // Wednesday 11 February: the second working day since
	if o, err = w.Service.Reply(t.Context(), orderstest.A, o.ID, o.Subject, 1, "Voici.", nil); err != nil || o.DueOn.Format("2006-01-02") != "2026-02-16" {
		t.Errorf("due %s, %v", o.DueOn, err)
	}
}

// At the counter of a mairie a clerk takes down what the identity document says: of its
// number the last characters only. The paper is prepared, sealed and replaced like any other.
func TestTakenDownAtTheCounter(t *testing.T) {
	w := atMairie(t)
	clerk := orders.Clerk{Subject: "subject-clerk", Name: "Paul Dupont"}
	w.Delegate(t, mairie, clerk)
	shown := orders.Shown{Surname: " Martin-Leroy ", GivenNames: "Claire Louise", BirthDate: "1948-05-01", Document: orders.Passport, Ending: "7k2m"}
	e := orders.Entry{Channel: orders.Counter, Identified: orders.DocumentShown}
	for name, c := range map[string]struct {
		change func(*orders.Shown)
		key    string
	}{
		"no surname":         {func(s *orders.Shown) { s.Surname = " " }, "shown.name_wrong"},
		"a name of two rows": {func(s *orders.Shown) { s.GivenNames = "a\nb" }, "shown.name_wrong"},
		"no birth date":      {func(s *orders.Shown) { s.BirthDate = "" }, "shown.birth_wrong"},
		"born tomorrow":      {func(s *orders.Shown) { s.BirthDate = "2026-02-04" }, "shown.birth_wrong"},
		"no document":        {func(s *orders.Shown) { s.Document = "library card" }, "shown.document_wrong"},
		"its whole number":   {func(s *orders.Shown) { s.Ending = "12AB34567" }, "shown.ending_wrong"},
		"none of it":         {func(s *orders.Shown) { s.Ending = "" }, "shown.ending_wrong"},
		"the clerk":          {func(s *orders.Shown) { s.Surname, s.GivenNames = "Dupont", "Paul" }, "orders.own"},
		"a child":            {func(s *orders.Shown) { s.BirthDate = "2018-01-01" }, "came.child"},
	} {
		typed := shown
		c.change(&typed)
		if _, err := w.Service.Enter(t.Context(), mairie, clerk, e, orders.Applicant{Shown: &typed}, lifeForm()); fault.KeyOf(err) != c.key {
			t.Errorf("%s: %v", name, err)
		}
	}
	who, f := orders.Applicant{Shown: &shown}, lifeForm()
	for _, wrong := range []orders.Entry{{Channel: orders.Counter, Identified: orders.CardSeen}, {Channel: orders.Post, Identified: orders.DocumentShown}} {
		if _, err := w.Service.Enter(t.Context(), mairie, clerk, wrong, who, f); fault.KeyOf(err) != "counter.way_wrong" {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	if _, err := w.Service.PrefillFor(t.Context(), orderstest.A, clerk, who, "residence"); fault.KeyOf(err) != "shown.registered" {
		t.Errorf("a paper of the register: %v", err)
	}
	if _, err := w.Service.Enter(t.Context(), mairie, clerk, e, orders.Applicant{Number: orderstest.Number(1)}, f); fault.KeyOf(err) != "counter.way_wrong" {
		t.Errorf("by a number: %v", err)
	}
	made, err := w.Service.Enter(t.Context(), mairie, clerk, e, who, f)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.Service.Enter(t.Context(), mairie, clerk, e, who, f); err != nil || again.ID != made.ID {
		t.Errorf("a second click: %s, %v", again.ID, err)
	}
	o := w.Get(t, mairie, made.ID)
	if o.Entry.Document != orders.Passport || o.Entry.Ending != "7K2M" || o.Name() != "Claire Louise Martin-Leroy" || o.Answers[2] != (orders.Answer{Name: orders.BirthDate, Value: "1948-05-01", Origin: orders.FromDocument}) {
		t.Errorf("%+v %+v", o.Entry, o.Answers)
	}
	if o, err = w.Service.Prepare(t.Context(), mairie, o.ID, clerk); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Service.Approve(t.Context(), mairie, o.ID, clerk, o.Paper.Content); err != nil {
		t.Fatal(err)
	}
	w.Work(t)
	if paper, err := w.Service.Sealed(t.Context(), mairie, o.ID, clerk); err != nil || len(paper.Data) == 0 {
		t.Errorf("the print: %v", err)
	}
	if _, err := w.Service.Withdraw(t.Context(), mairie, o.ID, clerk, orders.FormFlaw, "faute"); err != nil {
		t.Fatal(err)
	}
	next, err := w.Service.Replace(t.Context(), mairie, o.ID, clerk)
	if err != nil || w.Get(t, mairie, next.ID).Answers[2].Origin != orders.FromDocument {
		t.Errorf("in its place: %+v, %v", next.Answers, err)
	}
	// Nobody signs in to it, whatever their name.
	if err := w.Service.Claim(t.Context(), mairie, newClaire); err != nil {
		t.Fatal(err)
	}
	if list, err := w.Service.Mine(t.Context(), mairie, newClaire.Subject); err != nil || len(list) != 0 {
		t.Errorf("claimed: %d, %v", len(list), err)
	}
}
