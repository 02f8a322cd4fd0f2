package orders

import (
	"context"
	"fmt"
	"strings"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Mine lists a person's orders in a commune, the newest first, a hundred at most.
func (s *Service) Mine(ctx context.Context, c commune.ID, subject string) ([]Order, error) {
	if _, err := s.commune(c); err != nil {
		return nil, err
	}
	return s.list(ctx, c, `AND o.subject = $2 ORDER BY o.id DESC LIMIT 100`, subject)
}

// Get returns an order with all its events, for programs. Fault orders.not_found (NotFound).
func (s *Service) Get(ctx context.Context, c commune.ID, id string) (Order, error) {
	return s.get(ctx, c, id, false)
}

func (s *Service) get(ctx context.Context, c commune.ID, id string, publicOnly bool) (Order, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	if r.Events, err = s.events(ctx, c, id, publicOnly); err != nil {
		return Order{}, err
	}
	r.Messages, err = s.messages(ctx, c, id)
	return r.Order, err
}

// ForCitizen returns a person's own order with the events they may see. Fault
// orders.not_found (NotFound), also for an order of somebody else.
func (s *Service) ForCitizen(ctx context.Context, c commune.ID, id, subject string) (Order, error) {
	o, err := s.get(ctx, c, id, true)
	if err != nil {
		return Order{}, err
	}
	if o.Subject != subject {
		return Order{}, errNotFound
	}
	for i, m := range o.Messages {
		if !m.FromPerson() {
			o.Messages[i].By = Colleague{}
		}
	}
	return o, nil
}

// ForClerk returns an order with all its events, and logs that the clerk has looked (T11).
// Fault orders.not_found.
func (s *Service) ForClerk(ctx context.Context, c commune.ID, id string, clerk Clerk) (Order, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	if err := s.looked(ctx, r, clerk, "orders.read"); err != nil {
		return Order{}, err
	}
	if r.Events, err = s.events(ctx, c, id, false); err != nil {
		return Order{}, err
	}
	if r.Messages, err = s.messages(ctx, c, id); err != nil {
		return Order{}, err
	}
	if own, err := s.own(r, clerk); err != nil || own {
		return r.Order, err
	}
	r.Notes, err = s.notes(ctx, c, id)
	return r.Order, err
}

func (s *Service) looked(ctx context.Context, r row, clerk Clerk, action string) error {
	at := s.now()
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		return s.note(tx, r, clerk.actor(), action, at, nil)
	})
}

// Own says whether an order is the clerk's own or of somebody they live with: they do not
// decide about it.
func (s *Service) Own(ctx context.Context, c commune.ID, id string, clerk Clerk) (bool, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return false, err
	}
	return s.own(r, clerk)
}

// own says whether an order is about the clerk or somebody of their household. Where the numbers of both are not there
// to compare, whoever may be the person by name is held to be.
func (s *Service) own(r row, clerk Clerk) (bool, error) {
	person, err := s.vault.person(r.Commune, clerk.Number, clerk.Subject)
	if err != nil {
		return false, err
	}
	if (clerk.Number.IsZero() || r.numberless()) && mayBe(r.Order, clerk.Name) {
		return true, nil
	}
	if clerk.Subject == "" || clerk.Subject == r.Subject || person != "" && person == r.person {
		return true, nil
	}
	return s.livesWith(r, clerk)
}

// Preview returns the frozen bytes that a clerk is to approve, and logs that the clerk
// has looked. Faults: orders.not_found, orders.not_prepared (Conflict).
func (s *Service) Preview(ctx context.Context, c commune.ID, id string, clerk Clerk) (File, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return File{}, err
	}
	if r.Paper == nil || r.Paper.Content.IsZero() {
		return File{}, fault.New(fault.Conflict, "orders.not_prepared", nil)
	}
	if err := s.looked(ctx, r, clerk, "orders.previewed"); err != nil {
		return File{}, err
	}
	return s.file(ctx, r, r.Paper.Content, "preview-")
}

// Document returns a person's own sealed paper, and logs it. Faults: orders.not_found,
// also for an order of somebody else; orders.not_issued and withdrawal.no_file (Conflict).
func (s *Service) Document(ctx context.Context, c commune.ID, id, subject string) (File, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return File{}, err
	}
	if r.Subject != subject {
		return File{}, errNotFound
	}
	if r.State == Withdrawn {
		return File{}, fault.New(fault.Conflict, "withdrawal.no_file", nil)
	}
	if r.State != Issued {
		return File{}, fault.New(fault.Conflict, "orders.not_issued", nil)
	}
	at := s.now()
	if err := s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		return s.note(tx, r, Actor{ByCitizen, subject, r.Name()}, "orders.downloaded", at, nil)
	}); err != nil {
		return File{}, err
	}
	return s.file(ctx, r, r.Paper.Document, "")
}

// inFileName is a number as a file may be called: a register's own may hold anything.
func inFileName(n Number) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z' {
			return '-'
		}
		return r
	}, string(n))
}

func (s *Service) file(ctx context.Context, r row, d blob.Digest, prefix string) (File, error) {
	data, err := s.Blobs.Read(ctx, r.Commune, d)
	if err != nil {
		return File{}, fmt.Errorf("order %s: %w", r.ID, err)
	}
	return File{Name: fmt.Sprintf("%s%s-%s.pdf", prefix, r.Commune, inFileName(r.Paper.Number)), Type: "application/pdf", Digest: d, Data: data}, nil
}
