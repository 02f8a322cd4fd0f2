package verify

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/cms"
	"github.com/belfry-eid/belfry/signing/trustlist"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// checker holds what the signatures of one file share.
type checker struct {
	src   io.ReaderAt
	file  *pdf.File
	o     Options
	roots *x509.CertPool // of signers, pinned and listed
	// roots of time-stamping units, pinned and listed
	stampRoots *x509.CertPool

	evidence evidence
	asks     []ask
	proofs   []proof // document time stamps that count
	paths    map[pathKey][][]*x509.Certificate
}

func newChecker(src io.ReaderAt, f *pdf.File, o Options) *checker {
	c := &checker{src: src, file: f, o: o, roots: pool(o.roots()), paths: map[pathKey][][]*x509.Certificate{}}
	c.stampRoots = pool(slices.Concat(o.pinnedStampRoots(), trustlist.Anchors(o.Services, trustlist.TSA)))
	c.gather()
	return c
}

func pool(list []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range list {
		p.AddCert(c)
	}
	return p
}

// examined is a signature whose form and cryptography were looked at; whether
// anybody is to be believed is judged when all are.
type examined struct {
	Signature
	signed *cms.SignedData // nil where its cryptography is not in order
	token  *tsa.Token      // the document time stamp, likewise
	// revision is the part of the file that it covers; nil where that is none.
	revision *signedRevision
}

// examine looks at one signed field.
func (c *checker) examine(field pdf.Field) *examined {
	s := &examined{Signature: Signature{Field: field.Name, Kind: Signing}}
	c.describe(&s.Signature, field)
	ref, _ := field.Dict["V"].(pdf.Ref)
	dict, err := c.file.Dict(ref)
	if err != nil || dict == nil {
		s.find(SignatureMalformed, "the field names no signature dictionary")
	} else if r, ok := c.coverage(&s.Signature, ref, dict); ok {
		c.revision(s, field, ref, r)
		c.cryptography(s, r)
	}
	return s
}

// describe fills in what the signature says of itself. It is believed by nobody.
func (c *checker) describe(s *Signature, field pdf.Field) {
	d, err := c.file.Dict(field.Dict["V"])
	if err != nil {
		return
	}
	name, _ := d["SubFilter"].(pdf.Name)
	s.SubFilter = string(name)
	if d["Type"] == pdf.Name("DocTimeStamp") || name == "ETSI.RFC3161" {
		s.Kind = Stamping
	}
	for key, into := range map[pdf.Name]*string{"Name": &s.Name, "Reason": &s.Reason, "Location": &s.Location} {
		if v, ok := d[key].(pdf.String); ok {
			*into = clean(v.Text())
		}
	}
	if m, ok := d["M"].(pdf.String); ok {
		if at, ok := pdf.ParseDate(m); ok {
			s.ClaimedAt = &at
		}
	}
}

// clean makes foreign text fit to be shown on one line: no control characters,
// none that turn the direction of writing, no more than 200 letters.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		switch {
		case r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0):
			r = ' '
		case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
			continue
		}
		if n++; n > 200 {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// ranges is what a signature covers: everything from byte 0 to end but the gap.
type ranges struct{ gap, behind, end int64 }

// digest hashes what is covered.
func (r ranges) digest(src io.ReaderAt, hash crypto.Hash) ([]byte, error) {
	h := hash.New()
	for _, part := range [][2]int64{{0, r.gap}, {r.behind, r.end - r.behind}} {
		if _, err := io.Copy(h, io.NewSectionReader(src, part[0], part[1])); err != nil {
			return nil, err
		}
	}
	return h.Sum(nil), nil
}

// coverage checks the byte range: from 0, with a gap that is exactly the
// hexadecimal string which is this dictionary's /Contents, to inside the file.
func (c *checker) coverage(s *Signature, ref pdf.Ref, d pdf.Dict) (r ranges, ok bool) {
	list, err := c.file.Array(d["ByteRange"])
	if err != nil || len(list) != 4 {
		s.find(ByteRange, "no byte range of four numbers")
		return r, false
	}
	for _, o := range list {
		n, number := o.(pdf.Integer)
		if !number || n < 0 {
			s.find(ByteRange, "a byte range of other things than numbers")
			return r, false
		}
		s.ByteRange = append(s.ByteRange, int64(n))
	}
	b := s.ByteRange
	size := c.file.Size()
	if b[0] != 0 || b[1] == 0 || b[1] > size || b[2] > size || b[3] > size || b[2] <= b[1] || b[2]+b[3] > size {
		s.find(ByteRange, fmt.Sprintf("%v in a file of %d bytes", b, size))
		return r, false
	}
	r = ranges{gap: b[1], behind: b[2], end: b[2] + b[3]}
	s.WholeFile = r.end == size
	contents, _ := d["Contents"].(pdf.String)
	from, to, plain := c.file.Span(ref)
	if !plain || r.gap < from || r.behind > to {
		s.find(ByteRange, "the gap is not in the signature's own dictionary")
		return r, false
	}
	if !c.gapIs(r, string(contents)) {
		s.find(ByteRange, "the gap is not exactly the signature")
		return r, false
	}
	return r, true
}

// gapIs says whether the gap is "<", hexadecimal digits and ">", of these bytes.
func (c *checker) gapIs(r ranges, contents string) bool {
	if r.behind-r.gap != int64(2*len(contents)+2) {
		return false
	}
	text := make([]byte, r.behind-r.gap)
	if _, err := c.src.ReadAt(text, r.gap); err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	if text[0] != '<' || text[len(text)-1] != '>' {
		return false
	}
	raw, err := hex.DecodeString(string(text[1 : len(text)-1]))
	return err == nil && string(raw) == contents
}

// cryptography checks the CMS and what it signs.
func (c *checker) cryptography(s *examined, r ranges) {
	text := make([]byte, r.behind-r.gap-2)
	if _, err := c.src.ReadAt(text, r.gap+1); err != nil {
		s.find(SignatureMalformed, err.Error())
		return
	}
	der, err := hex.DecodeString(string(text))
	if err != nil {
		s.find(SignatureMalformed, err.Error())
		return
	}
	if s.Kind == Stamping {
		c.documentStamp(s, der, r)
		return
	}
	if s.SubFilter != "ETSI.CAdES.detached" && s.SubFilter != "adbe.pkcs7.detached" {
		s.find(Unsupported, "SubFilter "+clean(s.SubFilter))
		return
	}
	signed, rest, err := cms.Parse(der)
	if err != nil {
		s.cmsFault(err)
		return
	}
	if strings.Trim(string(rest), "\x00") != "" {
		s.find(SignatureMalformed, "bytes behind the signature")
		return
	}
	digest, err := r.digest(c.src, signed.Hash)
	if err != nil {
		s.find(Broken, err.Error())
		return
	}
	c.checkSigned(s, signed, digest)
}

func (c *checker) checkSigned(s *examined, signed *cms.SignedData, digest []byte) {
	err := signed.Check(digest)
	baseline := s.SubFilter == "ETSI.CAdES.detached" && signed.SigningTime.IsZero() && !signed.BER
	if errors.Is(err, cms.ErrBinding) && s.SubFilter == "adbe.pkcs7.detached" {
		err = nil // such signatures need not name their certificate
	}
	if err == nil && (signed.Content != nil || !signed.IsData()) {
		err = fmt.Errorf("%w: the content is not detached", cms.ErrAttributes)
	}
	if signed.Signer != nil {
		s.Signer = certificate(signed.Signer)
	}
	if err != nil {
		s.cmsFault(err)
		return
	}
	if s.ClaimedAt == nil && !signed.SigningTime.IsZero() {
		s.ClaimedAt = &signed.SigningTime
	}
	if baseline {
		s.Level = signing.LevelBB
	} else {
		s.find(OldFormat, "")
	}
	s.signed = signed
	answers, lists := signed.Revocation()
	c.embedded(answers, lists, s.end())
}

// cmsFault finds the code for an error of package cms.
func (s *Signature) cmsFault(err error) {
	code := SignatureMalformed
	for is, c := range map[error]Code{
		cms.ErrUnsupported: Unsupported, cms.ErrWeak: Weak, cms.ErrNoSigner: SignerMissing, cms.ErrAttributes: AttributesWrong,
		cms.ErrDigest: Content, cms.ErrSignature: SignatureWrong, cms.ErrBinding: NotBound,
	} {
		if errors.Is(err, is) {
			code = c
		}
	}
	s.find(code, err.Error())
}

// documentStamp checks a document time stamp, which stamps the byte ranges themselves.
func (c *checker) documentStamp(s *examined, padded []byte, r ranges) {
	_, rest, err := cms.Parse(padded)
	if err != nil {
		s.find(stampFault(err), err.Error())
		return
	}
	if strings.Trim(string(rest), "\x00") != "" {
		s.find(StampWrong, "bytes behind the time stamp")
		return
	}
	token, err := tsa.Parse(padded[:len(padded)-len(rest)])
	if err != nil {
		s.find(stampFault(err), err.Error())
		return
	}
	if token.Signer != nil {
		s.Signer = certificate(token.Signer)
	}
	digest, err := r.digest(c.src, token.Hash)
	if err != nil {
		s.find(Broken, err.Error())
		return
	}
	if string(digest) != string(token.Imprint) {
		s.find(Content, "the stamp was put upon other bytes")
		return
	}
	s.token = token
}

// stampFault finds the code for an error of package tsa. A stamp that proves
// nothing is left out of account; one that is false is a reason to distrust the file.
func stampFault(err error) Code {
	switch {
	case errors.Is(err, tsa.ErrUntrusted):
		return StampUntrusted
	case errors.Is(err, cms.ErrWeak), errors.Is(err, cms.ErrUnsupported):
		return StampUnusable
	}
	return StampWrong
}

func certificate(c *x509.Certificate) *Certificate {
	sum := sha256.Sum256(c.Raw)
	out := &Certificate{
		Name: clean(c.Subject.CommonName), Issuer: clean(c.Issuer.CommonName), Serial: c.SerialNumber.Text(16),
		SHA256: hex.EncodeToString(sum[:]), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
	}
	if len(c.Subject.Organization) > 0 {
		out.Organization = clean(c.Subject.Organization[0])
	}
	return out
}
