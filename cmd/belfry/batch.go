package main

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/seal"
)

// A batch seals each PDF below a folder into another folder, once, however often it is
// begun: a file's grant has an ID that follows from what is sealed and where it goes, so
// that a second run finds the first one's grants and goes on with them. What was sealed
// and not written down is written, what was written is left alone.

// batchName is the namespace (RFC 9562 §5.5) of a batch's grants.
var batchName = uuid.MustParse("3f0e2f0c-7f5a-4b0e-8c53-5a2f9f3f7c11")

// outcome is what became of one file.
type outcome string

const (
	sealedNow outcome = "sealed"
	already   outcome = "already sealed"
	refused   outcome = "refused"
	left      outcome = "left" // the same command goes on with it
)

// line is one file's line in the report.
type line struct {
	name    string
	outcome outcome
	receipt signing.Receipt
	why     string
}

type batch struct {
	in      *install
	sealer  *seal.Sealer
	commune commune.ID
	level   string
	reason  string
	lang    i18n.Language
	from    string // folder of the PDFs
	to      string // folder of the sealed ones; absolute, since it is part of the grants' IDs
	until   time.Duration
}

// runBatch seals the files of a folder. Exit 1: a file was refused; 2: files are left.
func (c *sealCmd) runBatch(ctx context.Context, in *install) error {
	to, err := filepath.Abs(c.Out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	names, err := pdfsBelow(c.In, to)
	if err != nil {
		return err
	}
	sealer, err := in.sealer(signing.Operator, c.Level)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &batch{in: in, sealer: sealer, commune: c.Commune, level: c.Level, reason: c.Reason, lang: c.Lang, from: c.In, to: to, until: c.Patience}
	lines := b.run(ctx, names, c.Parallel, newProgress(os.Stderr, len(names)))
	return report(os.Stdout, c.Report, lines)
}

// pdfsBelow lists the PDF files below dir, by their paths in it; what is in out is not input.
func pdfsBelow(dir, out string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if abs, err := filepath.Abs(path); err != nil || e.IsDir() && abs == out {
			return errors.Join(err, fs.SkipDir)
		}
		if e.Type().IsRegular() && strings.EqualFold(filepath.Ext(path), ".pdf") {
			name, err := filepath.Rel(dir, path)
			names = append(names, name)
			return err
		}
		return nil
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s: no PDF is there", dir)
	}
	return names, err
}

// run seals the files, some at a time, and returns a line for each in their order.
func (b *batch) run(ctx context.Context, names []string, parallel int, p *progress) []line {
	lines := make([]line, len(names))
	next := make(chan int)
	var workers sync.WaitGroup
	for range max(1, parallel) {
		workers.Go(func() {
			for i := range next {
				lines[i] = b.file(ctx, names[i])
				p.done(lines[i].outcome)
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	workers.Wait()
	p.end()
	return lines
}

// file seals one file. Once ctx has ended, or a service has been away for too long, the
// rest is left as it is.
func (b *batch) file(ctx context.Context, name string) line {
	l := line{name: name}
	if ctx.Err() != nil {
		l.outcome, l.why = left, i18n.T(b.lang, "batch.stopped")
		return l
	}
	// A file that is begun is brought to its end, whoever wants to stop.
	receipt, fresh, err := b.seal(context.WithoutCancel(ctx), ctx, name)
	l.receipt = receipt
	if err != nil {
		b.in.log.Warn("a file of a batch was not sealed", "file", name, "error", err)
	}
	switch {
	case err == nil && fresh:
		l.outcome = sealedNow
	case err == nil:
		l.outcome = already
	case fault.KindOf(err) == fault.Unreachable, fault.KindOf(err) == fault.Conflict && fault.KeyOf(err) == "seal.superseded":
		l.outcome, l.why = left, b.words(err)
	default:
		l.outcome, l.why = refused, b.words(err)
	}
	return l
}

// seal brings a file's grant to its end and the sealed file into its place. fresh says
// that it was not there before.
func (b *batch) seal(ctx, patience context.Context, name string) (r signing.Receipt, fresh bool, err error) {
	grant, err := b.grant(ctx, name)
	if err != nil {
		return r, false, err
	}
	if r, err = b.patiently(ctx, patience, grant); err != nil {
		return r, false, err
	}
	fresh, err = b.write(ctx, name, r.Document)
	return r, fresh, err
}

// grant makes the file's grant, or finds the one that an earlier run has made.
func (b *batch) grant(ctx context.Context, name string) (string, error) {
	digest, err := b.in.takeIn(ctx, b.commune, filepath.Join(b.from, name))
	if err != nil {
		return "", err
	}
	what := strings.Join([]string{string(b.commune), b.level, filepath.Join(b.to, name), digest.String()}, "\x00")
	g := signing.Grant{
		ID: uuid.NewHash(sha256.New(), batchName, []byte(what), 8).String(), Commune: b.commune, Kind: signing.Operator,
		Reference: name, Content: digest, By: operatorName(), Reason: b.reason, At: clock.System(),
	}
	err = b.in.db.Write(ctx, func(tx *sqldb.Tx) error { return b.sealer.Grant(tx, g) })
	if err != nil && !sqldb.IsUnique(err) {
		return "", err
	}
	return g.ID, nil
}

// patiently seals, and tries again for a while where a service is away: the key is called
// once, and a token or an authority that restarts ends nobody's batch.
func (b *batch) patiently(ctx, patience context.Context, grant string) (signing.Receipt, error) {
	wait := time.NewTimer(0)
	defer wait.Stop()
	<-wait.C
	pause := time.Second
	for end := time.Now().Add(b.until); ; pause = min(2*pause, 30*time.Second) {
		r, err := b.sealer.Seal(ctx, b.commune, grant, func(*sqldb.Tx, signing.Receipt) error { return nil })
		if fault.KindOf(err) != fault.Unreachable || time.Now().Add(pause).After(end) {
			return r, err
		}
		wait.Reset(pause)
		select {
		case <-wait.C:
		case <-patience.Done():
			return r, err
		}
	}
}

// write puts the sealed file where it belongs. A file that is there already is right
// where it is the same one, and in the way where it is another.
func (b *batch) write(ctx context.Context, name string, sealed blob.Digest) (fresh bool, err error) {
	path := filepath.Join(b.to, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, err
	}
	err = b.in.handOut(ctx, b.commune, sealed, path)
	if !errors.Is(err, fs.ErrExist) {
		return err == nil, err
	}
	there, err := sumOf(path)
	if err != nil || there != sealed {
		return false, fault.New(fault.Conflict, "batch.in_the_way", err)
	}
	return false, nil
}

// sumOf is the SHA-256 of a file.
func sumOf(path string) (blob.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return blob.Digest{}, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return blob.Digest(h.Sum(nil)), err
}

// words are what the report says of an error.
func (b *batch) words(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		var args []any
		for k, v := range e.Args {
			args = append(args, k, v)
		}
		return i18n.T(b.lang, e.Key, args...)
	}
	return err.Error()
}

// report prints what became of the batch, and writes a line for each file to path.
func report(w io.Writer, path string, lines []line) error {
	count := map[outcome]int{}
	for _, l := range lines {
		count[l.outcome]++
		if l.outcome == refused || l.outcome == left {
			fmt.Fprintf(w, "%s: %s: %s\n", l.name, l.outcome, l.why)
		}
	}
	fmt.Fprintf(w, "%d files: %d sealed, %d already sealed, %d refused, %d left\n",
		len(lines), count[sealedNow], count[already], count[refused], count[left])
	if path != "" {
		if err := writeReport(path, lines); err != nil {
			return err
		}
	}
	switch {
	case count[left] > 0:
		fmt.Fprintln(w, "The same command goes on with those that are left.")
		return exitCode(2)
	case count[refused] > 0:
		return exitCode(1)
	}
	return nil
}

// writeReport writes the lines as CSV (RFC 4180), in the place of an earlier report.
func writeReport(path string, lines []line) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	out := csv.NewWriter(f)
	out.Write([]string{"file", "outcome", "level", "signer", "signed_at", "sha256", "why"})
	for _, l := range lines {
		r := l.receipt
		at, digest := "", ""
		if !r.SignedAt.IsZero() {
			at = r.SignedAt.UTC().Format(time.RFC3339)
		}
		if !r.Document.IsZero() {
			digest = r.Document.String()
		}
		out.Write([]string{l.name, string(l.outcome), r.Level, r.Signer, at, digest, l.why})
	}
	out.Flush()
	return errors.Join(out.Error(), f.Sync(), f.Close())
}
