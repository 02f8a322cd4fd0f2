package orders

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/code"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Looking up an issued paper, for whoever holds it. Unknown, wrong, not yet issued
// and void are one and the same answer: fault orders.document_unknown (NotFound). The
// portal limits how often anybody may ask (T18).

// Lookup finds a paper by the token of its QR.
func (s *Service) Lookup(ctx context.Context, c commune.ID, token string) (Facts, error) {
	if !tokenShape.MatchString(token) {
		return Facts{}, errUnknownPaper()
	}
	return s.facts(ctx, c, `AND p.token_hash = $2`, hashToken(token))
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func errUnknownPaper() error { return fault.New(fault.NotFound, "orders.document_unknown", nil) }

// LookupNumber finds a paper by its number and check code, both as people type them.
// A number that is not there takes the same path as a wrong code.
func (s *Service) LookupNumber(ctx context.Context, c commune.ID, number, check string) (Facts, error) {
	n, ok1 := ParseNumber(number)
	typed, ok2 := ParseCode(check)
	if !ok1 || !ok2 {
		return Facts{}, errUnknownPaper()
	}
	kept := code.New(codeLength) // what a number that is not there is compared with
	err := s.DB.QueryRow(ctx, `SELECT code FROM orders_paper WHERE commune = $1 AND number = $2`, string(c), string(n)).Scan(&kept)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return Facts{}, err
	}
	found := err == nil
	if same := subtle.ConstantTimeCompare([]byte(kept), []byte(typed)) == 1; !same || !found {
		return Facts{}, errUnknownPaper()
	}
	return s.facts(ctx, c, `AND p.number = $2`, string(n))
}

// LookupFile finds a paper by the SHA-256 of its sealed file: as it was issued, as any
// renewal made it, or as the seal alone left it, which all of these begin with.
func (s *Service) LookupFile(ctx context.Context, c commune.ID, sum blob.Digest) (Facts, error) {
	if sum.IsZero() {
		return Facts{}, errUnknownPaper()
	}
	return s.facts(ctx, c, `AND o.id = (SELECT order_id FROM orders_file WHERE commune = $1 AND document = $2)`, sum)
}

// Copy is the whole file of an issued paper that still stands, for whoever has found it by
// Lookup or LookupNumber, in a commune that allows it (commune.Commune.CheckCopy). That it was
// taken is logged. Fault orders.document_unknown (NotFound), also where it is not allowed.
func (s *Service) Copy(ctx context.Context, c commune.ID, f Facts) (File, error) {
	of, err := s.commune(c)
	if err != nil {
		return File{}, err
	}
	if !of.CheckCopy || f.Commune != c || f.Document.IsZero() {
		return File{}, errUnknownPaper()
	}
	r, err := s.scan(c, s.DB.QueryRow(ctx, selectOrder+`AND p.document = $2`, string(c), f.Document))
	if errors.Is(err, sqldb.ErrNoRows) {
		return File{}, errUnknownPaper()
	}
	if err != nil {
		return File{}, err
	}
	if r.State != Issued || r.Paper.Void {
		return File{}, errUnknownPaper()
	}
	at := s.now()
	if err := s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		return s.note(tx, r, Actor{Kind: ByService}, "orders.copied", at, nil)
	}); err != nil {
		return File{}, err
	}
	return s.file(ctx, r, r.Paper.Document, "")
}

func (s *Service) facts(ctx context.Context, c commune.ID, where string, arg any) (Facts, error) {
	r, err := s.scan(c, s.DB.QueryRow(ctx, selectOrder+where, string(c), arg))
	if errors.Is(err, sqldb.ErrNoRows) {
		return Facts{}, errUnknownPaper()
	}
	if err != nil {
		return Facts{}, err
	}
	if r.State != Issued && r.State != Withdrawn || r.Paper.Void {
		return Facts{}, errUnknownPaper()
	}
	f := Facts{
		Commune: c, Product: r.Product, Number: r.Paper.Number, Source: r.Paper.Source, Holder: r.Paper.Holder, Household: r.Paper.Household,
		IssuedOn: r.Paper.PreparedAt, SealedAt: r.Paper.SignedAt, Signer: r.Paper.Signer, Level: r.Paper.Level,
		Language: r.DocumentLanguage(), Specimen: r.Paper.Specimen, Status: Valid, Document: r.Paper.Document, Signatory: r.Paper.Signatory,
	}
	return f, s.standing(ctx, r, &f)
}

// standing says of a withdrawn paper that it is, and what stands in its place.
func (s *Service) standing(ctx context.Context, r row, f *Facts) error {
	if r.State != Withdrawn {
		return nil
	}
	f.Status = PaperWithdrawn // whatever else can be read
	if err := s.link(ctx, &r); err != nil {
		return err
	}
	if w := r.Withdrawal; w != nil {
		f.WithdrawnAt, f.ReplacedBy = w.At, w.Replacement
	}
	if f.ReplacedBy != "" {
		f.Status = PaperReplaced
	}
	return nil
}
