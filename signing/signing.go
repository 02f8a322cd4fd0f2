// Package signing holds the words of the room that seals documents.
//
// It owns what a grant, a stage, a receipt and a seal's description are, and the
// one thing asked of a time-stamping authority. It refuses to know orders,
// people, pages and databases: signing/seal keeps grants and attempts, and
// signing/pades knows PDF. It guarantees that no key is used without a durable
// grant that names the exact bytes (docs/adr/0004).
//
// Texts: ETSI EN 319 142-1 (PAdES), ETSI EN 319 122-1 (CAdES), RFC 3161.
package signing

import (
	"context"
	"crypto"
	_ "crypto/sha256" // registers the hashes of an Imprint
	_ "crypto/sha512"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
)

// GrantKind says who allowed a seal. Each kind has its own key and certificate.
type GrantKind string

const (
	// Approval is a clerk's approval of an order; the key that issues documents serves it alone.
	Approval GrantKind = "approval"
	// Operator is an operator's own grant: belfry seal, receipts, exports.
	Operator GrantKind = "operator"
)

// Grant allows exactly one document to be sealed.
type Grant struct {
	ID        string      // UUIDv7, chosen by who grants
	Commune   commune.ID  // whose key
	Kind      GrantKind   // which of the commune's keys
	Reference string      // the order's id, or the file's name
	Content   blob.Digest // SHA-256 of the frozen bytes, which the sealed file begins with
	By        string      // who granted: a clerk's subject, an operator's account
	Reason    string      // why, in the granter's words; shown in the audit log
	At        time.Time
}

// Stage is how far a grant has come.
type Stage string

const (
	// Prepared: the bytes to be signed are durable, the key has not answered yet.
	Prepared Stage = "prepared"
	// Signed: the key's signature is durable, the time stamp upon it is wanted next.
	Signed Stage = "signed"
	// Stamped: that stamp is durable too, what proves the certificates valid is wanted next.
	Stamped Stage = "stamped"
	// Lasting: those proofs are durable too, a time stamp upon all of it is wanted next.
	Lasting Stage = "lasting"
	// Finished: the document is whole and kept. A level that wants less comes here sooner.
	Finished Stage = "finished"
)

// Levels of a PAdES baseline signature, EN 319 142-1 clause 6.
const (
	LevelBB   = "B-B"   // the signature alone
	LevelBT   = "B-T"   // with a time stamp of a third party
	LevelBLT  = "B-LT"  // and with what proves its certificates valid
	LevelBLTA = "B-LTA" // and with a time stamp upon all of that, which can be renewed
)

// Plain is what stands in the place of a level where the form came before PAdES:
// adbe.pkcs7.detached, for receivers whose programs know no other (signing/plain).
const Plain = "plain"

// Levels lists them, the lowest first; Plain is none.
var Levels = []string{LevelBB, LevelBT, LevelBLT, LevelBLTA}

// Reaches says whether a level is at least another; false where it is none.
func Reaches(level, least string) bool {
	return slices.Index(Levels, level) >= max(slices.Index(Levels, least), 0)
}

// Receipt says what became of a grant.
type Receipt struct {
	Grant     string      // Grant.ID
	Stage     Stage       // Signed to Finished
	Document  blob.Digest // SHA-256 of the finished file; zero until Stage is Finished. A renewal changes it
	Sealed    blob.Digest // SHA-256 of the file up to the end of the seal itself, which what is appended leaves as it was; zero until Finished
	SignedAt  time.Time   // by this machine's clock: /M of the signature
	StampedAt time.Time   // by the time-stamping authority; zero at level B-B and before
	Level     string      // LevelBB to LevelBLTA
	Signer    string      // the common name of the seal's certificate
	Specimen  bool        // made with a test key
}

// SealLevel is the legal level of a seal under Regulation (EU) 910/2014.
type SealLevel string

const (
	Advanced  SealLevel = "advanced"  // article 36
	Qualified SealLevel = "qualified" // article 3(27): a qualified certificate and a qualified device
)

// Seal describes a commune's seal for pages and documents.
type Seal struct {
	Name     string    // the common name of the certificate
	Level    SealLevel // computed from the certificate, never claimed
	Specimen bool      // made with a test key
	NotAfter time.Time // end of the certificate's validity
}

// SignatureRequest asks for a person's own signature, made by a card that is elsewhere.
type SignatureRequest struct {
	Commune     commune.ID
	Reference   string             // the order's id
	Content     blob.Digest        // SHA-256 of the frozen bytes that the person has seen
	By          string             // the person's subject; only they can finish
	Number      eid.NationalNumber // the person's: the certificate must be theirs
	Certificate []byte             // DER of the card's signature certificate
}

// PendingSignature is what the card is to sign.
type PendingSignature struct {
	ID           string // names it in SignatureAnswer
	Hash         []byte
	HashFunction string // "SHA-256", "SHA-384" or "SHA-512"
	Until        time.Time
}

// SignatureAnswer is what the card said. What it is bound to must be as it was asked.
type SignatureAnswer struct {
	Commune   commune.ID
	ID        string
	Reference string
	Content   blob.Digest
	By        string
	Signature []byte // r‖s for ECDSA as cards give it, PKCS #1 v1.5 for RSA
}

// PersonalSignature is a document with a person's signature, kept and read again.
type PersonalSignature struct {
	Document blob.Digest // SHA-256 of the signed file, which begins with the content
	Signer   string      // the holder's name, without their number
	SignedAt time.Time   // /M of the signature
}

// Stamp is an answer of a time-stamping authority that has been checked.
type Stamp struct {
	Token     []byte    // DER of the TimeStampToken, a CMS ContentInfo (RFC 3161, 2.4.2)
	Time      time.Time // genTime
	Authority string    // the common name of the authority's certificate
}

// Imprint is what a time-stamping authority stamps: a digest, by SHA-256, SHA-384 or SHA-512.
type Imprint struct {
	Hash crypto.Hash
	Sum  []byte
}

// ImprintOf hashes some bytes to be stamped; a signature's stamp is upon its value.
func ImprintOf(hash crypto.Hash, b []byte) Imprint {
	h := hash.New()
	h.Write(b)
	return Imprint{hash, h.Sum(nil)}
}

// Stamper asks a time-stamping authority for a stamp.
// An implementation returns only stamps it has checked, and an error of kind
// fault.Unreachable where asking again later may help. signing/tsa implements it.
type Stamper interface {
	Stamp(ctx context.Context, what Imprint) (Stamp, error)
}
