package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/signing/deferred"
	"github.com/belfry-eid/belfry/signing/signingsql"
)

type resetCmd struct{ communeFlags }

// Run empties a training commune: its orders and their seals, never its clerks, their
// delegations and its journal, which keeps a line of it.
func (c *resetCmd) Run() error {
	ctx := context.Background()
	in, home, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := errors.Join(in.migrateAll(ctx), signingsql.Migrate(ctx, in.db), deferred.Migrate(ctx, in.db)); err != nil {
		return err
	}
	var gone orders.Emptied
	err = in.db.Write(ctx, func(tx *sqldb.Tx) error {
		if gone, err = orders.Reset(tx, home); err != nil {
			return err
		}
		if err := errors.Join(signingsql.Reset(tx, home.ID), deferred.Reset(tx, home.ID)); err != nil {
			return err
		}
		return in.audit.Append(tx, audit.Entry{
			Commune: home.ID, At: clock.System(), Actor: "operator", Action: "commune.reset", Subject: string(home.ID),
			Detail: map[string]string{"orders": strconv.FormatInt(gone.Orders, 10), "papers": strconv.FormatInt(gone.Papers, 10)},
		})
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s is empty: %d orders, %d papers, %d messages and notes, and %d forms begun are gone. Its numbers begin again.\n",
		home.ID, gone.Orders, gone.Papers, gone.Messages, gone.Drafts)
	return nil
}
