package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/register"
)

// A paper that its register has sealed is relayed as it came, byte for byte: what is
// looked at is that it is the register's, whole, and about what was asked. It has the
// register's reference and no number of ours; nothing of ours signs it.

// Source is a register that gives its papers sealed.
type Source struct {
	Documents register.Documents
	// Seal reads a file's seal, in a process whose crash costs one request. Its errors are
	// faults: way.source.unsealed, way.source.altered and way.source.stranger (Invalid);
	// way.source.unread (Unreachable) where it could not be told now.
	Seal func(ctx context.Context, file []byte) (SourceSeal, error)
}

// SourceSeal is the seal of a register upon a file, which is unaltered.
type SourceSeal struct {
	Signer   string    // the common name of its certificate
	Level    string    // of the signature, "B-T"; "" where it is of no such level
	SealedAt time.Time // by a time stamp, else by the register's clock
	Specimen bool      // made with a test key
}

// RelayJob fetches the sealed paper of an order and issues it.
type RelayJob struct {
	Commune commune.ID `json:"commune"`
	Order   string     `json:"order"`
}

// Kind implements jobs.Args.
func (RelayJob) Kind() string { return "orders.relay" }

const (
	relayAgain  = time.Minute      // until a silent register is asked a second time
	relayRarely = 30 * time.Minute // between two questions, once it has been silent for hours
	// relayPatience is how long a register that does not answer is waited for, before a
	// clerk has to look: they see from the beginning that the order waits.
	relayPatience = 24 * time.Hour
)

// relay brings an order to the paper that its register has sealed. It may run any number of
// times, also beside itself: the same request is answered by the same paper, and of two that
// issue it one wins.
func (s *Service) relay(ctx context.Context, j RelayJob) error {
	r, err := s.load(ctx, j.Commune, j.Order)
	if err != nil {
		return err
	}
	switch {
	case r.State == AwaitingCitizen:
		return jobs.Snooze(relayAgain, nil)
	case r.State != Submitted || r.Way != commune.FromSource || r.Fee.Due():
		return nil // issued, withdrawn, in the hands of a clerk, or not paid
	}
	paper, err := s.fetch(ctx, r)
	switch {
	case err == nil:
		err = s.DB.Write(ctx, func(tx *sqldb.Tx) error { return s.issueRelayed(tx, r, paper) })
	case mayPass(err) && s.now().Sub(r.ChangedAt) < relayPatience:
		return jobs.Snooze(relayPause(s.now().Sub(r.ChangedAt)), err)
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		err = s.toClerk(ctx, r, e)
	}
	if errors.Is(err, errMoved) { // see what came of it
		return jobs.Snooze(time.Second, nil)
	}
	return err
}

// relayPause is how long a register is left in peace that has been silent for so long: a
// minute at first, then a quarter of that time.
func relayPause(silent time.Duration) time.Duration {
	return min(max(relayAgain, silent/4), relayRarely)
}

// Again says, of an order whose paper a register is to give, when the register is asked again
// at the latest where it does not answer, and when a clerk takes the order over.
func (o Order) Again(now time.Time) (again, clerk time.Time) {
	clerk = o.ChangedAt.Add(relayPatience)
	again = now.Add(relayPause(now.Sub(o.ChangedAt)))
	if again.After(clerk) {
		again = clerk
	}
	return again, clerk
}

// mayPass says whether a fault goes away by itself, or once an operator has looked.
func mayPass(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return ok && (e.Kind == fault.Unreachable || e.Kind == fault.Internal)
}

// relayed is a paper as its register gave it, kept and looked at.
type relayed struct {
	register.Sealed
	seal   SourceSeal
	holder string
	access string // JSON; "" where nobody looks
	file   blob.Digest
}

// fetch asks the register for the paper, and looks whether it is what was asked for.
func (s *Service) fetch(ctx context.Context, r row) (relayed, error) {
	of, err := s.commune(r.Commune)
	if err != nil {
		return relayed{}, err
	}
	source, ok := s.Sources[r.Product.Source]
	if !ok {
		return relayed{}, fault.New(fault.Forbidden, "way.source.none", fmt.Errorf("no source %q is set up any more", r.Product.Source))
	}
	if !of.Issues(r.DocumentLanguage()) {
		return relayed{}, fault.New(fault.Forbidden, "way.source.language", fmt.Errorf("the commune issues nothing in %q any more", r.DocumentLanguage()))
	}
	// A clerk's reason was for the attention that the order has; another one is another matter.
	subject, err := s.about(ctx, of, r, string(r.Attention))
	if err != nil {
		return relayed{}, err
	}
	if subject.attention != r.Attention {
		return relayed{}, fault.New(fault.Conflict, "orders.needs_reason", nil).With("Attention", string(subject.attention))
	}
	number, err := s.vault.open(r.Commune, r.ID, r.sealed)
	if err != nil {
		return relayed{}, err
	}
	p := relayed{holder: subject.holder}
	if p.Sealed, err = source.Documents.Document(ctx, register.Question{
		Request: r.ID, Number: number, Product: r.Product.SourceCode, Language: r.DocumentLanguage(),
	}); err != nil {
		return relayed{}, err
	}
	if p.seal, err = source.Seal(ctx, p.File); err != nil {
		return relayed{}, err
	}
	if s.Papers != nil {
		access, err := s.Papers.Look(ctx, p.File)
		if err != nil {
			return relayed{}, err
		}
		if told, ok := i18n.Parse(access.Language); ok && told != r.DocumentLanguage() {
			return relayed{}, fault.New(fault.Invalid, "way.source.mismatch", fmt.Errorf("the file is in %s", told))
		}
		b, err := json.Marshal(access)
		if err != nil {
			return relayed{}, err
		}
		p.access = string(b)
	}
	if p.file, err = s.Blobs.Put(ctx, r.Commune, p.File); err != nil {
		return relayed{}, fmt.Errorf("order %s: keep the paper: %w", r.ID, err)
	}
	return p, nil
}

// sourceNumber is what stands in the place of a number; ours have no colon.
func sourceNumber(source, reference string) string { return source + ":" + reference }

// shown is a number as the database has it, without its register's name.
func shown(number string) Number {
	if _, reference, ok := strings.Cut(number, ":"); ok {
		return Number(reference)
	}
	return Number(number)
}

// begins has the register asked for the paper of a new order, where nobody has to look first.
func (s *Service) begins(tx *sqldb.Tx, r row) error {
	if r.Way != commune.FromSource || r.Attention != NoAttention || r.Fee.Due() {
		return nil
	}
	return s.Jobs.Insert(tx, RelayJob{r.Commune, r.ID})
}

// issueRelayed issues a paper that no clerk has to approve, since nothing of it is ours.
func (s *Service) issueRelayed(tx *sqldb.Tx, r row, p relayed) error {
	at, by := s.now(), Actor{Kind: ByService}
	if err := s.paid(tx, r); fault.KeyOf(err) == "fee.due" { // the receipt was undone while the register was asked
		return errMoved
	} else if err != nil {
		return err
	}
	if err := s.step(tx, r, Issued, by, at); err != nil {
		return err
	}
	token := newToken() // printed nowhere
	res, err := tx.Exec(`INSERT INTO orders_paper (commune, order_id, number, token, token_hash, code, allocated_at,
		content, holder, prepared_at, prepared_by, grant_id, document, signed_at, issued_at, level, signer, specimen, void, source, access)
		VALUES ($1, $2, $3, $4, $5, '', $6, '', $7, $8, '', '', $9, $10, $6, $11, $12, $13, 0, $14, $15)
		ON CONFLICT (commune, number) DO NOTHING`,
		string(r.Commune), r.ID, sourceNumber(r.Product.Source, p.Reference), token, hashToken(token), sqldb.Micros(at),
		p.holder, sqldb.Micros(p.IssuedOn), p.file, sqldb.Micros(p.seal.SealedAt), p.seal.Level, p.seal.Signer, bit(p.seal.Specimen), r.Product.Source, p.access)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, fault.New(fault.Invalid, "way.source.mismatch", errors.New("the reference is another order's")))
	}
	if err := s.ownFile(tx, r, p.file, at); err != nil {
		return err
	}
	detail := map[string]string{"Signer": p.seal.Signer, "Number": p.Reference}
	if err := addEvent(tx, r.Commune, r.ID, Event{At: at, Actor: by, Kind: EventRelayed, Public: true, Detail: detail}); err != nil {
		return err
	}
	audited := map[string]string{"source": r.Product.Source, "reference": p.Reference, "document": p.file.String()}
	if err := s.note(tx, r, by, "orders.relayed", at, audited); err != nil {
		return err
	}
	return s.tell(tx, r, Issued)
}

// ownFile notes the file that leads to the paper; it may lead to no other order's.
func (s *Service) ownFile(tx *sqldb.Tx, r row, file blob.Digest, at time.Time) error {
	if err := addFiles(tx, r.Commune, r.ID, at, file); err != nil {
		return err
	}
	var owner string
	if err := tx.QueryRow(`SELECT order_id FROM orders_file WHERE commune = $1 AND document = $2`, string(r.Commune), file).Scan(&owner); err != nil {
		return err
	}
	if owner != r.ID {
		return fault.New(fault.Invalid, "way.source.mismatch", errors.New("the file is another order's"))
	}
	return nil
}

// toClerk leaves an order to a clerk, who is told why. The person hears that somebody looks.
func (s *Service) toClerk(ctx context.Context, r row, why *fault.Error) error {
	at, by := s.now(), Actor{Kind: ByService}
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := s.step(tx, r, Submitted, by, at); err != nil {
			return err
		}
		if err := setWay(tx, r, commune.Attached); err != nil {
			return err
		}
		e := Event{At: at, Actor: by, Kind: EventSourceFailed, Detail: map[string]string{"Key": why.Key}}
		if err := addEvent(tx, r.Commune, r.ID, e); err != nil {
			return err
		}
		return s.note(tx, r, by, "orders.source_failed", at, map[string]string{"reason": why.Error()})
	})
}

func setWay(tx *sqldb.Tx, r row, w commune.Way) error {
	return one(tx.Exec(`UPDATE orders_order SET way = $1 WHERE commune = $2 AND id = $3`, string(w), string(r.Commune), r.ID))
}

// AskSource has the register asked for the sealed paper of an order that waits for a clerk:
// once more, or in spite of an attention, for a reason of 1 to MaxReason characters that is
// kept in the journal. Faults: orders.not_found; orders.own (Forbidden); orders.moved and
// orders.needs_reason (Conflict); way.source.off (Forbidden) where the paper has no such
// source; orders.form.invalid (Invalid) for the reason; those of Prepare.
func (s *Service) AskSource(ctx context.Context, c commune.ID, id string, clerk Clerk, reason string) (Order, error) {
	r, err := s.decidable(ctx, c, id, clerk, Submitted)
	if err != nil {
		return Order{}, err
	}
	of, err := s.commune(c)
	if err != nil {
		return Order{}, err
	}
	if r.Way == commune.Made || !s.sealedBy(r.Product) {
		return Order{}, fault.New(fault.Forbidden, "way.source.off", nil)
	}
	if r.Fee.Due() {
		return Order{}, feeDue(r)
	}
	if reason, err = reasonIfAny(reason); err != nil {
		return Order{}, err
	}
	subject, err := s.about(ctx, of, r, reason)
	if err != nil {
		return Order{}, err
	}
	if err := s.apart(&r, subject.members, clerk); err != nil {
		return Order{}, err
	}
	at, by := s.now(), clerk.actor()
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := s.step(tx, r, Submitted, by, at); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE orders_order SET way = $1, attention = $2, household = $3 WHERE commune = $4 AND id = $5`,
			string(commune.FromSource), string(subject.attention), r.household, string(c), id); err != nil {
			return err
		}
		if err := s.asked(tx, r, by, subject.attention, reason, at); err != nil {
			return err
		}
		return s.Jobs.Insert(tx, RelayJob{c, id})
	})
	if err != nil {
		return Order{}, s.moved(ctx, c, id, err)
	}
	return s.Get(ctx, c, id)
}

// asked notes that a clerk has the register asked, and why in spite of what.
func (s *Service) asked(tx *sqldb.Tx, r row, by Actor, a Attention, reason string, at time.Time) error {
	if reason != "" {
		e := Event{At: at, Actor: by, Kind: EventDecided, Detail: map[string]string{"Attention": string(a), "Reason": reason}}
		if err := addEvent(tx, r.Commune, r.ID, e); err != nil {
			return err
		}
	}
	if err := addEvent(tx, r.Commune, r.ID, Event{At: at, Actor: by, Kind: EventSourceAsked}); err != nil {
		return err
	}
	return s.note(tx, r, by, "orders.source_asked", at, nil)
}

// Await is ForCitizen for a page that may wait a moment: most at the longest, while the
// register's paper is under way.
func (s *Service) Await(ctx context.Context, c commune.ID, id, subject string, most time.Duration) (Order, error) {
	const pause = 100 * time.Millisecond
	for left := most; ; left -= pause {
		o, err := s.ForCitizen(ctx, c, id, subject)
		if err != nil || left <= 0 || o.State != Submitted || o.Way != commune.FromSource || o.Attention != NoAttention || o.Fee.Due() {
			return o, err
		}
		select {
		case <-ctx.Done():
			return o, nil
		case <-time.After(pause):
		}
	}
}
