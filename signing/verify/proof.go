package verify

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/revocation"
)

// proof is a document time stamp that counts: all before end existed at a time.
type proof struct {
	end int64
	at  time.Time
}

// provedAt is when what stands before an offset is known to have existed: at the
// earliest time stamp behind it, at the time of checking where there is none.
func (c *checker) provedAt(offset int64) time.Time {
	at := c.o.Now
	for _, p := range c.proofs {
		if p.end > offset && p.at.Before(at) {
			at = p.at
		}
	}
	return at
}

// Source says where a statement about a certificate was found.
type Source string

const (
	FromStore     Source = "store"     // the document security store
	FromSignature Source = "signature" // inside the signature
	FromCaller    Source = "caller"    // given by the caller, who asked for it
)

// Revocation is what was found about one certificate of a path.
type Revocation struct {
	Certificate string     `json:"certificate"` // its common name
	Role        string     `json:"role"`        // "signer", "issuer", "stamp"
	Status      string     `json:"status"`      // "good", "revoked", "unknown"
	Kind        string     `json:"kind,omitempty"`
	Source      Source     `json:"source,omitempty"`
	From        *time.Time `json:"this_update,omitempty"`
	Next        *time.Time `json:"next_update,omitempty"`
	RevokedAt   *time.Time `json:"revoked_at,omitempty"`
}

// piece is one OCSP answer or revocation list.
type piece struct {
	answer *revocation.Answer // nil of a list
	list   []byte
	offset int64 // where it stands in the file
	source Source
	lists  map[[32]byte]*revocation.List // of each issuer that was tried; nil where it is another's
	signed map[signedKey]*x509.Certificate
}

// signedKey names a question whom an answer is signed by.
type signedKey struct {
	ca [32]byte
	at int64
}

// signedBy checks the answer's signature once for each issuer and time; nil where it is wrong.
func (p *piece) signedBy(ca *x509.Certificate, at time.Time) *x509.Certificate {
	key := signedKey{sha256.Sum256(ca.Raw), at.UnixNano()}
	if signer, tried := p.signed[key]; tried {
		return signer
	}
	signer, err := p.answer.SignedBy(ca, at, nil)
	if err != nil {
		signer = nil
	}
	if p.signed == nil {
		p.signed = map[signedKey]*x509.Certificate{}
	}
	p.signed[key] = signer
	return signer
}

// evidence is the validation material of a file.
type evidence struct {
	certificates []*x509.Certificate
	pieces       []*piece
}

const (
	maxPieces      = 500      // streams of one kind in a store
	maxPieceBytes  = 32 << 20 // of all of them
	fromTheCaller  = -1       // offset of what is not in the file; its time is that of checking
	statementSkew  = 5 * time.Minute
	statementOlder = 24 * time.Hour // than the time that it is to prove, at most, where it says no end
	maxResponders  = 3              // responders whose own status another's answer states
)

// gather reads the document security store. What cannot be read proves nothing, and is left out.
func (c *checker) gather() {
	for _, raw := range c.o.OCSPs {
		c.addAnswer(raw, fromTheCaller, FromCaller)
	}
	for _, raw := range c.o.CRLs {
		c.addList(raw, fromTheCaller, FromCaller)
	}
	catalog, err := c.file.Catalog()
	if err != nil {
		return
	}
	store, err := c.file.Dict(catalog["DSS"])
	if err != nil || store == nil {
		return
	}
	left := maxPieceBytes
	for _, key := range []pdf.Name{"Certs", "OCSPs", "CRLs"} {
		list, err := c.file.Array(store[key])
		if err != nil {
			continue
		}
		for _, o := range list[:min(len(list), maxPieces)] {
			v, err := c.file.Resolve(o)
			stream, ok := v.(*pdf.Stream)
			if err != nil || !ok {
				continue
			}
			b, err := c.file.Data(stream)
			if err != nil || len(b) > left {
				continue
			}
			left -= len(b)
			offset, _ := stream.Span()
			switch key {
			case "Certs":
				if cert, err := x509.ParseCertificate(b); err == nil {
					c.evidence.certificates = append(c.evidence.certificates, cert)
				}
			case "OCSPs":
				c.addAnswer(b, offset, FromStore)
			case "CRLs":
				c.addList(b, offset, FromStore)
			}
		}
	}
}

func (c *checker) addAnswer(raw []byte, offset int64, source Source) {
	if a, err := revocation.ParseOCSP(raw); err == nil {
		c.evidence.pieces = append(c.evidence.pieces, &piece{answer: a, offset: offset, source: source})
	}
}

func (c *checker) addList(raw []byte, offset int64, source Source) {
	c.evidence.pieces = append(c.evidence.pieces, &piece{list: raw, offset: offset, source: source, lists: map[[32]byte]*revocation.List{}})
}

// standing is what the evidence says of one certificate at a time.
type standing struct {
	revocation.Statement
	known bool
	piece *piece
}

// standing finds the newest statement that counts; one that says "revoked" by then wins over all.
func (c *checker) standing(cert, ca *x509.Certificate, at time.Time, depth int) (best standing) {
	for _, p := range c.evidence.pieces {
		s, ok := c.statement(p, cert, ca, depth)
		if !ok {
			continue
		}
		switch {
		case s.Status == revocation.Revoked && !s.RevokedAt.After(at):
			return standing{s, true, p}
		case s.Status == revocation.Unknown:
			continue
		case !covers(s, at):
			continue
		}
		if !best.known || s.From.After(best.From) {
			best = standing{s, true, p}
		}
	}
	return best
}

// covers says whether a statement speaks about a time: made after it, or before and still holding then.
func covers(s revocation.Statement, at time.Time) bool {
	if !s.From.Before(at) {
		return true
	}
	if s.Next.IsZero() {
		return at.Sub(s.From) <= statementOlder
	}
	return s.Next.After(at) || at.Sub(s.From) <= statementOlder
}

// statement reads what a piece says about a certificate, and whether the piece
// itself is to be believed: signed by the issuer or its delegate, whose certificate
// had not ended when the piece is known to have existed (EN 319 102-1, 5.6.2.2).
func (c *checker) statement(p *piece, cert, ca *x509.Certificate, depth int) (s revocation.Statement, ok bool) {
	proved := c.o.Now
	if p.offset != fromTheCaller {
		proved = c.provedAt(p.offset)
	}
	signer := ca
	if p.answer != nil {
		var err error
		if s, err = p.answer.About(cert, ca); err != nil {
			return s, false
		}
		if signer = p.signedBy(ca, s.From); signer == nil || signer.Equal(cert) {
			return s, false
		}
		if !signer.Equal(ca) && !c.responderStands(signer, ca, s.From, depth) {
			return s, false
		}
	} else {
		l := p.listOf(ca)
		if l == nil {
			return s, false
		}
		s = l.About(cert.SerialNumber)
	}
	if s.From.After(proved.Add(statementSkew)) || signer.NotAfter.Before(proved) || ca.NotAfter.Before(proved) {
		return s, false
	}
	return s, true
}

// responderStands asks for a responder's own status, unless its issuer says not to.
func (c *checker) responderStands(responder, ca *x509.Certificate, at time.Time, depth int) bool {
	if revocation.NoCheck(responder) {
		return true
	}
	if depth >= maxResponders {
		return false
	}
	s := c.standing(responder, ca, at, depth+1)
	if !s.known {
		c.asks = append(c.asks, ask{responder.Raw, ca.Raw})
	}
	return s.known && s.Status == revocation.Good
}

// listOf checks the list's signature once for each issuer.
func (p *piece) listOf(ca *x509.Certificate) *revocation.List {
	key := sha256.Sum256(ca.Raw)
	if l, tried := p.lists[key]; tried {
		return l
	}
	l, err := revocation.ParseCRL(p.list, ca)
	if err != nil {
		l = nil
	}
	p.lists[key] = l
	return l
}

// pathKey names a path that was verified once: only dates differ between times.
type pathKey struct {
	cert    [32]byte
	roots   *x509.CertPool
	purpose x509.ExtKeyUsage
}

// chains lead from a certificate to the roots, at a time; there is one at least, or an error.
func (c *checker) chains(cert *x509.Certificate, roots *x509.CertPool, among []*x509.Certificate, at time.Time, purpose x509.ExtKeyUsage) ([][]*x509.Certificate, error) {
	key := pathKey{sha256.Sum256(cert.Raw), roots, purpose}
	if known := c.paths[key]; known != nil && !slices.ContainsFunc(known, func(path []*x509.Certificate) bool { return ended(path, at) }) {
		return known, nil
	}
	intermediates := slices.Concat(c.o.Intermediates, among, c.evidence.certificates)
	chains, err := cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: pool(intermediates), CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{purpose}})
	if err != nil {
		return nil, err
	}
	c.paths[key] = chains
	return chains, nil
}

// ended says whether some certificate of a path was not yet, or no longer, good at a time.
func ended(path []*x509.Certificate, at time.Time) bool {
	return slices.ContainsFunc(path, func(p *x509.Certificate) bool { return at.Before(p.NotBefore) || at.After(p.NotAfter) })
}

// verdict is what the statements about a whole path come to.
type verdict struct {
	complete bool      // every certificate but the root is known good
	inFile   bool      // from the file alone
	revoked  *standing // the first certificate that was revoked by then
	revoker  int       // its place on the path
	missing  string    // the first certificate about which nothing is known
	last     int64     // the offset of the last piece used
	found    []Revocation
}

func (c *checker) standings(path []*x509.Certificate, at time.Time, role string) verdict {
	v := verdict{complete: true, inFile: true}
	for i := 0; i < len(path)-1; i++ {
		s := c.standing(path[i], path[i+1], at, 0)
		v.found = append(v.found, describeStanding(path[i], s, at, role))
		switch {
		case !s.known:
			v.complete, v.inFile = false, false
			c.asks = append(c.asks, ask{path[i].Raw, path[i+1].Raw})
			if v.missing == "" {
				v.missing = clean(path[i].Subject.CommonName)
			}
		case s.Status == revocation.Revoked && !s.RevokedAt.After(at):
			if v.complete = false; v.revoked == nil {
				v.revoked, v.revoker = &s, i
			}
		case s.piece.source == FromCaller:
			v.inFile = false
		default:
			v.last = max(v.last, s.piece.offset)
		}
		role = "issuer"
	}
	return v
}

func describeStanding(cert *x509.Certificate, s standing, at time.Time, role string) Revocation {
	r := Revocation{Certificate: clean(cert.Subject.CommonName), Role: role, Status: "unknown"}
	if !s.known {
		return r
	}
	r.Status, r.Source, r.Kind = "good", s.piece.source, "CRL"
	if s.piece.answer != nil {
		r.Kind = "OCSP"
	}
	from := s.From.UTC()
	r.From = &from
	if !s.Next.IsZero() {
		next := s.Next.UTC()
		r.Next = &next
	}
	if s.Status == revocation.Revoked {
		when := s.RevokedAt.UTC()
		r.RevokedAt = &when
		if !when.After(at) {
			r.Status = "revoked"
		}
	}
	return r
}

// embedded adds what a signature carries of revocation data itself.
func (c *checker) embedded(answers, lists [][]byte, offset int64) {
	for _, raw := range answers {
		c.addAnswer(raw, offset, FromSignature)
	}
	for _, raw := range lists {
		if !slices.ContainsFunc(c.evidence.pieces, func(p *piece) bool { return bytes.Equal(p.list, raw) }) {
			c.addList(raw, offset, FromSignature)
		}
	}
}
