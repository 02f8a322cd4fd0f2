package orderstest

import (
	"errors"
	"testing"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
)

// What stays when something dies, fails or comes twice.

// allOrNothing has the audit log, and then the grant, refuse at each step: nothing of the step stays.
func allOrNothing(t *testing.T, w *World) {
	boom := errors.New("boom")
	p, fresh, open := w.Person(A, 1), w.Order(t, A, 2), w.Prepared(t, A, 3)
	issued, gone := w.Issued(t, A, 4), w.Withdrawn(t, A, 5)
	s, f := w.Service, w.Form(A)
	before := dump(t, w.DB)
	steps := map[string]func() error{
		"submit":  func() error { _, err := s.Submit(ctx, A, p, f); return err },
		"prepare": func() error { _, err := s.Prepare(ctx, A, fresh.ID, Clerk(1)); return err },
		"again":   func() error { _, err := s.Prepare(ctx, A, open.ID, Clerk(1)); return err },
		"decide":  func() error { _, err := s.PrepareDespite(ctx, A, fresh.ID, Clerk(1), "because"); return err },
		"approve": func() error { _, err := s.Approve(ctx, A, open.ID, Clerk(1), open.Paper.Content); return err },
		"refuse": func() error {
			_, err := s.Refuse(ctx, A, open.ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
			return err
		},
		"cancel":   func() error { _, err := s.Cancel(ctx, A, open.ID, open.Subject); return err },
		"download": func() error { _, err := s.Document(ctx, A, issued.ID, issued.Subject); return err },
		"withdraw": func() error {
			_, err := s.Withdraw(ctx, A, issued.ID, Clerk(1), orders.FactsWrong, "faux")
			return err
		},
		"replace": func() error { _, err := s.Replace(ctx, A, gone.ID, Clerk(1)); return err },
		"look":    func() error { _, err := s.ForClerk(ctx, A, open.ID, Clerk(1)); return err },
		"preview": func() error { _, err := s.Preview(ctx, A, open.ID, Clerk(1)); return err },
	}
	w.Auditor.Fail(boom)
	for name, step := range steps {
		if err := step(); !errors.Is(err, boom) {
			t.Errorf("%s without an audit entry: %v", name, err)
		}
	}
	w.Auditor.Fail(nil)
	w.Sealer.FailGrant(boom)
	if err := steps["approve"](); !errors.Is(err, boom) {
		t.Errorf("approve without a grant: %v", err)
	}
	w.Sealer.FailGrant(nil)
	for table, text := range dump(t, w.DB) {
		if text != before[table] {
			t.Errorf("%s has changed", table)
		}
	}
	for _, name := range []string{"submit", "prepare", "again", "look", "preview"} {
		if err := steps[name](); err != nil {
			t.Errorf("%s afterwards: %v", name, err)
		}
	}
}

// deathPreparing stops Prepare at each place where something outside is asked, and tries again.
func deathPreparing(t *testing.T, w *World) {
	boom := errors.New("boom")
	for i, c := range []struct {
		name   string
		fail   func(error)
		number bool // has been given by then
	}{
		{"the register", w.Register.Fail, false},
		{"the renderer", w.Renderer.Fail, true},
		{"the disk", w.Blobs.Fail, true},
	} {
		o := w.Order(t, A, i)
		c.fail(boom)
		if _, err := w.Service.Prepare(ctx, A, o.ID, Clerk(1)); !errors.Is(err, boom) {
			t.Errorf("%s: %v", c.name, err)
		}
		c.fail(nil)
		before := w.Get(t, A, o.ID)
		if (before.Paper != nil) != c.number {
			t.Errorf("%s: paper %v", c.name, before.Paper)
		}
		if c.number {
			_, err := w.Service.Approve(ctx, A, o.ID, Clerk(1), blob.Digest{})
			wants(t, err, fault.Conflict, "orders.content_changed")
		}
		after, err := w.Service.Prepare(ctx, A, o.ID, Clerk(2))
		ok(t, err)
		if after.Paper.Content.IsZero() || c.number && (after.Paper.Number != before.Paper.Number || after.Paper.Code != before.Paper.Code) {
			t.Errorf("%s: went on as %+v", c.name, after.Paper)
		}
	}
	if o := w.Prepared(t, A, 50); o.Paper.Number != "2026-000004" {
		t.Errorf("the fourth paper has number %s", o.Paper.Number)
	}
}

// deathSealing kills the sealer once, and twice, at each of its places; one paper comes out.
func deathSealing(t *testing.T, w *World) {
	for i, p := range Points {
		for _, times := range []int{1, 2} {
			o := w.Approved(t, A, 10*i+times)
			w.Sealer.Kill(p, times)
			for range times + 1 {
				w.Work(t)
			}
			w.Sealer.Kill(p, 0)
			after := w.Get(t, A, o.ID)
			if after.State != orders.Issued || after.Paper.Number != o.Paper.Number || after.Paper.Document.IsZero() {
				t.Errorf("killed %d times %s: %s, %+v", times, p, after.State, after.Paper)
				continue
			}
			if got := kinds(after.Events); got != "submitted in_review prepared approved signed issued notified" {
				t.Errorf("killed %s: %s", p, got)
			}
			if _, err := w.Service.LookupFile(ctx, A, after.Paper.Document); err != nil {
				t.Errorf("killed %s: the paper is not known: %v", p, err)
			}
		}
	}
}

// twoWorkers run the same sealing at the same time.
func twoWorkers(t *testing.T, w *World) {
	var made []orders.Order
	for i := range 5 {
		o := w.Approved(t, A, i)
		made = append(made, o)
		ok(t, w.DB.Write(ctx, func(tx *sqldb.Tx) error {
			for range 4 {
				if err := w.Jobs.Insert(tx, orders.SealJob{Commune: A, Order: o.ID}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	w.Work(t)
	w.Work(t)
	for _, o := range made {
		o = w.Get(t, A, o.ID)
		if got := kinds(o.Events); o.State != orders.Issued || got != "submitted in_review prepared approved signed issued notified" {
			t.Errorf("%s: %s", o.State, got)
		}
	}
}

func noStamp(t *testing.T, w *World) {
	w.Sealer.Silence(true)
	o := w.Approved(t, A, 1)
	w.Work(t)
	o = w.Get(t, A, o.ID)
	if o.State != orders.Signed || o.Paper.SignedAt.IsZero() || !o.Paper.Document.IsZero() {
		t.Errorf("without a stamp: %s %+v", o.State, o.Paper)
	}
	_, err := w.Service.Document(ctx, A, o.ID, o.Subject)
	wants(t, err, fault.Conflict, "orders.not_issued")
	_, err = w.Service.LookupNumber(ctx, A, string(o.Paper.Number), o.Paper.Code)
	wants(t, err, fault.NotFound, "orders.document_unknown")
	_, err = w.Service.Cancel(ctx, A, o.ID, o.Subject)
	wants(t, err, fault.Conflict, "orders.moved")
	w.Sealer.Silence(false)
	w.Work(t)
	if o = w.Get(t, A, o.ID); o.State != orders.Issued || w.Sealer.KeyUsed() != 1 {
		t.Errorf("with a stamp: %s, the key was called %d times", o.State, w.Sealer.KeyUsed())
	}
}

// renewed has the file of a paper be stamped again: the new one is downloaded, and the old
// one, which people have, leads to the same paper.
func renewed(t *testing.T, w *World) {
	o, other := w.Issued(t, A, 1), w.Issued(t, A, 2)
	was := o.Paper.Document
	again := func() {
		t.Helper()
		if err := w.DB.Write(ctx, func(tx *sqldb.Tx) error { return w.Jobs.Insert(tx, orders.RenewJob{}) }); err != nil {
			t.Fatal(err)
		}
		w.Work(t)
	}
	again()
	if now := w.Get(t, A, o.ID); now.Paper.Document != was {
		t.Error("renewed though nothing was due")
	}
	w.Sealer.Age()
	w.Sealer.Silence(true)
	again()
	if now := w.Get(t, A, o.ID); now.Paper.Document != was || now.State != orders.Issued {
		t.Error("renewed without a stamp")
	}
	w.Sealer.Silence(false)
	w.Work(t)
	now := w.Get(t, A, o.ID)
	if now.Paper.Document == was || now.State != orders.Issued || w.Sealer.KeyUsed() != 2 {
		t.Fatalf("%s %+v, the key was called %d times", now.State, now.Paper, w.Sealer.KeyUsed())
	}
	file, err := w.Service.Document(ctx, A, o.ID, o.Subject)
	if err != nil || blob.Sum(file.Data) != now.Paper.Document {
		t.Errorf("the download is another file (%v)", err)
	}
	for _, d := range []blob.Digest{was, now.Paper.Document} {
		facts, err := w.Service.LookupFile(ctx, A, d)
		if err != nil || facts.Number != now.Paper.Number {
			t.Errorf("%s leads to %+v, %v", d, facts.Number, err)
		}
		_, err = w.Service.LookupFile(ctx, B, d)
		wants(t, err, fault.NotFound, "orders.document_unknown")
	}
	if two := w.Get(t, A, other.ID); two.Paper.Document == other.Paper.Document {
		t.Error("the second paper was left out")
	}
}
