package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/belfry-eid/belfry/internal/blob"
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

// fileChecker reads foreign files for the verification page; it is a checks.Checker.
type fileChecker struct{ signers, stamps []*x509.Certificate }

// checker believes what this install itself seals and stamps with, and nothing else:
// the page answers for the communes it stands for.
func (in *install) checker() (*fileChecker, error) {
	c := &fileChecker{}
	var faults []error
	for _, s := range in.settings.Seals {
		chain, err := readCertificates(s.Chain)
		if err != nil {
			faults = append(faults, fmt.Errorf("[[seal]] of %s: chain: %w", s.Commune, err))
			continue
		}
		c.signers = append(c.signers, chain[len(chain)-1])
	}
	for _, s := range in.settings.Stamps {
		roots, err := readCertificates(s.Roots)
		faults = append(faults, err)
		c.stamps = append(c.stamps, roots...)
	}
	return c, errors.Join(faults...)
}

// Check reads the file in a child process and says it in the page's terms.
func (c *fileChecker) Check(ctx context.Context, file []byte) (checks.Report, error) {
	r := verify.ChildBytes(ctx, file, verify.Options{Roots: c.signers, StampRoots: c.stamps, Now: clock.System()})
	report := checks.Report{Verdict: verdict(r)}
	for i := len(r.Signatures) - 1; i >= 0; i-- {
		s := r.Signatures[i]
		if end, ok := revisionEnd(s, len(file)); ok {
			report.Revisions = append(report.Revisions, blob.Sum(file[:end]))
		}
		if s.Kind == verify.Signing && report.Signer == "" {
			describeSigner(&report, s)
		}
	}
	return report, nil
}

func describeSigner(report *checks.Report, s verify.Signature) {
	report.StampedBy = s.StampedBy
	if s.Signer != nil {
		report.Signer = s.Signer.Name
	}
	if s.ClaimedAt != nil {
		report.SignedAt = *s.ClaimedAt
	}
	if s.StampedAt != nil {
		report.StampedAt = *s.StampedAt
	}
}

// revisionEnd is where the revision that a signature covers ends. A forger writes the
// byte range, so it is only used to cut, and the cut is looked up by its hash.
func revisionEnd(s verify.Signature, size int) (int, bool) {
	if len(s.ByteRange) != 4 {
		return 0, false
	}
	end := s.ByteRange[2] + s.ByteRange[3]
	return int(end), s.ByteRange[2] > 0 && s.ByteRange[3] > 0 && end > 0 && end <= int64(size)
}

var (
	unreadable = []verify.Code{verify.NotPDF, verify.Encrypted, verify.Broken, verify.TooLarge, verify.Crashed, verify.TimedOut}
	untrusted  = []verify.Code{verify.Untrusted}
)

// verdict puts a report into the page's few words, the worst first.
func verdict(r *verify.Report) checks.Verdict {
	switch {
	case found(r, verify.NoSignature):
		return checks.Unsigned
	case found(r, unreadable...):
		return checks.Unreadable
	case r.Result == verify.NotValid:
		return checks.Altered
	case found(r, untrusted...):
		return checks.Untrusted
	case r.Result != verify.Valid:
		return checks.Unclear
	case slices.ContainsFunc(r.Signatures, func(s verify.Signature) bool { return s.Changes == verify.Extended }):
		return checks.Extended
	}
	return checks.Valid
}

func found(r *verify.Report, codes ...verify.Code) bool {
	in := func(list []verify.Finding) bool {
		return slices.ContainsFunc(list, func(f verify.Finding) bool { return slices.Contains(codes, f.Code) })
	}
	return in(r.Findings) || slices.ContainsFunc(r.Signatures, func(s verify.Signature) bool { return in(s.Findings) })
}
