package main

import (
	"context"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/portal/clerk"
	"github.com/belfry-eid/belfry/portal/staff"
)

type staffCmd struct {
	Invite inviteCmd `cmd:"" help:"Print a one-time address by which somebody joins a commune's desk with their card."`
	List   listCmd   `cmd:"" help:"List who works at a commune's desk."`
}

type inviteCmd struct {
	communeFlags
	Name string     `arg:"" help:"Whom the invitation is for."`
	Role staff.Role `default:"approver" enum:"clerk,approver,administrator" help:"clerk (prepares), approver (also decides) or administrator."`
}

// Run prints the address. It is a secret until it is used: whoever opens it first, joins.
func (c *inviteCmd) Run() error {
	ctx := context.Background()
	in, home, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	register, err := staff.New(ctx, in.db, in.audit, clock.System)
	if err != nil {
		return err
	}
	code, err := register.Invite(ctx, home.ID, c.Name, c.Role, "operator")
	if err != nil {
		return err
	}
	fmt.Println(clerk.JoinAddress(home, code))
	return nil
}

type listCmd struct{ communeFlags }

func (c *listCmd) Run() error {
	ctx := context.Background()
	in, home, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	register, err := staff.New(ctx, in.db, in.audit, clock.System)
	if err != nil {
		return err
	}
	members, err := register.Members(ctx, home.ID)
	if err != nil {
		return err
	}
	for _, m := range members {
		fmt.Printf("%s\t%s\tsince %s\n", m.Name, m.Role, m.Since.Format(time.DateOnly))
	}
	return nil
}
