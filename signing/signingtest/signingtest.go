// Package signingtest makes keys, certificates and a time-stamping authority
// that can lie, for the tests of the signing room.
//
// It owns nothing that ships. Its authority answers with digitorus/timestamp, so
// that it shares no code with the client it tests. The Belgian-looking world with
// tokens and people is testcerts; this one is small enough for every unit test.
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
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
)

// Now is the instant at which the certificates of a World are valid.
var Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// Identity is a certificate with its key and the chain up to the root.
type Identity struct {
	Key   crypto.Signer
	Cert  *x509.Certificate
	Chain []*x509.Certificate // Cert first, the root left out
}

// World is a root, an issuing authority, seals and time-stamping units.
type World struct {
	Root, CA         Identity
	RSA, P256, P384  Identity // seals
	Encipherment     Identity // a seal's certificate whose key may not sign
	TSA              Identity
	TSANotTime       Identity // no timeStamping purpose
	TSAUncritical    Identity // the purpose is there, but not critical
	Stranger         Identity // a seal under a root nobody trusts
	TSAStranger      Identity // a time-stamping unit under that root
	StrangerRoot     Identity
	Roots            *x509.CertPool
	RootCertificates []*x509.Certificate
}

var shared = sync.OnceValue(makeWorld)

// Shared returns the world of this test process; it is made once.
func Shared() *World { return shared() }

var oidTimeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}

func makeWorld() *World {
	w := &World{}
	w.Root = Issue("Belfry Test Root", nil, p384(), authority)
	w.CA = Issue("Belfry Test Seal CA", &w.Root, p256(), authority)
	w.RSA = Issue("Commune de Beaumarais", &w.CA, rsaKey(), seal)
	w.P256 = Issue("Commune de Beaumarais (é)", &w.CA, p256(), seal)
	w.P384 = Issue("Gemeente Zandvoorde", &w.CA, p384(), seal)
	w.Encipherment = Issue("Encipherment", &w.CA, p256(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	w.TSA = Issue("Belfry Test TSU", &w.CA, rsaKey(), timeStamping(true))
	w.TSANotTime = Issue("No TSU", &w.CA, p256(), seal)
	w.TSAUncritical = Issue("Uncritical TSU", &w.CA, p256(), timeStamping(false))
	w.StrangerRoot = Issue("Stranger Root", nil, p256(), authority)
	w.Stranger = Issue("Stranger", &w.StrangerRoot, p256(), seal)
	w.TSAStranger = Issue("Stranger TSU", &w.StrangerRoot, p256(), timeStamping(true))
	w.Roots = x509.NewCertPool()
	w.Roots.AddCert(w.Root.Cert)
	w.RootCertificates = []*x509.Certificate{w.Root.Cert}
	return w
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // tests only
	}
	return v
}

func p256() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }
func p384() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) }
func rsaKey() crypto.Signer {
	return must(rsa.GenerateKey(rand.Reader, 2048))
}

func authority(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

func seal(c *x509.Certificate) {
	c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
}

func timeStamping(critical bool) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: must(asn1.Marshal([]asn1.ObjectIdentifier{oidTimeStamping}))}}
	}
}

// Issue makes one more certificate, valid from a year before Now to fifty years after.
func Issue(name string, issuer *Identity, key crypto.Signer, change func(*x509.Certificate)) Identity {
	template := &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Belfry Test"}, Country: []string{"BE"}},
		NotBefore:    Now.AddDate(-1, 0, 0), NotAfter: Now.AddDate(50, 0, 0),
	}
	change(template)
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.Cert, issuer.Key
	}
	cert := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))))
	id := Identity{Key: key, Cert: cert, Chain: []*x509.Certificate{cert}}
	if issuer != nil {
		for _, c := range issuer.Chain {
			if c.CheckSignatureFrom(c) != nil { // no root
				id.Chain = append(id.Chain, c)
			}
		}
	}
	return id
}

// WriteRoots writes the root's certificate as PEM and returns the file's path.
func (w *World) WriteRoots(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Root.Cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Policy is the time-stamping policy of the test authority.
var Policy = asn1.ObjectIdentifier{2, 16, 56, 99, 1}

// Authority is a time-stamping authority whose answers a test can bend.
type Authority struct {
	Server *httptest.Server
	Unit   Identity
	Clock  func() time.Time
	Hash   crypto.Hash // by which it signs, whatever it stamps; SHA-256 where zero
	// Bend changes what is stamped, before it is signed.
	Bend func(*timestamp.Timestamp)
	// Answer takes the place of the normal answer.
	Answer func(w http.ResponseWriter, r *http.Request, token []byte)
	asked  int
	mu     sync.Mutex
}

// NewAuthority starts an honest authority that stands at Now.
func NewAuthority(t testing.TB, unit Identity) *Authority {
	t.Helper()
	a := &Authority{Unit: unit, Clock: func() time.Time { return Now }}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Server.Close)
	return a
}

// Stamp answers a request of RFC 3161 without a network.
func (a *Authority) Stamp(request []byte) ([]byte, error) {
	q, err := timestamp.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	stamp := &timestamp.Timestamp{
		HashAlgorithm: q.HashAlgorithm, HashedMessage: q.HashedMessage, Time: a.Clock(), Accuracy: time.Second,
		Policy: Policy, Nonce: q.Nonce, AddTSACertificate: q.Certificates, Certificates: a.Unit.Chain[1:],
	}
	if a.Bend != nil {
		a.Bend(stamp)
	}
	hash := a.Hash
	if hash == 0 {
		hash = crypto.SHA256
	}
	return stamp.CreateResponseWithOpts(a.Unit.Cert, a.Unit.Key, hash)
}

func (a *Authority) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
	if err != nil || r.Header.Get("Content-Type") != "application/timestamp-query" {
		http.Error(w, "no query", http.StatusBadRequest)
		return
	}
	response, err := a.Stamp(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if a.Answer != nil {
		a.Answer(w, r, response)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.Write(response)
}

// Count is how often the authority was asked.
func (a *Authority) Count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// WritePEM writes an identity as NAME.crt, NAME.key and NAME.chain, for OpenSSL.
func WritePEM(t testing.TB, dir, name string, id Identity) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		t.Fatal(err)
	}
	var chain []byte
	for _, c := range id.Chain[1:] {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	for suffix, b := range map[string][]byte{
		".crt":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.Cert.Raw}),
		".key":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		".chain": chain,
	} {
		if err := os.WriteFile(filepath.Join(dir, name+suffix), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// WriteBody writes the body of a request to a file.
func WriteBody(t testing.TB, path string, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = os.WriteFile(path, body, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}
