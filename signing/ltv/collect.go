package ltv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/revocation"
	"github.com/belfry-eid/belfry/signing/pades"
)

const (
	maxPath     = 10 // certificates in one path
	maxCollect  = 60 // certificates looked at for one file
	reuseCA     = time.Hour
	maxMemory   = 1000
	maxUsedList = 16 << 20 // bytes of one list that goes into a file
)

// target is a certificate that must be proved good at a time.
type target struct {
	cert  *x509.Certificate
	among []*x509.Certificate // where its issuers may be
	at    time.Time           // when it was used, by a stamp
}

// collection gathers the material for one file.
type collection struct {
	*Extender
	ctx   context.Context
	now   time.Time
	held  evidence // what the file has already
	seen  map[[32]byte]bool
	out   pades.Material
	added map[[32]byte]bool
}

func (e *Extender) newCollection(ctx context.Context, held pades.Material) *collection {
	return &collection{Extender: e, ctx: ctx, now: e.Clock(), held: parse(held), seen: map[[32]byte]bool{}, added: map[[32]byte]bool{}}
}

// evidence is material that was read. What cannot be read is left out.
type evidence struct {
	certificates []*x509.Certificate
	answers      []*revocation.Answer
	lists        [][]byte
}

func parse(m pades.Material) (e evidence) {
	for _, der := range m.Certificates {
		if c, err := x509.ParseCertificate(der); err == nil {
			e.certificates = append(e.certificates, c)
		}
	}
	for _, der := range m.OCSPs {
		if a, err := revocation.ParseOCSP(der); err == nil {
			e.answers = append(e.answers, a)
		}
	}
	e.lists = m.CRLs
	return e
}

// add collects for one target: its path, and a statement about each certificate of it.
func (c *collection) add(t target) error {
	path, err := c.path(t)
	if err != nil {
		return err
	}
	for i, cert := range path {
		c.keep(&c.out.Certificates, cert.Raw)
		if i == len(path)-1 {
			break // an anchor is believed because it is named
		}
		if err := c.status(cert, path[i+1], t.at, i == 0 && !cert.IsCA); err != nil {
			return err
		}
	}
	return nil
}

func (c *collection) keep(list *[][]byte, der []byte) {
	if sum := sha256.Sum256(der); !c.added[sum] {
		c.added[sum] = true
		*list = append(*list, der)
	}
}

// path leads from a certificate to a root, at the target's time.
func (c *collection) path(t target) ([]*x509.Certificate, error) {
	if path := c.signers.at(t.at, t.cert); path != nil {
		return path, nil
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for _, r := range c.Roots {
		roots.AddCert(r)
	}
	known := append(append(append([]*x509.Certificate{}, t.among...), c.held.certificates...), c.Intermediates...)
	for _, k := range known {
		intermediates.AddCert(k)
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: t.at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	var cause error
	for range maxPath {
		chains, err := t.cert.Verify(o)
		if err == nil {
			c.signers.add(chains[0])
			return chains[0], nil
		}
		cause = err
		// An issuer may be missing: it is fetched where the last known one says it is.
		more, err := c.fetchIssuer(last(t.cert, known))
		if err != nil {
			return nil, err
		}
		if more == nil {
			break
		}
		known = append(known, more)
		intermediates.AddCert(more)
	}
	return nil, ErrUntrusted.Because(fmt.Errorf("ltv: %q: %w", t.cert.Subject.CommonName, cause))
}

// last climbs from a certificate as far as its issuers are known.
func last(cert *x509.Certificate, known []*x509.Certificate) *x509.Certificate {
	for range maxPath {
		var up *x509.Certificate
		for _, k := range known {
			if !k.Equal(cert) && bytes.Equal(k.RawSubject, cert.RawIssuer) && k.IsCA {
				up = k
			}
		}
		if up == nil {
			return cert
		}
		cert = up
	}
	return cert
}

// fetchIssuer is nil where the certificate names no listed place.
func (c *collection) fetchIssuer(cert *x509.Certificate) (*x509.Certificate, error) {
	var causes []error
	for _, address := range c.Fetch.Listed(cert.IssuingCertificateURL) {
		raw, err := c.Fetch.Get(c.ctx, address)
		if err != nil {
			causes = append(causes, err)
			continue
		}
		if block, _ := pem.Decode(raw); block != nil {
			raw = block.Bytes
		}
		if found, err := x509.ParseCertificate(raw); err == nil && found.IsCA && bytes.Equal(found.RawSubject, cert.RawIssuer) && !found.Equal(cert) {
			return found, nil
		}
	}
	if len(causes) > 0 {
		return nil, ErrAwaited.Because(fmt.Errorf("ltv: the issuer of %q: %w", cert.Subject.CommonName, errors.Join(causes...)))
	}
	return nil, nil
}

// statement is one that was checked, with the bytes that hold it.
type statement struct {
	revocation.Statement
	ocsp, crl []byte
	responder *x509.Certificate // who signed the answer; nil for the issuer itself
	asked     time.Time
}

// status finds a statement that says cert was good at a time, and keeps it. used
// says that the certificate itself signed then; the others only issued.
func (c *collection) status(cert, ca *x509.Certificate, at time.Time, used bool) error {
	if len(c.seen) > maxCollect {
		return ErrUnreadable.Because(errors.New("ltv: too many certificates"))
	}
	key := sha256.Sum256(append(append([]byte{}, cert.Raw...), at.UTC().Format(time.RFC3339Nano)...))
	if c.seen[key] {
		return nil
	}
	c.seen[key] = true
	s, err := c.find(cert, ca, at, used)
	if err != nil {
		return err
	}
	if s.Status == revocation.Revoked && !s.RevokedAt.After(at) {
		return ErrRevoked.Because(&Revoked{Certificate: cert, At: s.RevokedAt, Used: at})
	}
	if s.ocsp != nil {
		c.keep(&c.out.OCSPs, s.ocsp)
	} else {
		c.keep(&c.out.CRLs, s.crl)
	}
	if s.responder == nil {
		return nil
	}
	c.keep(&c.out.Certificates, s.responder.Raw)
	if revocation.NoCheck(s.responder) {
		return nil
	}
	return c.status(s.responder, ca, s.From, false)
}

// find looks for the best statement: one in the file from after the time, then one
// that is asked for now, then an older one in the file.
func (c *collection) find(cert, ca *x509.Certificate, at time.Time, used bool) (statement, error) {
	old, haveOld := c.inFile(cert, ca, at, used)
	if haveOld && !old.From.Before(at) {
		return old, nil
	}
	s, err := c.ask(cert, ca, at, used)
	if err == nil {
		return s, nil
	}
	if haveOld {
		return old, nil
	}
	return statement{}, err
}

// fits says why a statement proves nothing about the time.
func (c *collection) fits(s statement, at time.Time, used bool) error {
	switch {
	case s.Status == revocation.Unknown:
		return errors.New("the issuer does not know the certificate")
	case s.From.After(c.now.Add(skew)):
		return fmt.Errorf("made in the future, at %s", s.From.Format(time.RFC3339))
	case !s.From.Before(at):
		return nil // it speaks about the past
	case used && c.Policy.AfterStamp:
		return fmt.Errorf("made at %s, before the stamp of %s", s.From.Format(time.RFC3339), at.Format(time.RFC3339))
	case used && at.Sub(s.From) > c.Policy.MaxAge:
		return fmt.Errorf("made at %s, too long before %s", s.From.Format(time.RFC3339), at.Format(time.RFC3339))
	case !s.Next.IsZero() && !s.Next.After(at):
		return fmt.Errorf("out of date since %s", s.Next.Format(time.RFC3339))
	case s.Next.IsZero() && at.Sub(s.From) > c.Policy.MaxAge:
		return fmt.Errorf("made at %s, too long before %s", s.From.Format(time.RFC3339), at.Format(time.RFC3339))
	}
	return nil
}

// Clocks of responders and ours differ a little.
const skew = 5 * time.Minute

// inFile is the newest statement of the file that fits.
func (c *collection) inFile(cert, ca *x509.Certificate, at time.Time, used bool) (best statement, found bool) {
	consider := func(s statement) {
		if c.fits(s, at, used) == nil && (!found || s.From.After(best.From)) {
			best, found = s, true
		}
	}
	for _, a := range c.held.answers {
		if s, err := fromAnswer(a, cert, ca); err == nil {
			consider(s)
		}
	}
	for _, raw := range c.held.lists {
		if l, err := revocation.ParseCRL(raw, ca); err == nil {
			consider(statement{Statement: l.About(cert.SerialNumber), crl: raw})
		}
	}
	return best, found
}

func fromAnswer(a *revocation.Answer, cert, ca *x509.Certificate) (statement, error) {
	said, err := a.About(cert, ca)
	if err != nil {
		return statement{}, err
	}
	signer, err := a.SignedBy(ca, said.From, nil)
	if err != nil {
		return statement{}, err
	}
	if signer.Equal(cert) {
		return statement{}, errors.New("a responder that vouches for itself")
	}
	s := statement{Statement: said, ocsp: a.Raw}
	if !signer.Equal(ca) {
		s.responder = signer
	}
	return s, nil
}

// ask asks the certificate's responder and, where that does not help, fetches its
// issuer's list. What was learnt about a CA serves other files for an hour; what
// was learnt about a signer serves those stamped before it was asked.
func (c *collection) ask(cert, ca *x509.Certificate, at time.Time, used bool) (statement, error) {
	key := sha256.Sum256(append(append([]byte{}, cert.Raw...), ca.Raw...))
	if s, ok := c.known.get(key); ok && c.now.Sub(s.asked) < reuseCA && (!used || s.asked.After(at)) && c.fits(s, at, used) == nil {
		return s, nil
	}
	asked := c.Clock()
	s, ocspErr := c.askResponder(cert, ca, at, used)
	if ocspErr != nil {
		var crlErr error
		if s, crlErr = c.fetchList(cert, ca, at, used); crlErr != nil {
			return statement{}, ErrAwaited.Because(fmt.Errorf("ltv: no statement about %q: %w", cert.Subject.CommonName,
				errors.Join(fmt.Errorf("OCSP: %w", ocspErr), fmt.Errorf("CRL: %w", crlErr))))
		}
	}
	s.asked = asked
	c.known.put(key, s)
	return s, nil
}

func (c *collection) askResponder(cert, ca *x509.Certificate, at time.Time, used bool) (statement, error) {
	addresses := c.Fetch.Listed(cert.OCSPServer)
	if len(addresses) == 0 {
		return statement{}, errors.New("the certificate names no listed responder")
	}
	request, nonce, err := revocation.Request(cert, ca)
	if err != nil {
		return statement{}, err
	}
	var causes []error
	for _, address := range addresses {
		s, err := c.answerOf(address, request, nonce, cert, ca, at, used)
		if err == nil {
			return s, nil
		}
		causes = append(causes, err)
	}
	return statement{}, errors.Join(causes...)
}

func (c *collection) answerOf(address string, request, nonce []byte, cert, ca *x509.Certificate, at time.Time, used bool) (statement, error) {
	raw, err := c.Fetch.Post(c.ctx, address, "application/ocsp-request", request)
	if err != nil {
		return statement{}, err
	}
	answer, err := revocation.ParseOCSP(raw)
	if err != nil {
		return statement{}, err
	}
	if answer.OtherNonce(nonce) {
		return statement{}, errors.New("the nonce is another request's")
	}
	s, err := fromAnswer(answer, cert, ca)
	if err != nil {
		return statement{}, err
	}
	if err := c.current(s); err != nil {
		return statement{}, err
	}
	return s, c.fits(s, at, used)
}

// current refuses what its maker itself no longer stands for.
func (c *collection) current(s statement) error {
	if !s.Next.IsZero() && c.now.After(s.Next.Add(skew)) {
		return fmt.Errorf("out of date since %s", s.Next.Format(time.RFC3339))
	}
	return nil
}

func (c *collection) fetchList(cert, ca *x509.Certificate, at time.Time, used bool) (statement, error) {
	addresses := c.Fetch.Listed(cert.CRLDistributionPoints)
	if len(addresses) == 0 {
		return statement{}, errors.New("the certificate names no listed revocation list")
	}
	var causes []error
	for _, address := range addresses {
		s, err := c.listAt(address, cert, ca)
		if err == nil {
			err = c.fits(s, at, used)
		}
		if err == nil {
			return s, nil
		}
		causes = append(causes, err)
	}
	return statement{}, errors.Join(causes...)
}

func (c *collection) listAt(address string, cert, ca *x509.Certificate) (statement, error) {
	raw, err := c.Fetch.Get(c.ctx, address)
	if err != nil {
		return statement{}, err
	}
	if len(raw) > maxUsedList {
		return statement{}, fmt.Errorf("a list of %d bytes is too long for a document", len(raw))
	}
	l, err := revocation.ParseCRL(raw, ca)
	if err != nil {
		return statement{}, err
	}
	s := statement{Statement: l.About(cert.SerialNumber), crl: raw}
	return s, c.current(s)
}

// memory keeps what was learnt, bounded.
type memory struct {
	mu sync.Mutex
	m  map[[32]byte]statement
}

func (m *memory) get(key [32]byte) (statement, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.m[key]
	return s, ok
}

func (m *memory) put(key [32]byte, s statement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m == nil || len(m.m) >= maxMemory {
		m.m = map[[32]byte]statement{}
	}
	m.m[key] = s
}
