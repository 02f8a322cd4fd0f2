package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/form"
)

// How a person wants to be told, remembered from one order to the next within a commune.

// contactOf are the answers about it among others.
func contactOf(typed form.Answers) form.Answers {
	kept := form.Answers{}
	for _, name := range []form.Name{form.Contact, form.Email, form.Phone} {
		if typed[name] != "" {
			kept[name] = typed[name]
		}
	}
	return kept
}

// Contact is how a person wanted to be told last time; empty where that is not known.
func (s *Service) Contact(ctx context.Context, c commune.ID, p Person) (form.Answers, error) {
	if _, err := s.commune(c); err != nil {
		return nil, err
	}
	who, err := s.vault.person(c, p.Number, p.Subject)
	if err != nil {
		return nil, err
	}
	return s.contactNamed(ctx, c, who)
}

// contactNamed is Contact of somebody by their name within the commune.
func (s *Service) contactNamed(ctx context.Context, c commune.ID, who string) (form.Answers, error) {
	var sealed []byte
	err := s.DB.QueryRow(ctx, `SELECT sealed FROM orders_contact WHERE commune = $1 AND person = $2`, string(c), who).Scan(&sealed)
	if errors.Is(err, sqldb.ErrNoRows) {
		return form.Answers{}, nil
	}
	if err != nil {
		return nil, err
	}
	plain, err := s.vault.openText(c, "contact", who, sealed)
	if err != nil {
		return nil, fmt.Errorf("contact: %w", err)
	}
	kept := form.Answers{}
	return kept, json.Unmarshal(plain, &kept)
}

// SetContact remembers how a person wants to be told from now on, or forgets it where typed
// is empty. Orders that are under way keep what they were sent with. Fault
// orders.form.invalid (Invalid) for what form.Parse would refuse.
func (s *Service) SetContact(ctx context.Context, c commune.ID, p Person, typed form.Answers) error {
	of, err := s.commune(c)
	if err != nil {
		return err
	}
	who, err := s.vault.person(c, p.Number, p.Subject)
	if err != nil {
		return err
	}
	if len(typed) > 0 {
		values := url.Values{}
		for name, v := range contactOf(typed) {
			values.Set(string(name), v)
		}
		parsed, faults := form.Parse([]form.Name{form.Email}, values, nil, of.Country)
		if len(faults) > 0 {
			return fault.New(fault.Invalid, "orders.form.invalid", fmt.Errorf("contact: %v", faults))
		}
		typed = parsed
	}
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error { return s.remember(tx, c, who, typed) })
}

func (s *Service) remember(tx *sqldb.Tx, c commune.ID, who string, typed form.Answers) error {
	if len(typed) == 0 {
		_, err := tx.Exec(`DELETE FROM orders_contact WHERE commune = $1 AND person = $2`, string(c), who)
		return err
	}
	plain, err := json.Marshal(typed)
	if err != nil {
		return err
	}
	sealed, err := s.vault.sealText(c, "contact", who, plain)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO orders_contact (commune, person, sealed, kept_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (commune, person) DO UPDATE SET sealed = excluded.sealed, kept_at = excluded.kept_at`,
		string(c), who, sealed, sqldb.Micros(s.now()))
	return err
}
