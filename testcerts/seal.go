package testcerts

import (
	"crypto/x509"
	"fmt"

	"github.com/belfry-eid/belfry/internal/p11"
)

// Seal is a commune's sealing key in a SoftHSM token of its own.
type Seal struct {
	Commune     string
	Kind        p11.KeyKind
	Label       string // of the token: "Seal beaumarais p256"
	Serial      string // of the token
	Key         string // label of the key and of its certificate: "Seal"
	PIN         string
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // the seal's certificate, its CA, the root

	world *World
}

// Selector finds the seal's token.
func (s *Seal) Selector() p11.Selector { return p11.Selector{Label: s.Label, Serial: s.Serial} }

// Open opens the token and returns the key. The caller closes the token.
func (s *Seal) Open() (*p11.Token, *p11.Key, error) {
	token, err := s.world.module.Open(s.Selector(), p11.ParsePIN(s.PIN))
	if err != nil {
		return nil, nil, err
	}
	key, err := token.Signer(s.Key)
	if err != nil {
		token.Close()
		return nil, nil, err
	}
	return token, key, nil
}

const sealKey = "Seal"

// SealKey is the key with which a commune seals, of kind p11.RSA2048 or p11.P256 (or
// another), made at the first call. Its certificate makes an advanced seal.
func (w *World) SealKey(commune string, kind p11.KeyKind) *Seal {
	return w.sealKey(commune, kind, "Seal %.15s %s", false)
}

// OperatorSealKey is the key for what an operator seals by hand: another key in another
// token, since the key that issues documents serves nothing else.
func (w *World) OperatorSealKey(commune string, kind p11.KeyKind) *Seal {
	return w.sealKey(commune, kind, "Oper %.15s %s", false)
}

// QualifiedSealKey is SealKey with a certificate that claims to be qualified, with its key
// in a qualified device: for tests of how the level of a seal is computed.
func (w *World) QualifiedSealKey(commune string, kind p11.KeyKind) *Seal {
	return w.sealKey(commune, kind, "Seal %.15s %s Q", true)
}

func (w *World) sealKey(commune string, kind p11.KeyKind, format string, qualified bool) *Seal {
	label := fmt.Sprintf(format, commune, kind)
	defer w.making()()
	w.mu.Lock()
	s := w.seals[label]
	w.mu.Unlock()
	if s != nil {
		return s
	}
	s, err := w.makeSeal(commune, kind, label, qualified)
	if err != nil {
		panic(fmt.Sprintf("testcerts: seal of %s: %v", commune, err))
	}
	w.mu.Lock()
	w.seals[label] = s
	w.mu.Unlock()
	return s
}

func (w *World) makeSeal(commune string, kind p11.KeyKind, label string, qualified bool) (*Seal, error) {
	s := &Seal{Commune: commune, Kind: kind, Label: label, Key: sealKey, PIN: digits(8), world: w}
	info, err := w.module.InitToken(label, p11.ParsePIN(digits(10)), p11.ParsePIN(s.PIN))
	if err != nil {
		return nil, err
	}
	s.Serial = info.Serial
	token, err := w.module.Open(s.Selector(), p11.ParsePIN(s.PIN))
	if err != nil {
		return nil, err
	}
	defer token.Close()
	pub, err := token.GenerateKey(sealKey, kind)
	if err != nil {
		return nil, err
	}
	name := subject{country: country(commune), organization: officialName(commune), organizationID: "NTR" + country(commune) + "-0000000000", common: officialName(commune) + " (test)"}
	now := w.now()
	s.Certificate, err = w.GovernmentCA.Issue(&x509.Certificate{
		RawSubject: name.der(), NotBefore: now.Add(-30 * 24 * 3600e9), NotAfter: now.Add(3 * year),
		KeyUsage:        x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		Policies:        []x509.OID{policySeal},
		ExtraExtensions: extensions(statements(qualified, qcSeal)),
	}, pub)
	if err != nil {
		return nil, err
	}
	s.Chain = []*x509.Certificate{s.Certificate, w.GovernmentCA.Certificate, w.RootCA.Certificate}
	return s, token.ImportCertificate(sealKey, s.Certificate.Raw)
}

func country(commune string) string {
	for _, c := range communes {
		if c.ID == commune && c.Country != "" {
			return c.Country
		}
	}
	return "BE"
}

func officialName(commune string) string {
	for _, c := range communes {
		if c.ID == commune {
			return c.Official
		}
	}
	return "Commune " + commune
}
