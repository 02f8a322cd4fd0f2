package orders

import (
	"context"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
)

// SealJob seals an approved order.
type SealJob struct {
	Commune commune.ID `json:"commune"`
	Order   string     `json:"order"`
}

// Kind implements jobs.Args.
func (SealJob) Kind() string { return "orders.seal" }

// sealAgain is how long a time-stamping authority or a token that does not answer is left alone.
const sealAgain = 15 * time.Second

// seal brings an approved order to its sealed paper. It may run any number of times,
// also beside itself: the Sealer has one attempt win, and record moves the order once.
func (s *Service) seal(ctx context.Context, j SealJob) error {
	r, err := s.load(ctx, j.Commune, j.Order)
	if err != nil {
		return err
	}
	switch r.State {
	case Issued, Withdrawn:
		return nil
	case Approved, Signed:
	default:
		return fmt.Errorf("order %s is %s: there is nothing to seal", r.ID, r.State)
	}
	var grant string
	if err := s.DB.QueryRow(ctx, `SELECT grant_id FROM orders_paper WHERE commune = $1 AND order_id = $2`, string(j.Commune), j.Order).Scan(&grant); err != nil {
		return fmt.Errorf("order %s: its grant: %w", r.ID, err)
	}
	_, err = s.Sealer.Seal(ctx, j.Commune, grant, func(tx *sqldb.Tx, receipt signing.Receipt) error {
		return s.record(tx, j, receipt)
	})
	switch fault.KindOf(err) {
	case fault.Unreachable:
		return jobs.Snooze(sealAgain, err)
	case fault.Conflict: // another worker is at it; see later what came of it
		return jobs.Snooze(time.Second, nil)
	}
	return err
}

// record moves the order with its signature, in the Sealer's transaction.
func (s *Service) record(tx *sqldb.Tx, j SealJob, receipt signing.Receipt) error {
	r, err := s.scan(j.Commune, tx.QueryRow(selectOrder+`AND o.id = $2`, string(j.Commune), j.Order))
	if err != nil {
		return err
	}
	to, kind := Signed, EventSigned // and so it stays while stamps and proofs are gathered
	if receipt.Stage == signing.Finished {
		to, kind = Issued, EventIssued
	}
	if r.State == to || r.State == Issued || r.State == Withdrawn {
		return nil // recorded by a run that was cut off before it could say so
	}
	at, by := s.now(), Actor{Kind: ByService}
	if err := s.step(tx, r, to, by, at); err != nil {
		return fmt.Errorf("order %s is %s and cannot become %s: %w", r.ID, r.State, to, err)
	}
	issuedAt := sqldb.Time{}
	if to == Issued {
		if receipt.Document.IsZero() {
			return fmt.Errorf("order %s: a finished seal without a document", r.ID)
		}
		issuedAt.Time = at
	}
	if err := one(tx.Exec(`UPDATE orders_paper SET document = $1, signed_at = $2, issued_at = $3, level = $4, signer = $5, specimen = $6
		WHERE commune = $7 AND order_id = $8 AND grant_id = $9 AND void = 0`,
		receipt.Document, sqldb.Time{Time: receipt.SignedAt}, issuedAt, receipt.Level, receipt.Signer, bit(receipt.Specimen),
		string(j.Commune), j.Order, receipt.Grant)); err != nil {
		return fmt.Errorf("order %s: its paper: %w", r.ID, err)
	}
	if to == Issued {
		if err := addFiles(tx, r.Commune, r.ID, at, receipt.Document, receipt.Sealed); err != nil {
			return fmt.Errorf("order %s: its file: %w", r.ID, err)
		}
	}
	if err := addEvent(tx, r.Commune, r.ID, Event{At: at, Actor: by, Kind: kind, Public: true, Detail: map[string]string{"Number": string(r.Paper.Number)}}); err != nil {
		return err
	}
	if err := s.note(tx, r, by, "orders."+string(kind), at, map[string]string{"number": string(r.Paper.Number), "document": receipt.Document.String()}); err != nil {
		return err
	}
	if to == Issued {
		return s.tell(tx, r, Issued)
	}
	return nil
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
