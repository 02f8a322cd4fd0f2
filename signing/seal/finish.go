package seal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/signingsql"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// finish takes the grant from Signed, or where it stopped later, to Finished.
func (w *work) finish(ctx context.Context) error {
	level := w.attempt.Level
	if w.Stamper == nil && signing.Reaches(level, signing.LevelBT) || w.Extender == nil && signing.Reaches(level, signing.LevelBLT) {
		return fmt.Errorf("seal: grant %s was signed at level %s, for which the settings no longer name all services", w.g.ID, level)
	}
	if signing.Reaches(level, signing.LevelBT) && w.attempt.Stamp == nil {
		if err := w.stamp(ctx); err != nil {
			return err
		}
	}
	tail, err := w.prepared.Tail(w.attempt.Signature, w.attempt.Stamp) // the stranger reads the content anew
	if err != nil {
		return w.giveUp(ctx, "the signature does not fit into the document", err)
	}
	file, sealed := w.content.with(tail), blob.Digest{}
	f := finishedFile{content: w.g.Content, size: w.content.Size(), chain: w.chain, level: level, stamp: w.attempt.Stamp, sealed: file.Size(), password: w.Keys[w.g.Commune].Password}
	var proof signingsql.Proof
	if signing.Reaches(level, signing.LevelBLT) {
		f.roots = w.Extender.Roots
		if sealed, err = file.sum(file.Size()); err != nil {
			return fmt.Errorf("seal: grant %s: %w", w.g.ID, err)
		}
		if file, proof, err = w.last(ctx, file); err != nil {
			return err
		}
	}
	if err := readAsStranger(file, f, w.Clock()); err != nil {
		return w.giveUp(ctx, "the finished document does not verify", err)
	}
	document, err := w.Blobs.PutFrom(ctx, w.g.Commune, file.writeTo)
	if err != nil {
		return fmt.Errorf("seal: grant %s: %w", w.g.ID, err)
	}
	if sealed.IsZero() {
		sealed = document
	}
	return w.finished(ctx, document, sealed, proof)
}

// stamp asks for the time stamp upon the signature. Where more will be asked it is kept first.
func (w *work) stamp(ctx context.Context) error {
	stamp, err := w.Stamper.Stamp(ctx, signing.ImprintOf(w.stampHash(), w.attempt.Signature))
	w.ticks.heard(w.Clock(), err)
	if errors.Is(err, tsa.ErrTime) && w.fresh {
		return w.giveUp(ctx, "it was signed by a clock that is not the time-stamping authority's", err)
	}
	if err != nil {
		return fmt.Errorf("seal: grant %s: %w", w.g.ID, err)
	}
	signer := w.chain[0]
	switch {
	case stamp.Time.Before(w.attempt.SignedAt.Add(-tsa.Window)):
		return w.giveUp(ctx, "it was signed by a clock that ran ahead", fmt.Errorf("signed at %v, stamped at %v", w.attempt.SignedAt, stamp.Time))
	case stamp.Time.After(signer.NotAfter):
		return w.giveUp(ctx, "the certificate ended before there was a stamp", fmt.Errorf("it ended at %v, the stamp is of %v", signer.NotAfter, stamp.Time))
	}
	w.attempt.Stamp, w.authority = stamp.Token, stamp.Authority
	r := w.g.Receipt
	r.StampedAt = stamp.Time
	if !signing.Reaches(w.attempt.Level, signing.LevelBLT) {
		w.g.Receipt = r
		return nil
	}
	r.Stage = signing.Stamped
	return w.advance(ctx, r, "seal.stamped", w.stampDetail(r), func(tx *sqldb.Tx) error {
		return w.store.Stamp(tx, w.g.Commune, w.g.ID, w.attempt.N, stamp.Token, r)
	})
}

// stampHash is the hash of the stamp upon a signature, as that of the stamps upon a document.
func (w *work) stampHash() crypto.Hash {
	if w.Extender == nil {
		return crypto.SHA256
	}
	return w.Extender.Policy.Hash()
}

func (w *work) stampDetail(r signing.Receipt) map[string]string {
	detail := map[string]string{"content": w.g.Content.String(), "level": r.Level}
	if !r.StampedAt.IsZero() {
		detail["stamped"] = r.StampedAt.UTC().Format(time.RFC3339Nano)
	}
	if w.authority != "" {
		detail["authority"] = w.authority
	}
	return detail
}

// advance commits a stage, with its line in the audit log and what record makes of it.
func (w *work) advance(ctx context.Context, r signing.Receipt, action string, detail map[string]string, keep func(*sqldb.Tx) error) error {
	at := w.Clock()
	err := w.write(ctx, func(tx *sqldb.Tx) error {
		if err := keep(tx); err != nil {
			return err
		}
		if err := w.log(tx, action, at, w.attempt.N, detail); err != nil {
			return err
		}
		return w.record(tx, r)
	})
	if err != nil {
		return fmt.Errorf("seal: grant %s, attempt %d: %w", w.g.ID, w.attempt.N, err)
	}
	w.g.Receipt = r
	return nil
}

// last appends what makes the stamped file last: proofs that its certificates were
// good at the stamp's time, and at level B-LTA a stamp upon all of it.
func (w *work) last(ctx context.Context, file whole) (whole, signingsql.Proof, error) {
	material := w.attempt.Material
	if w.g.Receipt.Stage != signing.Lasting {
		x, err := w.Extender.Extend(ctx, file, file.Size(), signing.LevelBLT)
		if err != nil {
			return whole{}, signingsql.Proof{}, w.unproved(ctx, err)
		}
		material = x.Tail
		if w.attempt.Level == signing.LevelBLTA {
			if err := w.lasting(ctx, material); err != nil {
				return whole{}, signingsql.Proof{}, err
			}
		}
	}
	file = file.with(material)
	if w.attempt.Level == signing.LevelBLT {
		return file, signingsql.Proof{}, nil
	}
	x, err := w.Extender.Archive(ctx, file, file.Size())
	if err != nil {
		return whole{}, signingsql.Proof{}, fmt.Errorf("seal: grant %s: %w", w.g.ID, err)
	}
	return file.with(x.Tail), signingsql.Proof{EndsAt: x.EndsAt, Algorithms: x.Algorithms}, nil
}

// lasting keeps the proofs before the stamp upon them is asked for.
func (w *work) lasting(ctx context.Context, material []byte) error {
	r := w.g.Receipt
	r.Stage = signing.Lasting
	return w.advance(ctx, r, "seal.proved", map[string]string{"level": r.Level}, func(tx *sqldb.Tx) error {
		return w.store.Last(tx, w.g.Commune, w.g.ID, w.attempt.N, material)
	})
}

// unproved is what follows when a certificate cannot be proved good. Where it was
// revoked nothing helps but another certificate or another stamp.
func (w *work) unproved(ctx context.Context, found error) error {
	revoked, ok := errors.AsType[*ltv.Revoked](found)
	if !ok {
		return fmt.Errorf("seal: grant %s: %w", w.g.ID, found)
	}
	stamp, err := tsa.Parse(w.attempt.Stamp)
	switch {
	case among(revoked.Certificate, w.chain): // the seal's own, or an issuer's
		return w.revoked(ctx, revoked)
	case err != nil || !revoked.Certificate.Equal(stamp.Signer) && !among(revoked.Certificate, stamp.Certificates()):
		return fault.New(fault.Internal, "ltv.revoked", fmt.Errorf("seal: grant %s: %w", w.g.ID, found))
	}
	at := w.Clock()
	err = w.write(ctx, func(tx *sqldb.Tx) error {
		if err := w.store.Unstamp(tx, w.g.Commune, w.g.ID, w.attempt.N); err != nil {
			return err
		}
		return w.log(tx, "seal.unstamped", at, w.attempt.N, map[string]string{"reason": "a certificate behind the time stamp was revoked before it"})
	})
	if err != nil {
		return errors.Join(found, err)
	}
	w.g.Receipt.Stage, w.g.Receipt.StampedAt = signing.Signed, time.Time{}
	w.attempt.Stamp = nil
	return fault.New(fault.Unreachable, "ltv.awaited", fmt.Errorf("seal: grant %s: another time stamp is needed: %w", w.g.ID, found))
}

func among(c *x509.Certificate, list []*x509.Certificate) bool {
	for _, l := range list {
		if bytes.Equal(l.Raw, c.Raw) {
			return true
		}
	}
	return false
}

// revoked makes the attempt void, and remembers never to call this certificate's key again.
func (w *work) revoked(ctx context.Context, found *ltv.Revoked) error {
	err := w.void(ctx, "the certificate has been revoked", func(tx *sqldb.Tx) error {
		return w.store.Revoke(tx, w.g.Commune, blob.Sum(w.chain[0].Raw), found.At)
	})
	if err != nil {
		return errors.Join(found, err)
	}
	return errRevoked(fmt.Errorf("seal: grant %s, attempt %d: %w", w.g.ID, w.attempt.N, found))
}

// finished commits the document: after it, and not before, it may be released.
func (w *work) finished(ctx context.Context, document, sealed blob.Digest, proof signingsql.Proof) error {
	r := w.g.Receipt
	r.Stage, r.Document, r.Sealed = signing.Finished, document, sealed
	detail := w.stampDetail(r)
	detail["document"] = document.String()
	return w.advance(ctx, r, "seal.finished", detail, func(tx *sqldb.Tx) error {
		return w.store.Finish(tx, w.g.Commune, w.g.ID, w.attempt.N, r, proof)
	})
}
