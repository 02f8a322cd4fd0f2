package orders

import (
	"context"
	"errors"
	"slices"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/delegation"
)

// In whose place a paper is signed, and by whom. The delegate's name and mention are part
// of the bytes that are approved, so preparing says who is to approve; another delegate
// prepares the paper again.

// Signatory is the delegate whose name a paper bears.
type Signatory struct {
	Subject string
	Name    string
	Office  delegation.Office
}

// Signatories lists who may sign an order's paper today, the clerk first where they may.
// Whoever the order is about by their subject is not among them. Fault orders.not_found.
func (s *Service) Signatories(ctx context.Context, c commune.ID, id string, clerk Clerk) ([]Signatory, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return nil, err
	}
	return s.signatories(ctx, r, clerk)
}

func (s *Service) signatories(ctx context.Context, r row, clerk Clerk) ([]Signatory, error) {
	found, err := s.delegations.InForce(ctx, r.Commune, r.Product.ID, s.today())
	if err != nil {
		return nil, err
	}
	var list []Signatory
	for _, d := range found {
		same := func(b Signatory) bool { return b.Subject == d.Subject }
		if d.Subject != r.Subject && !slices.ContainsFunc(list, same) {
			list = append(list, Signatory{d.Subject, d.Name, d.Office})
		}
	}
	slices.SortStableFunc(list, func(a, b Signatory) int {
		switch {
		case a.Subject == clerk.Subject && b.Subject != clerk.Subject:
			return -1
		case b.Subject == clerk.Subject && a.Subject != clerk.Subject:
			return 1
		}
		return 0
	})
	return list, nil
}

// PrepareFor is Prepare, or PrepareDespite where reason is not "", of a paper that the
// delegate signatory is to approve. Faults: also delegation.not_theirs (Conflict) where
// they may not today.
func (s *Service) PrepareFor(ctx context.Context, c commune.ID, id string, clerk Clerk, signatory string, reason *string) (Order, error) {
	text := ""
	if reason != nil {
		var err error
		if text, err = clerksText(*reason); err != nil {
			return Order{}, err
		}
	}
	return s.prepareFrom(ctx, c, id, clerk, signatory, text, nil)
}

// signatory is who is to approve what is being prepared: whoever was chosen; else the
// clerk, where they may; else whose name the paper bears already; else the only one.
func (s *Service) signatory(ctx context.Context, r row, clerk Clerk, chosen string) (Signatory, error) {
	list, err := s.signatories(ctx, r, clerk)
	if err != nil {
		return Signatory{}, err
	}
	wanted := []string{chosen}
	if chosen == "" {
		wanted = []string{clerk.Subject}
		if r.Paper != nil {
			wanted = append(wanted, r.Paper.Signatory.Subject)
		}
	}
	for _, subject := range wanted {
		if n := slices.IndexFunc(list, func(x Signatory) bool { return x.Subject == subject }); n >= 0 {
			return list[n], nil
		}
	}
	switch {
	case chosen != "":
		return Signatory{}, fault.New(fault.Conflict, "delegation.not_theirs", nil)
	case len(list) == 0:
		return Signatory{}, fault.New(fault.Conflict, "delegation.none", nil)
	case len(list) > 1:
		return Signatory{}, fault.New(fault.Conflict, "delegation.choose", nil)
	}
	return list[0], nil
}

// delegated refuses a clerk whose name the paper does not bear.
func (s *Service) delegated(r row, clerk Clerk) error {
	if by := r.Paper.Signatory; by.Subject != clerk.Subject {
		return fault.New(fault.Conflict, "delegation.other_signatory", nil).With("Name", by.Name)
	}
	return nil
}

var errNotDelegated = fault.New(fault.Forbidden, "delegation.not_yours", errors.New("no delegation in force"))

// holds refuses an approval without a delegation in force, in the transaction of the approval.
func (s *Service) holds(tx *sqldb.Tx, r row) error {
	by := r.Paper.Signatory
	ok, err := delegation.Holds(tx, r.Commune, by.Subject, by.Office, r.Product.ID, s.today())
	if err == nil && !ok {
		return errNotDelegated
	}
	return err
}
