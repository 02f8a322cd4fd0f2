package main

import (
	"context"
	"fmt"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/portal/clerk"
	"github.com/belfry-eid/belfry/portal/staff"
)

type staffCmd struct {
	Invite inviteCmd `cmd:"" help:"Print a one-time address by which somebody joins a commune's desk with their card."`
	List   listCmd   `cmd:"" help:"List who works at a commune's desk."`
}

// atDesk is what the commands about staff share.
type atDesk struct {
	settingsFlag
	Commune commune.ID `arg:"" help:"The commune's id."`
}

// open opens the register of staff; the caller closes the install.
func (d atDesk) open(ctx context.Context) (*install, *commune.Commune, *staff.Register, error) {
	in, err := d.settingsFlag.open(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	c, ok := in.communes.ByID(d.Commune)
	if !ok {
		in.Close()
		return nil, nil, nil, fmt.Errorf("no commune %q in the settings", d.Commune)
	}
	register, err := staff.New(ctx, in.db, in.audit, clock.System)
	if err != nil {
		in.Close()
		return nil, nil, nil, err
	}
	return in, c, register, nil
}

type inviteCmd struct {
	atDesk
	Name string     `arg:"" help:"Whom the invitation is for."`
	Role staff.Role `default:"clerk" enum:"clerk,administrator" help:"clerk or administrator."`
}

// Run prints the address. It is a secret until it is used: whoever opens it first, joins.
func (c *inviteCmd) Run() error {
	ctx := context.Background()
	in, home, register, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	code, err := register.Invite(ctx, home.ID, c.Name, c.Role, "operator")
	if err != nil {
		return err
	}
	fmt.Println(clerk.JoinAddress(home, code))
	return nil
}

type listCmd struct{ atDesk }

func (c *listCmd) Run() error {
	ctx := context.Background()
	in, home, register, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	members, err := register.Members(ctx, home.ID)
	if err != nil {
		return err
	}
	for _, m := range members {
		fmt.Printf("%s\t%s\tsince %s\n", m.Name, m.Role, m.Since.Format("2006-01-02"))
	}
	return nil
}
