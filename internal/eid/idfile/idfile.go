// Package idfile reads what is written on a Belgian eID card: who its holder is, where
// they live, their photo.
//
// It owns the form of the identity and address files and the check of the National
// Register's signatures over them (the card's published description, version 5.0 of the
// identity file). It refuses to know readers (package card) and what the data is used for.
// It guarantees that an Identity exists only for files that the National Register has
// signed, on a card that is valid at that instant, under a certificate for which package
// trust vouches.
//
// Files can be copied: they prove what the card says and not that its holder is there.
// Whoever signs somebody in by their card compares (Identity.Of).
package idfile

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1" // hashes the photo on cards of before 2021, inside what is signed with SHA-2
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fault"
)

// What Parse, Verify and Of return beside the faults of trust.Verifier, wrapped around
// their causes.
var (
	ErrMalformed   = fault.New(fault.Invalid, "card.file_malformed", nil)
	ErrForged      = fault.New(fault.Forbidden, "card.file_forged", nil)
	ErrOtherHolder = fault.New(fault.Forbidden, "card.file_other_holder", nil)
)

// Files are a card's files as the card returns them.
type Files struct {
	Identity          []byte `json:"identity"`
	IdentitySignature []byte `json:"identitySignature"`
	Address           []byte `json:"address,omitempty"` // with its signature, or neither
	AddressSignature  []byte `json:"addressSignature,omitempty"`
	Photo             []byte `json:"photo,omitempty"`
	Registry          []byte `json:"registry"` // certificate of who signed them, DER
}

// maxPhoto is far above the 3,000 bytes of a card's photo.
const maxPhoto = 32 << 10

// Authority says whether a certificate is the National Register's for such signatures;
// *trust.Verifier does.
type Authority interface {
	Registry(ctx context.Context, der []byte) (trust.Certificate, error)
}

// Verifier checks files. Both fields must be set.
type Verifier struct {
	Authority Authority
	Clock     clock.Clock
}

// Identity is what the National Register has signed and was valid at At. Only Verify makes
// one; its zero value is none.
type Identity struct {
	content Content
	photo   []byte
	at      time.Time
}

// Content is what the card says.
func (i Identity) Content() Content { return i.content }

// Photo is the holder's picture, JPEG; nil where the files came without it.
func (i Identity) Photo() []byte { return i.photo }

// At is when it was checked; zero of a zero Identity.
func (i Identity) At() time.Time { return i.at }

// Of refuses an identity that is not that of the person who is known otherwise, by the
// card's certificate for example: ErrOtherHolder.
func (i Identity) Of(who eid.Citizen) error {
	if i.at.IsZero() || who.Number.IsZero() || i.content.Number != who.Number {
		return ErrOtherHolder.Because(errors.New("the national number is another"))
	}
	return nil
}

// Verify checks files that a stranger presented. Faults: ErrMalformed; ErrForged;
// trust.ErrExpired and trust.ErrNotYetValid, of the card; those of trust.Verifier.Registry.
// It may ask the network, within ctx, for the status of the Register's certificate only.
func (v *Verifier) Verify(ctx context.Context, f Files) (Identity, error) {
	if (len(f.Address) == 0) != (len(f.AddressSignature) == 0) {
		return Identity{}, ErrMalformed.Because(errors.New("an address without signature, or the other way round"))
	}
	address := f.Address
	if len(address) == 0 {
		address = nil
	}
	content, err := Parse(f.Identity, address)
	if err != nil {
		return Identity{}, err
	}
	if err := checkPhoto(content.photoHash, f.Photo); err != nil {
		return Identity{}, err
	}
	if err := checkSignatures(f); err != nil { // before anybody is asked anything
		return Identity{}, err
	}
	if _, err := v.Authority.Registry(ctx, f.Registry); err != nil {
		return Identity{}, fmt.Errorf("card files: %w", err)
	}
	now := v.Clock()
	if now.Before(content.From) {
		return Identity{}, trust.ErrNotYetValid.Because(errors.New("the card's own dates"))
	}
	if now.After(content.To.AddDate(0, 0, 1)) { // valid through its last day, in Belgium
		return Identity{}, trust.ErrExpired.Because(errors.New("the card's own dates"))
	}
	return Identity{content: content, photo: f.Photo, at: now}, nil
}

func forged(what string) error { return ErrForged.Because(errors.New(what)) }

// checkPhoto compares the photo, where there is one, with its hash in the identity file,
// whose length says which hash it is.
func checkPhoto(hash, photo []byte) error {
	if len(photo) == 0 {
		return nil
	}
	if len(photo) > maxPhoto || !bytes.HasPrefix(photo, []byte{0xff, 0xd8, 0xff}) {
		return ErrMalformed.Because(errors.New("a photo that is no JPEG of a card"))
	}
	var sum []byte
	switch len(hash) {
	case sha1.Size:
		s := sha1.Sum(photo)
		sum = s[:]
	case sha256.Size:
		s := sha256.Sum256(photo)
		sum = s[:]
	case sha512.Size384:
		s := sha512.Sum384(photo)
		sum = s[:]
	case sha512.Size:
		s := sha512.Sum512(photo)
		sum = s[:]
	default:
		return ErrMalformed.Because(errors.New("no hash of the photo"))
	}
	if !bytes.Equal(sum, hash) {
		return forged("the photo is another")
	}
	return nil
}

// hashes by which the Register signs: that of its certificate's own signature. Cards with
// SHA-1 there were made before 2014 and have ended.
var hashes = map[x509.SignatureAlgorithm]crypto.Hash{
	x509.SHA256WithRSA: crypto.SHA256, x509.SHA384WithRSA: crypto.SHA384, x509.SHA512WithRSA: crypto.SHA512,
	x509.ECDSAWithSHA256: crypto.SHA256, x509.ECDSAWithSHA384: crypto.SHA384, x509.ECDSAWithSHA512: crypto.SHA512,
}

// checkSignatures checks both signatures with the key of the certificate, whoever's it is.
// That of the address covers the address without the padding, and behind it the whole file
// of the identity's signature: so the two belong to one card.
func checkSignatures(f Files) error {
	if len(f.Registry) > maxFile {
		return ErrMalformed.Because(errors.New("a certificate larger than any card's"))
	}
	cert, err := x509.ParseCertificate(f.Registry)
	if err != nil {
		return ErrMalformed.Because(errors.New("the Register's certificate does not parse"))
	}
	hash := hashes[cert.SignatureAlgorithm]
	if hash == 0 {
		return ErrMalformed.Because(fmt.Errorf("the Register's certificate is signed with %s", cert.SignatureAlgorithm))
	}
	if !signed(cert.PublicKey, hash, f.Identity, f.IdentitySignature) {
		return forged("the identity is not what the Register signed")
	}
	if len(f.Address) == 0 {
		return nil
	}
	covered := append(bytes.TrimRight(bytes.Clone(f.Address), "\x00"), f.IdentitySignature...)
	if !signed(cert.PublicKey, hash, covered, f.AddressSignature) {
		return forged("the address is not what the Register signed for this card")
	}
	return nil
}

func signed(public crypto.PublicKey, hash crypto.Hash, file, signature []byte) bool {
	h := hash.New()
	h.Write(file)
	digest := h.Sum(nil)
	switch key := public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		der, ok := unpadded(signature)
		return ok && ecdsa.VerifyASN1(key, digest, der)
	}
	return false
}

// unpadded is the DER signature at the beginning of a file of fixed size, which is filled
// up with zeros.
func unpadded(file []byte) ([]byte, bool) {
	if len(file) < 2 || file[1] >= 0x80 || len(file) < int(file[1])+2 {
		return nil, false
	}
	end := int(file[1]) + 2
	return file[:end], blank(file[end:])
}
