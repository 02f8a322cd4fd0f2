// Package card uses a Belgian eID card in a reader, through PKCS#11.
//
// It owns the labels and habits of the cards and of the two modules that read them
// (the official middleware and OpenSC), the authentication token of format
// web-eid:1.0, and the words for what goes wrong between a person, a card and a
// reader. It refuses to know who asks and whether they may: whoever calls
// Authenticate, Read or Sign has shown the holder what for and had their consent.
// What is written on a card it reads and does not check: idfile does, elsewhere. It
// guarantees that a PIN is tried at most once for each call, that the card is
// logged out after each use, and that no signature leaves that does not verify.
package card

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/p11"
)

// What can go wrong, wrapped around its cause; compare with errors.Is. A wrong PIN
// carries the number of tries left as Args["Count"] where the card tells it, and
// has the key card.pin_wrong where it does not.
var (
	ErrNoCard        = fault.New(fault.NotFound, "card.no_card", nil)
	ErrNoCertificate = fault.New(fault.NotFound, "card.no_certificate", nil)
	ErrPINIncorrect  = fault.New(fault.Invalid, "card.pin_incorrect", nil)
	ErrPINWrong      = fault.New(fault.Invalid, "card.pin_wrong", nil)
	ErrPINLastTry    = fault.New(fault.Conflict, "card.pin_last_try", nil)
	ErrPINLength     = fault.New(fault.Invalid, "card.pin_length", nil)
	ErrPINBlocked    = fault.New(fault.Forbidden, "card.pin_blocked", nil)
	ErrCancelled     = fault.New(fault.Conflict, "card.cancelled", nil)
	ErrRemoved       = fault.New(fault.Conflict, "card.removed", nil)
	ErrTimeout       = fault.New(fault.Unreachable, "card.timeout", nil)
	ErrOtherCard     = fault.New(fault.Forbidden, "card.other_card", nil)
	ErrBusy          = fault.New(fault.Conflict, "card.busy", nil)
	ErrFailed        = fault.New(fault.Internal, "card.failed", nil)

	// Why there is no certificate, where the card tells it.
	ErrChild    = fault.New(fault.NotFound, "card.no_certificate_child", nil)
	ErrDeclined = fault.New(fault.NotFound, "card.no_certificate_declined", nil)
	// ErrNoFiles: the module that reads cards does not show what is written on them.
	ErrNoFiles = fault.New(fault.NotFound, "card.no_files", nil)
)

// The labels are the same in every module; ids and slot numbers are not.
const (
	tokenLabel          = "BELPIC" // OpenSC adds " (Basic PIN)"
	authenticationLabel = "Authentication"
	signatureLabel      = "Signature"
)

// Card is a card that was in a reader when it was listed. Several may use it at
// once; each use waits for the one before.
type Card struct {
	module         *p11.Module
	label, serial  string                    // of the token
	flags          atomic.Pointer[p11.Flags] // as the card showed them last
	hidden         bool                      // its certificates show only after the PIN
	authentication *x509.Certificate
	signature      *x509.Certificate
	missing        *fault.Error // why there is no authentication certificate
	holder         string       // as it is written on a card without certificates; nobody checked it
}

// List returns the eID cards in the readers now. None is ErrNoCard.
func List(m *p11.Module) ([]*Card, error) {
	tokens, err := m.Tokens()
	if err != nil {
		return nil, ErrFailed.Because(err)
	}
	var cards []*Card
	for _, info := range tokens {
		if info.Label != tokenLabel && !strings.HasPrefix(info.Label, tokenLabel+" ") {
			continue
		}
		c := &Card{module: m, label: info.Label, serial: info.Serial}
		c.flags.Store(&info.Flags)
		if err := c.look(); err != nil {
			if errors.Is(err, ErrRemoved) {
				continue // taken out meanwhile
			}
			return nil, err
		}
		cards = append(cards, c)
	}
	if len(cards) == 0 {
		return nil, ErrNoCard
	}
	return cards, nil
}

// Find returns the card of this serial number, ErrNoCard where it is in no reader.
func Find(m *p11.Module, serial string) (*Card, error) {
	cards, err := List(m)
	if err != nil {
		return nil, err
	}
	for _, c := range cards {
		if c.Serial() == serial {
			return c, nil
		}
	}
	return nil, ErrNoCard
}

// look reads the certificates that the card shows to everybody.
func (c *Card) look() error {
	token, err := c.module.Open(c.selector(), p11.PIN{}, p11.WithoutLogin())
	if err != nil {
		return c.meaning(err)
	}
	defer token.Close()
	found, err := token.Certificates()
	if err != nil {
		return c.meaning(err)
	}
	// OpenSC shows nothing of a card of applet 1.7 before login, not even its CA's
	// certificate; a card whose holder declined the certificates shows that one.
	c.hidden = len(found) == 0 && c.flags.Load().LoginRequired
	c.authentication, c.signature = byLabel(found, authenticationLabel), byLabel(found, signatureLabel)
	if c.authentication == nil && !c.hidden {
		c.explain(token)
	}
	return nil
}

// explain finds out why a card has no authentication certificate, from what is written on it.
func (c *Card) explain(token *p11.Token) {
	c.missing = ErrNoCertificate
	values, err := token.Data(identityFile)
	if err != nil {
		return
	}
	written, err := idfile.Parse(values[identityFile], nil)
	if err != nil {
		return
	}
	c.missing = ErrDeclined
	if written.Child() {
		c.missing = ErrChild
	}
	first, _, _ := strings.Cut(written.GivenNames, " ")
	c.holder = strings.TrimSpace(first + " " + written.Surname)
}

// byLabel returns the certificate of a label, nil where there is none that parses:
// an empty card file is bytes of zero, which p11 leaves out.
func byLabel(found []p11.Object, label string) *x509.Certificate {
	for _, o := range found {
		if o.Label != label {
			continue
		}
		if c, err := x509.ParseCertificate(o.DER); err == nil {
			return c
		}
	}
	return nil
}

func (c *Card) selector() p11.Selector {
	return p11.Selector{Label: c.label, Serial: c.serial}
}

// Serial tells cards apart; it is printed on none.
func (c *Card) Serial() string { return c.serial }

// Name is the holder's, as the card's first certificate has it, or what is written on a card
// without certificates; "" where the card hides them until the PIN is given.
func (c *Card) Name() string {
	for _, cert := range []*x509.Certificate{c.authentication, c.signature} {
		if cert == nil {
			continue
		}
		name := cert.Subject.CommonName
		for _, purpose := range []string{"(Authentication)", "(Signature)"} {
			name = strings.TrimSuffix(name, purpose)
		}
		return strings.TrimSpace(name)
	}
	return c.holder
}

// AsksItself says that the PIN is typed into the middleware's own window or on the
// reader's keypad: callers give none.
func (c *Card) AsksItself() bool {
	f := c.flags.Load()
	return !f.LoginRequired || f.ProtectedPath
}

// LastTry says that one more wrong PIN blocks the card.
func (c *Card) LastTry() bool { return c.flags.Load().PINFinalTry }

// Blocked says that the card takes no PIN any more.
func (c *Card) Blocked() bool { return c.flags.Load().PINLocked }

// Certificate is the authentication certificate. Where the card has none: ErrChild and
// ErrDeclined, or ErrNoCertificate where the card does not tell why; nil without error
// where the card hides it until the PIN is given.
func (c *Card) Certificate() (*x509.Certificate, error) { return c.shown(c.authentication) }

// SignatureCertificate is that of the key which signs documents, as Certificate is. A child's
// card with the one may lack the other: ErrNoCertificate.
func (c *Card) SignatureCertificate() (*x509.Certificate, error) { return c.shown(c.signature) }

// Hidden says that the card shows its certificates only once the PIN was given.
func (c *Card) Hidden() bool { return c.hidden }

// ReadSignatureCertificate is SignatureCertificate, by the PIN where the card hides it.
func (c *Card) ReadSignatureCertificate(pin p11.PIN, opts ...p11.Option) (*x509.Certificate, error) {
	if cert, err := c.SignatureCertificate(); cert != nil || err != nil {
		return cert, err
	}
	var found *x509.Certificate
	err := c.use(pin, func(token *p11.Token) (err error) {
		found, err = c.certificateInside(token, signatureLabel, nil)
		return err
	}, opts...)
	return found, err
}

func (c *Card) shown(cert *x509.Certificate) (*x509.Certificate, error) {
	switch {
	case cert != nil || c.hidden:
		return cert, nil
	case c.missing != nil:
		return nil, c.missing
	}
	return nil, ErrNoCertificate
}

// use opens the card for this use alone and closes it, logged out, behind f.
func (c *Card) use(pin p11.PIN, f func(*p11.Token) error, opts ...p11.Option) error {
	if c.AsksItself() {
		pin = p11.PIN{}
	}
	token, err := c.module.Open(c.selector(), pin, append(opts, p11.Exclusive())...)
	if err != nil {
		return c.meaning(err)
	}
	err = f(token)
	closeErr := token.Close()
	if err != nil {
		return c.meaning(err)
	}
	if closeErr != nil && !errors.Is(closeErr, p11.ErrTokenGone) {
		return ErrFailed.Because(fmt.Errorf("the card stays logged in: %w", closeErr))
	}
	return nil
}

// meanings of what internal/p11 says.
var meanings = []struct {
	cause error
	is    *fault.Error
}{
	{p11.ErrPINLocked, ErrPINBlocked},
	{p11.ErrPINFinalTry, ErrPINLastTry},
	{p11.ErrPINLength, ErrPINLength},
	{p11.ErrPINRequired, ErrPINLength},
	{p11.ErrCancelled, ErrCancelled},
	{p11.ErrTokenGone, ErrRemoved},
	{p11.ErrNoSuchToken, ErrRemoved},
	{p11.ErrTimeout, ErrTimeout},
	{p11.ErrBusy, ErrBusy},
	{p11.ErrNoSuchKey, ErrNoCertificate},
}

func (c *Card) meaning(err error) error {
	if fault.KeyOf(err) != "" {
		return err
	}
	if errors.Is(err, p11.ErrPINIncorrect) {
		return c.wrongPIN(err)
	}
	if errors.Is(err, p11.ErrPINFinalTry) { // another program spent the others meanwhile
		flags := *c.flags.Load()
		flags.PINFinalTry = true
		c.flags.Store(&flags)
	}
	for _, m := range meanings {
		if errors.Is(err, m.cause) {
			return m.is.Because(err)
		}
	}
	return ErrFailed.Because(err)
}

// wrongPIN asks the card how many tries are left. Modules tell only the last one
// and none; they do not count three and two apart.
func (c *Card) wrongPIN(cause error) error {
	tokens, err := c.module.Tokens()
	if err != nil {
		return ErrPINWrong.Because(cause)
	}
	for _, t := range tokens {
		if t.Serial != c.serial || t.Label != c.label {
			continue
		}
		c.flags.Store(&t.Flags)
		switch {
		case t.Flags.PINLocked:
			return ErrPINBlocked.Because(cause)
		case t.Flags.PINFinalTry:
			return ErrPINIncorrect.Because(cause).With("Count", 1)
		}
	}
	return ErrPINWrong.Because(cause)
}

// same says whether the card still is the one that was shown to the holder.
func same(shown, now *x509.Certificate) bool {
	return shown == nil || now != nil && bytes.Equal(shown.Raw, now.Raw)
}
