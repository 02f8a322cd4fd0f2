package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/signing/trustlist"
)

// ListSettings name the European trusted lists, by which seals and signatures of
// others are recognised and called qualified. None are read where LOTL is empty.
type ListSettings struct {
	// LOTL is the address of the list of the lists, "https://ec.europa.eu/tools/lotl/eu-lotl.xml".
	LOTL string `toml:"lotl"`
	// Signers is a PEM file of the certificates that may sign it, or the first of its
	// pivots: the Official Journal publishes them. When a new notice there begins a new
	// chain of pivots the list is refused until this file is changed too.
	Signers string `toml:"signers"`
	// Territories whose lists are wanted, "BE", "FR"; all where empty.
	Territories []string `toml:"territories"`
}

// listsAge is how often the lists are fetched anew.
const listsAge = 6 * time.Hour

// lists are the trusted lists; nil where the settings name none.
func (in *install) lists() (*trustlist.Source, error) {
	s := in.settings.Lists
	if s.LOTL == "" {
		return nil, nil
	}
	signers, err := readCertificates(s.Signers)
	if err != nil {
		return nil, fmt.Errorf("trusted_lists.signers: %w", err)
	}
	source, err := trustlist.New(trustlist.Config{LOTL: s.LOTL, Signers: signers, Territories: s.Territories, Cache: filepath.Join(in.settings.Server.Data, "lists"), Clock: clock.System})
	if err != nil {
		return nil, fmt.Errorf("trusted_lists: %w", err)
	}
	return source, nil
}

// services are those of the lists as they are now.
func services(source *trustlist.Source) func() []trustlist.Service {
	return func() []trustlist.Service {
		if source == nil {
			return nil
		}
		if set := source.Current(); set != nil {
			return set.Services
		}
		return nil
	}
}

// checkLists fetches the lists and says until when they are good.
func (in *install) checkLists(ctx context.Context) (string, error) {
	source, err := in.lists()
	if err != nil {
		return "", err
	}
	err = source.Refresh(ctx)
	set := source.Current()
	switch {
	case errors.Is(err, trustlist.ErrSigner):
		return "", fmt.Errorf("%w: where a new notice in the Official Journal names who signs the list, put these certificates into trusted_lists.signers", err)
	case err != nil && set != nil:
		return "", fmt.Errorf("stale: %w; the copies at hand serve until %s", err, set.Until().Format(time.DateOnly))
	case err != nil:
		return "", err
	}
	var faults []string
	for _, p := range set.Problems {
		faults = append(faults, p.Territory+": "+p.Err.Error())
	}
	seen := fmt.Sprintf("the list of the lists number %d and %d lists of countries, good until %s", set.LOTL.Sequence, len(set.Lists), set.Until().Format(time.DateOnly))
	if len(faults) > 0 {
		return "", fmt.Errorf("%s; but %s", seen, strings.Join(faults, "; "))
	}
	return seen, nil
}
