package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/i18n"
	checks "github.com/belfry-eid/belfry/portal/verify"
	"github.com/belfry-eid/belfry/signing/verify"
)

type verifyCmd struct {
	File  string        `arg:"" type:"existingfile" help:"The PDF to check."`
	Trust string        `type:"existingdir" placeholder:"DIR" help:"Folder of *.pem files with the root certificates to believe; none are built in."`
	JSON  bool          `help:"Print the whole report for programs."`
	Lang  i18n.Language `default:"en" enum:"fr,nl,de,en" help:"Language of the words."`
}

// Run prints the report and ends with its code: 0 valid, 1 not valid, 2 could not tell.
func (c *verifyCmd) Run() error {
	roots, err := readTrust(c.Trust)
	if err != nil {
		return err
	}
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	report := verify.Child(context.Background(), file, verify.Options{Roots: roots, Now: clock.System()})
	if err := c.print(report); err != nil {
		return err
	}
	if code := report.Result.ExitCode(); code != 0 {
		return exitCode(code)
	}
	return nil
}

func (c *verifyCmd) print(r *verify.Report) error {
	if !c.JSON {
		return verify.WriteText(os.Stdout, c.Lang, r)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(r)
}

// readTrust reads every certificate of a folder's *.pem files.
func readTrust(dir string) ([]*x509.Certificate, error) {
	if dir == "" {
		return nil, nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no *.pem file in it", dir)
	}
	var all []*x509.Certificate
	for _, f := range files {
		list, err := readCertificates(f)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// checker reads foreign files for the verification page. It believes what this install
// itself seals and stamps with, the cards of clerks where they sign, and nothing else:
// the page answers for the communes it stands for.
func (in *install) checker() (checks.Checker, error) {
	var trust checks.Trust
	for _, s := range in.settings.Seals {
		chain, err := readCertificates(s.Chain)
		if err != nil {
			return nil, fmt.Errorf("[[seal]] of %s: chain: %w", s.Commune, err)
		}
		trust.Roots = append(trust.Roots, chain[len(chain)-1])
	}
	for _, s := range in.settings.Stamps {
		roots, err := readCertificates(s.Roots)
		if err != nil {
			return nil, fmt.Errorf("[[stamp]] %s: roots: %w", s.URL, err)
		}
		trust.StampRoots = append(trust.StampRoots, roots...)
	}
	if in.clerksSign() {
		roots, err := readCertificates(in.settings.Cards.Roots)
		if err != nil {
			return nil, fmt.Errorf("cards.roots: %w", err)
		}
		trust.Roots = append(trust.Roots, roots...)
	}
	return checks.NewChecker(trust, clock.System), nil
}
