package orders

import (
	"context"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
)

// RenewJob renews the files whose last time stamp will soon prove nothing any more.
type RenewJob struct{}

// Kind implements jobs.Args.
func (RenewJob) Kind() string { return "orders.renew" }

const (
	renewEvery = time.Hour
	renewFor   = 30 * time.Minute
	renewMost  = 100              // grants listed at once
	renewAgain = 10 * time.Minute // how long an authority that does not answer is left alone
)

// renew renews what is due in every commune. It may run any number of times, also
// beside itself: of two renewals of one file the Sealer lets one win. A file that cannot
// be renewed holds up no other; an authority that does not answer ends the run.
func (s *Service) renew(ctx context.Context, _ RenewJob) error {
	failed := 0
	var last error
	for _, c := range s.Communes.All() {
		var skip []string // not again in this run
		for ctx.Err() == nil {
			due, err := s.Sealer.Due(ctx, c.ID, renewMost, skip...)
			if err != nil {
				return err
			}
			if len(due) == 0 {
				break
			}
			for _, grant := range due {
				err := s.renewOne(ctx, c.ID, grant)
				if fault.KindOf(err) == fault.Unreachable {
					return jobs.Snooze(renewAgain, err)
				}
				if err != nil && fault.KindOf(err) != fault.Conflict {
					last = err
					failed++
				}
				if err != nil {
					skip = append(skip, grant)
				}
			}
			if len(skip) >= renewMost {
				break // something is wrong with all of them
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("orders: %d files could not be renewed, the last one: %w", failed, last)
	}
	return ctx.Err()
}

func (s *Service) renewOne(ctx context.Context, c commune.ID, grant string) error {
	_, err := s.Sealer.Renew(ctx, c, grant, func(tx *sqldb.Tx, receipt signing.Receipt) error {
		return s.renewed(tx, c, receipt)
	})
	return err
}

// renewed puts the new file in the place of the old one, which goes on to be known.
func (s *Service) renewed(tx *sqldb.Tx, c commune.ID, receipt signing.Receipt) error {
	var id string
	if err := tx.QueryRow(`SELECT order_id FROM orders_paper WHERE commune = $1 AND grant_id = $2`, string(c), receipt.Grant).Scan(&id); err != nil {
		return fmt.Errorf("the order of grant %s: %w", receipt.Grant, err)
	}
	if err := one(tx.Exec(`UPDATE orders_paper SET document = $1 WHERE commune = $2 AND order_id = $3 AND grant_id = $4 AND document <> ''`,
		receipt.Document, string(c), id, receipt.Grant)); err != nil {
		return fmt.Errorf("order %s: its paper: %w", id, err)
	}
	return addFiles(tx, c, id, s.now(), receipt.Document)
}

// addFiles notes files that lead to an order's paper.
func addFiles(tx *sqldb.Tx, c commune.ID, order string, at time.Time, files ...blob.Digest) error {
	for _, d := range files {
		if d.IsZero() {
			continue
		}
		if _, err := tx.Exec(`INSERT INTO orders_file (commune, document, order_id, added_at) VALUES ($1, $2, $3, $4) ON CONFLICT (commune, document) DO NOTHING`,
			string(c), d, order, sqldb.Micros(at)); err != nil {
			return err
		}
	}
	return nil
}
