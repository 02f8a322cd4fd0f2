package fas

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// Agreement is what a commune and a provider have agreed.
type Agreement struct {
	Commune  commune.ID
	Provider *Provider
	// Label is what people call it, by language; the catalogue's words where empty.
	Label map[i18n.Language]string
	// EntityID is our name there; the address of our metadata where empty.
	EntityID string
	// Signing keys: the first signs, all are in the metadata (two during a roll-over).
	Signing []Key
	// Encryption keys: each is tried, all are in the metadata. Where there is none,
	// assertions come unencrypted.
	Encryption []Key
	// Levels are the values that the commune accepts, and what each is worth to it.
	Levels []Level
	// Binding of the request: Redirect where empty.
	Binding string
	// Comparison of the levels asked for: "exact" (a list) where empty, or "minimum".
	Comparison string
	// Number, GivenNames and Surname are the attributes' names.
	Number, GivenNames, Surname string
	// Allow names what the commune has accepted in writing, of SHA1, CBC and RSA15.
	Allow []string
}

// Bindings of a request.
const (
	Redirect = "redirect"
	Post     = "post"
)

// What an agreement may allow. All are broken in some use; none is needed by a
// provider that is kept up to date.
const (
	SHA1  = "sha1"  // signatures and digests
	CBC   = "cbc"   // AES-CBC encryption
	RSA15 = "rsa15" // RSA PKCS #1 v1.5 key transport
)

// Level is what one value of the provider is worth.
type Level struct {
	Value string   // as the provider states it
	Level string   // acr value
	AMR   []string // means
}

// Key is an RSA key and its certificate. An encryption key must be a crypto.Decrypter
// too; the key may lie in a token.
type Key struct {
	Signer      crypto.Signer
	Certificate *x509.Certificate
}

// check fills in what is usual and finds what cannot work.
func (a *Agreement) check() error {
	for p, usual := range map[*string]string{
		&a.Binding: Redirect, &a.Comparison: "exact", &a.Number: "egovNRN", &a.GivenNames: "givenName", &a.Surname: "surname",
	} {
		if *p == "" {
			*p = usual
		}
	}
	var faults []error
	if len(a.Signing) == 0 {
		faults = append(faults, errors.New("no signing key"))
	}
	for _, k := range slices.Concat(a.Signing, a.Encryption) {
		if _, ok := k.Signer.Public().(*rsa.PublicKey); !ok {
			faults = append(faults, errors.New("keys must be RSA"))
		}
	}
	for _, k := range a.Encryption {
		if _, ok := k.Signer.(crypto.Decrypter); !ok {
			faults = append(faults, errors.New("an encryption key cannot decrypt"))
		}
	}
	if len(a.Levels) == 0 {
		faults = append(faults, errors.New("no level: nobody could sign in"))
	}
	for _, l := range a.Levels {
		if l.Value == "" || !slices.Contains(method.Levels, l.Level) {
			faults = append(faults, fmt.Errorf("level %q is worth %q, which is none of %v", l.Value, l.Level, method.Levels))
		}
	}
	for _, w := range a.Allow {
		if !slices.Contains([]string{SHA1, CBC, RSA15}, w) {
			faults = append(faults, fmt.Errorf("allow %q: one of sha1, cbc and rsa15", w))
		}
	}
	if a.Binding != Redirect && a.Binding != Post {
		faults = append(faults, fmt.Errorf("binding %q: redirect or post", a.Binding))
	}
	if a.Comparison != "exact" && a.Comparison != "minimum" {
		faults = append(faults, fmt.Errorf("comparison %q: exact or minimum", a.Comparison))
	}
	return errors.Join(faults...)
}

func (a *Agreement) level(value string) (Level, bool) {
	for _, l := range a.Levels {
		if l.Value == value {
			return l, true
		}
	}
	return Level{}, false
}

// values are those that reach one of the acr values asked for, or all where none is.
func (a *Agreement) values(acr []string) []string {
	var list []string
	for _, l := range a.Levels {
		if len(acr) == 0 || slices.Contains(acr, l.Level) {
			list = append(list, l.Value)
		}
	}
	return list
}

func (a *Agreement) allows(what string) bool { return slices.Contains(a.Allow, what) }

func (a *Agreement) label(l i18n.Language) string {
	if text := a.Label[l]; text != "" {
		return text
	}
	return i18n.T(l, "fas.label")
}
