package signingtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// StatusHost is where the certificates of a Lasting world say their status can be had.
const StatusHost = "status.belfry.test"

// Lasting is a world whose certificates name responders and lists. Certificates
// of seals and their CA last four years from Now, those of time-stamping units too.
type Lasting struct {
	Root, CA, StampCA     Identity
	Responder, StampAgent Identity // OCSP delegates of CA and StampCA; the second has no nocheck
	TSA                   Identity
	Next                  Identity // the unit that follows TSA, and lasts eight years longer
	Status                *Status
	Base                  time.Time // when it was new

	mu   sync.Mutex
	keys map[string]Identity

	until func(years int) func(*x509.Certificate)
}

// KeyKinds are the kinds of key that Seal makes.
var KeyKinds = []string{"RSA-2048", "RSA-2048-PSS", "RSA-3072", "RSA-4096", "RSA-4096-PSS", "P-256", "P-384", "P-521"}

var lasting = sync.OnceValue(func() *Lasting { return NewLasting(Now) })

// SharedLasting returns the lasting world of this test process. What a test
// bends of its Status it must set right again.
func SharedLasting() *Lasting { return lasting() }

// NewLasting makes another, new at a time, whose status a test may bend as it likes.
func NewLasting(base time.Time) *Lasting {
	w := &Lasting{keys: map[string]Identity{}, Base: base}
	until := func(years int) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = base.AddDate(-1, 0, 0), base.AddDate(years, 0, 0) }
	}
	w.until = until
	w.Root = Issue("Belfry Test Lasting Root", nil, p384(), both(authority, until(50)))
	w.CA = Issue("Belfry Test Lasting CA", &w.Root, p256(), named("root", authority, until(50)))
	w.StampCA = Issue("Belfry Test Stamp CA", &w.Root, p384(), named("root", authority, until(50)))
	w.Responder = Issue("Belfry Test Responder", &w.CA, p256(), named("ca", responder(true), until(50)))
	w.StampAgent = Issue("Belfry Test Stamp Responder", &w.StampCA, p256(), named("stamp", responder(false), until(50)))
	w.TSA = Issue("Belfry Test Lasting TSU", &w.StampCA, p256(), named("stamp", timeStamping(true), until(4)))
	w.Next = Issue("Belfry Test Next TSU", &w.StampCA, p256(), named("stamp", timeStamping(true), until(12)))
	w.Status = &Status{Clock: func() time.Time { return base.Add(time.Minute) }, issuers: map[string]issuer{
		"root": {ca: &w.Root}, "ca": {ca: &w.CA, delegate: &w.Responder}, "stamp": {ca: &w.StampCA, delegate: &w.StampAgent},
	}}
	return w
}

// Seal is a seal's certificate with a key of a kind, made at the first call.
func (w *Lasting) Seal(kind string) Identity {
	w.mu.Lock()
	defer w.mu.Unlock()
	kind = strings.TrimSuffix(kind, "-PSS")
	if id, ok := w.keys[kind]; ok {
		return id
	}
	var key crypto.Signer
	switch kind {
	case "RSA-2048":
		key = rsaOf(2048)
	case "RSA-3072":
		key = rsaOf(3072)
	case "RSA-4096":
		key = rsaOf(4096)
	case "P-256":
		key = p256()
	case "P-384":
		key = p384()
	case "P-521":
		key = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	}
	id := Issue("Belfry Test Seal "+kind, &w.CA, key, named("ca", seal, w.until(4)))
	w.keys[kind] = id
	return id
}

var rsaKeys sync.Map

// rsaOf is this process's RSA key of so many bits: making one takes a second.
func rsaOf(bits int) crypto.Signer {
	made, ok := rsaKeys.Load(bits)
	if !ok {
		made, _ = rsaKeys.LoadOrStore(bits, must(rsa.GenerateKey(rand.Reader, bits)))
	}
	return made.(crypto.Signer)
}

// Certify makes a seal's certificate for a key that is elsewhere.
func (w *Lasting) Certify(name string, key crypto.Signer) Identity {
	return Issue(name, &w.CA, key, named("ca", seal, w.until(4)))
}

// named makes a certificate say where its issuer of a name publishes.
func named(issuer string, changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.OCSPServer = []string{"http://" + StatusHost + "/ocsp/" + issuer}
		c.CRLDistributionPoints = []string{"http://" + StatusHost + "/crl/" + issuer}
		c.IssuingCertificateURL = []string{"http://" + StatusHost + "/ca/" + issuer}
		for _, change := range changes {
			change(c)
		}
	}
}

func both(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

func responder(noCheck bool) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		if noCheck {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}}
		} else {
			c.OCSPServer = nil // its list speaks about it
		}
	}
}

type issuer struct{ ca, delegate *Identity }

// Status answers for all issuers of a Lasting world, in the process: it is the
// transport of a client. It is made with golang.org/x/crypto/ocsp, so that it
// shares no code with what it tests.
type Status struct {
	Clock func() time.Time
	// Revoked are serial numbers with the time of revocation.
	Revoked map[string]time.Time
	// BendOCSP changes an answer before it is signed.
	BendOCSP func(*ocsp.Response)
	// BendCRL changes a list before it is signed.
	BendCRL func(*x509.RevocationList)
	// Answer takes the place of the normal answer where it says so.
	Answer func(w http.ResponseWriter, path string) bool
	// Signer signs in the place of the issuer.
	Signer *Identity

	mu      sync.Mutex
	asked   map[string]int
	issuers map[string]issuer
}

// Asked is how often a path was asked.
func (s *Status) Asked(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// RoundTrip is that of http.RoundTripper.
func (s *Status) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s.serve(w, r)
	return w.Result(), nil
}

func (s *Status) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == nil {
		s.asked = map[string]int{}
	}
	s.asked[r.URL.Path]++
	if s.Answer != nil && s.Answer(w, r.URL.Path) {
		return
	}
	parts := strings.Split(r.URL.Path, "/")
	by, ok := s.issuers[parts[len(parts)-1]]
	if !ok || len(parts) != 3 {
		http.NotFound(w, r)
		return
	}
	switch parts[1] {
	case "ocsp":
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		w.Write(s.ocsp(by, body))
	case "crl":
		w.Write(s.list(by))
	case "ca":
		w.Write(by.ca.Cert.Raw)
	}
}

// OCSP is what the issuer of a name answers about a certificate.
func (s *Status) OCSP(issuer string, about *x509.Certificate) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	by := s.issuers[issuer]
	return s.ocsp(by, must(ocsp.CreateRequest(about, by.ca.Cert, nil)))
}

func (s *Status) ocsp(by issuer, body []byte) []byte {
	q, err := ocsp.ParseRequest(body)
	if err != nil {
		return ocsp.MalformedRequestErrorResponse
	}
	answer := ocsp.Response{Status: ocsp.Good, SerialNumber: q.SerialNumber, ThisUpdate: s.Clock(), NextUpdate: s.Clock().Add(24 * time.Hour)}
	if at, ok := s.Revoked[q.SerialNumber.String()]; ok {
		answer.Status, answer.RevokedAt = ocsp.Revoked, at
	}
	signer := by.ca
	if by.delegate != nil {
		signer = by.delegate
		answer.Certificate = signer.Cert
	}
	if s.BendOCSP != nil {
		s.BendOCSP(&answer)
	}
	if s.Signer != nil {
		return must(ocsp.CreateResponse(by.ca.Cert, signer.Cert, answer, s.Signer.Key))
	}
	return must(ocsp.CreateResponse(by.ca.Cert, signer.Cert, answer, signer.Key))
}

func (s *Status) list(by issuer) []byte {
	list := &x509.RevocationList{Number: big.NewInt(s.Clock().Unix()), ThisUpdate: s.Clock().Add(-time.Hour), NextUpdate: s.Clock().Add(7 * 24 * time.Hour)}
	for serial, at := range s.Revoked {
		n, _ := new(big.Int).SetString(serial, 10)
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: at})
	}
	if s.BendCRL != nil {
		s.BendCRL(list)
	}
	if s.Signer != nil {
		return must(x509.CreateRevocationList(rand.Reader, list, s.Signer.Cert, s.Signer.Key))
	}
	return must(x509.CreateRevocationList(rand.Reader, list, by.ca.Cert, by.ca.Key))
}

// Client asks the status of this world and nobody else.
func (s *Status) Client() *http.Client { return &http.Client{Transport: s} }

// Roots is the root alone.
func (w *Lasting) Roots() []*x509.Certificate { return []*x509.Certificate{w.Root.Cert} }

// WriteRoots writes the root's certificate as PEM and returns the file's path.
func (w *Lasting) WriteRoots(t testing.TB) string {
	return (&World{Root: w.Root}).WriteRoots(t)
}
