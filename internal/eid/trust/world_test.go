package trust

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
)

// A small PKI shaped like the Belgian one, whose responder does what each test says.

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// authority is a certificate and its key.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

type world struct {
	t        testing.TB
	root, ca authority
	clock    *clock.Hand
	server   *httptest.Server
	host     string

	mu       sync.Mutex
	ocsp     func(serial *big.Int, nonce []byte) []byte // nil answers 503
	raw      func(request []byte) []byte                // in its place, where set
	crl      func(issuer authority) []byte              // nil answers 503
	aia      func() []byte
	asked    map[string]int
	requests atomic.Int64
	serial   int64
}

// newKey is shared where a test does not care: P-384 keys are dear on a busy machine.
func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, clock: clock.NewHand(noon), asked: map[string]int{}, serial: 1000}
	w.server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.server.Close)
	w.host = strings.TrimPrefix(w.server.URL, "http://")
	w.root = w.newCA("Root", authority{}, func(c *x509.Certificate) { c.MaxPathLen = 1 })
	w.ca = w.newCA("Citizen CA", w.root, nil)
	w.ocsp = func(serial *big.Int, nonce []byte) []byte { return w.answer(reply{serial: serial, nonce: nonce}) }
	w.crl = func(issuer authority) []byte { return w.list(issuer, nil) }
	w.aia = func() []byte { return w.ca.cert.Raw }
	return w
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.requests.Add(1)
	w.mu.Lock()
	w.asked[r.URL.Path]++
	ocspOf, rawOf, crlOf, aiaOf := w.ocsp, w.raw, w.crl, w.aia
	w.mu.Unlock()
	var body []byte
	switch r.URL.Path {
	case "/ocsp":
		raw, _ := io.ReadAll(r.Body)
		var req ocspRequest
		if err := exactly(raw, &req); err != nil || len(req.TBS.List) != 1 || len(req.TBS.Extensions) != 1 {
			w.t.Errorf("a bad OCSP request: %v", err)
		}
		if rawOf != nil {
			body = rawOf(raw)
		} else if ocspOf != nil {
			body = ocspOf(req.TBS.List[0].ID.Serial, req.TBS.Extensions[0].Value)
		}
	case "/ca.crl":
		if crlOf != nil {
			body = crlOf(w.ca)
		}
	case "/root.crl":
		if crlOf != nil {
			body = crlOf(w.root)
		}
	case "/ca.crt":
		if aiaOf != nil {
			body = aiaOf()
		}
	case "/redirect":
		http.Redirect(rw, r, "/ocsp", http.StatusTemporaryRedirect)
		return
	case "/huge":
		rw.Write(make([]byte, 1<<20+1))
		return
	case "/slow":
		io.Copy(io.Discard, r.Body) // only then does the server notice that the client went away
		<-r.Context().Done()
		return
	}
	if body == nil {
		http.Error(rw, "gone fishing", http.StatusServiceUnavailable)
		return
	}
	rw.Write(body)
}

func (w *world) count(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[path]
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) next() *big.Int {
	w.serial++
	return big.NewInt(w.serial)
}

func (w *world) sign(template, parent *x509.Certificate, public any, by crypto.Signer) *x509.Certificate {
	w.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		w.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		w.t.Fatal(err)
	}
	return cert
}

func (w *world) newCA(name string, parent authority, change func(*x509.Certificate)) authority {
	w.t.Helper()
	key := newKey(w.t)
	template := &x509.Certificate{
		SerialNumber: w.next(), Subject: pkix.Name{Country: []string{"BE"}, CommonName: name},
		NotBefore: noon.AddDate(-2, 0, 0), NotAfter: noon.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 0, MaxPathLenZero: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		CRLDistributionPoints: []string{w.server.URL + "/root.crl"},
	}
	if change != nil {
		change(template)
	}
	if parent.cert == nil {
		template.MaxPathLenZero = false
		return authority{w.sign(template, template, key.Public(), key), key}
	}
	return authority{w.sign(template, parent.cert, key.Public(), parent.key), key}
}

// leafKey serves every card whose key a test does not use.
var leafKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	return key
})

const testNumber = "85073003328" // checksum-valid, of nobody

// card makes the authentication certificate of a card; change spoils it.
func (w *world) card(change func(*x509.Certificate)) *x509.Certificate {
	w.t.Helper()
	template := &x509.Certificate{
		SerialNumber: w.next(),
		Subject: pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "BE"},
			{Type: oidCommonName, Value: "Sofie Peeters (Authentication)"},
			{Type: oidSurname, Value: "Peeters"},
			{Type: oidGivenName, Value: "Sofie Maria"},
			{Type: oidSerial, Value: testNumber},
		}},
		NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(5, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		Policies:              []x509.OID{policy(2, 16, 56, 12, 1, 1, 2, 2)},
		OCSPServer:            []string{w.server.URL + "/ocsp"},
		CRLDistributionPoints: []string{w.server.URL + "/ca.crl"},
		IssuingCertificateURL: []string{w.server.URL + "/ca.crt"},
	}
	if change != nil {
		change(template)
	}
	return w.sign(template, w.ca.cert, leafKey().Public(), w.ca.key)
}

func policy(parts ...uint64) x509.OID {
	oid, err := x509.OIDFromInts(parts)
	if err != nil {
		panic(err)
	}
	return oid
}

func (w *world) verifier(change func(*Config)) *Verifier {
	w.t.Helper()
	cfg := Config{
		Roots: []*x509.Certificate{w.root.cert}, Intermediates: []*x509.Certificate{w.ca.cert},
		Hosts: []string{w.host}, Clock: w.clock.Now,
	}
	if change != nil {
		change(&cfg)
	}
	v, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) check(v *Verifier, c *x509.Certificate) (Certificate, error) {
	return v.Authentication(context.Background(), c.Raw)
}

// reply is what an OCSP answer says; zero fields are those of a good answer.
type reply struct {
	serial     *big.Int
	issuer     authority // whom the CertID names; the citizens' CA
	signer     authority // whose key signs; the citizens' CA
	named      authority // whom the answer names as its signer; signer
	byKey      bool      // named by the hash of the key
	certs      []*x509.Certificate
	status     int // tag of the CHOICE: 0 good, 1 revoked, 2 unknown
	from, next time.Time
	noNext     bool
	nonce      []byte // extension value; none where nil
	hash       crypto.Hash
	twice      bool
	critical   bool
	algorithm  asn1.ObjectIdentifier
}

func (w *world) answer(r reply) []byte {
	w.t.Helper()
	if r.issuer.cert == nil {
		r.issuer = w.ca
	}
	if r.signer.cert == nil {
		r.signer = w.ca
	}
	if r.named.cert == nil {
		r.named = r.signer
	}
	if r.from.IsZero() {
		r.from = w.clock.Now()
	}
	if r.next.IsZero() && !r.noNext {
		r.next = r.from.Add(time.Hour)
	}
	hashOID := oidSHA1
	if r.hash == 0 {
		r.hash = crypto.SHA1
	} else if r.hash == crypto.SHA256 {
		hashOID = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	}
	key := must(keyBits(r.issuer.cert))
	single := ocspSingle{
		ID: ocspCertID{
			Hash: pkix.AlgorithmIdentifier{Algorithm: hashOID, Parameters: asn1.NullRawValue},
			Name: digest(r.hash, r.issuer.cert.RawSubject), Key: digest(r.hash, key), Serial: r.serial,
		},
		Status:     asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: r.status},
		ThisUpdate: r.from.UTC().Truncate(time.Second), NextUpdate: r.next.UTC().Truncate(time.Second),
	}
	if r.status == 1 {
		single.Status.IsCompound = true
		single.Status.Bytes = must(asn1.MarshalWithParams(w.clock.Now().UTC().Truncate(time.Second), "generalized"))
	}
	responder := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: r.named.cert.RawSubject}
	if r.byKey {
		sum := sha1.Sum(must(keyBits(r.named.cert)))
		responder.Tag, responder.Bytes = 2, must(asn1.Marshal(sum[:]))
	}
	data := ocspData{Responder: responder, ProducedAt: r.from.UTC().Truncate(time.Second), Singles: []ocspSingle{single}}
	if r.twice {
		data.Singles = append(data.Singles, single)
	}
	if r.nonce != nil {
		data.Extensions = []pkix.Extension{{Id: oidNonce, Value: r.nonce}}
	}
	if r.critical {
		data.Extensions = append(data.Extensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
	}
	tbs := must(asn1.Marshal(data))
	sum := sha256.Sum256(tbs)
	signature := must(r.signer.key.Sign(rand.Reader, sum[:], crypto.SHA256))
	algorithm := asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	if _, isRSA := r.signer.key.(*rsa.PrivateKey); isRSA {
		algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	}
	if r.algorithm != nil {
		algorithm = r.algorithm
	}
	basic := struct {
		Data         asn1.RawValue
		Algorithm    pkix.AlgorithmIdentifier
		Signature    asn1.BitString
		Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
	}{
		Data:      asn1.RawValue{FullBytes: tbs},
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: algorithm},
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	}
	for _, c := range r.certs {
		basic.Certificates = append(basic.Certificates, asn1.RawValue{FullBytes: c.Raw})
	}
	var outer ocspAnswer
	outer.Body.Type, outer.Body.DER = oidBasic, must(asn1.Marshal(basic))
	return must(asn1.Marshal(outer))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprint("test world: ", err))
	}
	return v
}

// responder is a certificate to which issuer gave the task of answering.
func (w *world) responder(issuer authority, change func(*x509.Certificate)) authority {
	w.t.Helper()
	key := newKey(w.t)
	template := &x509.Certificate{
		SerialNumber: w.next(), Subject: pkix.Name{CommonName: "OCSP Responder"},
		NotBefore: noon.AddDate(0, -1, 0), NotAfter: noon.AddDate(0, 1, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
	}
	if change != nil {
		change(template)
	}
	return authority{w.sign(template, issuer.cert, key.Public(), issuer.key), key}
}

func (w *world) list(issuer authority, change func(*x509.RevocationList), serials ...*big.Int) []byte {
	w.t.Helper()
	list := &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: w.clock.Now().Add(-time.Hour), NextUpdate: w.clock.Now().Add(7 * 24 * time.Hour),
	}
	for _, s := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: noon.AddDate(0, 0, -1)})
	}
	if change != nil {
		change(list)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, issuer.cert, issuer.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return der
}

func criticalExtension() pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0x03, 0x84, 0x01, 0xff}}
}
