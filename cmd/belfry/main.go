// Command belfry signs citizens in and gives them sealed certificates.
//
//	belfry serve [--config FILE]          the service; without a file, a complete local one
//	belfry check                          is everything this install needs there, and does it answer?
//	belfry commune add ID                 a commune more, in the settings file
//	belfry commune key make ID            its key, made in the token, and the request for a certificate
//	belfry commune key use ID CHAIN       the certificate that was issued for it
//	belfry commune reset ID               a training commune emptied
//	belfry staff invite COMMUNE NAME      a one-time address for a clerk's first sign-in
//	belfry verify FILE                    is this PDF genuine? exit 0 yes, 1 no, 2 could not tell
//	belfry seal IN OUT                    seal a file with a commune's operator key
//	belfry seal --batch IN OUT            seal each PDF of a folder, once, however often it is begun
//	belfry backup OUT                     database and documents in one file, while the service goes on
//	belfry restore FILE                   into an empty database and folder; --try only looks whether it would work
//	belfry journal COMMUNE                does the commune's audit journal hold?
//
// The operator's commands take --config FILE; without it they look for
// var/belfry.toml of a local world, then for /etc/belfry/belfry.toml.
//
// It owns the settings file and the wiring: it makes each part, hands it what it
// needs and decides nothing of its own. An error is one line that begins with
// "belfry:" and the setting or file it is about.
package main

import (
	"errors"
	"fmt"
	"os"
	_ "time/tzdata" // dates are Belgian wherever the machine stands

	"github.com/alecthomas/kong"

	"github.com/belfry-eid/belfry/internal/picture"
	"github.com/belfry-eid/belfry/orders/outside"
	"github.com/belfry-eid/belfry/signing/plain"
	"github.com/belfry-eid/belfry/signing/verify"
)

// version is set when a package is built; what was built otherwise has none.
var version = "unreleased"

type commands struct {
	Serve   serveCmd   `cmd:"" help:"Run the service."`
	Check   checkCmd   `cmd:"" help:"Ask everything this install needs whether it works, one line each."`
	Commune communeCmd `cmd:"" help:"The communes of this install, and the keys of their seals."`
	Staff   staffCmd   `cmd:"" help:"Who works at a commune's desk."`
	Verify  verifyCmd  `cmd:"" help:"Say whether a sealed PDF is genuine. Exit 0: yes, 1: no, 2: could not tell."`
	Seal    sealCmd    `cmd:"" help:"Seal a PDF, or a folder of them, with a commune's operator key, and record who did and why."`
	Backup  backupCmd  `cmd:"" help:"Write a backup of the database and the documents while the service goes on."`
	Restore restoreCmd `cmd:"" help:"Restore a backup into an empty database and folder, or only try it."`
	Journal journalCmd `cmd:"" help:"Walk a commune's audit journal and name the place where it breaks."`

	Version kong.VersionFlag `help:"Print the version and end."`
}

// exitCode is an error that only ends the program; its words are out already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func main() {
	verify.RunIfChild() // a process started to read one foreign file does that and ends
	picture.RunIfChild()
	plain.RunIfChild()
	outside.RunIfChild()
	var c commands
	ctx := kong.Parse(&c, kong.Name("belfry"), kong.Description("Signs citizens in with their eID card and gives them sealed certificates from the commune."), kong.UsageOnError(), kong.Vars{"version": version})
	err := ctx.Run()
	if code, ok := errors.AsType[exitCode](err); ok {
		os.Exit(int(code))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "belfry:", err)
		os.Exit(1)
	}
}
