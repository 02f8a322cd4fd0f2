package orderstest

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
)

// Cards stand in for signing/deferred: same promises, no card. A right answer is the
// hash that was asked for, backwards; a certificate is a clerk's number, as nothing
// else here knows it.
type Cards struct {
	db    *sqldb.DB
	blobs *Blobs

	mu    sync.Mutex
	asked map[string]*asked
}

type asked struct {
	signing.SignatureRequest
	hash []byte
	used bool
}

// Prepare implements orders.Signatures.
func (c *Cards) Prepare(_ context.Context, q signing.SignatureRequest) (signing.PendingSignature, error) {
	if string(q.Certificate) != q.Number.Reveal() {
		return signing.PendingSignature{}, fault.New(fault.Forbidden, "deferred.other_person", nil)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id := fmt.Sprint("request-", len(c.asked)+1)
	hash := bytes.Repeat([]byte(id), 48)[:48]
	c.asked[id] = &asked{SignatureRequest: q, hash: hash}
	return signing.PendingSignature{ID: id, Hash: hash, HashFunction: "SHA-384"}, nil
}

// Answer is what a right card says to a hash.
func Answer(hash []byte) []byte {
	made := bytes.Clone(hash)
	for i, j := 0, len(made)-1; i < j; i, j = i+1, j-1 {
		made[i], made[j] = made[j], made[i]
	}
	return made
}

// Finish implements orders.Signatures.
func (c *Cards) Finish(ctx context.Context, a signing.SignatureAnswer, record func(*sqldb.Tx, signing.PersonalSignature) error) (signing.PersonalSignature, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.asked[a.ID]
	switch {
	case q == nil || q.Commune != a.Commune:
		return signing.PersonalSignature{}, fault.New(fault.NotFound, "deferred.unknown", nil)
	case q.Reference != a.Reference || q.By != a.By || q.Content != a.Content:
		return signing.PersonalSignature{}, fault.New(fault.Forbidden, "deferred.other_request", nil)
	case q.used:
		return signing.PersonalSignature{}, fault.New(fault.Conflict, "deferred.used", nil)
	case !bytes.Equal(a.Signature, Answer(q.hash)):
		return signing.PersonalSignature{}, fault.New(fault.Invalid, "deferred.signature_wrong", nil)
	}
	content, err := c.blobs.Read(ctx, a.Commune, a.Content)
	if err != nil {
		return signing.PersonalSignature{}, err
	}
	made := signing.PersonalSignature{Signer: "Claire Dubois"}
	if made.Document, err = c.blobs.Put(ctx, a.Commune, append(content, "\nsigned by "+a.By...)); err != nil {
		return signing.PersonalSignature{}, err
	}
	if err := c.db.Write(ctx, func(tx *sqldb.Tx) error { return record(tx, made) }); err != nil {
		return signing.PersonalSignature{}, err
	}
	q.used = true
	return made, nil
}
