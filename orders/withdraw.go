package orders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/form"
)

// Withdrawal says that an issued paper no longer stands, and why.
type Withdrawal struct {
	Cause Cause
	Words string // the clerk's own, for colleagues
	By    string
	At    time.Time
	// ReplacedBy is the ID of the order made in the paper's place, "" where there is none.
	ReplacedBy string
	// Replacement is the number of the paper issued in its place, "" until it is.
	Replacement Number
	over        bool // the order in its place came to nothing
}

// Cause is the kind of reason of a withdrawal. The person is told it, strangers are not.
type Cause string

const (
	FactsWrong      Cause = "facts_wrong"     // something on it was not so
	WrongPerson     Cause = "wrong_person"    // it names somebody else
	NotToBeIssued   Cause = "not_to_issue"    // it should not have been issued
	FalseStatements Cause = "false_statement" // it was obtained by untrue statements
	FormFlaw        Cause = "form_flaw"       // language, spelling, layout
	AtRequest       Cause = "at_request"      // the person asked for it
	OtherCause      Cause = "other"
)

// Causes lists every cause, in the order of the page.
var Causes = []Cause{FactsWrong, WrongPerson, NotToBeIssued, FalseStatements, FormFlaw, AtRequest, OtherCause}

// Known says whether there is such a cause.
func (c Cause) Known() bool { return slices.Contains(Causes, c) }

// Key is the message key of the cause's words.
func (c Cause) Key() string { return "withdrawal.cause." + string(c) }

// Replaceable says whether an order may be made in the place of this paper.
func (w *Withdrawal) Replaceable() bool { return w != nil && (w.ReplacedBy == "" || w.over) }

// Withdraw ends an issued paper: from now on nobody who checks it finds it good. words (1
// to MaxReason characters) are for colleagues. The person is told. Faults:
// orders.not_found; orders.own (Forbidden); withdrawal.forbidden (Forbidden) for a clerk who
// neither may sign such papers today nor administers; withdrawal.already (Conflict; Args By, When)
// for a paper that is withdrawn; orders.not_issued (Conflict); orders.moved (Conflict);
// orders.form.invalid (Invalid) for no known cause or no words.
func (s *Service) Withdraw(ctx context.Context, c commune.ID, id string, clerk Clerk, cause Cause, words string) (Order, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	if err := s.mayWithdraw(ctx, r, clerk); err != nil {
		return Order{}, err
	}
	if err := issuedStill(r); err != nil {
		return Order{}, err
	}
	words, err = clerksText(words)
	if err == nil && !cause.Known() {
		err = fault.New(fault.Invalid, "orders.form.invalid", fmt.Errorf("cause %q", cause))
	}
	if err != nil {
		return Order{}, err
	}
	by, at := clerk.actor(), s.now()
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := s.step(tx, r, Withdrawn, by, at); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO orders_withdrawal (commune, order_id, cause, words, by_subject, by_name, at, replaced_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, '')`, string(c), id, string(cause), words, clerk.Subject, clerk.Name, sqldb.Micros(at)); err != nil {
			return err
		}
		e := Event{At: at, Actor: by, Kind: EventWithdrawn, Public: true, Detail: map[string]string{"Number": string(r.Paper.Number)}}
		if err := addEvent(tx, c, id, e); err != nil {
			return err
		}
		detail := map[string]string{"number": string(r.Paper.Number), "cause": string(cause), "document": r.Paper.Document.String()}
		if err := s.note(tx, r, by, "orders.withdrawn", at, detail); err != nil {
			return err
		}
		return s.tell(tx, r, Withdrawn)
	})
	if err == nil {
		return s.Get(ctx, c, id)
	}
	if errors.Is(err, errMoved) { // a colleague was first
		if r, err = s.load(ctx, c, id); err == nil {
			err = issuedStill(r)
		}
		if err == nil {
			err = movedFault(r)
		}
	}
	return Order{}, err
}

// issuedStill is the fault of a paper that cannot be withdrawn.
func issuedStill(r row) error {
	switch {
	case r.Withdrawal != nil:
		return fault.New(fault.Conflict, "withdrawal.already", nil).With("By", r.Withdrawal.By).With("When", when(r.Withdrawal.At))
	case !May(r.State, Withdrawn, ByClerk):
		return fault.New(fault.Conflict, "orders.not_issued", nil)
	}
	return nil
}

func when(t time.Time) string { return t.In(i18n.Brussels()).Format("02/01/2006 15:04") }

// mayWithdraw refuses whoever the order is about, and whoever could not have approved it.
func (s *Service) mayWithdraw(ctx context.Context, r row, clerk Clerk) error {
	if err := s.notOwn(r, clerk); err != nil || clerk.Administers {
		return err
	}
	list, err := s.signatories(ctx, r, clerk)
	if err == nil && !slices.ContainsFunc(list, func(x Signatory) bool { return x.Subject == clerk.Subject }) {
		err = fault.New(fault.Forbidden, "withdrawal.forbidden", nil)
	}
	return err
}

// notOwn refuses whoever the order is about.
func (s *Service) notOwn(r row, clerk Clerk) error {
	own, err := s.own(r, clerk)
	if err == nil && own {
		err = fault.New(fault.Forbidden, "orders.own", nil)
	}
	return err
}

// Replace makes an order in the place of a withdrawn paper: of the same person, for the
// same product, with the same answers and with what the register says today. It takes the
// way of any order and gets a number of its own; its paper names the one it replaces.
// Faults: orders.not_found; orders.own (Forbidden); withdrawal.not_withdrawn (Conflict);
// withdrawal.replaced (Conflict) where there is one that has not come to nothing; those of
// Prefill.
func (s *Service) Replace(ctx context.Context, c commune.ID, id string, clerk Clerk) (Order, error) {
	old, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	if err := s.notOwn(old, clerk); err != nil {
		return Order{}, err
	}
	switch {
	case old.Withdrawal == nil:
		return Order{}, fault.New(fault.Conflict, "withdrawal.not_withdrawn", nil)
	case !old.Withdrawal.Replaceable():
		return Order{}, fault.New(fault.Conflict, "withdrawal.replaced", nil)
	}
	r, err := s.again(ctx, old)
	if err != nil {
		return Order{}, err
	}
	by := clerk.actor()
	r.ChangedBy = clerk.Name
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := one(tx.Exec(`UPDATE orders_order SET version = version + 1 WHERE commune = $1 AND id = $2 AND version = $3 AND state = $4`,
			string(c), old.ID, old.Version, string(Withdrawn))); err != nil {
			return err
		}
		if added, err := insert(tx, r, NewKey(), searchName(r.Surname, r.GivenNames)); err != nil || !added {
			return errors.Join(err, errMoved)
		}
		if err := one(tx.Exec(`UPDATE orders_withdrawal SET replaced_by = $1 WHERE commune = $2 AND order_id = $3`, r.ID, string(c), old.ID)); err != nil {
			return err
		}
		if err := s.noteReplacement(tx, old, r, by); err != nil {
			return err
		}
		return s.begins(tx, r)
	})
	if errors.Is(err, errMoved) {
		return Order{}, fault.New(fault.Conflict, "withdrawal.replaced", nil)
	}
	if err != nil {
		return Order{}, err
	}
	return s.Get(ctx, c, r.ID)
}

// noteReplacement says in both journals that r was made in the place of old.
func (s *Service) noteReplacement(tx *sqldb.Tx, old, r row, by Actor) error {
	number, at := string(old.Paper.Number), r.SubmittedAt
	if err := addEvent(tx, r.Commune, old.ID, Event{At: at, Actor: by, Kind: EventReplacement, Public: true, Detail: map[string]string{"Reference": grouped(r.Reference)}}); err != nil {
		return err
	}
	if err := addEvent(tx, r.Commune, r.ID, Event{At: at, Actor: by, Kind: EventReplaces, Public: true, Detail: map[string]string{"Number": number}}); err != nil {
		return err
	}
	return s.note(tx, r, by, "orders.replaces", at, map[string]string{"order": old.ID, "number": number, "product": r.Product.ID})
}

// again is an order like old, not yet written.
func (s *Service) again(ctx context.Context, old row) (row, error) {
	of, err := s.commune(old.Commune)
	if err != nil {
		return row{}, err
	}
	chosen, err := s.Product(old.Commune, old.Product.ID)
	if err != nil {
		return row{}, err
	}
	if !slices.Equal(chosen.Fields, old.Product.Fields) { // it asks what was not answered
		chosen = old.Product
	}
	p := Person{Subject: old.Subject, GivenNames: old.GivenNames, Surname: old.Surname, BirthDate: old.Answer(BirthDate)}
	if p.Number, err = s.numberOf(old); err != nil {
		return row{}, err
	}
	answers, attention, err := s.ask(ctx, of, chosen, p)
	if err != nil {
		return row{}, err
	}
	for _, a := range old.Answers {
		if n := slices.IndexFunc(answers, func(b Answer) bool { return b.Name == a.Name }); a.Origin == FromDocument && n >= 0 {
			answers[n].Origin = FromDocument
		}
		if form.Name(a.Name).Known() {
			answers = append(answers, a)
		}
	}
	r, err := s.newOrder(ctx, of, chosen, p, answers, attention, "")
	if err != nil {
		return row{}, err
	}
	r.Language, r.Fee = old.Language, old.Fee.freeAgain(answers)
	return r, nil
}

// numberOf is the national number of an order's person, zero where they have none.
func (s *Service) numberOf(r row) (eid.NationalNumber, error) {
	if r.numberless() {
		return eid.NationalNumber{}, nil
	}
	return s.vault.open(r.Commune, r.ID, r.sealed)
}

// link reads what an order's paper was withdrawn for, and what it stands in the place of.
func (s *Service) link(ctx context.Context, r *row) error {
	rows, err := s.DB.Query(ctx, `SELECT w.order_id, w.cause, w.words, w.by_name, w.at, w.replaced_by, p.number, COALESCE(n.number, ''), COALESCE(q.state, '')
		FROM orders_withdrawal w
		JOIN orders_paper p ON p.commune = w.commune AND p.order_id = w.order_id
		LEFT JOIN orders_order q ON q.commune = w.commune AND q.id = w.replaced_by
		LEFT JOIN orders_paper n ON n.commune = w.commune AND n.order_id = w.replaced_by
		WHERE w.commune = $1 AND (w.order_id = $2 OR w.replaced_by = $2)`, string(r.Commune), r.ID)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var w Withdrawal
		var order string
		var at sqldb.Time
		var old, replacement Number
		var state State
		if err := rows.Scan(&order, &w.Cause, &w.Words, &w.By, &at, &w.ReplacedBy, &old, &replacement, &state); err != nil {
			return err
		}
		if order != r.ID {
			r.Replaces, r.ReplacesNumber = order, shown(string(old))
			continue
		}
		w.At, w.over = at.Time, state == Refused || state == Cancelled
		if state == Issued || state == Withdrawn {
			w.Replacement = shown(string(replacement))
		}
		r.Withdrawal = &w
	}
	return rows.Err()
}
