package orders

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/form"
)

// Fees are received by people, at the counter or on the commune's account, and a clerk says
// so here. A receipt may be undone with a reason; it is never forgotten.

// Receipt is a fee received.
type Receipt struct {
	Seq    int
	At     time.Time
	By     Colleague
	How    Payment
	Number string // of the receipt, as the commune numbers them
	Cents  int64
}

// Payment is how a fee was received.
type Payment string

const (
	Cash     Payment = "cash"
	BankCard Payment = "card" // at the counter's terminal
	Transfer Payment = "transfer"
)

// Payments lists every one, in the order of the page.
var Payments = []Payment{Cash, BankCard, Transfer}

// Key is the message key of its words.
func (p Payment) Key() string { return "fee.how." + string(p) }

// MaxReceipt is the longest number of a receipt, in characters.
const MaxReceipt = 40

// Receive records that an order's fee was received, in full. A paper that a register seals
// is asked for then. Faults: orders.not_found; orders.own (Forbidden); fee.how_missing and
// fee.number_wrong (Invalid); fee.nothing_owed (Conflict), also for whoever came second;
// orders.moved (Conflict) where the order was refused, cancelled or withdrawn.
func (s *Service) Receive(ctx context.Context, c commune.ID, id string, clerk Clerk, how Payment, number string) (Order, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	if err := s.notOwn(r, clerk); err != nil {
		return Order{}, err
	}
	if number, err = receiptNumber(how, number); err != nil {
		return Order{}, err
	}
	switch {
	case !r.State.Open() && r.State != Issued:
		return Order{}, movedFault(r)
	case !r.Fee.Owed():
		return Order{}, fault.New(fault.Conflict, "fee.nothing_owed", nil)
	}
	at, by := s.now(), clerk.actor()
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := stillAs(tx, r); err != nil {
			return err
		}
		if err := s.addReceipt(tx, r, by, how, number, at); err != nil {
			return err
		}
		if !r.Fee.Due() || r.State != Submitted { // it waited for nothing
			return nil
		}
		r.Fee.Received = &Receipt{At: at}
		return s.begins(tx, r)
	})
	if errors.Is(err, errMoved) { // a colleague was first: with the fee, or with the order
		if r, err = s.load(ctx, c, id); err != nil {
			return Order{}, err
		}
		if r.Fee.Owed() {
			return Order{}, movedFault(r)
		}
		return Order{}, fault.New(fault.Conflict, "fee.nothing_owed", nil)
	}
	if err != nil {
		return Order{}, err
	}
	return s.Get(ctx, c, id)
}

// stillAs refuses with errMoved where an order has moved since it was read.
func stillAs(tx *sqldb.Tx, r row) error {
	var version int64
	err := tx.QueryRow(`SELECT version FROM orders_order WHERE commune = $1 AND id = $2`, string(r.Commune), r.ID).Scan(&version)
	if err == nil && version != r.Version {
		err = errMoved
	}
	return err
}

// receiptNumber is the number of a receipt as it is kept.
func receiptNumber(how Payment, number string) (string, error) {
	if !slices.Contains(Payments, how) {
		return "", fault.New(fault.Invalid, "fee.how_missing", nil)
	}
	number, key := form.Text(number, 1, MaxReceipt)
	if key != "" || strings.Contains(number, "\n") {
		return "", fault.New(fault.Invalid, "fee.number_wrong", errors.New(key))
	}
	return number, nil
}

// addReceipt writes that an order's fee was received; errMoved where it was before.
func (s *Service) addReceipt(tx *sqldb.Tx, r row, by Actor, how Payment, number string, at time.Time) error {
	if err := one(tx.Exec(`UPDATE orders_fee SET received_at = $1 WHERE commune = $2 AND order_id = $3 AND received_at = 0`, sqldb.Micros(at), string(r.Commune), r.ID)); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO orders_receipt (commune, order_id, seq, at, subject, name, how, number, cents)
		SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, $3, $4, $5, $6, $7, $8 FROM orders_receipt WHERE commune = $1 AND order_id = $2`,
		string(r.Commune), r.ID, sqldb.Micros(at), by.Subject, by.Name, string(how), number, r.Fee.Price.Total); err != nil {
		return err
	}
	if err := addEvent(tx, r.Commune, r.ID, Event{At: at, Actor: by, Kind: EventFeeReceived, Public: true, Detail: map[string]string{"Receipt": number}}); err != nil {
		return err
	}
	return s.note(tx, r, by, "orders.fee_received", at, map[string]string{"how": string(how), "receipt": number})
}

// UndoReceipt takes back that a fee was received: a slip, or money given back. The reason
// (1 to MaxReason characters) is kept with the receipt. A paper that was issued meanwhile
// stays. Faults: orders.not_found; orders.own (Forbidden); orders.form.invalid (Invalid) for
// the reason; fee.not_received (Conflict) where no such receipt counts.
func (s *Service) UndoReceipt(ctx context.Context, c commune.ID, id string, clerk Clerk, seq int, reason string) (Order, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	if err := s.notOwn(r, clerk); err != nil {
		return Order{}, err
	}
	if reason, err = clerksText(reason); err != nil {
		return Order{}, err
	}
	if r.Fee == nil || r.Fee.Received == nil || r.Fee.Received.Seq != seq {
		return Order{}, fault.New(fault.Conflict, "fee.not_received", nil)
	}
	at, by := s.now(), clerk.actor()
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := one(tx.Exec(`UPDATE orders_receipt SET undone_at = $1, undone_subject = $2, undone_name = $3, undone_reason = $4
			WHERE commune = $5 AND order_id = $6 AND seq = $7 AND undone_at = 0`, sqldb.Micros(at), by.Subject, by.Name, reason, string(c), id, seq)); err != nil {
			return err
		}
		if err := one(tx.Exec(`UPDATE orders_fee SET received_at = 0 WHERE commune = $1 AND order_id = $2 AND received_at > 0`, string(c), id)); err != nil {
			return err
		}
		detail := map[string]string{"Receipt": r.Fee.Received.Number, "Reason": reason}
		if err := addEvent(tx, c, id, Event{At: at, Actor: by, Kind: EventFeeUndone, Detail: detail}); err != nil {
			return err
		}
		return s.note(tx, r, by, "orders.fee_undone", at, map[string]string{"receipt": r.Fee.Received.Number})
	})
	if errors.Is(err, errMoved) {
		return Order{}, fault.New(fault.Conflict, "fee.not_received", nil)
	}
	if err != nil {
		return Order{}, err
	}
	return s.Get(ctx, c, id)
}

// paid refuses to go on where the fee is due, as it is committed now.
func (s *Service) paid(tx *sqldb.Tx, r row) error {
	if r.Fee == nil {
		return nil
	}
	var due int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM orders_fee WHERE commune = $1 AND order_id = $2 AND total > 0 AND before_issue = 1 AND received_at = 0`,
		string(r.Commune), r.ID).Scan(&due); err != nil {
		return err
	}
	if due > 0 {
		return feeDue(r)
	}
	return nil
}

func feeDue(r row) error {
	return fault.New(fault.Conflict, "fee.due", nil).With("Reference", r.Reference)
}
