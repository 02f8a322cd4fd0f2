package testcerts

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/p11"
)

// Card is a card in a SoftHSM token of label "BELPIC", with objects labelled as those of
// the official middleware: keys and certificates "Authentication" and "Signature",
// certificates "CA" and "Root", and what is written on the card as data (Files). The
// Signature key wants the PIN at each signature.
type Card struct {
	Person
	Status         Status
	Kind           Kind
	PIN, PUK       string
	Purpose        string            // what the card is good for, in words
	Serial         string            // of the token
	Authentication *x509.Certificate // nil on a card without certificates
	Signature      *x509.Certificate // likewise
	CA, Root       *x509.Certificate

	world  *World
	issuer *Authority
}

// Kind is what sort of card it is.
type Kind string

const (
	Today    Kind = "today"    // applet 1.8, since 2021: keys on P-384
	Old      Kind = "old"      // applet 1.7, before 2021: RSA keys of 2048 bits, without extended key usage
	Child    Kind = "child"    // a young child's: no certificates
	Declined Kind = "declined" // its holder wanted none: no certificates
)

// bare says whether a card of this kind holds no keys and no certificates of its holder.
func (k Kind) bare() bool { return k == Child || k == Declined }

// DER is a certificate's encoding, nil where there is none.
func DER(c *x509.Certificate) []byte {
	if c == nil {
		return nil
	}
	return c.Raw
}

// CardLabel is the token label of every card.
const CardLabel = "BELPIC"

// Selector finds the card's token.
func (c *Card) Selector() p11.Selector { return p11.Selector{Label: CardLabel, Serial: c.Serial} }

// Secret is the PIN for internal/p11.
func (c *Card) Secret() p11.PIN { return p11.ParsePIN(c.PIN) }

// Open opens the card for its holder, alone, as cards are. The caller closes it.
func (c *Card) Open() (*p11.Token, error) {
	return c.world.module.Open(c.Selector(), c.Secret(), p11.Exclusive())
}

// Revoke revokes both certificates until the world is Reset.
func (c *Card) Revoke() { c.mark(1, false) }

func (c *Card) mark(reason int, keep bool) {
	for _, cert := range []*x509.Certificate{c.Authentication, c.Signature} {
		if cert != nil {
			c.issuer.revoke(cert, reason, keep)
		}
	}
}

// IsRevoked says whether the responders call the card revoked now.
func (c *Card) IsRevoked() bool { return c.Signature != nil && c.issuer.isRevoked(c.Signature) }

// Unrevoke makes the certificates good again until the world is Reset.
func (c *Card) Unrevoke() {
	for _, cert := range []*x509.Certificate{c.Authentication, c.Signature} {
		if cert != nil {
			c.issuer.Unrevoke(cert)
		}
	}
}

// CardSpec describes a card to make. Only Person is needed.
type CardSpec struct {
	Person  Person
	Status  Status // Good where empty
	Kind    Kind   // Today where empty
	PIN     string // "1234" where empty
	PUK     string
	Purpose string
	// Edit makes the last change to the authentication certificate before it is issued,
	// for wrong shapes.
	Edit func(*x509.Certificate)
}

// Citizen is the card of the person of this name, made at the first call.
func (w *World) Citizen(name string) *Card {
	w.mu.Lock()
	c := w.cards[name]
	w.mu.Unlock()
	if c != nil {
		return c
	}
	for _, p := range people {
		if p.Name == name {
			c, err := w.MakeCard(CardSpec{Person: p.Person, Status: p.status, Kind: p.kind, PIN: p.pin, PUK: p.puk, Purpose: p.purpose})
			if err != nil {
				panic(err)
			}
			return c
		}
	}
	panic(fmt.Sprintf("testcerts: nobody is called %q", name))
}

// Cards lists the people's cards that were made, in the order of the people.
func (w *World) Cards() []*Card {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*Card
	for _, p := range people {
		if c := w.cards[p.Name]; c != nil {
			list = append(list, c)
		}
	}
	return list
}

// making is one at a time: two tests that ask for one card get the same.
func (w *World) making() func() {
	w.state.making.Lock()
	return w.state.making.Unlock
}

// MakeCard makes a card in a new token. A card of a listed person is remembered by name;
// if that person has one already, the old one is returned.
func (w *World) MakeCard(spec CardSpec) (*Card, error) {
	defer w.making()()
	listed := false
	for _, p := range people {
		listed = listed || p.Person == spec.Person && p.pin == spec.PIN
	}
	w.mu.Lock()
	have := w.cards[spec.Person.Name]
	w.mu.Unlock()
	if listed && have != nil {
		return have, nil
	}
	c, err := w.makeCard(spec)
	if err != nil {
		return nil, fmt.Errorf("card of %s: %w", spec.Person.Name, err)
	}
	if listed {
		w.mu.Lock()
		w.cards[spec.Person.Name] = c
		w.mu.Unlock()
	}
	return c, nil
}

func (w *World) makeCard(spec CardSpec) (*Card, error) {
	spec = spec.filled()
	c := &Card{Person: spec.Person, Status: spec.Status, Kind: spec.Kind, PIN: spec.PIN, PUK: spec.PUK, Purpose: spec.Purpose, world: w}
	c.setIssuer()
	info, err := w.module.InitToken(CardLabel, p11.ParsePIN(spec.PUK), p11.ParsePIN(spec.PIN))
	if err != nil {
		return nil, err
	}
	c.Serial = info.Serial
	token, err := w.module.Open(c.Selector(), c.Secret())
	if err != nil {
		return nil, err
	}
	defer token.Close()
	if !spec.Kind.bare() {
		if c.Authentication, err = c.certify(token, spec, "Authentication", 2); err != nil {
			return nil, err
		}
		if c.Signature, err = c.certify(token, spec, "Signature", 3); err != nil {
			return nil, err
		}
	}
	if err := token.ImportCertificate("CA", c.CA.Raw, p11.WithID([]byte{4})); err != nil {
		return nil, err
	}
	if err := token.ImportCertificate("Root", c.Root.Raw, p11.WithID([]byte{6})); err != nil {
		return nil, err
	}
	c.setStatus()
	return c, c.write(token)
}

// setIssuer chooses the CA by status and holder.
func (c *Card) setIssuer() {
	switch {
	case c.Status == UnknownCA:
		c.issuer = c.world.UnknownCA
	case c.Foreigner:
		c.issuer = c.world.ForeignerCA
	case c.Kind == Old:
		c.issuer = c.world.OldCitizenCA
	default:
		c.issuer = c.world.CitizenCA
	}
	c.CA, c.Root = c.issuer.Certificate, c.issuer.issuer.Certificate
}

func (c *Card) setStatus() {
	switch c.Status {
	case Revoked:
		c.mark(1, true) // keyCompromise
	case Suspended:
		c.mark(6, true) // certificateHold
	}
}

func (s CardSpec) filled() CardSpec {
	if s.Status == "" {
		s.Status = Good
	}
	if s.Kind == "" {
		s.Kind = Today
	}
	if s.PIN == "" {
		s.PIN = "1234"
	}
	if s.PUK == "" {
		s.PUK = "123456"
	}
	return s
}

// certify makes one of the card's two keys in the token and has it certified.
func (c *Card) certify(token *p11.Token, spec CardSpec, label string, id byte) (*x509.Certificate, error) {
	options := []p11.KeyOption{p11.WithID([]byte{id})}
	if label == "Signature" {
		options = append(options, p11.AlwaysAuthenticate())
	}
	kind := p11.P384
	if c.Kind == Old {
		kind = p11.RSA2048
	}
	pub, err := token.GenerateKey(label, kind, options...)
	if err != nil {
		return nil, err
	}
	template := c.template(label)
	if spec.Edit != nil && label == "Authentication" {
		spec.Edit(template)
	}
	cert, err := c.issuer.Issue(template, pub)
	if err != nil {
		return nil, err
	}
	return cert, token.ImportCertificate(label, cert.Raw, p11.WithID([]byte{id}))
}

// template is the certificate of one of the keys.
func (c *Card) template(label string) *x509.Certificate {
	from, to := c.dates()
	first, _, _ := strings.Cut(c.GivenNames, " ")
	name := subject{
		country: "BE", common: strings.TrimSpace(first+" "+c.Surname) + " (" + label + ")",
		surname: c.Surname, given: c.GivenNames, serial: c.Number,
	}
	t := &x509.Certificate{RawSubject: name.der(), NotBefore: from, NotAfter: to}
	policies := map[bool]map[string]x509.OID{
		false: {"Authentication": policyCitizenAuthentication, "Signature": policyCitizenSignature},
		true:  {"Authentication": policyForeignerAuthentication, "Signature": policyForeignerSignature},
	}
	t.Policies = []x509.OID{policies[c.Foreigner][label]}
	if c.issuer == c.world.OldCitizenCA {
		t.Policies = []x509.OID{map[string]x509.OID{"Authentication": policyOldAuthentication, "Signature": policyOldSignature}[label]}
	}
	if label == "Authentication" {
		t.KeyUsage = x509.KeyUsageDigitalSignature
		if c.Kind != Old {
			t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}
		return t
	}
	t.KeyUsage = x509.KeyUsageContentCommitment
	t.ExtraExtensions = extensions(statements(true, qcSignature))
	return t
}

// dates of a card's certificates: cards are valid for ten years.
func (c *Card) dates() (from, to time.Time) {
	now := c.world.now()
	switch c.Status {
	case Expired:
		return now.Add(-11 * year), now.Add(-year)
	case NotYet:
		return now.Add(24 * time.Hour), now.Add(10 * year)
	}
	if c.Kind == Old {
		return now.Add(-8 * year), now.Add(2 * year)
	}
	return now.Add(-year), now.Add(9 * year)
}
