package orderstest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/register"
)

// Following an order without signing in.

// born is the day on which everybody in this world was born, as Home has it.
const born register.Day = "1985-07-30"

func followed(t *testing.T, w *World) {
	s := w.Service
	o := w.Order(t, A, 1)
	unknown := func(reference string, day register.Day) {
		t.Helper()
		f, err := s.Follow(ctx, A, reference, day)
		wants(t, err, fault.NotFound, "follow.unknown")
		if f != (orders.Followed{}) {
			t.Errorf("it tells %+v", f)
		}
	}
	for _, typed := range []string{o.Reference, " " + strings.ToLower(o.Reference), strings.ReplaceAll(o.Reference, "-", "")} {
		f, err := s.Follow(ctx, A, typed, born)
		if err != nil || f.Product != o.Product || f.State != orders.Submitted || !f.DueOn.Equal(o.DueOn) || f.Late {
			t.Errorf("%q: %+v, %v", typed, f, err)
		}
	}
	unknown(o.Reference, "1985-07-31")
	unknown(o.Reference, "1985-00-00")
	unknown(o.Reference, "")
	unknown("2222-2222", born)
	unknown("2222-2222", "")
	unknown(o.ID, born)
	unknown("", born)

	_, err := s.Ask(ctx, A, o.ID, Clerk(1), "Quelle adresse ?")
	ok(t, err)
	if f, err := s.Follow(ctx, A, o.Reference, born); err != nil || f.State != orders.AwaitingCitizen {
		t.Errorf("%+v, %v", f, err)
	}
	_, err = s.Cancel(ctx, A, o.ID, o.Subject)
	ok(t, err)
	w.Clock.Add(90 * 24 * time.Hour)
	if f, err := s.Follow(ctx, A, o.Reference, born); err != nil || f.State != orders.Cancelled {
		t.Errorf("%+v, %v", f, err)
	}
	w.Clock.Add(time.Second)
	unknown(o.Reference, born)
}

// Where the paper says no day of birth, the person's number does.
func followedByNumber(t *testing.T, w *World) {
	const head = 850730001
	number, err := eid.ParseNationalNumber(fmt.Sprintf("%09d%02d", head, 97-head%97))
	ok(t, err)
	p := w.Person(A, 1)
	p.Number = number
	w.Register.Move(p, w.Home(A, p))
	o, err := w.Service.Submit(ctx, A, p, w.Form(A))
	ok(t, err)
	other := w.Order(t, A, 2) // whose number says none
	ok(t, w.DB.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE orders_order SET answers = '[]' WHERE commune = $1`, string(A))
		return err
	}))
	if f, err := w.Service.Follow(ctx, A, o.Reference, born); err != nil || f.State != orders.Submitted {
		t.Errorf("%+v, %v", f, err)
	}
	for _, day := range []register.Day{"1985-07-31", ""} {
		_, err = w.Service.Follow(ctx, A, o.Reference, day)
		wants(t, err, fault.NotFound, "follow.unknown")
		_, err = w.Service.Follow(ctx, A, other.Reference, day)
		wants(t, err, fault.NotFound, "follow.unknown")
	}
}

func lostCodes(t *testing.T, w *World) {
	s := w.Service
	p := w.Person(A, 1)
	first, err := s.Submit(ctx, A, p, w.Form(A))
	ok(t, err)
	w.Clock.Add(time.Second)
	second, err := s.Submit(ctx, A, p, w.Form(A))
	ok(t, err)
	closed, err := s.Submit(ctx, A, p, w.Form(A))
	ok(t, err)
	_, err = s.Cancel(ctx, A, closed.ID, closed.Subject)
	ok(t, err)
	silent := w.Form(A) // without an address
	silent.Answers = form.Answers{form.DocumentLanguage: "fr", form.Contact: form.NoContact}
	_, err = s.Submit(ctx, A, p, silent)
	ok(t, err)
	elsewhere := w.Order(t, B, 1)
	w.Work(t)
	before := len(w.Mail.Sent())
	sent := func() []string {
		var list []string
		for _, m := range w.Mail.Sent()[before:] {
			if m.To != "somebody@example.be" {
				t.Errorf("a code goes to %s", m.To)
			}
			list = append(list, m.Text)
		}
		return list
	}
	ask := func(mail string, day register.Day) {
		t.Helper()
		ok(t, s.SendCodes(ctx, A, mail, day))
		for table, text := range dump(t, w.DB) {
			if strings.Contains(table, "job") && (strings.Contains(text, strings.TrimSpace(mail)) || strings.Contains(text, string(day))) {
				t.Errorf("address or day are readable in %s", table)
			}
		}
		w.Work(t)
	}
	ask("somebody@example.be", "1985-07-31")
	ask("nobody@example.be", born)
	if len(sent()) != 0 {
		t.Errorf("sent to whoever asks: %q", sent())
	}
	w.Mail.Fail(errors.New("down"))
	ok(t, s.SendCodes(ctx, A, " Somebody@Example.BE ", born))
	w.Mail.Fail(nil)
	w.Work(t)
	ask("somebody@example.be", born) // once in an hour
	got := sent()
	if len(got) != 1 || !strings.Contains(got[0], second.Reference+"\n"+first.Reference+"\n") ||
		strings.Contains(got[0], closed.Reference) || strings.Contains(got[0], elsewhere.Reference) || !strings.Contains(got[0], "https://guichet.beaumarais.example/fr/follow") {
		t.Errorf("sent: %q", got)
	}
	if o := w.Get(t, A, first.ID); o.Events[len(o.Events)-1].Detail["About"] != "codes" {
		t.Errorf("the order tells nothing of it: %+v", o.Events)
	}
	w.Clock.Add(time.Hour + time.Minute)
	ask("somebody@example.be", born)
	if len(sent()) != 2 {
		t.Errorf("an hour later: %q", sent())
	}
	// Whoever knows address and day cannot fill the letter box, nor change what the proof says.
	proven, err := s.Proof(ctx, A, first.ID, first.Subject, i18n.French)
	ok(t, err)
	w.Clock.Add(time.Hour)
	ask("somebody@example.be", born)
	if again, err := s.Proof(ctx, A, first.ID, first.Subject, i18n.French); err != nil || again.Digest != proven.Digest {
		t.Errorf("another proof: %v", err)
	}
	for range 19 {
		w.Clock.Add(time.Hour)
		ask("somebody@example.be", born)
	}
	if len(sent()) != 3 {
		t.Errorf("within a day: %d mails", len(sent()))
	}
	w.Clock.Add(4 * time.Hour)
	ask("somebody@example.be", born)
	if len(sent()) != 4 {
		t.Errorf("the day after: %d mails", len(sent()))
	}
}
