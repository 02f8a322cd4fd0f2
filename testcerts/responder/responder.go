package responder

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
)

// Authority is one CA, as far as answers about its certificates need it.
type Authority struct {
	Name        string // in the addresses, for example "brca6"
	Certificate *x509.Certificate
	Key         crypto.Signer     // of the CA: signs revocation lists
	Delegate    *x509.Certificate // issued by the CA for OCSP signing
	DelegateKey crypto.Signer
	Intruder    *x509.Certificate // issued by the CA without the right to sign answers
	IntruderKey crypto.Signer
	// Issued says whether the CA issued this serial number.
	Issued func(serial *big.Int) bool
	// Revoked lists what is revoked now.
	Revoked func() []x509.RevocationListEntry
}

// Responder answers for some authorities:
//
//	POST, GET /ocsp/NAME    RFC 6960
//	GET /crl/NAME.crl       RFC 5280 §5
//	GET /crt/NAME.crt       DER certificate of the CA
type Responder struct {
	now  clock.Clock
	mood Mood

	mu     sync.Mutex
	byName map[string]*Authority
	crls   int64

	stranger func() *ecdsa.PrivateKey
}

// Period is how long an answer is true: from thisUpdate to nextUpdate.
const Period = 24 * time.Hour

// New returns a responder that answers for nobody yet.
func New(now clock.Clock) *Responder {
	return &Responder{now: now, byName: map[string]*Authority{}, stranger: sync.OnceValue(newKey)}
}

func newKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return k
}

// Add makes the responder answer for a.
func (r *Responder) Add(a *Authority) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byName[a.Name] = a
}

// Set changes how OCSP, CRL or AIA answers, until Reset.
func (r *Responder) Set(s Service, b Behaviour) error { return r.mood.Set(s, b) }

// Behaviour is how s answers now.
func (r *Responder) Behaviour(s Service) Behaviour { return r.mood.Behaviour(s) }

// Reset makes every service good again and counts from zero.
func (r *Responder) Reset() { r.mood.Reset() }

// Asked is how often s was asked since the last Reset.
func (r *Responder) Asked(s Service) int { return r.mood.Asked(s) }

func (r *Responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	for _, route := range []struct {
		prefix, suffix string
		answer         func(http.ResponseWriter, *http.Request, *Authority, string)
	}{
		{"/ocsp/", "", r.serveOCSP},
		{"/crl/", ".crl", r.serveCRL},
		{"/crt/", ".crt", r.serveCertificate},
	} {
		rest, ok := strings.CutPrefix(req.URL.EscapedPath(), route.prefix)
		if !ok {
			continue
		}
		name, after, _ := strings.Cut(rest, "/")
		name, ok = strings.CutSuffix(name, route.suffix)
		r.mu.Lock()
		a := r.byName[name]
		r.mu.Unlock()
		if a != nil && ok {
			route.answer(w, req, a, after)
			return
		}
	}
	http.NotFound(w, req)
}

func (r *Responder) serveCertificate(w http.ResponseWriter, req *http.Request, a *Authority, _ string) {
	const contentType = "application/pkix-cert" // RFC 5280 §4.2.2.1
	if Spoil(w, r.mood.Ask(AIA, req), contentType) {
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Write(a.Certificate.Raw)
}

func (r *Responder) serveCRL(w http.ResponseWriter, req *http.Request, a *Authority, _ string) {
	const contentType = "application/pkix-crl"
	b := r.mood.Ask(CRL, req)
	if Spoil(w, b, contentType) {
		return
	}
	from := r.now().Add(-time.Hour)
	if b == Stale {
		from = from.Add(-3 * Period)
	}
	key := a.Key
	if b == WrongKey {
		key = r.stranger()
	}
	r.mu.Lock()
	r.crls++
	number := big.NewInt(from.Unix()<<16 + r.crls%(1<<16))
	r.mu.Unlock()
	list := &x509.RevocationList{Number: number, ThisUpdate: from, NextUpdate: from.Add(Period), RevokedCertificateEntries: a.Revoked()}
	issuer := *a.Certificate
	issuer.PublicKey = key.Public() // x509 refuses a key that is not the issuer's
	der, err := x509.CreateRevocationList(rand.Reader, list, &issuer, key)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Write(der)
}
