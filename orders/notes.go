package orders

import (
	"context"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Note is what a clerk wrote for colleagues. It is shown at the desk and nowhere else:
// ForClerk alone reads notes, and not for a clerk whose own order it is.
type Note struct {
	Seq  int
	At   time.Time
	By   Colleague
	Text string
}

// AddNote keeps a note about an order, in whatever state. Its text has 1 to MaxMessage
// characters. Faults: orders.not_found; orders.own (Forbidden); orders.message_missing and
// orders.form.* (Invalid).
func (s *Service) AddNote(ctx context.Context, c commune.ID, id string, clerk Clerk, text string) error {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return err
	}
	own, err := s.own(r, clerk)
	if err != nil {
		return err
	}
	if own {
		return fault.New(fault.Forbidden, "orders.own", nil)
	}
	if text, err = messageText(text, 1); err != nil {
		return err
	}
	at, by := s.now(), clerk.actor()
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`INSERT INTO orders_note (commune, order_id, seq, at, subject, name, text)
			SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, $3, $4, $5, $6 FROM orders_note WHERE commune = $1 AND order_id = $2`,
			string(c), id, sqldb.Micros(at), by.Subject, by.Name, text); err != nil {
			return err
		}
		return s.happened(tx, r, by, EventNoted, at, false)
	})
}

// notes are those about an order, the oldest first.
func (s *Service) notes(ctx context.Context, c commune.ID, order string) ([]Note, error) {
	rows, err := s.DB.Query(ctx, `SELECT seq, at, subject, name, text FROM orders_note WHERE commune = $1 AND order_id = $2 ORDER BY seq`, string(c), order)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Note
	for rows.Next() {
		var n Note
		var at sqldb.Time
		if err := rows.Scan(&n.Seq, &at, &n.By.Subject, &n.By.Name, &n.Text); err != nil {
			return nil, err
		}
		n.At = at.Time
		list = append(list, n)
	}
	return list, rows.Err()
}
