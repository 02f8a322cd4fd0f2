package plain

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing/cms"
	"github.com/belfry-eid/belfry/signing/pades"
)

// Prepare is the first half of Sign: it lays out the signed file without a key. What it
// returns is kept, signed and finished as what pades.Prepare returns, by its Sign and
// Embed, without a time stamp. The signature says that it was made at Options.At. Who
// finishes the file reads it again before it is released; Sign does so by itself.
func Prepare(ctx context.Context, content []byte, o Options) (*pades.Prepared, error) {
	// signing/pades knows which files and certificates must not be signed at all
	if _, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), pades.Options{Chain: o.Chain, At: o.At, StampRoom: -1}); err != nil {
		return nil, err
	}
	before, err := suitable(content, o)
	if err != nil {
		return nil, err
	}
	hash, err := cms.HashFor(o.Chain[0].PublicKey)
	if err != nil {
		return nil, err
	}
	file, err := inChild(ctx, content, keyless{o.Chain[0].PublicKey}, hash, o)
	if err != nil {
		return nil, fault.New(fault.Internal, "plain.failed", err)
	}
	p, err := takeApart(before, content, file, hash, o)
	if err != nil {
		return nil, fault.New(fault.Internal, "plain.failed", err)
	}
	return p, nil
}

// keyless gives signatures that mean nothing: the true one is put in their place.
type keyless struct{ public crypto.PublicKey }

func (k keyless) Public() crypto.PublicKey { return k.public }

func (k keyless) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		return make([]byte, p.Size()), nil
	case *ecdsa.PublicKey:
		return make([]byte, (p.Curve.Params().BitSize+7)/8), nil
	}
	return nil, fmt.Errorf("plain: a key of type %T", k.public)
}

// takeApart checks what was made of a file, and keeps what stands before and behind the
// signature that means nothing.
func takeApart(before *pdf.File, content, file []byte, hash crypto.Hash, o Options) (*pades.Prepared, error) {
	if !bytes.HasPrefix(file, content) {
		return nil, errors.New("plain: the file does not begin with the content")
	}
	after, err := pdf.Bytes(file)
	if err != nil {
		return nil, err
	}
	if err := after.Sound(); err != nil {
		return nil, err
	}
	if !after.Closed() {
		return nil, errors.New("plain: bytes behind the end")
	}
	if err := kept(before, after); err != nil {
		return nil, err
	}
	gap, behind, err := hole(after, file)
	if err != nil {
		return nil, err
	}
	if gap < len(content) {
		return nil, errors.New("plain: the signature lies in the content")
	}
	p := &pades.Prepared{
		Content: blob.Sum(content), Size: int64(len(content)), Head: file[len(content):gap], Foot: file[behind:], Room: behind - gap - 2,
		Hash: hash.String(), At: o.At.UTC().Truncate(time.Second),
	}
	for _, c := range o.Chain {
		p.Chain = append(p.Chain, c.Raw)
	}
	h := hash.New()
	h.Write(file[:gap])
	h.Write(file[behind:])
	if p.Attributes, err = attributes(file[gap+1:behind-1], h.Sum(nil), p.At); err != nil {
		return nil, err
	}
	u := &cms.Unsigned{Hash: hash, Chain: o.Chain, Attributes: p.Attributes}
	if size, err := u.Size(0); err != nil || 2*size > p.Room {
		return nil, fmt.Errorf("plain: room for %d bytes, %d are needed (%w)", p.Room/2, size, err)
	}
	return p, nil
}

// hole finds where the signature stands, with its brackets.
func hole(f *pdf.File, file []byte) (gap, behind int, err error) {
	fields, err := f.Fields() // kept has found exactly one
	if err != nil {
		return 0, 0, err
	}
	signature, err := f.Dict(fields[0].Value)
	if err != nil {
		return 0, 0, err
	}
	list, err := f.Array(signature["ByteRange"])
	if err != nil || len(list) != 4 || signature["SubFilter"] != pdf.Name("adbe.pkcs7.detached") {
		return 0, 0, fmt.Errorf("plain: no signature of this form (%w)", err)
	}
	var r [4]int
	for i := range r {
		n, ok := list[i].(pdf.Integer)
		if !ok || n < 0 || int64(n) > int64(len(file)) {
			return 0, 0, fmt.Errorf("plain: byte range %v", list)
		}
		r[i] = int(n)
	}
	if r[0] != 0 || r[2] < r[1]+2 || r[2]+r[3] != len(file) || file[r[1]] != '<' || file[r[2]-1] != '>' {
		return 0, 0, fmt.Errorf("plain: byte range %v in %d bytes", r, len(file))
	}
	contents, ok := signature["Contents"].(pdf.String)
	if !ok || 2*len(contents)+2 != r[2]-r[1] {
		return 0, 0, errors.New("plain: the byte range is not around the signature")
	}
	return r[1], r[2], nil
}

// signingTime is the head of the attribute 1.2.840.113549.1.9.5 with a UTCTime in it.
var signingTime = []byte{0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 5, 0x31, 15, 0x17, 13}

// attributes are the signed attributes of a signature that was made without a key. They
// must be for this digest. The library asks the machine for the time: ours is put in.
func attributes(text, digest []byte, at time.Time) ([]byte, error) {
	der := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(der, text); err != nil {
		return nil, fmt.Errorf("plain: %w", err)
	}
	signed, _, err := cms.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("plain: %w", err)
	}
	out := bytes.Clone(signed.Attributes())
	if !bytes.Contains(out, digest) {
		return nil, errors.New("plain: the attributes are for another digest")
	}
	i := bytes.Index(out, signingTime)
	if i < 0 || bytes.Count(out, signingTime) != 1 || at.Year() < 1950 || at.Year() > 2049 {
		return nil, errors.New("plain: no time of signing")
	}
	copy(out[i+len(signingTime):], at.UTC().Format("060102150405Z"))
	return out, nil
}
