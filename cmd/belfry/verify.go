package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/internal/i18n"
	checks "github.com/belfry-eid/belfry/portal/verify"
	"github.com/belfry-eid/belfry/signing/trustlist"
	"github.com/belfry-eid/belfry/signing/verify"
)

type verifyCmd struct {
	File  string   `arg:"" type:"existingfile" help:"The PDF to check."`
	Trust string   `type:"existingdir" placeholder:"DIR" help:"Folder of *.pem files with the root certificates to believe; none are built in."`
	LOTL  []string `name:"lotl" type:"existingfile" placeholder:"FILE" help:"The European list of trusted lists as a file, then its pivots and the lists of the countries wanted; repeat it for each."`
	// Nobody's certificate is built in: the Official Journal publishes who signs the list of lists.
	LOTLSigners  string        `name:"lotl-signers" type:"existingfile" placeholder:"PEM" help:"The certificates that may sign the list of lists, as the Official Journal publishes them."`
	Online       bool          `help:"Ask the issuers whether certificates are revoked, where the file itself does not prove it; only listed hosts are asked."`
	Hosts        []string      `name:"host" placeholder:"HOST" help:"With --online: a host that may be asked, as host or host:port. Those of the Belgian eID where none is given."`
	PasswordFile string        `type:"existingfile" placeholder:"FILE" help:"File with the password of an encrypted PDF; mode 0400."`
	JSON         bool          `help:"Print the whole report for programs."`
	Lang         i18n.Language `default:"en" enum:"fr,nl,de,en" help:"Language of the words."`
}

// Run prints the report and ends with its code: 0 valid, 1 not valid, 2 could not
// tell. What keeps it from looking at the file is no verdict on it either.
func (c *verifyCmd) Run() error {
	err := c.run()
	if _, said := errors.AsType[exitCode](err); err == nil || said {
		return err
	}
	fmt.Fprintln(os.Stderr, "belfry:", err)
	return exitCode(2)
}

func (c *verifyCmd) run() error {
	roots, err := readTrust(c.Trust)
	if err != nil {
		return err
	}
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	o := verify.Options{Roots: roots, Now: clock.System()}
	if c.PasswordFile != "" {
		if o.Password, err = readSecret(c.PasswordFile); err != nil {
			return err
		}
	}
	if o.Services, err = c.services(o.Now); err != nil {
		return err
	}
	check := func(o verify.Options) *verify.Report { return verify.Child(context.Background(), file, o) }
	var report *verify.Report
	if c.Online {
		f, err := asker(c.Hosts)
		if err != nil {
			return fmt.Errorf("--host: %w", err)
		}
		report = verify.Online(context.Background(), f, o, check)
	} else {
		report = check(o)
	}
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

// listLimit is the size of the largest revocation list that is fetched, in bytes.
const listLimit = 16 << 20

// asker may ask issuers at these hosts; at those of the Belgian eID where there are none.
func asker(hosts []string) (*fetch.Fetcher, error) {
	if len(hosts) == 0 {
		hosts = trust.BelgianHosts
	}
	return fetch.New(fetch.Config{Hosts: hosts, Limit: listLimit, Clock: clock.System})
}

// services are those of the trusted lists that were named.
func (c *verifyCmd) services(now time.Time) ([]trustlist.Service, error) {
	if len(c.LOTL) == 0 {
		return nil, nil
	}
	if c.LOTLSigners == "" {
		return nil, errors.New("--lotl needs --lotl-signers: who may sign the list of lists is not built in")
	}
	signers, err := readCertificates(c.LOTLSigners)
	if err != nil {
		return nil, err
	}
	var files [][]byte
	for _, path := range c.LOTL {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		files = append(files, b)
	}
	set, err := trustlist.Files(files[0], signers, files[1:], now)
	if errors.Is(err, trustlist.ErrSigner) {
		return nil, fmt.Errorf("%w (where the Union has changed who signs its list, take the new certificates from the Official Journal)", err)
	}
	if err != nil {
		return nil, err
	}
	return set.Services, nil
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
// itself seals and stamps with, the registers whose papers it relays, the cards of clerks where they sign, and whom the
// trusted lists of the settings name.
func (in *install) checker(services func() []trustlist.Service) (checks.Checker, error) {
	trust := checks.Trust{Services: services}
	if in.settings.Verification.Online {
		f, err := asker(in.settings.Verification.Hosts)
		if err != nil {
			return nil, fmt.Errorf("verification.hosts: %w", err)
		}
		trust.Fetch = f
	}
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
	for _, s := range in.settings.Sources {
		seal, err := in.sourceSeal(s)
		if err != nil {
			return nil, fmt.Errorf("[[source]] %s: %w", s.Name, err)
		}
		trust.Roots = append(trust.Roots, seal.roots...)
		stamps := seal.stampRoots
		if len(stamps) == 0 {
			stamps = seal.roots
		}
		trust.StampRoots = append(trust.StampRoots, stamps...)
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
