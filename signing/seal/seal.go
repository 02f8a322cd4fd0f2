// Package seal puts a commune's seal on documents, once for each grant.
//
// It owns the order of the steps between a grant and a finished file, and what is
// done when any of them fails. It refuses to know orders, people and pages: who
// wants to know how far a grant has come gives a closure that is run in the very
// transaction of each stage. It implements docs/adr/0004 and
// guarantees:
//
//   - the key is called only against a durable grant, and only after an attempt
//     with the exact attributes it signs is durable: calls = attempts;
//   - one grant leads to one document at most. An attempt whose answer was lost
//     (a crash, a power cut, a token that went away) is made void by the next one,
//     which signs the same content; of two workers one wins each step;
//   - the key's answer is kept before anything else is tried, so that a silent
//     time-stamping authority or a full disk never costs a second call;
//   - a document is named in a receipt only after it was read as a stranger would
//     read it, lies in the blob store, and the stage is committed with it.
//
// The steps of one grant, each of which a crash may interrupt:
//
//	attempt row ─ key ─ check ─ Signed: signature, record ─ stamp ─ embed ─ verify ─ blob ─ Stamped: document, record
package seal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingsql"
)

// Key is a commune's key for one kind of grant.
type Key struct {
	Signer crypto.Signer       // in a token, as a rule (internal/p11); may also be a Readier
	Chain  []*x509.Certificate // the key's certificate, then its issuers; the root may be left out
	Kind   signing.GrantKind   // the only kind of grant it serves
	// Visible is what people see on the page of a seal made at a time; nil shows nothing.
	Visible func(time.Time) *pades.Visible
}

// Readier is a Signer that knows when it need not be asked: its token is away.
type Readier interface {
	// Ready is called before each attempt, and may do what makes the key ready.
	Ready() error
}

// Config is what a Sealer needs. All but Stamper (at LevelBB), Specimen and
// KeyTimeout must be there.
type Config struct {
	DB      *sqldb.DB
	Blobs   blob.Store
	Audit   *audit.Log
	Clock   clock.Clock
	Keys    map[commune.ID]Key
	Stamper signing.Stamper
	Level   string // signing.LevelBB or signing.LevelBT
	// Specimen says that a certificate is a test one; nil means that none is.
	Specimen func(*x509.Certificate) bool
	// KeyTimeout is how long a key may take to answer, 30 seconds where it is 0.
	KeyTimeout time.Duration
}

const (
	// uselessMax bounds what a key or certificate that does not fit can cost. Answers
	// that were lost do not count: a token may be away for days.
	uselessMax = 50
	// stampRoom is what a time stamp may take, with its certificates.
	stampRoom = 16 << 10
	// clockBack is how far the clock may stand before the newest audit entry:
	// several machines do not agree to the second.
	clockBack = 5 * time.Minute
)

// Sealer seals. It is safe for concurrent use, and by several processes.
type Sealer struct {
	Config
	store *signingsql.Store
	keys  map[commune.ID]*slots
	busy  grantLocks
	write func(ctx context.Context, f func(*sqldb.Tx) error) error // DB.Write; tests make it fail
}

// New makes the tables and checks the settings.
func New(cfg Config) (*Sealer, error) {
	switch {
	case cfg.Level != signing.LevelBB && cfg.Level != signing.LevelBT:
		return nil, fmt.Errorf("seal: level %q is neither %s nor %s", cfg.Level, signing.LevelBB, signing.LevelBT)
	case cfg.Level == signing.LevelBT && cfg.Stamper == nil:
		return nil, fmt.Errorf("seal: level %s needs a time-stamping authority", cfg.Level)
	}
	if cfg.KeyTimeout == 0 {
		cfg.KeyTimeout = 30 * time.Second
	}
	if cfg.Specimen == nil {
		cfg.Specimen = func(*x509.Certificate) bool { return false }
	}
	s := &Sealer{Config: cfg, keys: map[commune.ID]*slots{}, write: cfg.DB.Write}
	for c, k := range cfg.Keys {
		if err := checkKey(k); err != nil {
			return nil, fmt.Errorf("seal: key of %s: %w", c, err)
		}
		s.keys[c] = newSlots()
	}
	var err error
	s.store, err = signingsql.New(cfg.DB)
	return s, err
}

func checkKey(k Key) error {
	if k.Signer == nil || len(k.Chain) == 0 || k.Chain[0] == nil {
		return errors.New("a key and its certificate are needed")
	}
	public, ok := k.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(k.Chain[0].PublicKey) {
		return errors.New("the certificate is another key's")
	}
	for i, c := range k.Chain[1:] {
		if err := k.Chain[i].CheckSignatureFrom(c); err != nil {
			return fmt.Errorf("certificate %d of the chain did not issue the one before it: %w", i+2, err)
		}
	}
	if k.Kind != signing.Approval && k.Kind != signing.Operator {
		return fmt.Errorf("kind %q is neither %s nor %s", k.Kind, signing.Approval, signing.Operator)
	}
	return nil
}

// Grant keeps a grant in the caller's transaction, with a line in the audit log.
// A second approval of one order is an error for which sqldb.IsUnique is true.
func (s *Sealer) Grant(tx *sqldb.Tx, g signing.Grant) error {
	if g.ID == "" || g.Reference == "" || g.Content.IsZero() || g.By == "" || g.At.IsZero() {
		return errors.New("seal: a grant names its id, reference, content, granter and time")
	}
	if _, err := s.key(g.Commune, g.Kind); err != nil {
		return err
	}
	if err := s.store.Grant(tx, g); err != nil {
		return err
	}
	return s.Audit.Append(tx, audit.Entry{Commune: g.Commune, At: g.At, Actor: g.By, Action: "seal.granted", Subject: g.Reference,
		Detail: map[string]string{"grant": g.ID, "kind": string(g.Kind), "content": g.Content.String(), "reason": g.Reason}})
}

// key is the commune's key, if it serves this kind of grant.
func (s *Sealer) key(c commune.ID, kind signing.GrantKind) (Key, error) {
	k, ok := s.Keys[c]
	if !ok || k.Kind != kind {
		return Key{}, fault.New(fault.Internal, "seal.no_key", fmt.Errorf("seal: %s has no key for grants of kind %q", c, kind))
	}
	return k, nil
}

// Seal brings a grant as far as it will go and returns what became of it. It may
// be called any number of times, and goes on where it stopped. record runs in the
// transaction of each stage that is reached (Signed, then Stamped), never for one
// that was reached before; its error undoes the step.
//
// An error of kind Unreachable (the key or the time-stamping authority does not
// answer) or Conflict (somebody else is sealing the same grant) asks to be called
// again later; with the first the receipt may say Signed.
func (s *Sealer) Seal(ctx context.Context, c commune.ID, grant string, record func(*sqldb.Tx, signing.Receipt) error) (signing.Receipt, error) {
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
	case g.Receipt.Stage == signing.Stamped:
		return g.Receipt, nil
	}
	content, err := s.Blobs.Read(ctx, c, g.Content)
	if err != nil {
		return g.Receipt, fmt.Errorf("seal: content of grant %s: %w", g.ID, err)
	}
	w := &work{Sealer: s, g: g, content: content, record: record}
	if g.Receipt.Stage == signing.Prepared {
		err = w.sign(ctx)
	} else {
		err = w.resume(ctx)
	}
	if err == nil {
		err = w.finish(ctx)
	}
	if errors.Is(err, signingsql.ErrSuperseded) {
		err = fault.New(fault.Conflict, "seal.superseded", err)
	}
	return w.g.Receipt, err
}

// work is one run of Seal over one grant.
type work struct {
	*Sealer
	g       signingsql.Grant
	content []byte
	record  func(*sqldb.Tx, signing.Receipt) error

	attempt  signingsql.Attempt
	prepared *pades.Prepared
}

// sign takes the grant from Prepared to Signed: one attempt, one call of the key.
func (w *work) sign(ctx context.Context) error {
	key, err := w.key(w.g.Commune, w.g.Kind)
	if err != nil {
		return err
	}
	if err := w.checkClock(ctx); err != nil {
		return err
	}
	useless, err := w.store.Useless(ctx, w.g.Commune, w.g.ID)
	if err != nil {
		return err
	}
	if useless >= uselessMax {
		return fault.New(fault.Internal, "seal.given_up", fmt.Errorf("seal: grant %s: %d answers of the key, none with a document", w.g.ID, useless))
	}
	// All this comes before the attempt: a key that is away or hangs costs no more attempts.
	slots := w.keys[w.g.Commune]
	slot, err := slots.take(ctx, w.KeyTimeout)
	if err == nil {
		err = w.ready(ctx, key.Signer, slot)
	}
	if err != nil {
		return fault.New(fault.Unreachable, "seal.key_silent", fmt.Errorf("seal: grant %s: %w", w.g.ID, err))
	}
	if err := w.begin(ctx, key); err != nil {
		slot.free()
		return err
	}
	signature, err := w.call(ctx, key.Signer, slot)
	slots.heard(w.Clock(), err)
	if err != nil {
		return fault.New(fault.Unreachable, "seal.key_silent", fmt.Errorf("seal: grant %s, attempt %d: %w", w.g.ID, w.attempt.N, err))
	}
	if err := w.prepared.Check(signature); err != nil {
		return w.giveUp(ctx, "the key's answer does not verify with its certificate", err)
	}
	return w.signed(ctx, signature)
}

// begin makes the attempt durable: what the key will sign, with which certificate.
func (w *work) begin(ctx context.Context, key Key) error {
	at := w.Clock()
	p, err := w.prepare(key, at)
	if err != nil {
		return err
	}
	kept, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	leaf := key.Chain[0]
	a := signingsql.Attempt{Commune: w.g.Commune, Grant: w.g.ID, N: w.g.Attempts + 1, State: signingsql.Begun, Level: w.Level,
		Specimen: w.Specimen(leaf), SignedAt: p.At, Chain: bytes.Join(p.Chain, nil), Attributes: p.Attributes, Prepared: kept}
	attributes, certificate := sha256.Sum256(p.Attributes), sha256.Sum256(leaf.Raw)
	err = w.write(ctx, func(tx *sqldb.Tx) error {
		if err := w.store.Begin(tx, a); err != nil {
			return err
		}
		return w.log(tx, "seal.attempted", at, a.N, map[string]string{
			"attributes": hex.EncodeToString(attributes[:]), "certificate": hex.EncodeToString(certificate[:])})
	})
	if err != nil {
		return fmt.Errorf("seal: grant %s, attempt %d: %w", w.g.ID, a.N, err)
	}
	w.g.Attempts, w.attempt, w.prepared = a.N, a, p
	return nil
}

// prepare lays out the signed file. A document with our seal alone is certified;
// one that carries a person's signature already gets an approval signature.
func (w *work) prepare(key Key, at time.Time) (*pades.Prepared, error) {
	o := pades.Options{Chain: key.Chain, At: at, Certify: true, Name: key.Chain[0].Subject.CommonName, StampRoom: stampRoom}
	if w.Level == signing.LevelBB {
		o.StampRoom = -1
	}
	if key.Visible != nil {
		o.Visible = key.Visible(at)
	}
	p, err := pades.Prepare(bytes.NewReader(w.content), int64(len(w.content)), o)
	if fault.KeyOf(err) == "pades.already_signed" {
		o.Certify = false
		p, err = pades.Prepare(bytes.NewReader(w.content), int64(len(w.content)), o)
	}
	if err != nil {
		return nil, err
	}
	if p.Content != w.g.Content {
		return nil, fmt.Errorf("seal: grant %s: the content prepared is %s", w.g.ID, p.Content)
	}
	return p, nil
}

// signed keeps the key's answer: from here on no step needs the key again.
func (w *work) signed(ctx context.Context, signature []byte) error {
	r := w.g.Receipt
	r.Stage, r.SignedAt, r.Level, r.Specimen = signing.Signed, w.attempt.SignedAt, w.attempt.Level, w.attempt.Specimen
	r.Signer = w.Keys[w.g.Commune].Chain[0].Subject.CommonName
	at := w.Clock()
	err := w.write(ctx, func(tx *sqldb.Tx) error {
		if err := w.store.Sign(tx, w.g.Commune, w.g.ID, w.attempt.N, signature, r); err != nil {
			return err
		}
		if err := w.log(tx, "seal.signed", at, w.attempt.N, map[string]string{"content": w.g.Content.String(), "level": r.Level}); err != nil {
			return err
		}
		return w.record(tx, r)
	})
	if err != nil {
		return fmt.Errorf("seal: grant %s, attempt %d: %w", w.g.ID, w.attempt.N, err)
	}
	w.g.Receipt, w.attempt.Signature = r, signature
	return nil
}

// resume reads the attempt that an earlier run has signed.
func (w *work) resume(ctx context.Context) error {
	list, err := w.store.Attempts(ctx, w.g.Commune, w.g.ID)
	if err != nil {
		return err
	}
	if len(list) == 0 || list[len(list)-1].State != signingsql.Signed {
		return signingsql.ErrSuperseded // another worker went on between our two reads
	}
	w.attempt = list[len(list)-1]
	if err := json.Unmarshal(w.attempt.Prepared, &w.prepared); err != nil {
		return fmt.Errorf("seal: grant %s, attempt %d: %w", w.g.ID, w.attempt.N, err)
	}
	return nil
}

// finish takes the grant from Signed to Stamped.
func (w *work) finish(ctx context.Context) error {
	var stamp signing.Stamp
	if w.attempt.Level == signing.LevelBT {
		if w.Stamper == nil {
			return fmt.Errorf("seal: grant %s was signed at level %s and there is no time-stamping authority", w.g.ID, w.attempt.Level)
		}
		var err error
		if stamp, err = w.Stamper.Stamp(ctx, pades.StampDigest(w.attempt.Signature)); err != nil {
			return fmt.Errorf("seal: grant %s: %w", w.g.ID, err)
		}
	}
	var file bytes.Buffer
	file.Grow(int(w.prepared.FinishedSize()))
	if err := w.prepared.Embed(&file, bytes.NewReader(w.content), w.attempt.Signature, stamp.Token); err != nil {
		return w.giveUp(ctx, "the signature does not fit into the document", err)
	}
	chain, err := x509.ParseCertificates(w.attempt.Chain)
	if err != nil {
		return fmt.Errorf("seal: grant %s, attempt %d: %w", w.g.ID, w.attempt.N, err)
	}
	want := finishedFile{w.g.Content, len(w.content), chain, w.attempt.Level, stamp.Token}
	if err := readAsStranger(file.Bytes(), want, w.Clock()); err != nil {
		return w.giveUp(ctx, "the finished document does not verify", err)
	}
	document, err := w.Blobs.Put(ctx, w.g.Commune, file.Bytes())
	if err != nil {
		return fmt.Errorf("seal: grant %s: %w", w.g.ID, err)
	}
	return w.finished(ctx, document, stamp)
}

// finished commits the document: after it, and not before, it may be released.
func (w *work) finished(ctx context.Context, document blob.Digest, stamp signing.Stamp) error {
	r := w.g.Receipt
	r.Stage, r.Document, r.StampedAt = signing.Stamped, document, stamp.Time
	at := w.Clock()
	detail := map[string]string{"content": w.g.Content.String(), "document": document.String(), "level": r.Level}
	if !stamp.Time.IsZero() {
		detail["stamped"], detail["authority"] = stamp.Time.UTC().Format(time.RFC3339Nano), stamp.Authority
	}
	err := w.write(ctx, func(tx *sqldb.Tx) error {
		if err := w.store.Finish(tx, w.g.Commune, w.g.ID, w.attempt.N, r); err != nil {
			return err
		}
		if err := w.log(tx, "seal.finished", at, w.attempt.N, detail); err != nil {
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

// giveUp makes the attempt void because of what was found; the next call of Seal
// begins another. The error says what was found.
func (w *work) giveUp(ctx context.Context, reason string, found error) error {
	at := w.Clock()
	err := w.write(ctx, func(tx *sqldb.Tx) error {
		if err := w.store.MakeVoid(tx, w.g.Commune, w.g.ID, w.attempt.N, reason); err != nil {
			return err
		}
		return w.log(tx, "seal.voided", at, w.attempt.N, map[string]string{"reason": reason})
	})
	if err != nil {
		return errors.Join(found, err)
	}
	w.g.Receipt = signing.Receipt{Grant: w.g.ID, Stage: signing.Prepared}
	return fault.New(fault.Internal, "seal.not_valid", fmt.Errorf("seal: grant %s, attempt %d: %s: %w", w.g.ID, w.attempt.N, reason, found))
}

func (w *work) log(tx *sqldb.Tx, action string, at time.Time, attempt int, detail map[string]string) error {
	detail["grant"], detail["attempt"] = w.g.ID, strconv.Itoa(attempt)
	return w.Audit.Append(tx, audit.Entry{Commune: w.g.Commune, At: at, Actor: "belfry", Action: action, Subject: w.g.Reference, Detail: detail})
}

// checkClock refuses to sign with a clock that runs behind what was done already: /M
// would be a lie. One that runs ahead is noticed by the time-stamping authority.
func (w *work) checkClock(ctx context.Context) error {
	last, err := w.Audit.Last(ctx, w.g.Commune)
	if err != nil {
		return err
	}
	if now := w.Clock(); now.Before(last.Add(-clockBack)) {
		return fault.New(fault.Internal, "seal.clock", fmt.Errorf("seal: the clock says %v, the audit log has an entry of %v", now, last))
	}
	return nil
}
