package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/delegation"
	"github.com/belfry-eid/belfry/portal/clerk"
	"github.com/belfry-eid/belfry/portal/staff"
)

type staffCmd struct {
	Invite   inviteCmd   `cmd:"" help:"Print a one-time address by which somebody joins a commune's desk with their card."`
	List     listCmd     `cmd:"" help:"List who works at a commune's desk."`
	Delegate delegateCmd `cmd:"" help:"Record that a member signs papers in the place of the mayor or the officer of civil status."`
}

type inviteCmd struct {
	communeFlags
	Name string `arg:"" help:"Whom the invitation is for."`
	delegationFlags
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
	if c.Delegate != "" { // before anything is made
		if err := c.decision(in, home, delegation.Delegation{Name: c.Name, Invitation: "to be made"}, false); err != nil {
			return err
		}
	}
	code, err := register.Invite(ctx, home.ID, c.Name, c.Role, "operator")
	if err != nil {
		return err
	}
	if c.Delegate != "" {
		invitation, err := register.Invited(ctx, home.ID, code)
		if err != nil {
			return err
		}
		if err := c.decision(in, home, delegation.Delegation{Name: c.Name, Invitation: invitation.ID}, true); err != nil {
			return err
		}
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

// delegationFlags say what was decided about who signs.
type delegationFlags struct {
	Delegate delegation.Office `enum:",mayor,registrar" default:"" help:"In whose place they sign papers: mayor or registrar (the officer of civil status)."`
	Decision string            `help:"The decision that this rests on, for example \"order of the mayor of 3 March 2026, no. 12\"."`
	From     string            `help:"First day, YYYY-MM-DD; today where not said."`
	To       string            `help:"Last day, YYYY-MM-DD; none where not said."`
	Product  []string          `help:"Only for these products, by ID; for all where not said."`
}

// decision completes d from the flags, and keeps it where record says so.
func (f delegationFlags) decision(in *install, home *commune.Commune, d delegation.Delegation, record bool) error {
	d.Office, d.Decision, d.From, d.To, d.Products = f.Delegate, f.Decision, f.From, f.To, f.Product
	if d.From == "" {
		d.From = clock.System().In(i18n.Brussels()).Format(time.DateOnly)
	}
	for _, id := range d.Products {
		if _, ok := catalogue.Standard().Newest(id); !ok {
			return fmt.Errorf("there is no product %q", id)
		}
	}
	if faults := d.Check(); len(faults) > 0 {
		return errors.New(i18n.T(i18n.English, faults[0].Key))
	}
	if !record {
		return nil
	}
	ctx := context.Background()
	register, err := delegation.New(ctx, in.db, in.audit, clock.System)
	if err != nil {
		return err
	}
	_, err = register.Record(ctx, home.ID, d, "operator")
	return err
}

type delegateCmd struct {
	communeFlags
	Name string `arg:"" help:"The member, as staff list names them."`
	delegationFlags
}

// Run records a delegation of somebody who has joined.
func (c *delegateCmd) Run() error {
	if c.Delegate == "" {
		return errors.New("say in whose place with --delegate: mayor or registrar")
	}
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
	members = slices.DeleteFunc(members, func(m staff.Member) bool { return m.Name != c.Name })
	if len(members) != 1 {
		return fmt.Errorf("%d members are called %q: see belfry staff list, or record it at the desk", len(members), c.Name)
	}
	return c.decision(in, home, delegation.Delegation{Subject: members[0].Subject, Name: members[0].Name}, true)
}
