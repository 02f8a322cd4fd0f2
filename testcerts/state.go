package testcerts

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"

	"github.com/belfry-eid/belfry/internal/p11"
)

// state is what a lasting world remembers beside its keys: dir/pki/state.json.
type state struct {
	making sync.Mutex

	Address     string                    `json:"address"`
	Authorities map[string]authorityState `json:"authorities"`
	Cards       map[string]cardState      `json:"cards"`
	Seals       map[string]sealState      `json:"seals"`
}

type authorityState struct {
	Issued  []string                   `json:"issued"` // serial numbers, hexadecimal
	Revoked []x509.RevocationListEntry `json:"revoked"`
}

type cardState struct {
	Serial         string `json:"serial"`
	Authentication []byte `json:"authentication,omitempty"`
	Signature      []byte `json:"signature,omitempty"`
}

type sealState struct {
	Commune     string      `json:"commune"`
	Kind        p11.KeyKind `json:"kind"`
	Serial      string      `json:"serial"`
	PIN         string      `json:"pin"`
	Certificate []byte      `json:"certificate"`
}

func tokenDir(dir string) string { return filepath.Join(dir, "softhsm") }

func (w *World) path(name string) string { return filepath.Join(w.dir, "pki", name) }

// load reads what a lasting world remembers.
func (w *World) load() error {
	if w.dir == "" {
		return nil
	}
	if err := os.MkdirAll(w.path(""), 0o700); err != nil {
		return err
	}
	text, err := os.ReadFile(w.path("state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &w.state); err != nil {
		return fmt.Errorf("testcerts: %s: %w", w.path("state.json"), err)
	}
	if w.state.Address != w.base {
		return fmt.Errorf("testcerts: the world in %s was made for %s, which its certificates name, not for %s", w.dir, w.state.Address, w.base)
	}
	return nil
}

// Save writes what a lasting world remembers, whole or not at all: Make does, and whoever
// revokes or adds something that shall last. A world of New has nothing to save.
func (w *World) Save() error {
	if w.dir == "" {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Address = w.base
	w.state.Authorities, w.state.Cards, w.state.Seals = map[string]authorityState{}, map[string]cardState{}, map[string]sealState{}
	for _, a := range w.authorities() {
		w.state.Authorities[a.Name] = a.remember()
	}
	for name, c := range w.cards {
		w.state.Cards[name] = cardState{Serial: c.Serial, Authentication: DER(c.Authentication), Signature: DER(c.Signature)}
	}
	for label, s := range w.seals {
		w.state.Seals[label] = sealState{Commune: s.Commune, Kind: s.Kind, Serial: s.Serial, PIN: s.PIN, Certificate: s.Certificate.Raw}
	}
	text, err := json.MarshalIndent(&w.state, "", "\t")
	if err != nil {
		return err
	}
	tmp := w.path("state.json.new")
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, w.path("state.json"))
}

func (a *Authority) remember() authorityState {
	a.mu.Lock()
	defer a.mu.Unlock()
	var s authorityState
	for serial := range a.issued {
		s.Issued = append(s.Issued, serial)
	}
	for _, e := range a.revoked {
		s.Revoked = append(s.Revoked, x509.RevocationListEntry{SerialNumber: e.SerialNumber, RevocationTime: e.RevocationTime, ReasonCode: e.ReasonCode})
	}
	return s
}

func (a *Authority) resume(s authorityState) {
	a.base = map[string]x509.RevocationListEntry{}
	for _, serial := range s.Issued {
		a.issued[serial] = true
	}
	for _, e := range s.Revoked {
		a.revoked[e.SerialNumber.Text(16)], a.base[e.SerialNumber.Text(16)] = e, e
	}
}

// readPair reads a certificate and its key of a lasting world.
func (w *World) readPair(name string) (*x509.Certificate, crypto.Signer, bool, error) {
	if w.dir == "" {
		return nil, nil, false, nil
	}
	text, err := os.ReadFile(w.path(name + ".pem"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, false, nil
	}
	if err != nil {
		return nil, nil, false, err
	}
	certBlock, rest := pem.Decode(text)
	keyBlock, _ := pem.Decode(rest)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, false, fmt.Errorf("%s: a certificate and a key expected", w.path(name+".pem"))
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, false, err
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, false, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, false, fmt.Errorf("%s: a key of type %T", name, key)
	}
	return cert, signer, true, nil
}

func (w *World) writePair(name string, cert *x509.Certificate, key crypto.Signer) error {
	if w.dir == "" {
		return nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	return os.WriteFile(w.path(name+".pem"), text, 0o600)
}

// makeAll resumes the cards and seals of a lasting world and makes those that are missing.
func (w *World) makeAll() error {
	if err := w.resumeCards(); err != nil {
		return err
	}
	if err := w.resumeSeals(); err != nil {
		return err
	}
	for _, p := range people {
		w.Citizen(p.Name)
	}
	for _, c := range communes {
		if c.Installed {
			w.DefaultSeal(c.ID)
			w.DefaultOperatorSeal(c.ID)
		}
	}
	return w.Save()
}

// sealKinds: some commune seals with each kind of key that devices commonly hold; the
// others with P-256.
var sealKinds = map[string]p11.KeyKind{"zandvoorde": p11.RSA2048}

// DefaultSeal is the seal of a commune in a world of Make.
func (w *World) DefaultSeal(commune string) *Seal {
	return w.SealKey(commune, cmp.Or(sealKinds[commune], p11.P256))
}

// DefaultOperatorSeal is the operator's seal of a commune in a world of Make.
func (w *World) DefaultOperatorSeal(commune string) *Seal {
	return w.OperatorSealKey(commune, p11.P256)
}

func (w *World) resumeCards() error {
	for _, p := range people {
		s, ok := w.state.Cards[p.Name]
		if !ok {
			continue
		}
		c := &Card{Person: p.Person, Status: p.status, Kind: p.kind, PIN: p.pin, PUK: p.puk, Purpose: p.purpose, Serial: s.Serial, world: w}
		c.setIssuer()
		var err error
		for to, der := range map[**x509.Certificate][]byte{&c.Authentication: s.Authentication, &c.Signature: s.Signature} {
			if len(der) == 0 {
				continue // a card without certificates
			}
			if *to, err = x509.ParseCertificate(der); err != nil {
				return err
			}
		}
		w.cards[p.Name] = c
	}
	return nil
}

func (w *World) resumeSeals() error {
	for label, s := range w.state.Seals {
		cert, err := x509.ParseCertificate(s.Certificate)
		if err != nil {
			return err
		}
		w.seals[label] = &Seal{
			Commune: s.Commune, Kind: s.Kind, Label: label, Serial: s.Serial, Key: sealKey, PIN: s.PIN, Certificate: cert,
			Chain: []*x509.Certificate{cert, w.GovernmentCA.Certificate, w.RootCA.Certificate}, world: w,
		}
	}
	return nil
}

// digits are n random decimal digits.
func digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		d, err := rand.Int(rand.Reader, big.NewInt(10))
		if err != nil {
			panic(err) // crypto/rand never fails
		}
		b[i] = '0' + byte(d.Int64())
	}
	return string(b)
}
