package main

import (
	"context"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/portal/staff"
)

// administrators tells the provider who may merge person records: whoever administers
// the commune's desk. It is all that the two ever say to each other besides OpenID Connect
// (docs/adr/0010).
type administrators struct{ register *staff.Register }

func (in *install) administrators(ctx context.Context) (administrators, error) {
	register, err := staff.New(ctx, in.db, in.audit, clock.System)
	return administrators{register}, err
}

// Client is the commune's portal: members of its desk are kept by its subjects.
func (a administrators) Client(c commune.ID) string { return clientID(c) }

// Administrator says whether a subject of the portal administers the desk.
func (a administrators) Administrator(ctx context.Context, c commune.ID, subject string) (bool, error) {
	m, err := a.register.Member(ctx, c, subject)
	return m != nil && m.Role == staff.Administrator, err
}
