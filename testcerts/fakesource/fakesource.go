// Package fakesource imitates a register that gives papers sealed by itself.
//
// It owns the answer, the paper, its own issuer and seal, and the ways in which all that can
// be wrong. It refuses to know what Belfry does with it. It shares no code with what it
// tests: PDF and signature are made here, from ISO 32000-1 and with digitorus/pkcs7.
package fakesource

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/testcerts/responder"
)

// Service is the register's name among the services that can be told to misbehave.
const Service responder.Service = "source"

// What the register can be told beside what every service can.
const (
	OtherPerson   responder.Behaviour = "other person"    // a paper about somebody else
	OtherLanguage responder.Behaviour = "other language"  // says so itself
	HiddenLang    responder.Behaviour = "hidden language" // the file is in another language than the answer says
	NoDocument    responder.Behaviour = "no document"     // a person has to look at it
	Unsealed      responder.Behaviour = "unsealed"
	Altered       responder.Behaviour = "altered"  // changed after it was sealed
	Stranger      responder.Behaviour = "stranger" // sealed by somebody unknown
	Sibling       responder.Behaviour = "sibling"  // sealed by another of the same issuer
	NoPDF         responder.Behaviour = "no pdf"   // a page in the place of the file
)

var own = []responder.Behaviour{OtherPerson, OtherLanguage, HiddenLang, NoDocument, Unsealed, Altered, Stranger, Sibling, NoPDF}

// Signer is the name on the register's seal.
const Signer = "Registre national – Rijksregister (test)"

// Person is whom a paper is about.
type Person struct {
	Number, Name, BirthDate, Address string
}

// Source is such a register.
type Source struct {
	Mood responder.Mood
	// People finds somebody by national number.
	People func(number string) (Person, bool)
	// TokenFile holds the bearer token that is asked for.
	TokenFile string
	// Clock is the register's.
	Clock clock.Clock

	root, strangers   *x509.Certificate
	seal, sibling, no identity

	mu   sync.Mutex
	made map[string]answer // by request
}

type identity struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Make makes a register whose issuer and keys lie in a folder, or resumes the one there.
func Make(dir string, now time.Time) (*Source, error) {
	s := &Source{Clock: clock.System, made: map[string]answer{}}
	s.Mood.Teach(Service, own...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := issue(dir, "root", "Belfry Test Registers Root CA", now, nil)
	if err != nil {
		return nil, err
	}
	other, err := issue(dir, "stranger-root", "Nobody’s Registers Root CA", now, nil)
	if err != nil {
		return nil, err
	}
	s.root, s.strangers = root.cert, other.cert
	for _, m := range []struct {
		to         *identity
		name, file string
		issuer     *identity
	}{{&s.seal, Signer, "seal", &root}, {&s.sibling, "Another register (test)", "sibling", &root}, {&s.no, Signer, "stranger", &other}} {
		if *m.to, err = issue(dir, m.file, m.name, now, m.issuer); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Root is the certificate that the register's seal chains to.
func (s *Source) Root() *x509.Certificate { return s.root }

// issue makes a certificate with its key, or reads those of a folder. issuer nil is a root.
func issue(dir, file, name string, now time.Time, issuer *identity) (identity, error) {
	path := filepath.Join(dir, file+".pem")
	if text, err := os.ReadFile(path); err == nil {
		return readIdentity(text)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return identity{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return identity{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Belfry Test Registers"}, Country: []string{"BE"}},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(5, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	} else {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		template.NotAfter = now.AddDate(20, 0, 0)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return identity{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return identity{}, err
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return identity{}, err
	}
	return readIdentity(text)
}

func readIdentity(text []byte) (identity, error) {
	cert, rest := pem.Decode(text)
	key, _ := pem.Decode(rest)
	if cert == nil || key == nil {
		return identity{}, errors.New("fakesource: a certificate and a key expected")
	}
	c, err := x509.ParseCertificate(cert.Bytes)
	if err != nil {
		return identity{}, err
	}
	k, err := x509.ParsePKCS8PrivateKey(key.Bytes)
	if err != nil {
		return identity{}, err
	}
	own, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return identity{}, errors.New("fakesource: a key of another kind")
	}
	return identity{c, own}, nil
}

type question struct {
	Request  string `json:"request"`
	Number   string `json:"number"`
	Product  string `json:"product"`
	Language string `json:"language"`
}

type answer struct {
	question
	Reference string `json:"reference"`
	IssuedOn  string `json:"issued_on"`
	Document  []byte `json:"document"`
}

// ServeHTTP answers POST …/document.
func (s *Source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const contentType = "application/json"
	var q question
	unread := json.NewDecoder(io.LimitReader(r.Body, 4<<10)).Decode(&q) // first: a client that leaves is seen after
	b := s.Mood.Ask(Service, r)
	if responder.Spoil(w, b, contentType) {
		return
	}
	if !s.authorised(r) {
		http.Error(w, "another bearer token is expected", http.StatusUnauthorized)
		return
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != contentType {
		http.Error(w, "application/json expected", http.StatusUnsupportedMediaType)
		return
	}
	if unread != nil || len(q.Number) != 11 || q.Request == "" || q.Product == "" {
		http.Error(w, "request, number, product and language expected", http.StatusBadRequest)
		return
	}
	p, ok := s.People(q.Number)
	if !ok {
		http.Error(w, "the register does not know this number", http.StatusNotFound)
		return
	}
	if b == NoDocument || words[q.Language] == nil {
		http.Error(w, "there is no such paper", http.StatusUnprocessableEntity)
		return
	}
	a, err := s.answer(q, p, b)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(a)
}

func (s *Source) authorised(r *http.Request) bool {
	want, err := os.ReadFile(s.TokenFile)
	if err != nil {
		return false
	}
	got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(got), []byte(strings.TrimSpace(string(want)))) == 1
}

// answer is the same for the same request, while the register behaves.
func (s *Source) answer(q question, p Person, b responder.Behaviour) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, there := s.made[q.Request]; there && b == responder.Good {
		return a, nil
	}
	now := s.Clock()
	a := answer{question: q, IssuedOn: now.Format(time.DateOnly), Reference: fmt.Sprintf("RN-%s-%s", now.Format("2006"), strings.ToUpper(q.Request[max(0, len(q.Request)-12):]))}
	id, language := s.seal, q.Language
	switch b {
	case Stranger:
		id = s.no
	case Sibling:
		id = s.sibling
	case HiddenLang:
		language = map[string]string{"fr": "nl", "nl": "fr", "de": "fr"}[language]
	case OtherPerson:
		a.Number = "00000000097"
	case OtherLanguage:
		a.Language = "xx"
	case NoPDF:
		a.Document = []byte("<!doctype html><title>Maintenance</title>")
		return a, nil
	}
	paper := layOut(paper{language: language, product: q.Product, reference: a.Reference, person: p, at: now})
	if b == Unsealed {
		a.Document = paper.unsealed()
		return a, nil
	}
	var err error
	if a.Document, err = paper.sealed(id, now); err != nil {
		return answer{}, err
	}
	if b == Altered {
		a.Document = alter(a.Document)
	}
	if b == responder.Good {
		s.made[q.Request] = a
	}
	return a, nil
}
