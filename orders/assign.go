package orders

import (
	"context"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Colleague is somebody of a commune's staff, as a Clerk names others.
type Colleague struct {
	Subject string
	Name    string
}

// IsZero says whether it is nobody.
func (c Colleague) IsZero() bool { return c.Subject == "" }

// Assign puts a colleague on an open order: to is the clerk (who takes it), somebody else,
// or nobody (the order is given back). seen is the subject that the clerk's page showed as
// being on it, "" for nobody: where it is somebody else by now, nothing changes. That to
// works here, the portal has checked. Faults: orders.not_found; orders.own (Forbidden);
// orders.taken (Conflict; Args By, When) where somebody else is on it by now;
// orders.released (Conflict) where nobody is; orders.moved (Conflict) where it is closed.
func (s *Service) Assign(ctx context.Context, c commune.ID, id string, clerk Clerk, seen string, to Colleague) (Order, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	own, err := s.own(r, clerk)
	switch {
	case err != nil:
		return Order{}, err
	case own:
		return Order{}, fault.New(fault.Forbidden, "orders.own", nil)
	case !r.State.Open():
		return Order{}, movedFault(r)
	case r.Assignee.Subject == to.Subject:
		return s.Get(ctx, c, id) // as it was wanted
	case r.Assignee.Subject != seen:
		return Order{}, takenFault(r)
	}
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error { return s.assign(tx, r, clerk.actor(), to) })
	if err != nil {
		return Order{}, s.moved(ctx, c, id, err)
	}
	return s.Get(ctx, c, id)
}

func (s *Service) assign(tx *sqldb.Tx, r row, by Actor, to Colleague) error {
	at, since := s.now(), time.Time{}
	e := Event{At: at, Actor: by, Kind: EventReleased}
	if !to.IsZero() {
		since, e.Kind, e.Detail = at, EventAssigned, map[string]string{"To": to.Name}
	}
	if err := one(tx.Exec(`UPDATE orders_order SET assignee = $1, assignee_name = $2, assigned_at = $3, version = version + 1, changed_at = $4, changed_by = $5
		WHERE commune = $6 AND id = $7 AND version = $8`,
		to.Subject, to.Name, orZero(since), sqldb.Micros(at), by.Name, string(r.Commune), r.ID, r.Version)); err != nil {
		return err
	}
	if err := addEvent(tx, r.Commune, r.ID, e); err != nil {
		return err
	}
	return s.note(tx, r, by, "orders."+string(e.Kind), at, map[string]string{"to": to.Subject})
}

// take puts a clerk who begins with an order on it, where nobody is.
func take(tx *sqldb.Tx, r row, by Actor, at time.Time) error {
	_, err := tx.Exec(`UPDATE orders_order SET assignee = $1, assignee_name = $2, assigned_at = $3 WHERE commune = $4 AND id = $5 AND assignee = ''`,
		by.Subject, by.Name, sqldb.Micros(at), string(r.Commune), r.ID)
	return err
}

func takenFault(r row) error {
	if r.Assignee.IsZero() {
		return fault.New(fault.Conflict, "orders.released", nil)
	}
	return fault.New(fault.Conflict, "orders.taken", nil).
		With("By", r.Assignee.Name).With("When", r.AssignedAt.In(i18n.Brussels()).Format("02/01/2006 15:04"))
}
