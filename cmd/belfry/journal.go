package main

import (
	"context"
	"fmt"
)

type journalCmd struct{ communeFlags }

// Run walks the chain and compares its end with the head kept outside the database.
func (c *journalCmd) Run() error {
	ctx := context.Background()
	in, home, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := in.audit.Verify(ctx, home.ID); err != nil {
		return err
	}
	fmt.Printf("the journal of %s holds\n", home.ID)
	return nil
}
