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
//	attempt row ─ key ─ check ─ Signed ─ stamp ─ Stamped ─ proofs of the certificates ─ Lasting
//	─ stamp upon all ─ verify ─ blob ─ Finished
//
// Each stage is kept with its answer, and recorded, before the next question is
// asked of anybody; a level that wants less goes to Finished sooner. The proofs are
// asked for after the stamp's time, since only then they speak about it.
//
// A commune's seal may lie in several tokens: where one does not answer, or its
// certificate may no longer be used, the next is called, with an attempt of its own.
//
// Finished documents of level B-LTA are renewed before what their last stamp rests on
// ends (Renew): the new file begins with the old one.
package seal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/plain"
	"github.com/belfry-eid/belfry/signing/signingsql"
)

// Key is a commune's seal for one kind of grant.
type Key struct {
	Kind   signing.GrantKind // the only kind of grant it serves
	Level  string            // at which it seals: signing.LevelBB to LevelBLTA; an operator's also signing.Plain
	Tokens []Token           // the first is used while it answers, then the next
	// Visible is what people see on the page of a seal made at a time; nil shows nothing.
	Visible func(time.Time) *pades.Visible
	Field   string // the empty signature field to fill, as pades.Options has it; "" adds one
	// Password opens an encrypted file, and is kept nowhere; the Extender needs it too.
	Password string
}

// Token is one place in which the key of a seal can be called.
type Token struct {
	Signer crypto.Signer       // in a token, as a rule (internal/p11); may also be a Readier
	Chain  []*x509.Certificate // the key's certificate, then its issuers; the root may be left out
	PSS    bool                // an RSA key signs with RSASSA-PSS, not PKCS #1 v1.5
	Calls  int                 // how many calls may be under way at once; 4 where 0
}

// Readier is a Signer that knows when it need not be asked: its token is away.
type Readier interface {
	// Ready is called before each attempt, and may do what makes the key ready.
	Ready() error
}

// Config is what a Sealer needs. DB, Blobs, Audit and Clock must be there; the others
// as far as the levels of the keys want them.
type Config struct {
	DB       *sqldb.DB
	Blobs    blob.Store
	Audit    *audit.Log
	Clock    clock.Clock
	Keys     map[commune.ID]Key
	Stamper  signing.Stamper // from level B-T on
	Extender *ltv.Extender   // from level B-LT on
	// Specimen says that what a commune seals with a certificate is to be a specimen: a test
	// certificate, or a commune to practise in. nil means that nothing is.
	Specimen func(commune.ID, *x509.Certificate) bool
	// KeyTimeout is how long a key may take to answer, 30 seconds where it is 0.
	KeyTimeout time.Duration
}

const (
	// uselessMax bounds what a key or certificate that does not fit can cost. Answers
	// that were lost do not count: a token may be away for days.
	uselessMax = 50
	// stampRoom is what a time stamp may take, with its certificates.
	stampRoom = 16 << 10
	// endsSoon is how long a certificate must still be good for its key to be called: a
	// signature counts only if it is stamped before.
	endsSoon = time.Hour
)

// Sealer seals. It is safe for concurrent use, and by several processes.
type Sealer struct {
	Config
	store  *signingsql.Store
	tokens map[commune.ID][]*token
	busy   grantLocks
	ticks  ticks
	write  func(ctx context.Context, f func(*sqldb.Tx) error) error // DB.Write; tests make it fail
}

// New makes the tables and checks the settings.
func New(cfg Config) (*Sealer, error) {
	if cfg.KeyTimeout == 0 {
		cfg.KeyTimeout = 30 * time.Second
	}
	if cfg.Specimen == nil {
		cfg.Specimen = func(commune.ID, *x509.Certificate) bool { return false }
	}
	s := &Sealer{Config: cfg, tokens: map[commune.ID][]*token{}, write: cfg.DB.Write}
	for c, k := range cfg.Keys {
		if err := checkKey(cfg, k); err != nil {
			return nil, fmt.Errorf("seal: key of %s: %w", c, err)
		}
		for _, t := range k.Tokens {
			s.tokens[c] = append(s.tokens[c], newToken(t))
		}
	}
	var err error
	s.store, err = signingsql.New(cfg.DB)
	return s, err
}

func checkKey(cfg Config, k Key) error {
	switch {
	case !slices.Contains(signing.Levels, k.Level) && (k.Level != signing.Plain || k.Kind != signing.Operator):
		return fmt.Errorf("there is no level %q", k.Level)
	case signing.Reaches(k.Level, signing.LevelBT) && cfg.Stamper == nil:
		return fmt.Errorf("level %s needs a time-stamping authority", k.Level)
	case signing.Reaches(k.Level, signing.LevelBLT) && cfg.Extender == nil:
		return fmt.Errorf("level %s needs to know who says that certificates are good", k.Level)
	case k.Kind != signing.Approval && k.Kind != signing.Operator:
		return fmt.Errorf("kind %q is neither %s nor %s", k.Kind, signing.Approval, signing.Operator)
	case len(k.Tokens) == 0:
		return errors.New("a key and its certificate are needed")
	}
	for _, t := range k.Tokens {
		if err := checkToken(t); err != nil {
			return err
		}
	}
	return nil
}

func checkToken(t Token) error {
	if t.Signer == nil || len(t.Chain) == 0 || t.Chain[0] == nil {
		return errors.New("a key and its certificate are needed")
	}
	public, ok := t.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(t.Chain[0].PublicKey) {
		return errors.New("the certificate is another key's")
	}
	if _, isRSA := t.Chain[0].PublicKey.(*rsa.PublicKey); t.PSS && !isRSA {
		return errors.New("PSS is for RSA keys")
	}
	for i, c := range t.Chain[1:] {
		if err := t.Chain[i].CheckSignatureFrom(c); err != nil {
			return fmt.Errorf("certificate %d of the chain did not issue the one before it: %w", i+2, err)
		}
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
// transaction of each stage that is reached, Signed first and Finished last, never for
// one that was reached before; its error undoes the step.
//
// An error of kind Unreachable (the key, the time-stamping authority or whoever proves
// certificates does not answer) or Conflict (somebody else is sealing the same grant)
// asks to be called again later; with the first the receipt says how far it has come.
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
	case g.Receipt.Stage == signing.Finished:
		return g.Receipt, nil
	}
	content, err := s.Blobs.Open(ctx, c, g.Content)
	if err != nil {
		return g.Receipt, fmt.Errorf("seal: content of grant %s: %w", g.ID, err)
	}
	defer content.Close()
	w := &work{Sealer: s, g: g, content: whole{base: content, size: content.Size()}, record: record}
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
	content whole
	record  func(*sqldb.Tx, signing.Receipt) error

	attempt  signingsql.Attempt
	prepared *pades.Prepared
	chain    []*x509.Certificate // of the attempt

	fresh     bool   // it was signed in this run
	authority string // whose stamp this run has got
}

// sign takes the grant from Prepared to Signed, with the first token that answers.
func (w *work) sign(ctx context.Context) error {
	key, err := w.key(w.g.Commune, w.g.Kind)
	if err != nil {
		return err
	}
	if err := w.checkClock(ctx, key); err != nil {
		return err
	}
	var causes []error
	for _, t := range w.tokens[w.g.Commune] {
		useless, err := w.store.Useless(ctx, w.g.Commune, w.g.ID)
		if err != nil {
			return err
		}
		if useless >= uselessMax {
			return fault.New(fault.Internal, "seal.given_up", fmt.Errorf("seal: grant %s: %d answers of the key, none with a document", w.g.ID, useless))
		}
		err = w.signWith(ctx, key, t)
		if err == nil {
			return nil
		}
		if !another(err) {
			return err
		}
		causes = append(causes, err)
		if ctx.Err() != nil {
			break
		}
	}
	return worstOf(causes)
}

// another says whether another token may help.
func another(err error) bool {
	return fault.KeyOf(err) == "seal.key_silent" || fault.KeyOf(err) == "pades.certificate_unusable" || fault.KeyOf(err) == "seal.revoked"
}

// worstOf is one error for all tokens: it asks to come again where one was only silent.
func worstOf(causes []error) error {
	for _, err := range causes {
		if fault.KeyOf(err) == "seal.key_silent" {
			return fault.New(fault.Unreachable, "seal.key_silent", errors.Join(causes...))
		}
	}
	return fault.New(fault.KindOf(causes[0]), fault.KeyOf(causes[0]), errors.Join(causes...))
}

// signWith is one attempt, with one call of one token.
func (w *work) signWith(ctx context.Context, key Key, t *token) error {
	if err := w.usable(ctx, t); err != nil {
		return err
	}
	// All this comes before the attempt: a key that is away or hangs costs no more attempts.
	err := t.take(ctx, w.KeyTimeout)
	if err == nil {
		err = w.ready(ctx, t)
	}
	if err != nil {
		return fault.New(fault.Unreachable, "seal.key_silent", fmt.Errorf("seal: grant %s: %w", w.g.ID, err))
	}
	if err := w.begin(ctx, key, t.Token); err != nil {
		t.free()
		return err
	}
	signature, err := w.call(ctx, t)
	if err != nil {
		t.heard(w.Clock(), err)
		return fault.New(fault.Unreachable, "seal.key_silent", fmt.Errorf("seal: grant %s, attempt %d: %w", w.g.ID, w.attempt.N, err))
	}
	err = w.prepared.Check(signature)
	t.heard(w.Clock(), err)
	if err != nil {
		return w.giveUp(ctx, "the key's answer does not verify with its certificate", err)
	}
	return w.signed(ctx, signature)
}

// usable says why a token's certificate may not be used any more.
func (w *work) usable(ctx context.Context, t *token) error {
	leaf := t.Chain[0]
	if left := leaf.NotAfter.Sub(w.Clock()); left < endsSoon {
		return fault.New(fault.Internal, "pades.certificate_unusable",
			fmt.Errorf("seal: the certificate of %q ends in %v: no stamp would come in time", leaf.Subject.CommonName, left.Round(time.Second)))
	}
	revoked, err := w.store.Revoked(ctx, w.g.Commune, blob.Sum(leaf.Raw))
	if err != nil {
		return err
	}
	if revoked {
		return errRevoked(fmt.Errorf("seal: the certificate of %q has been revoked", leaf.Subject.CommonName))
	}
	return nil
}

func errRevoked(cause error) error { return fault.New(fault.Internal, "seal.revoked", cause) }

// begin makes the attempt durable: what the key will sign, with which certificate.
func (w *work) begin(ctx context.Context, key Key, t Token) error {
	at := w.Clock()
	p, err := w.prepare(ctx, key, t, at)
	if err != nil {
		return err
	}
	kept, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	leaf := t.Chain[0]
	a := signingsql.Attempt{Commune: w.g.Commune, Grant: w.g.ID, N: w.g.Attempts + 1, State: signingsql.Begun, Level: key.Level,
		Specimen: w.Specimen(w.g.Commune, leaf), SignedAt: p.At, Chain: bytes.Join(p.Chain, nil), Attributes: p.Attributes, Prepared: kept}
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
	w.g.Attempts, w.attempt, w.prepared, w.chain = a.N, a, p, t.Chain
	return nil
}

// prepare lays out the signed file. A document with our seal alone is certified;
// one that carries a person's signature already, or whose field asks for no
// certification, gets an approval signature.
func (w *work) prepare(ctx context.Context, key Key, t Token, at time.Time) (*pades.Prepared, error) {
	if key.Level == signing.Plain {
		content, err := w.content.bytes()
		if err != nil {
			return nil, err
		}
		return plain.Prepare(ctx, content, plain.Options{Chain: t.Chain, At: at})
	}
	o := pades.Options{Chain: t.Chain, PSS: t.PSS, At: at, Certify: true, Name: t.Chain[0].Subject.CommonName, StampRoom: stampRoom, Field: key.Field, Password: key.Password}
	if key.Level == signing.LevelBB {
		o.StampRoom = -1
	}
	if key.Visible != nil {
		o.Visible = key.Visible(at)
	}
	p, err := pades.Prepare(w.content, w.content.Size(), o)
	if k := fault.KeyOf(err); k == "pades.already_signed" || k == "pades.seed_value" {
		o.Certify = false
		p, err = pades.Prepare(w.content, w.content.Size(), o)
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
	r.Signer = w.chain[0].Subject.CommonName
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
	w.g.Receipt, w.attempt.Signature, w.fresh = r, signature, true
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
	err = json.Unmarshal(w.attempt.Prepared, &w.prepared)
	if err == nil {
		w.chain, err = x509.ParseCertificates(w.attempt.Chain)
	}
	if err != nil {
		return fmt.Errorf("seal: grant %s, attempt %d: %w", w.g.ID, w.attempt.N, err)
	}
	return nil
}

// giveUp makes the attempt void because of what was found; the next call of Seal
// begins another. The error says what was found.
func (w *work) giveUp(ctx context.Context, reason string, found error) error {
	if err := w.void(ctx, reason, func(*sqldb.Tx) error { return nil }); err != nil {
		return errors.Join(found, err)
	}
	return fault.New(fault.Internal, "seal.not_valid", fmt.Errorf("seal: grant %s, attempt %d: %s: %w", w.g.ID, w.attempt.N, reason, found))
}

// void takes the grant back to Prepared; also runs in the same transaction.
func (w *work) void(ctx context.Context, reason string, also func(*sqldb.Tx) error) error {
	at := w.Clock()
	err := w.write(ctx, func(tx *sqldb.Tx) error {
		if err := w.store.MakeVoid(tx, w.g.Commune, w.g.ID, w.attempt.N, reason); err != nil {
			return err
		}
		if err := also(tx); err != nil {
			return err
		}
		return w.log(tx, "seal.voided", at, w.attempt.N, map[string]string{"reason": reason})
	})
	if err == nil {
		w.g.Receipt = signing.Receipt{Grant: w.g.ID, Stage: signing.Prepared}
	}
	return err
}

func (w *work) log(tx *sqldb.Tx, action string, at time.Time, attempt int, detail map[string]string) error {
	detail["grant"], detail["attempt"] = w.g.ID, strconv.Itoa(attempt)
	return w.Audit.Append(tx, audit.Entry{Commune: w.g.Commune, At: at, Actor: "belfry", Action: action, Subject: w.g.Reference, Detail: detail})
}
