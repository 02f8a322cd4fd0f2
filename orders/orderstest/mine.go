package orderstest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/form"
)

// What people keep and read about themselves.

// DraftOf is a form for the residence paper of which this was typed.
func DraftOf(typed form.Answers) orders.Draft {
	return orders.Draft{Product: "residence", Version: 1, Key: orders.NewKey(), Answers: typed}
}

func drafts(t *testing.T, w *World) {
	s, p, other := w.Service, w.Person(A, 1), w.Person(A, 2)
	typed := form.Answers{form.Email: "not yet an add"}
	made, err := s.KeepDraft(ctx, A, p, DraftOf(typed))
	ok(t, err)
	if !made.Until.Equal(Noon.Add(14 * 24 * time.Hour)) {
		t.Errorf("kept until %s", made.Until)
	}
	same := p // the same person, whom a service names otherwise
	same.Subject = "another-name"
	got, err := s.Draft(ctx, A, same, "residence")
	if err != nil || got.Key != made.Key || !maps.Equal(got.Answers, typed) || got.Complete || !got.Until.Equal(made.Until) {
		t.Errorf("%+v, %v", got, err)
	}
	for table, text := range dump(t, w.DB) {
		if strings.Contains(text, "not yet an add") {
			t.Errorf("what was typed is readable in %s", table)
		}
	}
	// One for each product, the newest first; nobody else's, and none of another product.
	w.Clock.Add(time.Hour)
	made.Answers, made.Complete = form.Answers{form.DocumentLanguage: "fr", form.Email: "luc@example.be"}, true
	_, err = s.KeepDraft(ctx, A, p, made)
	ok(t, err)
	second := DraftOf(nil)
	second.Product = "life"
	w.Clock.Add(time.Hour)
	_, err = s.KeepDraft(ctx, A, p, second)
	ok(t, err)
	list, err := s.Drafts(ctx, A, p)
	if err != nil || len(list) != 2 || list[0].Product != "life" || list[1].Answers[form.Email] != "luc@example.be" || !list[1].Complete {
		t.Errorf("%+v, %v", list, err)
	}
	for _, stranger := range []orders.Person{other, {}, {Subject: other.Subject}} {
		if list, err := s.Drafts(ctx, A, stranger); err != nil || len(list) != 0 {
			t.Errorf("somebody else finds %+v, %v", list, err)
		}
	}
	if d, err := s.Draft(ctx, A, p, "household"); err != nil || d.Kept() {
		t.Errorf("%+v, %v", d, err)
	}
	// Sending it ends it, and another browser cannot revive it under the same key.
	f := w.Form(A)
	f.Key, f.Answers = made.Key, made.Answers
	o, err := s.Submit(ctx, A, p, f)
	ok(t, err)
	if d, err := s.Draft(ctx, A, p, "residence"); err != nil || d.Kept() {
		t.Errorf("after sending: %+v, %v", d, err)
	}
	_, err = s.KeepDraft(ctx, A, p, made)
	if args := wants(t, err, fault.Conflict, "orders.form_used"); args["Reference"] != o.Reference {
		t.Errorf("it names %v", args)
	}
	ok(t, s.DropDraft(ctx, A, p, "life"))
	ok(t, s.DropDraft(ctx, A, p, "life"))
	if list, err := s.Drafts(ctx, A, p); err != nil || len(list) != 0 {
		t.Errorf("after all: %+v, %v", list, err)
	}
	for name, bad := range map[string]func(*orders.Draft){
		"no key":         func(d *orders.Draft) { d.Key = "" },
		"a long answer":  func(d *orders.Draft) { d.Answers = form.Answers{form.Email: strings.Repeat("a", 5000)} },
		"not asked":      func(d *orders.Draft) { d.Answers = form.Answers{form.BirthPlace: "Lille"} },
		"no such answer": func(d *orders.Draft) { d.Answers = form.Answers{"x": "y"} },
	} {
		d := DraftOf(nil)
		bad(&d)
		_, err := s.KeepDraft(ctx, A, p, d)
		t.Log(name)
		wants(t, err, fault.Invalid, "orders.form.invalid")
	}
	none := DraftOf(nil)
	none.Product = "nothing"
	_, err = s.KeepDraft(ctx, A, p, none)
	wants(t, err, fault.NotFound, "orders.no_product")
}

func draftsEnd(t *testing.T, w *World) {
	s, p := w.Service, w.Person(A, 1)
	_, err := s.KeepDraft(ctx, A, p, DraftOf(form.Answers{form.Email: "a"}))
	ok(t, err)
	w.Clock.Add(orders.DraftLife - time.Second)
	if d, err := s.Draft(ctx, A, p, "residence"); err != nil || !d.Kept() {
		t.Errorf("a second before: %+v, %v", d, err)
	}
	w.Clock.Add(time.Second)
	if d, err := s.Draft(ctx, A, p, "residence"); err != nil || d.Kept() {
		t.Errorf("when it ends: %+v, %v", d, err)
	}
	w.Work(t)
	if rows := dump(t, w.DB)["table orders_draft"]; rows != "" {
		t.Errorf("a day later its row is still there: %s", rows)
	}
}

// Somebody who leaves a form is reminded the day after and before it is forgotten, at the
// address they typed, else at the one of last time; not of what they sent.
func reminded(t *testing.T, w *World) {
	s, p := w.Service, w.Person(A, 1)
	keep := func(p orders.Person, product string, typed form.Answers) orders.Draft {
		d := DraftOf(typed)
		d.Product, d.Language = product, i18n.English
		d, err := s.KeepDraft(ctx, A, p, d)
		ok(t, err)
		return d
	}
	heard := 0
	later := func(d time.Duration, want ...string) {
		t.Helper()
		w.Clock.Add(d)
		w.Work(t)
		var got []string
		for _, m := range w.Mail.Sent()[heard:] {
			heard++
			got = append(got, m.To)
			if !strings.Contains(m.Text, "/orders#drafts") || strings.Contains(m.Subject+m.Text, "residence") || strings.Contains(m.Text, p.Surname) {
				t.Errorf("it says %q", m.Text)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("after %s: %v, want %v", d, got, want)
		}
	}
	first := keep(p, "residence", form.Answers{form.Contact: form.ByEmail, form.Email: "luc@example.be"})
	keep(p, "life", form.Answers{form.Email: "not yet an add"})
	keep(w.Person(A, 2), "residence", nil)
	ok(t, s.SetContact(ctx, A, w.Person(A, 3), form.Answers{form.Contact: form.ByEmail, form.Email: "anne@example.be"}))
	keep(w.Person(A, 3), "residence", form.Answers{form.DocumentLanguage: "fr"})
	keep(w.Person(A, 4), "residence", form.Answers{form.Contact: form.ByPhone, form.Phone: "0470 12 34 56", form.Email: "old@example.be"})
	later(19 * time.Hour)
	later(6*time.Hour, "anne@example.be", "luc@example.be")
	if m := w.Mail.Sent()[0]; m.Language != i18n.English || !strings.Contains(m.Text, "17\u00a0February 2026") {
		t.Errorf("%s: %q", m.Language, m.Text)
	}
	later(24 * time.Hour)
	w.Mail.Fail(errors.New("down"))
	later(9*24*time.Hour + 12*time.Hour) // two days before the end
	w.Clock.Add(24 * time.Hour)
	w.Mail.Fail(nil)
	later(6*time.Hour, "anne@example.be", "luc@example.be")
	// What is changed again begins anew; what is sent is over.
	first.Answers = form.Answers{form.Contact: form.ByEmail, form.Email: "luc@example.org"}
	_, err := s.KeepDraft(ctx, A, p, first)
	ok(t, err)
	ok(t, s.DropDraft(ctx, A, w.Person(A, 3), "residence"))
	later(26*time.Hour, "luc@example.org")
	f := w.Form(A)
	f.Key = first.Key
	_, err = s.Submit(ctx, A, p, f)
	ok(t, err)
	w.Work(t)
	heard = len(w.Mail.Sent())
	later(13 * 24 * time.Hour)
}

// issuedTo pages through somebody's papers, what no longer stands among them.
func issuedTo(t *testing.T, w *World) {
	var want []string
	var last orders.Order
	for range 22 {
		w.Clock.Add(24 * time.Hour)
		last = w.Issued(t, A, 1)
		want = append(want, last.ID)
	}
	slices.Reverse(want)
	w.Order(t, A, 1) // not issued
	void := w.Prepared(t, A, 1)
	_, err := w.Service.Cancel(ctx, A, void.ID, void.Subject)
	ok(t, err)
	w.Issued(t, A, 2) // somebody else's
	_, err = w.Service.Withdraw(ctx, A, last.ID, Clerk(1), orders.FactsWrong, "Faux.")
	ok(t, err)
	instead, err := w.Service.Replace(ctx, A, last.ID, Clerk(1))
	ok(t, err)
	for _, step := range []func() error{
		func() error { instead, err = w.Service.Prepare(ctx, A, instead.ID, Clerk(1)); return err },
		func() error {
			_, err = w.Service.Approve(ctx, A, instead.ID, Clerk(1), instead.Paper.Content)
			return err
		},
	} {
		ok(t, step())
	}
	w.Work(t)
	want = append([]string{instead.ID}, want...)
	var got []string
	after := ""
	for pages := 1; ; pages++ {
		page, err := w.Service.IssuedTo(ctx, A, []string{"nobody", last.Subject}, after)
		ok(t, err)
		for _, o := range page.Orders {
			got = append(got, o.ID)
			if o.ID == last.ID && (o.Withdrawal == nil || o.Withdrawal.Replacement != instead.Paper.Number) {
				t.Errorf("the replaced one: %+v", o.Withdrawal)
			}
		}
		if after = page.Next; after == "" {
			if pages != 2 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if page, err := w.Service.IssuedTo(ctx, A, nil, ""); err != nil || len(page.Orders) != 0 {
		t.Errorf("nobody's: %+v, %v", page, err)
	}
}

// looks are what clerks did, never what the person or the service did, and no older than
// six months.
func looks(t *testing.T, w *World) {
	s := w.Service
	old := w.Prepared(t, A, 1)
	w.Clock.Add(190 * 24 * time.Hour)
	o := w.Issued(t, A, 1)
	w.Clock.Add(time.Hour)
	_, err := s.ForClerk(ctx, A, o.ID, Clerk(2))
	ok(t, err)
	_, err = s.ForClerk(ctx, A, old.ID, Clerk(2))
	ok(t, err)
	_, err = s.Preview(ctx, A, o.ID, Clerk(2))
	ok(t, err)
	_, err = s.Document(ctx, A, o.ID, o.Subject)
	ok(t, err)
	other := w.Prepared(t, A, 2)
	_, err = s.ForClerk(ctx, A, other.ID, Clerk(2))
	ok(t, err)
	page, err := s.Looks(ctx, A, []string{o.Subject}, time.Time{})
	ok(t, err)
	list := page.Looks
	var got []string
	for _, l := range list {
		got = append(got, fmt.Sprintf("%s %s", l.Did, map[string]string{o.ID: "new", old.ID: "old"}[l.Order.ID]))
	}
	if text := strings.Join(got, ", "); text != "preview new, read old, read new, decide new, work new, work new" {
		t.Errorf("got %s", text)
	}
	if !list[0].At.Equal(w.Clock.Now()) || list[0].Order.Reference != o.Reference {
		t.Errorf("%+v", list[0])
	}
	if page, err := s.Looks(ctx, A, []string{"nobody"}, time.Time{}); err != nil || len(page.Looks) != 0 {
		t.Errorf("%d looks at nobody, %v", len(page.Looks), err)
	}
	pagedLooks(t, w, o, len(list))
	w.Auditor.Fail(errors.New("disk"))
	if _, err := s.ForClerk(ctx, A, o.ID, Clerk(2)); err == nil {
		t.Error("a look that is not recorded is no look")
	}
	w.Auditor.Fail(nil)
}

// contacts: the choice is remembered sealed from one order to the next, is the person's to
// change and to forget, and an order keeps its own.
func contacts(t *testing.T, w *World) {
	s, p := w.Service, w.Person(A, 1)
	same := p
	same.Subject = "another-name"
	known := func(c orders.Person) form.Answers {
		t.Helper()
		pre, err := s.Prefill(ctx, A, c, "residence")
		ok(t, err)
		return pre.Contact
	}
	if got := known(p); len(got) != 0 {
		t.Errorf("known before anything: %v", got)
	}
	f := w.Form(A)
	f.Answers = form.Answers{form.DocumentLanguage: "fr", form.Contact: form.ByPhone, form.Phone: "0470 12 34 56"}
	o, err := s.Submit(ctx, A, p, f)
	ok(t, err)
	if o.Email() != "" || o.Answer(string(form.Phone)) != "+32470123456" || o.Answer(string(form.Contact)) != form.ByPhone {
		t.Errorf("the order has %+v", o.Answers)
	}
	if got := known(same); !maps.Equal(got, form.Answers{form.Contact: form.ByPhone, form.Phone: "+32470123456"}) {
		t.Errorf("remembered %v", got)
	}
	if got := known(w.Person(A, 2)); len(got) != 0 {
		t.Errorf("somebody else is offered %v", got)
	}
	w.Work(t)
	if n := len(w.Mail.Sent()); n != 0 {
		t.Errorf("%d mails to somebody without an address", n)
	}
	ok(t, s.SetContact(ctx, A, p, form.Answers{form.Contact: form.ByEmail, form.Email: "later@example.be", form.BirthPlace: "Lille"}))
	if got := known(p); !maps.Equal(got, form.Answers{form.Contact: form.ByEmail, form.Email: "later@example.be"}) {
		t.Errorf("changed to %v", got)
	}
	if now := w.Get(t, A, o.ID); now.Email() != "" {
		t.Error("an order under way has changed")
	}
	for table, text := range dump(t, w.DB) {
		if strings.Contains(text, "later@example.be") {
			t.Errorf("it is readable in %s", table)
		}
	}
	for _, bad := range []form.Answers{{form.Contact: "pigeon"}, {form.Contact: form.ByEmail, form.Email: "x"}, {form.Contact: form.ByPhone}} {
		wants(t, s.SetContact(ctx, A, p, bad), fault.Invalid, "orders.form.invalid")
	}
	ok(t, s.SetContact(ctx, A, p, nil))
	if got := known(p); len(got) != 0 {
		t.Errorf("after it was forgotten: %v", got)
	}
}

// pagedLooks reads a long list piece by piece: each line is there once, also those of one
// moment at the border of two pieces, and what is looked at meanwhile moves nothing.
func pagedLooks(t *testing.T, w *World, o orders.Order, have int) {
	const more = 130
	for i := range more {
		if i < 45 || i > 58 { // some of one moment
			w.Clock.Add(time.Minute)
		}
		_, err := w.Service.ForClerk(ctx, A, o.ID, Clerk(2))
		ok(t, err)
	}
	newest := w.Clock.Now()
	var sizes []int
	var last, before time.Time
	total := 0
	for {
		page, err := w.Service.Looks(ctx, A, []string{o.Subject}, before)
		ok(t, err)
		for _, l := range page.Looks {
			if l.At.After(newest) || !last.IsZero() && l.At.After(last) {
				t.Fatalf("a line of %s behind one of %s", l.At, last)
			}
			last = l.At
		}
		sizes, total = append(sizes, len(page.Looks)), total+len(page.Looks)
		if before = page.Next; before.IsZero() {
			break
		}
		w.Clock.Add(time.Minute)
		_, err = w.Service.ForClerk(ctx, A, o.ID, Clerk(2)) // newer than the piece read
		ok(t, err)
	}
	if total != more+have || len(sizes) != 3 || sizes[0] != 50 || sizes[1] < 50 {
		t.Errorf("%d lines in pieces of %v, want %d", total, sizes, more+have)
	}
}
