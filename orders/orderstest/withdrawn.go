package orderstest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/document"
)

// Papers that no longer stand.

// everyWay is how strangers find a paper, by each way and each file that leads to it.
func everyWay(w *World, o orders.Order, token string, files ...blob.Digest) map[string]func() (orders.Facts, error) {
	ways := map[string]func() (orders.Facts, error){
		"QR": func() (orders.Facts, error) { return w.Service.Lookup(ctx, o.Commune, token) },
		"code": func() (orders.Facts, error) {
			return w.Service.LookupNumber(ctx, o.Commune, string(o.Paper.Number), o.Paper.Code)
		},
	}
	for _, d := range files {
		ways["file "+d.String()] = func() (orders.Facts, error) { return w.Service.LookupFile(ctx, o.Commune, d) }
	}
	return ways
}

func withdrawn(t *testing.T, w *World) {
	o := w.Prepared(t, A, 1)
	token := tokenOf(w.Renderer.Last())
	_, err := w.Service.Withdraw(ctx, A, o.ID, Clerk(1), orders.FactsWrong, "faux")
	wants(t, err, fault.Conflict, "orders.not_issued")
	_, err = w.Service.Approve(ctx, A, o.ID, Clerk(1), o.Paper.Content)
	ok(t, err)
	w.Work(t)
	first := w.Get(t, A, o.ID).Paper.Document
	w.Sealer.Age()
	ok(t, w.DB.Write(ctx, func(tx *sqldb.Tx) error { return w.Jobs.Insert(tx, orders.RenewJob{}) }))
	w.Work(t)
	o = w.Get(t, A, o.ID)
	if o.Paper.Document == first {
		t.Fatal("the file was not renewed")
	}
	_, err = w.Service.Replace(ctx, A, o.ID, Clerk(1))
	wants(t, err, fault.Conflict, "withdrawal.not_withdrawn")
	for name, bad := range map[string]struct {
		cause orders.Cause
		words string
	}{"no cause": {"", "faux"}, "unknown cause": {"mood", "faux"}, "no words": {orders.FactsWrong, " \u200b"}} {
		_, err = w.Service.Withdraw(ctx, A, o.ID, Clerk(1), bad.cause, bad.words)
		t.Log(name)
		wants(t, err, fault.Invalid, "orders.form.invalid")
	}
	_, err = w.Service.Withdraw(ctx, A, o.ID, orders.Clerk{Subject: "x", Name: "Luc", Number: Number(1)}, orders.FactsWrong, "faux")
	wants(t, err, fault.Forbidden, "orders.own")

	w.Clock.Add(time.Hour)
	gone, err := w.Service.Withdraw(ctx, A, o.ID, Clerk(2), orders.FalseStatements, "Le bail était faux.")
	ok(t, err)
	if gone.State != orders.Withdrawn || gone.Withdrawal == nil || gone.Withdrawal.By != "Claire 2" || gone.Withdrawal.Words != "Le bail était faux." || !gone.Withdrawal.Replaceable() {
		t.Errorf("withdrawn: %+v %+v", gone, gone.Withdrawal)
	}
	for name, find := range everyWay(w, o, token, first, o.Paper.Document) {
		f, err := find()
		if err != nil || f.Status != orders.PaperWithdrawn || !f.WithdrawnAt.Equal(w.Clock.Now()) || f.ReplacedBy != "" || f.Number != o.Paper.Number {
			t.Errorf("by %s: %+v, %v", name, f, err)
		}
	}
	_, err = w.Service.Withdraw(ctx, A, o.ID, Clerk(1), orders.OtherCause, "encore")
	if args := wants(t, err, fault.Conflict, "withdrawal.already"); args["By"] != "Claire 2" || args["When"] != "03/02/2026 13:00" {
		t.Errorf("the second hears %v", args)
	}
	w.Work(t)
	seen, err := w.Service.ForCitizen(ctx, A, o.ID, o.Subject)
	ok(t, err)
	if got := kinds(seen.Events); !strings.HasSuffix(got, "withdrawn notified") {
		t.Errorf("the person sees %s", got)
	}
	for _, e := range seen.Events {
		for _, v := range e.Detail {
			if strings.Contains(v, "bail") {
				t.Error("the person reads what is for colleagues")
			}
		}
	}
	if sent := w.told("withdrawn"); len(sent) != 1 || sent[0].ID != "withdrawn."+o.ID {
		t.Errorf("mails: %v", sent)
	}
	_, err = w.Service.Document(ctx, A, o.ID, o.Subject)
	wants(t, err, fault.Conflict, "withdrawal.no_file")
	// What is renewed later leads to a withdrawn paper too.
	ok(t, w.DB.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE orderstest_grant SET stage = 'finished' WHERE reference = $1`, o.ID)
		return err
	}))
	ok(t, w.DB.Write(ctx, func(tx *sqldb.Tx) error { return w.Jobs.Insert(tx, orders.RenewJob{}) }))
	w.Work(t)
	if f, err := w.Service.LookupFile(ctx, A, w.Get(t, A, o.ID).Paper.Document); err != nil || f.Status != orders.PaperWithdrawn || f.Document == o.Paper.Document {
		t.Errorf("a file renewed later: %+v, %v", f, err)
	}
}

// withdrawnOnce: of many who withdraw a paper one does, and the others hear who.
func withdrawnOnce(t *testing.T, w *World) {
	o := w.Issued(t, A, 1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 20 {
		wg.Go(func() {
			_, err := w.Service.Withdraw(ctx, A, o.ID, Clerk(i%10), orders.FormFlaw, "faute")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
				return
			}
			if args := wants(t, err, fault.Conflict, "withdrawal.already"); args["By"] == "" || args["When"] != "03/02/2026 12:00" {
				t.Errorf("a loser hears %v", args)
			}
		})
	}
	wg.Wait()
	if after := w.Get(t, A, o.ID); won != 1 || after.Version != o.Version+1 || len(after.Events) != len(o.Events)+1 {
		t.Errorf("%d have withdrawn it; version %d after %d", won, after.Version, o.Version)
	}
}

func replaced(t *testing.T, w *World) {
	o := w.Withdrawn(t, A, 1)
	token := tokenOf(w.Renderer.Last())
	home := w.Home(A, w.Person(A, 1))
	home.House = "99"
	w.Register.Move(orders.Person{Number: Number(1)}, home)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var made []orders.Order
	for i := range 8 {
		wg.Go(func() {
			r, err := w.Service.Replace(ctx, A, o.ID, Clerk(i))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made = append(made, r)
				return
			}
			wants(t, err, fault.Conflict, "withdrawal.replaced")
		})
	}
	wg.Wait()
	if len(made) != 1 {
		t.Fatalf("%d orders were made in its place", len(made))
	}
	status := func(want orders.PaperStatus, number orders.Number) {
		t.Helper()
		for name, find := range everyWay(w, o, token, o.Paper.Document) {
			if f, err := find(); err != nil || f.Status != want || f.ReplacedBy != number {
				t.Errorf("by %s: %+v, %v; want %s", name, f, err, want)
			}
		}
	}
	r := made[0]
	if r.State != orders.Submitted || r.Subject != o.Subject || r.Replaces != o.ID || r.ReplacesNumber != o.Paper.Number || r.Email() != o.Email() || !strings.Contains(r.Answer(orders.Address), "99") {
		t.Errorf("made in its place: %+v", r)
	}
	if got := kinds(r.Events); got != "replaces" {
		t.Errorf("its journal begins with %s", got)
	}
	if old := w.Get(t, A, o.ID); old.Withdrawal.ReplacedBy != r.ID || old.Withdrawal.Replacement != "" || old.Withdrawal.Replaceable() {
		t.Errorf("the old one's link: %+v", old.Withdrawal)
	}
	status(orders.PaperWithdrawn, "")
	// It comes to nothing, and another is made.
	_, err := w.Service.Refuse(ctx, A, r.ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
	ok(t, err)
	r, err = w.Service.Replace(ctx, A, o.ID, Clerk(1))
	ok(t, err)
	r, err = w.Service.Prepare(ctx, A, r.ID, Clerk(1))
	ok(t, err)
	drawn := w.Renderer.Last()
	if r.Paper.Number == o.Paper.Number || !strings.Contains(drawn.Legal, "annule et remplace le document "+string(o.Paper.Number)) {
		t.Errorf("number %s, legal %q", r.Paper.Number, drawn.Legal)
	}
	_, err = w.Service.Approve(ctx, A, r.ID, Clerk(1), r.Paper.Content)
	ok(t, err)
	status(orders.PaperWithdrawn, "")
	w.Work(t)
	status(orders.PaperReplaced, r.Paper.Number)
	if f, err := w.Service.Lookup(ctx, A, tokenOf(document.Document{Verify: drawn.Verify})); err != nil || f.Status != orders.Valid {
		t.Errorf("the one in its place: %+v, %v", f, err)
	}
	if list, err := w.Service.Mine(ctx, A, o.Subject); err != nil || len(list) != 3 {
		t.Errorf("the person's list has %d orders, %v", len(list), err)
	}
}
