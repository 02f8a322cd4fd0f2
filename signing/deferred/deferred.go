// Package deferred puts a person's own signature on a document, with a card that is
// in a reader elsewhere.
//
// It owns the two halves and what is kept between them: Prepare lays out the signed
// file and says which digest the card is to sign, Finish checks the card's answer and
// keeps the file. It refuses to know orders, pages and readers: who wants something to
// happen with the signature gives a closure that runs in its transaction. It guarantees
//
//   - that the certificate is a card's for signatures, stands at both moments, and is
//     that of the person who asked, by national numbers that are compared and never shown;
//   - that an answer is good for the one document, person and commune it was asked for,
//     for five minutes, once, whichever process hears it;
//   - that a file is named only after it was read as a stranger would read it.
//
// The signature is an approval signature of level B-B under which the commune's seal
// follows (ETSI EN 319 142-1); the time stamps are the sealer's matter.
package deferred

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/verify"
)

// Refusals; compare with errors.Is.
var (
	ErrUnknown      = fault.New(fault.NotFound, "deferred.unknown", nil)
	ErrOtherPerson  = fault.New(fault.Forbidden, "deferred.other_person", nil)  // the card is somebody else's
	ErrOtherRequest = fault.New(fault.Forbidden, "deferred.other_request", nil) // asked by another, or for another document
	ErrUsed         = fault.New(fault.Conflict, "deferred.used", nil)
	ErrLate         = fault.New(fault.Conflict, "deferred.late", nil)
	ErrSignature    = fault.New(fault.Invalid, "deferred.signature_wrong", nil)
	ErrNotValid     = fault.New(fault.Internal, "deferred.not_valid", nil)
)

// lifetime of a request: two minutes for the PIN, and what goes wrong before.
const lifetime = 5 * time.Minute

// Authority says whether a certificate is that by which a card's holder may sign
// today; *trust.Verifier does.
type Authority interface {
	Signature(ctx context.Context, der []byte) (trust.Certificate, error)
}

// Config is what a Service needs; all of it.
type Config struct {
	DB        *sqldb.DB
	Blobs     blob.Store
	Audit     *audit.Log
	Clock     clock.Clock
	Authority Authority
}

// Service is safe for concurrent use, and by several processes.
type Service struct{ Config }

//go:embed migrations
var migrations embed.FS

// New makes the tables.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if err := Migrate(ctx, cfg.DB); err != nil {
		return nil, err
	}
	return &Service{cfg}, nil
}

// Migrate brings the table up to date.
func Migrate(ctx context.Context, db *sqldb.DB) error { return db.Migrate(ctx, "deferred", migrations) }

// Reset takes away every request of a commune: one to practise in begins again.
func Reset(tx *sqldb.Tx, c commune.ID) error {
	_, err := tx.Exec(`DELETE FROM deferred_signature WHERE commune = $1`, string(c))
	return err
}

// Prepare says what the card is to sign. Faults: ErrOtherPerson; those of
// trust.Verifier.Signature; those of pades.Prepare about the content.
func (s *Service) Prepare(ctx context.Context, q signing.SignatureRequest) (signing.PendingSignature, error) {
	none := signing.PendingSignature{}
	if q.Reference == "" || q.By == "" || q.Number.IsZero() || q.Content.IsZero() {
		return none, errors.New("deferred: a request names its reference, content, person and their number")
	}
	certificate, who, err := s.holder(ctx, q)
	if err != nil {
		return none, err
	}
	content, err := s.Blobs.Read(ctx, q.Commune, q.Content)
	if err != nil {
		return none, fmt.Errorf("deferred: content of %s: %w", q.Reference, err)
	}
	at := s.Clock()
	path := certificate.Path()
	p, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), pades.Options{
		Chain: path[:max(1, len(path)-1)], At: at, Name: who, Label: who, StampRoom: -1,
	})
	if err != nil {
		return none, err
	}
	if p.Content != q.Content {
		return none, fmt.Errorf("deferred: the content prepared is %s", p.Content)
	}
	digest, _, err := p.Digest()
	if err != nil {
		return none, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return none, err
	}
	made := signing.PendingSignature{ID: id.String(), Hash: digest, HashFunction: p.Hash, Until: at.Add(lifetime)}
	return made, s.keep(ctx, q, made, p, at)
}

// holder checks the certificate and that it is the person's who asks, and returns
// their name.
func (s *Service) holder(ctx context.Context, q signing.SignatureRequest) (trust.Certificate, string, error) {
	certificate, err := s.Authority.Signature(ctx, q.Certificate)
	if err != nil {
		return trust.Certificate{}, "", err
	}
	who, err := trust.CitizenOf(certificate)
	if err != nil {
		return trust.Certificate{}, "", err
	}
	if who.Number != q.Number {
		return trust.Certificate{}, "", ErrOtherPerson
	}
	return certificate, who.Name(), nil
}

// Purge forgets the certificates of requests that came to nothing. That somebody asked
// stays known, as the journal has it too.
func (s *Service) Purge(ctx context.Context) error {
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE deferred_signature SET prepared = NULL WHERE prepared IS NOT NULL AND until_at < $1`, sqldb.Micros(s.Clock()))
		return err
	})
}

// keep makes the request durable.
func (s *Service) keep(ctx context.Context, q signing.SignatureRequest, made signing.PendingSignature, p *pades.Prepared, at time.Time) error {
	kept, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("deferred: %w", err)
	}
	certificate := fingerprint(q.Certificate)
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`INSERT INTO deferred_signature (commune, id, reference, content, asked_by, certificate, asked_at, until_at, prepared)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			string(q.Commune), made.ID, q.Reference, q.Content, q.By, certificate, sqldb.Micros(at), sqldb.Micros(made.Until), kept); err != nil {
			return err
		}
		return s.Audit.Append(tx, audit.Entry{Commune: q.Commune, At: at, Actor: q.By, Action: "signature.asked", Subject: q.Reference,
			Detail: map[string]string{"request": made.ID, "content": q.Content.String(), "certificate": certificate, "digest": hex.EncodeToString(made.Hash)}})
	})
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// request is what is kept of one.
type request struct {
	prepared    *pades.Prepared
	certificate string
}

// load returns a request that this answer may use now.
func (s *Service) load(ctx context.Context, a signing.SignatureAnswer, now time.Time) (request, error) {
	var (
		reference, by, certificate string
		content                    blob.Digest
		until, used                sqldb.Time
		kept                       []byte
	)
	err := s.DB.QueryRow(ctx, `SELECT reference, content, asked_by, certificate, until_at, used_at, prepared FROM deferred_signature WHERE commune = $1 AND id = $2`,
		string(a.Commune), a.ID).Scan(&reference, &content, &by, &certificate, &until, &used, &kept)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return request{}, ErrUnknown
	case err != nil:
		return request{}, fmt.Errorf("deferred: request %s: %w", a.ID, err)
	case reference != a.Reference || by != a.By || content != a.Content:
		return request{}, ErrOtherRequest
	case !used.IsZero():
		return request{}, ErrUsed
	case !now.Before(until.Time) || kept == nil:
		return request{}, ErrLate
	}
	r := request{new(pades.Prepared), certificate}
	if err := json.Unmarshal(kept, r.prepared); err != nil {
		return request{}, fmt.Errorf("deferred: request %s: %w", a.ID, err)
	}
	return r, nil
}

// Finish checks the card's answer and keeps the signed file. record runs in the
// transaction that uses the request up; its error undoes it. Faults: the refusals
// above; those of trust.Verifier.Signature, for a certificate may end meanwhile;
// record's own.
func (s *Service) Finish(ctx context.Context, a signing.SignatureAnswer, record func(*sqldb.Tx, signing.PersonalSignature) error) (signing.PersonalSignature, error) {
	none := signing.PersonalSignature{}
	r, err := s.load(ctx, a, s.Clock())
	if err != nil {
		return none, err
	}
	if len(r.prepared.Chain) == 0 || fingerprint(r.prepared.Chain[0]) != r.certificate {
		return none, fmt.Errorf("deferred: request %s: another certificate is kept than was asked for", a.ID)
	}
	certificate, err := s.Authority.Signature(ctx, r.prepared.Chain[0])
	if err != nil {
		return none, err
	}
	who, err := trust.CitizenOf(certificate)
	if err != nil {
		return none, err
	}
	signature, err := encoded(a.Signature, certificate.X509())
	if err != nil {
		return none, ErrSignature.Because(err)
	}
	if err := r.prepared.Check(signature); err != nil {
		return none, ErrSignature.Because(err)
	}
	made := signing.PersonalSignature{Signer: who.Name(), SignedAt: r.prepared.At}
	if made.Document, err = s.assemble(ctx, a, r.prepared, signature, certificate); err != nil {
		return none, err
	}
	return made, s.use(ctx, a, made, record)
}

// encoded is a card's answer as CMS wants it: ECDSA in ASN.1 (RFC 5753 §2.1.1), which
// cards give as r‖s.
func encoded(raw []byte, c *x509.Certificate) ([]byte, error) {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return raw, nil
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	if len(raw) != 2*size {
		return nil, fmt.Errorf("%d bytes, want r and s of %d each", len(raw), size)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:size]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[size:]))
	})
	return b.Bytes()
}

// assemble makes the signed file, reads it as a stranger, and keeps it.
func (s *Service) assemble(ctx context.Context, a signing.SignatureAnswer, p *pades.Prepared, signature []byte, c trust.Certificate) (blob.Digest, error) {
	content, err := s.Blobs.Read(ctx, a.Commune, p.Content)
	if err != nil {
		return blob.Digest{}, fmt.Errorf("deferred: content of %s: %w", a.Reference, err)
	}
	var file bytes.Buffer
	file.Grow(int(p.FinishedSize()))
	if err := p.Embed(&file, bytes.NewReader(content), signature, nil); err != nil {
		return blob.Digest{}, ErrNotValid.Because(err)
	}
	if err := readAsStranger(file.Bytes(), content, c, s.Clock()); err != nil {
		return blob.Digest{}, ErrNotValid.Because(err)
	}
	return s.Blobs.Put(ctx, a.Commune, file.Bytes())
}

// readAsStranger says whether the file's newest signature is this certificate's and
// covers all of it. The path's certificates are anchors: Authority has just checked them.
func readAsStranger(file, content []byte, c trust.Certificate, now time.Time) error {
	if !bytes.HasPrefix(file, content) {
		return errors.New("the file does not begin with the content")
	}
	report := verify.File(bytes.NewReader(file), int64(len(file)), verify.Options{Roots: c.Path(), Now: now})
	if len(report.Signatures) == 0 {
		return errors.New("no signature in the file")
	}
	last := report.Signatures[len(report.Signatures)-1]
	switch {
	case last.Result != verify.Valid:
		return fmt.Errorf("the signature is %s: %v", last.Result, last.Findings)
	case !last.WholeFile || last.Kind != verify.Signing || last.Level != signing.LevelBB:
		return fmt.Errorf("the signature is a %s of level %q, whole file: %v", last.Kind, last.Level, last.WholeFile)
	case last.Signer == nil || last.Signer.SHA256 != fingerprint(c.X509().Raw):
		return errors.New("the signature is another certificate's")
	}
	return nil
}

// use consumes the request and records what it led to, in one transaction.
func (s *Service) use(ctx context.Context, a signing.SignatureAnswer, made signing.PersonalSignature, record func(*sqldb.Tx, signing.PersonalSignature) error) error {
	at := s.Clock()
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		res, err := tx.Exec(`UPDATE deferred_signature SET used_at = $1, prepared = NULL WHERE commune = $2 AND id = $3 AND used_at IS NULL AND until_at > $4`,
			sqldb.Micros(at), string(a.Commune), a.ID, sqldb.Micros(at))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(ErrUsed, err)
		}
		if err := s.Audit.Append(tx, audit.Entry{Commune: a.Commune, At: at, Actor: a.By, Action: "signature.made", Subject: a.Reference,
			Detail: map[string]string{"request": a.ID, "content": a.Content.String(), "document": made.Document.String()}}); err != nil {
			return err
		}
		return record(tx, made)
	})
}
