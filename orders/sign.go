package orders

import (
	"context"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
)

// Signatures puts clerks' own signatures on papers; signing/deferred offers it. See
// there for the promises (one use, one clerk, one content, five minutes).
type Signatures interface {
	Prepare(ctx context.Context, q signing.SignatureRequest) (signing.PendingSignature, error)
	// Finish runs record in the transaction that uses the answer up.
	Finish(ctx context.Context, a signing.SignatureAnswer, record func(*sqldb.Tx, signing.PersonalSignature) error) (signing.PersonalSignature, error)
}

// PrepareSignature says what a clerk's card is to sign, to approve the content they
// have seen. certificate is the card's for signatures, in DER. Faults: those of
// Approve; orders.signature_off (Forbidden) where the commune's clerks do not sign;
// those of Signatures.
func (s *Service) PrepareSignature(ctx context.Context, c commune.ID, id string, clerk Clerk, content blob.Digest, certificate []byte) (signing.PendingSignature, error) {
	if err := s.signable(c, clerk); err != nil {
		return signing.PendingSignature{}, err
	}
	if _, err := s.approvable(ctx, c, id, clerk, content); err != nil {
		return signing.PendingSignature{}, err
	}
	return s.Signatures.Prepare(ctx, signing.SignatureRequest{
		Commune: c, Reference: id, Content: content, By: clerk.Subject, Number: clerk.Number, Certificate: certificate,
	})
}

func (s *Service) signable(c commune.ID, clerk Clerk) error {
	of, err := s.commune(c)
	if err != nil {
		return err
	}
	if s.Signatures == nil || !of.ClerksMaySign() {
		return fault.New(fault.Forbidden, "orders.signature_off", nil)
	}
	if clerk.Number.IsZero() { // without it no card can be told to be theirs
		return fault.New(fault.Forbidden, "orders.signature_unknown_clerk", nil)
	}
	return nil
}

// ApproveSigned approves an order with the answer of the clerk's card: what is sealed
// then is the content with their signature. request is PendingSignature.ID. Faults:
// those of PrepareSignature. Whatever fails leaves the order as it is.
func (s *Service) ApproveSigned(ctx context.Context, c commune.ID, id string, clerk Clerk, content blob.Digest, request string, signature []byte) (Order, error) {
	if err := s.signable(c, clerk); err != nil {
		return Order{}, err
	}
	r, err := s.approvable(ctx, c, id, clerk, content)
	if err != nil {
		return Order{}, err
	}
	answer := signing.SignatureAnswer{Commune: c, ID: request, Reference: id, Content: content, By: clerk.Subject, Signature: signature}
	_, err = s.Signatures.Finish(ctx, answer, func(tx *sqldb.Tx, made signing.PersonalSignature) error {
		signed := Event{At: s.now(), Actor: clerk.actor(), Kind: EventClerkSigned, Public: true, Detail: map[string]string{"Signer": made.Signer}}
		if err := addEvent(tx, c, id, signed); err != nil {
			return err
		}
		return s.approve(tx, r, clerk, made.Document)
	})
	if err != nil {
		return Order{}, s.moved(ctx, c, id, err)
	}
	return s.Get(ctx, c, id)
}

// Ready lists the orders whose frozen content this clerk may approve now, the most
// urgent first, a hundred at most: those that bear their name and wait for no fee. Those about the clerk are not
// among them. That they
// were listed is logged for each (T11).
func (s *Service) Ready(ctx context.Context, c commune.ID, clerk Clerk) ([]Order, error) {
	of, err := s.commune(c)
	if err != nil {
		return nil, err
	}
	seal, err := s.Sealer.Describe(of.ID)
	if err != nil {
		return nil, err
	}
	found, err := s.rows(ctx, c, `AND o.closed_at = 0 AND o.state = $2 AND p.content <> '' AND p.prepared_at >= $3 AND p.specimen = $4 AND p.signatory = $5 AND NOT `+feeDueOf+` ORDER BY o.due_on, o.id LIMIT 100`,
		string(InReview), sqldb.Micros(commune.Day(s.now())), bit(seal.Specimen), clerk.Subject)
	if err != nil {
		return nil, err
	}
	var list []Order
	for _, r := range found {
		own, err := s.own(r, clerk)
		if err != nil {
			return nil, err
		}
		if !own {
			list = append(list, r.Order)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	at := s.now()
	return list, s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		for _, o := range list {
			if err := s.note(tx, row{Order: o}, clerk.actor(), "orders.listed", at, nil); err != nil {
				return err
			}
		}
		return nil
	})
}
