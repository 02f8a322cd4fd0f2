package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/belfry-eid/belfry/internal/commune"
)

// settingsFlag is how the operator's commands find the settings file.
type settingsFlag struct {
	Config string `type:"path" placeholder:"FILE" env:"BELFRY_CONFIG" help:"Settings file. Where it is not given: var/belfry.toml of a local world, else /etc/belfry/belfry.toml."`
}

// places where the settings file is looked for, the first that is there counts.
var places = []string{"var/belfry.toml", "/etc/belfry/belfry.toml"}

func (f settingsFlag) load() (*Settings, error) {
	if f.Config != "" {
		return loadSettings(f.Config)
	}
	for _, p := range places {
		if _, err := os.Stat(p); !errors.Is(err, os.ErrNotExist) {
			return loadSettings(p)
		}
	}
	return nil, fmt.Errorf("no settings file: name one with --config, or make one of %s", strings.Join(places, ", "))
}

// open opens an install for a command, whose log tells of trouble only.
func (f settingsFlag) open(ctx context.Context) (*install, error) {
	s, err := f.load()
	if err != nil {
		return nil, err
	}
	return open(ctx, s, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
}

// notAsRoot refuses root where the service is another user, whose the install's secret is:
// what root makes in the data folder (the database's file, the journals' heads) the service
// could not open afterwards.
func (s *Settings) notAsRoot() error {
	info, err := os.Stat(s.Server.KeyFile)
	if os.Geteuid() != 0 || err != nil {
		return nil // who may not read the secret learns that next
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	name := strconv.Itoa(int(owner.Uid))
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	var again []string
	for _, arg := range os.Args {
		if strings.ContainsAny(arg, " '\"$`\\*?#&;|<>()") { // for a shell
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		again = append(again, arg)
	}
	return fmt.Errorf("the data is the user %s's, who could not open what root makes among it. In their name: runuser -u %s -- %s", name, name, strings.Join(again, " "))
}

// communeFlags are what commands about one commune share.
type communeFlags struct {
	settingsFlag
	Commune commune.ID `arg:"" help:"The commune's id."`
}

// open opens the install and finds the commune in it; the caller closes the install.
func (f communeFlags) open(ctx context.Context) (*install, *commune.Commune, error) {
	in, err := f.settingsFlag.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	c, ok := in.communes.ByID(f.Commune)
	if !ok {
		in.Close()
		return nil, nil, fmt.Errorf("no commune %q in the settings", f.Commune)
	}
	return in, c, nil
}
