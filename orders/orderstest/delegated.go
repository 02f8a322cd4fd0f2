package orderstest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/delegation"
)

// In whose place papers are signed.

// inWhoseName: the paper bears the name of the delegate who approves it, and no other
// delegate's approval counts until it is prepared again in theirs.
func inWhoseName(t *testing.T, w *World) {
	plain := orders.Clerk{Subject: "clerk-plain", Name: "Paula", Number: Number(90500)} // prepares, and may sign nothing
	o := w.Order(t, B, 1)
	_, err := w.Service.Prepare(ctx, B, o.ID, plain)
	wants(t, err, fault.Conflict, "delegation.choose")
	_, err = w.Service.PrepareFor(ctx, B, o.ID, plain, plain.Subject, nil)
	wants(t, err, fault.Conflict, "delegation.not_theirs")
	if w.Get(t, B, o.ID).Paper != nil {
		t.Error("a number was spent")
	}
	list, err := w.Service.Signatories(ctx, B, o.ID, Clerk(3))
	ok(t, err)
	if len(list) != 10 || list[0].Subject != Clerk(3).Subject {
		t.Errorf("offered are %+v", list)
	}
	o, err = w.Service.PrepareFor(ctx, B, o.ID, plain, Clerk(2).Subject, nil)
	ok(t, err)
	if d := w.Renderer.Last().Signatory; d.Name != "Claire 2" || d.Mention != i18n.T(i18n.Dutch, "delegation.mention.mayor") || o.Paper.Signatory.Subject != Clerk(2).Subject || o.Paper.PreparedBy != "Paula" {
		t.Errorf("it bears %+v, kept is %+v", d, o.Paper)
	}
	_, err = w.Service.Approve(ctx, B, o.ID, Clerk(1), o.Paper.Content)
	if args := wants(t, err, fault.Conflict, "delegation.other_signatory"); args["Name"] != "Claire 2" {
		t.Errorf("named is %v", args)
	}
	_, err = w.Service.Approve(ctx, B, o.ID, plain, o.Paper.Content)
	wants(t, err, fault.Conflict, "delegation.other_signatory")
	again, err := w.Service.Prepare(ctx, B, o.ID, plain) // stays in the name it bears
	ok(t, err)
	if again.Paper.Signatory != o.Paper.Signatory {
		t.Errorf("prepared again in the name of %+v", again.Paper.Signatory)
	}
	mine, err := w.Service.Prepare(ctx, B, o.ID, Clerk(1))
	ok(t, err)
	if mine.Paper.Content == o.Paper.Content || mine.Paper.Number != o.Paper.Number {
		t.Errorf("prepared in one's own name: %+v", mine.Paper)
	}
	_, err = w.Service.Approve(ctx, B, o.ID, Clerk(1), mine.Paper.Content)
	ok(t, err)
	w.Work(t)
	f, err := w.Service.LookupNumber(ctx, B, string(o.Paper.Number), o.Paper.Code)
	if err != nil || f.Signatory.Name != "Claire 1" || f.Signatory.Office != delegation.Mayor {
		t.Errorf("a stranger learns %+v, %v", f.Signatory, err)
	}
	_, err = w.Service.Withdraw(ctx, B, o.ID, plain, orders.FormFlaw, "faute")
	wants(t, err, fault.Forbidden, "withdrawal.forbidden")
	plain.Administers = true
	_, err = w.Service.Withdraw(ctx, B, o.ID, plain, orders.FormFlaw, "faute")
	ok(t, err)
}

// whoseDelegation: one that has not begun, is over, was ended, is for other papers, of
// another commune or of somebody who has not joined counts for nothing, also where it
// counted when the paper was prepared.
func whoseDelegation(t *testing.T, w *World) {
	day := func(n int) string { return Noon.AddDate(0, 0, n).Format(time.DateOnly) }
	for n, c := range []struct {
		name   string
		change func(*delegation.Delegation)
		counts bool
	}{
		{"today", func(d *delegation.Delegation) { d.From, d.To = day(0), day(0) }, true},
		{"for this paper", func(d *delegation.Delegation) { d.Products = []string{"fr_life", "residence"} }, true},
		{"from tomorrow", func(d *delegation.Delegation) { d.From = day(1) }, false},
		{"until yesterday", func(d *delegation.Delegation) { d.From, d.To = day(-9), day(-1) }, false},
		{"for another paper", func(d *delegation.Delegation) { d.Products = []string{"fr_life"} }, false},
		{"of whom is invited", func(d *delegation.Delegation) { d.Subject, d.Invitation = "", "invitation" }, false},
	} {
		clerk := Clerk(20 + n)
		d := Decision(clerk)
		c.change(&d)
		_, err := w.Delegations.Record(ctx, A, d, "clerk-1")
		ok(t, err)
		o := w.Order(t, A, n)
		p, err := w.Service.PrepareFor(ctx, A, o.ID, Clerk(1), clerk.Subject, nil)
		if !c.counts {
			t.Log(c.name)
			wants(t, err, fault.Conflict, "delegation.not_theirs")
			continue
		}
		if err == nil {
			_, err = w.Service.Approve(ctx, A, o.ID, clerk, p.Paper.Content)
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		_, err = w.Service.PrepareFor(ctx, B, w.Order(t, B, 100+n).ID, Clerk(1), clerk.Subject, nil)
		wants(t, err, fault.Conflict, "delegation.not_theirs")
	}
	ok(t, w.DB.Write(ctx, func(tx *sqldb.Tx) error { return w.Delegations.Joined(tx, A, "invitation", "clerk-99", "Nora") }))
	if list, err := w.Delegations.InForce(ctx, A, "residence", day(0)); err != nil || list[len(list)-1].Name != "Nora" {
		t.Errorf("who has joined: %+v, %v", list, err)
	}
	// Whoever no longer works here signs nothing, and neither does anybody's elsewhere.
	ok(t, w.DB.Write(ctx, func(tx *sqldb.Tx) error { return w.Delegations.Left(tx, B, "clerk-99", "clerk-1") }))
	if list, err := w.Delegations.InForce(ctx, A, "residence", day(0)); err != nil || list[len(list)-1].Name != "Nora" {
		t.Errorf("gone from another commune: %+v, %v", list, err)
	}
	ok(t, w.DB.Write(ctx, func(tx *sqldb.Tx) error { return w.Delegations.Left(tx, A, "clerk-99", "clerk-1") }))
	if list, err := w.Delegations.InForce(ctx, A, "residence", day(0)); err != nil || slices.ContainsFunc(list, func(d delegation.Delegation) bool { return d.Subject == "clerk-99" }) {
		t.Errorf("who has gone: %+v, %v", list, err)
	}

	// It is ended between preparing and approving.
	last := Clerk(40)
	d, err := w.Delegations.Record(ctx, A, Decision(last), "clerk-1")
	ok(t, err)
	o, err := w.Service.Prepare(ctx, A, w.Order(t, A, 50).ID, last)
	ok(t, err)
	wants(t, w.Delegations.End(ctx, B, d.ID, "clerk-1"), fault.NotFound, "delegation.unknown")
	ok(t, w.Delegations.End(ctx, A, d.ID, "clerk-1"))
	wants(t, w.Delegations.End(ctx, A, d.ID, "clerk-1"), fault.NotFound, "delegation.unknown")
	before := dump(t, w.DB)
	_, err = w.Service.Approve(ctx, A, o.ID, last, o.Paper.Content)
	wants(t, err, fault.Forbidden, "delegation.not_yours")
	for table, text := range dump(t, w.DB) {
		if text != before[table] {
			t.Errorf("%s has changed", table)
		}
	}
	if list, err := w.Delegations.List(ctx, A); err != nil || len(list) != 17 {
		t.Errorf("%d are on record, %v", len(list), err)
	}

	// A refused record and a refused journal leave nothing.
	w.Auditor.Fail(context.Canceled)
	reg, err := delegation.New(ctx, w.DB, w.Auditor, w.Clock.Now)
	ok(t, err)
	if _, err := reg.Record(ctx, A, Decision(last), "clerk-1"); err == nil {
		t.Error("recorded without a journal")
	}
	w.Auditor.Fail(nil)
	for name, bad := range map[string]struct {
		change func(*delegation.Delegation)
		key    string
	}{
		"nobody":           {func(d *delegation.Delegation) { d.Subject = "" }, "delegation.name_missing"},
		"two people":       {func(d *delegation.Delegation) { d.Invitation = "x" }, "delegation.name_missing"},
		"no office":        {func(d *delegation.Delegation) { d.Office = "king" }, "delegation.office_missing"},
		"no first day":     {func(d *delegation.Delegation) { d.From = "" }, "delegation.days_wrong"},
		"over before it's": {func(d *delegation.Delegation) { d.To = day(-1) }, "delegation.days_wrong"},
		"no decision":      {func(d *delegation.Delegation) { d.Decision = " " }, "delegation.decision_missing"},
	} {
		d := Decision(last)
		bad.change(&d)
		_, err := reg.Record(ctx, A, d, "clerk-1")
		t.Log(name)
		wants(t, err, fault.Invalid, bad.key)
	}
	if list, err := w.Delegations.List(ctx, A); err != nil || len(list) != 17 {
		t.Errorf("%d are on record afterwards, %v", len(list), err)
	}
	ok(t, w.DB.Write(ctx, func(tx *sqldb.Tx) error {
		held, err := delegation.Holds(tx, A, Clerk(1).Subject, delegation.Registrar, "residence", day(0))
		if held {
			t.Error("the mayor's delegate signs for the officer of civil status")
		}
		return err
	}))
}
