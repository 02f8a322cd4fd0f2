package orders

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/notice"
	"github.com/belfry-eid/belfry/orders/outside"
)

// Letters: papers that were issued, and that their people wanted by post. A batch is printed
// as one file, and marked as sent once it has left the house; printing alone sends nothing,
// and may be repeated.

// MaxLetters is how many letters are listed, printed and marked at once.
const MaxLetters = 50

// Letters lists the orders whose paper is issued and still to be sent, the oldest first,
// MaxLetters at most; more says that there are others behind. Those about the clerk are
// among them: sending a letter decides nothing. That they were listed is logged (T11).
func (s *Service) Letters(ctx context.Context, c commune.ID, clerk Clerk) (list []Order, more bool, err error) {
	if _, err := s.commune(c); err != nil {
		return nil, false, err
	}
	found, err := s.rows(ctx, c, `AND o.state = $2 AND o.id IN (SELECT f.order_id FROM orders_fee f WHERE f.commune = $1 AND f.waits = 1 ORDER BY f.order_id LIMIT $3)
		ORDER BY o.id`, string(Issued), MaxLetters+1)
	if err != nil {
		return nil, false, err
	}
	if len(found) > MaxLetters {
		found, more = found[:MaxLetters], true
	}
	for i := range found {
		if err := s.fee(ctx, &found[i]); err != nil {
			return nil, false, err
		}
		list = append(list, found[i].Order)
	}
	if len(list) == 0 {
		return nil, false, nil
	}
	at := s.now()
	return list, more, s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		for _, r := range found {
			if err := s.note(tx, r, clerk.actor(), "orders.listed", at, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// WaitingLetters counts what Letters would list, and what is behind.
func (s *Service) WaitingLetters(ctx context.Context, c commune.ID) (n int, err error) {
	if _, err := s.commune(c); err != nil {
		return 0, err
	}
	err = s.DB.QueryRow(ctx, `SELECT COUNT(*) FROM orders_fee WHERE commune = $1 AND waits = 1`, string(c)).Scan(&n)
	return n, err
}

// letters are the orders of these ids that are still to be sent.
func (s *Service) letters(ctx context.Context, c commune.ID, ids []string) ([]row, error) {
	if len(ids) == 0 || len(ids) > MaxLetters {
		return nil, fault.New(fault.Invalid, "letter.none", nil)
	}
	slices.Sort(ids)
	var list []row
	for _, id := range slices.Compact(ids) {
		r, err := s.load(ctx, c, id)
		if err != nil {
			return nil, err
		}
		if r.State != Issued || r.Fee == nil || r.Fee.Delivery != fee.Post || !r.Fee.PostedAt.IsZero() {
			return nil, fault.New(fault.Conflict, "letter.gone", nil).With("Reference", r.Reference)
		}
		list = append(list, r)
	}
	return list, nil
}

// PrintLetters is one file to print: for each letter a cover sheet with the address, and the
// copies of the sealed paper. That a clerk had it is logged for each. Faults:
// orders.not_found; letter.none (Invalid) for no letter or too many; letter.gone (Conflict;
// Args Reference) where one was sent or withdrawn meanwhile; those of the renderer and of
// outside.Reader.Bind.
func (s *Service) PrintLetters(ctx context.Context, c commune.ID, clerk Clerk, ids []string) (File, error) {
	list, err := s.letters(ctx, c, ids)
	if err != nil {
		return File{}, err
	}
	if s.Papers == nil {
		return File{}, errors.New("orders: nothing binds letters in this install")
	}
	of, err := s.commune(c)
	if err != nil {
		return File{}, err
	}
	var letters []outside.Letter
	for _, r := range list {
		sheet, err := s.Renderer.Render(ctx, s.coverSheet(of, r))
		if err != nil {
			return File{}, err
		}
		paper, err := s.Blobs.Read(ctx, c, r.Paper.Document)
		if err != nil {
			return File{}, fmt.Errorf("order %s: %w", r.ID, err)
		}
		letters = append(letters, outside.Letter{Sheet: sheet, Paper: paper, Copies: r.Fee.Copies})
	}
	data, err := s.Papers.Bind(ctx, letters)
	if err != nil {
		return File{}, err
	}
	at := s.now()
	if err := s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		for _, r := range list {
			if err := s.note(tx, r, clerk.actor(), "orders.printed", at, map[string]string{"as": "letter"}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return File{}, err
	}
	return File{Name: fmt.Sprintf("letters-%s-%s.pdf", c, at.In(i18n.Brussels()).Format("2006-01-02-1504")), Type: "application/pdf", Digest: blob.Sum(data), Data: data}, nil
}

// letterWaits has a letter wait to be sent once its paper is issued, and no longer where that
// is withdrawn. The column is kept beside what it follows from, so that its index holds the
// letters that wait and no others.
func letterWaits(tx *sqldb.Tx, r row, to State) error {
	if to != Issued && r.State != Issued {
		return nil
	}
	_, err := tx.Exec(`UPDATE orders_fee SET waits = $1 WHERE commune = $2 AND order_id = $3 AND delivery = 'post' AND posted_at = 0`,
		bit(to == Issued), string(r.Commune), r.ID)
	return err
}

// coverSheet is what stands in an envelope's window and behind it, in the language of the paper.
func (s *Service) coverSheet(of *commune.Commune, r row) document.Document {
	l := r.DocumentLanguage()
	if !slices.Contains([]i18n.Language{i18n.French, i18n.Dutch, i18n.German}, l) {
		l = of.DocumentLanguages()[0]
	}
	d := document.Document{
		Template: "letter", Language: l, Title: i18n.T(l, "letter.sheet.title"), Number: string(r.Paper.Number), Date: s.now(), Place: of.NameIn(l),
		Commune:   document.Commune{Name: of.NameIn(l), Colour: of.Theme.Brand},
		Recipient: append([]string{r.Name()}, r.Fee.To...),
		Intro:     i18n.T(l, "letter.sheet.text", "Count", r.Fee.Copies),
		Legal:     i18n.T(l, "letter.sheet.reference", "Reference", r.Reference),
	}
	for _, line := range []string{of.Contact.Street, of.Contact.City, of.Contact.Phone, of.Contact.Email} {
		if line != "" {
			d.Commune.Address = append(d.Commune.Address, line)
		}
	}
	return d
}

// PostLetters records that these letters have been sent, all of them or none, and tells
// their people. Faults: those of PrintLetters; letter.gone also for whoever came second.
func (s *Service) PostLetters(ctx context.Context, c commune.ID, clerk Clerk, ids []string) (int, error) {
	list, err := s.letters(ctx, c, ids)
	if err != nil {
		return 0, err
	}
	at, by := s.now(), clerk.actor()
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		for _, r := range list {
			if err := one(tx.Exec(`UPDATE orders_fee SET posted_at = $1, waits = 0 WHERE commune = $2 AND order_id = $3 AND waits = 1`, sqldb.Micros(at), string(c), r.ID)); err != nil {
				if errors.Is(err, errMoved) {
					err = fault.New(fault.Conflict, "letter.gone", nil).With("Reference", r.Reference)
				}
				return err
			}
			if err := addEvent(tx, c, r.ID, Event{At: at, Actor: by, Kind: EventPosted, Public: true}); err != nil {
				return err
			}
			if err := s.Audit.Append(tx, audit.Entry{Commune: c, At: at, Actor: by.Subject, Action: "orders.posted", Subject: r.ID}); err != nil {
				return err
			}
			if err := s.tellOf(tx, r, notice.Posted); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(list), nil
}
