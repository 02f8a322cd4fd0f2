// Package pades puts a PAdES signature into a PDF, in two steps.
//
// It owns what ETSI EN 319 142-1 and ISO 32000-2 clause 12.8 want in the file:
// signature dictionary, field, widget, form, certification, byte ranges. It
// refuses to know where keys are, who may use them and which time-stamping
// authority is asked. It guarantees that the finished file begins with the exact
// bytes it was given, that the same Prepared, signature and stamp always give the
// same file, that PDF/A-2 and PDF/UA-1 files stay so (the widget has no area, on
// the corner of the page, so that it needs neither appearance nor tag), and that
// memory is used for what is appended only. Validation material (AppendMaterial)
// and document time stamps (PrepareStamp) are appended in the same way; signing/ltv
// knows which are needed.
//
//	p, err := pades.Prepare(content, size, options) // then store p: it is JSON
//	signature := key.Sign(p.Digest())               // here or elsewhere
//	err = p.Embed(w, content, signature, token)     // token may be nil and follow later
package pades

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing/cms"
)

// Options say what is signed and how.
type Options struct {
	Chain   []*x509.Certificate // the signer's first, then its issuers; the root is not needed
	At      time.Time           // /M, what the signer's clock says; to the second
	PSS     bool                // an RSA key signs with RSASSA-PSS, not PKCS #1 v1.5
	Certify bool                // certify the document: no later change but validation data and time stamps (DocMDP, P 1), unless Field asks for another P
	Field   string              // an empty signature field to fill, or OnlyEmpty; "" adds a field of a new name
	Label   string              // what a screen reader says of the field; "" means the signer's common name
	// Visible is what people see of it; nil shows nothing. It is not for Field.
	Visible *Visible
	// Name, Reason and Location go into the signature as they are; all optional.
	Name, Reason, Location string
	// Password opens an encrypted file, as its owner's or its user's; "" where none is
	// needed. What is appended is encrypted as the rest of the file is.
	Password string
	// StampRoom is how many bytes a time-stamp token may have; 0 means 8192, negative means that none will come.
	StampRoom int
}

const defaultStampRoom = 8192

// Prepared is a signature that only lacks the key's answer. Its JSON is all that
// is needed, besides the content itself, to finish the file later and elsewhere.
// Nothing of it is secret. It is not safe for use by several goroutines at once.
type Prepared struct {
	Content    blob.Digest `json:"content"` // of the bytes the file begins with
	Size       int64       `json:"size"`    // how many they are
	Head       []byte      `json:"head"`    // appended, up to and without the signature's "<"
	Foot       []byte      `json:"foot"`    // appended, from behind its ">"
	Room       int         `json:"room"`    // hexadecimal digits between them
	Hash       string      `json:"hash"`    // "SHA-256", "SHA-384" or "SHA-512"
	PSS        bool        `json:"pss,omitempty"`
	Chain      [][]byte    `json:"chain"` // DER, the signer's first
	Attributes []byte      `json:"attributes"`
	At         time.Time   `json:"at"`

	cms     *cms.Unsigned // Chain and Attributes, parsed once
	checked []byte        // the signature that Check has found right
}

// Faults of a file, for the person who brought it.
func notPDF(err error) error    { return fault.New(fault.Invalid, "pades.not_pdf", err) }
func encrypted(err error) error { return fault.New(fault.Invalid, "pades.encrypted", err) }
func locked(err error) error    { return fault.New(fault.Invalid, "pades.password", err) }
func broken(err error) error    { return fault.New(fault.Invalid, "pades.broken", err) }

// readFault turns an error of the reader into a fault.
func readFault(err error) error {
	switch {
	case errors.Is(err, pdf.ErrNotPDF):
		return notPDF(err)
	case errors.Is(err, pdf.ErrEncrypted):
		return encrypted(err)
	case errors.Is(err, pdf.ErrPassword):
		return locked(err)
	case errors.Is(err, pdf.ErrSyntax), errors.Is(err, pdf.ErrLimit), errors.Is(err, pdf.ErrUnsupported):
		return broken(err)
	}
	return fmt.Errorf("pades: %w", err)
}

// Prepare lays out the signed file. Errors about the content are faults of kind
// Invalid or Conflict; a certificate that may not sign is an Internal one.
func Prepare(content io.ReaderAt, size int64, o Options) (*Prepared, error) {
	if err := checkSigner(o); err != nil {
		return nil, err
	}
	if o.StampRoom == 0 {
		o.StampRoom = defaultStampRoom
	}
	room, hash, err := contentsRoom(o)
	if err != nil {
		return nil, err
	}
	f, err := pdf.OpenWith(content, size, o.Password)
	if err != nil {
		return nil, readFault(err)
	}
	l, err := newLayout(f, o, signing, room)
	if err != nil {
		return nil, err
	}
	head, foot, err := l.encode()
	if err != nil {
		return nil, readFault(err)
	}
	p := &Prepared{Size: size, Head: head, Foot: foot, Room: room, Hash: hash.String(), PSS: o.PSS, At: o.At.UTC().Truncate(time.Second)}
	for _, c := range o.Chain {
		p.Chain = append(p.Chain, c.Raw)
	}
	digest, err := p.digestRanges(io.NewSectionReader(content, 0, size), hash)
	if err != nil {
		return nil, err
	}
	u, err := cms.Prepare(digest, o.Chain)
	if err != nil {
		return nil, err
	}
	u.PSS = o.PSS
	p.Attributes, p.cms = u.Attributes, u
	return p, nil
}

func checkSigner(o Options) error {
	if len(o.Chain) == 0 {
		return errors.New("pades: no certificate")
	}
	c := o.Chain[0]
	unusable := func(why string) error {
		return fault.New(fault.Internal, "pades.certificate_unusable", fmt.Errorf("pades: the certificate of %q %s", c.Subject.CommonName, why))
	}
	switch {
	case o.At.Before(c.NotBefore):
		return unusable("is not valid yet")
	case o.At.After(c.NotAfter):
		return unusable("has expired")
	case c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0:
		return unusable("is not for signatures")
	}
	return nil
}

// contentsRoom is how many hexadecimal digits the signature may need.
func contentsRoom(o Options) (int, crypto.Hash, error) {
	hash, err := cms.HashFor(o.Chain[0].PublicKey)
	if err != nil {
		return 0, 0, err
	}
	u, err := cms.Prepare(make([]byte, hash.Size()), o.Chain)
	if err != nil {
		return 0, 0, err
	}
	u.PSS = o.PSS
	size, err := u.Size(max(o.StampRoom, 0))
	return 2 * size, hash, err
}

// digestRanges reads the content once, for its own digest and that of the byte ranges.
func (p *Prepared) digestRanges(content io.Reader, h crypto.Hash) ([]byte, error) {
	whole, ranges, n, err := p.hash(io.Discard, content, h)
	if err != nil {
		return nil, fmt.Errorf("pades: read the content: %w", err)
	}
	if n != p.Size {
		return nil, fmt.Errorf("pades: the content has %d bytes, not %d", n, p.Size)
	}
	copy(p.Content[:], whole)
	return ranges, nil
}

// buffers are those of hash: new ones were two fifths of what a seal allocates.
var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// hash copies the content to w and returns its SHA-256, the digest of the byte
// ranges under h and its length. Under SHA-256 the content is hashed once for both.
func (p *Prepared) hash(w io.Writer, content io.Reader, h crypto.Hash) (whole, ranges []byte, n int64, err error) {
	all := sha256.New()
	both := hash.Hash(nil)
	buffer := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buffer)
	if h == crypto.SHA256 {
		n, err = io.CopyBuffer(io.MultiWriter(w, all), content, buffer[:])
		if err == nil {
			both, err = all.(hash.Cloner).Clone()
		}
	} else {
		both = h.New()
		n, err = io.CopyBuffer(io.MultiWriter(w, all, both), content, buffer[:])
	}
	if err != nil {
		return nil, nil, 0, err
	}
	both.Write(p.Head)
	both.Write(p.Foot)
	return all.Sum(nil), both.Sum(nil), n, nil
}

func (p *Prepared) unsigned() (*cms.Unsigned, error) {
	if p.cms != nil {
		return p.cms, nil
	}
	u := &cms.Unsigned{Attributes: p.Attributes, PSS: p.PSS}
	for _, der := range p.Chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("pades: a stored certificate: %w", err)
		}
		u.Chain = append(u.Chain, c)
	}
	if len(u.Chain) == 0 {
		return nil, errors.New("pades: no certificate is stored")
	}
	var err error
	if u.Hash, err = cms.HashFor(u.Chain[0].PublicKey); err != nil {
		return nil, err
	}
	if u.Hash.String() != p.Hash {
		return nil, fmt.Errorf("pades: hash %q with a key that takes %v", p.Hash, u.Hash)
	}
	p.cms = u
	return u, nil
}

// Digest is what the key signs, and what to tell its Sign: the hash, or *rsa.PSSOptions.
func (p *Prepared) Digest() ([]byte, crypto.SignerOpts, error) {
	u, err := p.unsigned()
	if err != nil {
		return nil, nil, err
	}
	return u.Digest(), u.Options(), nil
}

// Sign asks a key and checks its answer with the certificate.
func (p *Prepared) Sign(key crypto.Signer) ([]byte, error) {
	digest, how, err := p.Digest()
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(rand.Reader, digest, how)
	if err != nil {
		return nil, fmt.Errorf("pades: sign: %w", err)
	}
	return signature, p.Check(signature)
}

// Check verifies an answer of the key before anything is built on it.
func (p *Prepared) Check(signature []byte) error {
	if p.checked != nil && bytes.Equal(p.checked, signature) {
		return nil
	}
	u, err := p.unsigned()
	if err != nil {
		return err
	}
	if err := u.Check(signature); err != nil {
		return err
	}
	p.checked = bytes.Clone(signature)
	return nil
}

// ErrRoom says that the signature with its stamp is longer than the room left for it.
var ErrRoom = errors.New("pades: the signature does not fit into its room")

// ErrContent says that the content is not the one that was prepared.
var ErrContent = errors.New("pades: the content is not the one that was prepared")

// Embed writes the finished file: the content, then what is appended with the
// signature in it. token is the DER of a time stamp upon the signature, or nil;
// embedding the same signature again with a token raises it from B-B to B-T.
// After an error what was written is to be thrown away.
func (p *Prepared) Embed(w io.Writer, content io.Reader, signature, token []byte) error {
	tail, err := p.Tail(signature, token)
	if err != nil {
		return err
	}
	if err := p.copy(w, content); err != nil {
		return err
	}
	if _, err := w.Write(tail); err != nil {
		return fmt.Errorf("pades: write: %w", err)
	}
	return nil
}

// Tail is what Embed appends, for who has the content in its place already. That it is
// still the one that was prepared (Content) is for the caller to see to: it is not read.
func (p *Prepared) Tail(signature, token []byte) ([]byte, error) {
	u, err := p.unsigned()
	if err != nil {
		return nil, err
	}
	if err := p.Check(signature); err != nil {
		return nil, err
	}
	der, err := u.Assemble(signature, token)
	if err != nil {
		return nil, err
	}
	if 2*len(der) > p.Room {
		return nil, fmt.Errorf("%w: %d bytes into %d", ErrRoom, len(der), p.Room/2)
	}
	return bytes.Join([][]byte{p.Head, hexRoom(der, p.Room), p.Foot}, nil), nil
}

// copy copies the content and makes sure that it is the one that was prepared
// and that the attributes carry the digest of just these byte ranges.
func (p *Prepared) copy(w io.Writer, content io.Reader) error {
	u, err := p.unsigned()
	if err != nil {
		return err
	}
	whole, ranges, n, err := p.hash(w, io.LimitReader(content, p.Size+1), u.Hash)
	if err != nil {
		return fmt.Errorf("pades: copy the content: %w", err)
	}
	if n != p.Size || !bytes.Equal(whole, p.Content[:]) || !bytes.Contains(p.Attributes, ranges) {
		return ErrContent
	}
	return nil
}

// FinishedSize is the length of the finished file in bytes.
func (p *Prepared) FinishedSize() int64 {
	return p.Size + int64(len(p.Head)+p.Room+2+len(p.Foot))
}

// hexRoom is der in hexadecimal between its brackets, filled up with zeros.
func hexRoom(der []byte, room int) []byte {
	const digits = "0123456789abcdef"
	out := bytes.Repeat([]byte{'0'}, room+2)
	out[0], out[room+1] = '<', '>'
	for i, b := range der {
		out[1+2*i], out[2+2*i] = digits[b>>4], digits[b&15]
	}
	return out
}
