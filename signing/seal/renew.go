package seal

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/signingsql"
	"github.com/belfry-eid/belfry/signing/verify"
)

// Lasting says how a commune's documents of level B-LTA stand.
type Lasting struct {
	Documents int       // how many there are
	Due       int       // how many wait for renewal
	FirstEnds time.Time // when the first of their last stamps ends; zero without documents
}

// Lasting counts the documents that a commune has issued at level B-LTA.
func (s *Sealer) Lasting(ctx context.Context, c commune.ID) (l Lasting, err error) {
	l.Documents, l.Due, l.FirstEnds, err = s.store.Lasting(ctx, c, s.wanting())
	return l, err
}

// Due lists grants of a commune's approvals whose documents are to be renewed, by the
// policy of the Extender, those first that end first. Those of skip are left out.
func (s *Sealer) Due(ctx context.Context, c commune.ID, limit int, skip ...string) ([]string, error) {
	return s.store.Due(ctx, c, s.wanting(), limit, skip...)
}

func (s *Sealer) wanting() signingsql.Wanting {
	w := signingsql.Wanting{Kind: signing.Approval}
	if s.Extender != nil {
		w.EndBy, w.Algorithms = s.Extender.Policy.DueBy(s.Clock())
	}
	return w
}

// Renew puts another document in the place of a finished one of level B-LTA: the same
// bytes, then proofs for its last stamp, then a new stamp upon all of it. record runs
// in the transaction of the change. No key is called and no grant is needed: nothing
// is said that was not said before.
//
// An error of kind Unreachable asks to be called again later, also where the
// authority's new stamp would end no later than the old one. Conflict: somebody else
// has just renewed it.
func (s *Sealer) Renew(ctx context.Context, c commune.ID, grant string, record func(*sqldb.Tx, signing.Receipt) error) (signing.Receipt, error) {
	unlock, err := s.busy.lock(ctx, string(c)+"/"+grant)
	if err != nil {
		return signing.Receipt{}, err
	}
	defer unlock()
	g, err := s.store.Get(ctx, c, grant)
	switch {
	case errors.Is(err, signingsql.ErrMissing):
		return signing.Receipt{}, fault.New(fault.NotFound, "seal.no_grant", err)
	case err != nil:
		return signing.Receipt{}, err
	case g.Receipt.Stage != signing.Finished || g.Receipt.Level != signing.LevelBLTA || s.Extender == nil:
		return g.Receipt, fmt.Errorf("seal: grant %s is %s at level %s: there is nothing to renew, or nothing to renew it with", g.ID, g.Receipt.Stage, g.Receipt.Level)
	}
	r, err := s.renew(ctx, g, record)
	if errors.Is(err, signingsql.ErrSuperseded) {
		err = fault.New(fault.Conflict, "seal.superseded", err)
	}
	return r, err
}

func (s *Sealer) renew(ctx context.Context, g signingsql.Grant, record func(*sqldb.Tx, signing.Receipt) error) (signing.Receipt, error) {
	failed := func(err error) (signing.Receipt, error) {
		return g.Receipt, fmt.Errorf("seal: renewal of grant %s: %w", g.ID, err)
	}
	kept, err := s.Blobs.Open(ctx, g.Commune, g.Receipt.Document)
	if err != nil {
		return failed(err)
	}
	defer kept.Close()
	old := whole{base: kept, size: kept.Size()}
	if sum, err := old.sum(old.Size()); err != nil || sum != g.Receipt.Document {
		return failed(errors.Join(errors.New("the document kept is not the one that was finished"), err))
	}
	x, err := s.Extender.Extend(ctx, old, old.Size(), signing.LevelBLTA)
	if err != nil {
		return failed(err)
	}
	proof := signingsql.Proof{EndsAt: x.EndsAt, Algorithms: x.Algorithms}
	if !s.Extender.Policy.Better(x, g.Proof.EndsAt, g.Proof.Algorithms) {
		return failed(ltv.ErrAwaited.Because(fmt.Errorf("the new stamp of %q ends no later than the old one, on %s", x.Authority, x.RenewBefore.Format(time.DateOnly))))
	}
	file := old.with(x.Tail)
	if err := s.checkRenewed(ctx, g, old, file); err != nil {
		return failed(err)
	}
	document, err := s.Blobs.PutFrom(ctx, g.Commune, file.writeTo)
	if err != nil {
		return failed(err)
	}
	r := g.Receipt
	r.Document = document
	at := s.Clock()
	err = s.write(ctx, func(tx *sqldb.Tx) error {
		if err := s.store.Renew(tx, g.Commune, g.ID, g.Receipt.Document, document, proof); err != nil {
			return err
		}
		err := s.Audit.Append(tx, audit.Entry{Commune: g.Commune, At: at, Actor: "belfry", Action: "seal.renewed", Subject: g.Reference, Detail: map[string]string{
			"grant": g.ID, "was": g.Receipt.Document.String(), "document": document.String(), "stamped": x.StampedAt.UTC().Format(time.RFC3339Nano),
			"authority": x.Authority, "ends": x.EndsAt.Format(time.DateOnly), "renewal": strconv.Itoa(g.Renewals + 1)}})
		if err != nil {
			return err
		}
		return record(tx, r)
	})
	if err != nil {
		return failed(err)
	}
	return r, nil
}

// checkRenewed reads the renewed file as a stranger: the seal is still the one that was
// finished, and a good stamp covers everything.
func (s *Sealer) checkRenewed(ctx context.Context, g signingsql.Grant, old, file whole) error {
	list, err := s.store.Attempts(ctx, g.Commune, g.ID)
	if err != nil {
		return err
	}
	if len(list) == 0 || list[len(list)-1].State != signingsql.Finished {
		return errors.New("no attempt has led to this document")
	}
	chain, err := x509.ParseCertificates(list[len(list)-1].Chain)
	if err != nil {
		return err
	}
	want := finishedFile{content: g.Content, chain: chain, level: g.Receipt.Level}
	report := verify.File(file, file.Size(), verify.Options{Roots: s.Extender.Roots, Intermediates: append(chain, s.Extender.Intermediates...), Now: s.Clock()})
	mark := newest(report, verify.Signing)
	if mark == nil || len(mark.ByteRange) != 4 {
		return doubts("no signature", report)
	}
	want.sealed = mark.ByteRange[2] + mark.ByteRange[3]
	if sum, err := file.sum(min(want.sealed, old.Size())); err != nil || sum != g.Receipt.Sealed {
		return doubts("the newest signature is not the one that was finished", report)
	}
	if err := want.seal(report); err != nil {
		return err
	}
	return want.archive(report)
}
