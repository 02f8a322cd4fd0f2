package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/form"
)

// Draft is a form that somebody has begun and not sent. It holds what they typed, checked
// or not, and nothing of card or register: these are read anew when the form is opened.
type Draft struct {
	Product  string
	Version  int           // of the product, when it was kept
	Key      string        // of the form; makes one order wherever it is sent from
	Answers  form.Answers  // as typed
	Complete bool          // the answers passed
	Language i18n.Language // of the page, for a mail that reminds of it
	KeptAt   time.Time
	Until    time.Time // when it is forgotten
}

// Kept says whether there is a draft at all.
func (d Draft) Kept() bool { return d.Key != "" }

const (
	// DraftLife is how long a draft is kept after it was last changed.
	DraftLife = 14 * 24 * time.Hour

	maxTyped   = 4000 // bytes of one answer in a draft
	sweepEvery = 24 * time.Hour
)

// drafted is the sealed form of a Draft.
type drafted struct {
	Version  int           `json:"version"`
	Key      string        `json:"key"`
	Answers  form.Answers  `json:"answers"`
	Complete bool          `json:"complete,omitempty"`
	Language i18n.Language `json:"language,omitempty"`
}

// KeepDraft keeps what a person has typed so far, in the place of what they had kept of the
// same product. Faults: orders.no_product (NotFound); orders.form.invalid (Invalid) for
// answers to what is not asked; orders.form_used (Conflict; Args Reference) where the form
// has made an order meanwhile, from another browser.
func (s *Service) KeepDraft(ctx context.Context, c commune.ID, p Person, d Draft) (Draft, error) {
	chosen, err := s.Product(c, d.Product)
	if err != nil {
		return Draft{}, err
	}
	if !formKey.MatchString(d.Key) {
		return Draft{}, fault.New(fault.Invalid, "orders.form.invalid", fmt.Errorf("key of %d characters", len(d.Key)))
	}
	tariff, err := s.Tariff(c, d.Product)
	if err != nil {
		return Draft{}, err
	}
	for name, typed := range d.Answers {
		if !slices.Contains(asked(chosen, tariff), name) || len(typed) > maxTyped {
			return Draft{}, fault.New(fault.Invalid, "orders.form.invalid", fmt.Errorf("draft: %d bytes of %q", len(typed), name))
		}
	}
	who, err := s.vault.person(c, p.Number, p.Subject)
	if err != nil {
		return Draft{}, err
	}
	plain, err := json.Marshal(drafted{d.Version, d.Key, d.Answers, d.Complete, d.Language})
	if err != nil {
		return Draft{}, err
	}
	sealed, err := s.vault.sealText(c, "draft", who+"/"+d.Product, plain)
	if err != nil {
		return Draft{}, err
	}
	d.KeptAt = s.now()
	d.Until = d.KeptAt.Add(DraftLife)
	return d, s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		var reference string
		err := tx.QueryRow(`SELECT reference FROM orders_order WHERE commune = $1 AND subject = $2 AND form_key = $3`, string(c), p.Subject, d.Key).Scan(&reference)
		if err == nil {
			return fault.New(fault.Conflict, "orders.form_used", nil).With("Reference", grouped(reference))
		}
		if !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
		_, err = tx.Exec(`INSERT INTO orders_draft (commune, person, product, sealed, kept_at, until) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (commune, person, product) DO UPDATE SET sealed = excluded.sealed, kept_at = excluded.kept_at, until = excluded.until, reminded = 0`,
			string(c), who, d.Product, sealed, sqldb.Micros(d.KeptAt), sqldb.Micros(d.Until))
		return err
	})
}

// Draft is what a person has kept of a product's form; none is Kept where there is nothing,
// or no longer.
func (s *Service) Draft(ctx context.Context, c commune.ID, p Person, product string) (Draft, error) {
	list, err := s.drafts(ctx, c, p, `AND product = $4`, product)
	if err != nil || len(list) == 0 {
		return Draft{}, err
	}
	return list[0], nil
}

// Drafts lists a person's drafts of what the commune still offers, the newest first.
func (s *Service) Drafts(ctx context.Context, c commune.ID, p Person) ([]Draft, error) {
	list, err := s.drafts(ctx, c, p, ``)
	return slices.DeleteFunc(list, func(d Draft) bool { _, err := s.Product(c, d.Product); return err != nil }), err
}

func (s *Service) drafts(ctx context.Context, c commune.ID, p Person, where string, args ...any) ([]Draft, error) {
	if _, err := s.commune(c); err != nil {
		return nil, err
	}
	who, err := s.vault.person(c, p.Number, p.Subject)
	if err != nil || who == "" {
		return nil, err
	}
	rows, err := s.DB.Query(ctx, `SELECT product, sealed, kept_at, until FROM orders_draft WHERE commune = $1 AND person = $2 AND until > $3 `+where+` ORDER BY kept_at DESC, product`,
		append([]any{string(c), who, sqldb.Micros(s.now())}, args...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Draft
	for rows.Next() {
		var d Draft
		var sealed []byte
		var kept, until sqldb.Time
		if err := rows.Scan(&d.Product, &sealed, &kept, &until); err != nil {
			return nil, err
		}
		plain, err := s.vault.openText(c, "draft", who+"/"+d.Product, sealed)
		if err != nil {
			return nil, fmt.Errorf("draft of %s: %w", d.Product, err)
		}
		var in drafted
		if err := json.Unmarshal(plain, &in); err != nil {
			return nil, fmt.Errorf("draft of %s: %w", d.Product, err)
		}
		d.Version, d.Key, d.Answers, d.Complete, d.Language = in.Version, in.Key, in.Answers, in.Complete, in.Language
		d.KeptAt, d.Until = kept.Time, until.Time
		list = append(list, d)
	}
	return list, rows.Err()
}

// DropDraft forgets what a person has kept of a product's form, if there is anything.
func (s *Service) DropDraft(ctx context.Context, c commune.ID, p Person, product string) error {
	if _, err := s.commune(c); err != nil {
		return err
	}
	who, err := s.vault.person(c, p.Number, p.Subject)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error { return dropDraft(tx, c, who, product) })
}

func dropDraft(tx *sqldb.Tx, c commune.ID, who, product string) error {
	_, err := tx.Exec(`DELETE FROM orders_draft WHERE commune = $1 AND person = $2 AND product = $3`, string(c), who, product)
	return err
}

// SweepJob forgets drafts, and readings of cards, whose time is over.
type SweepJob struct{}

// Kind implements jobs.Args.
func (SweepJob) Kind() string { return "orders.sweep" }

func (s *Service) sweep(ctx context.Context, _ SweepJob) error {
	now := sqldb.Micros(s.now())
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		for _, of := range s.Communes.All() {
			for _, table := range []string{"orders_draft", "orders_reading"} {
				if _, err := tx.Exec(`DELETE FROM `+table+` WHERE commune = $1 AND until <= $2`, string(of.ID), now); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
