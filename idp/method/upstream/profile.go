package upstream

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// Profile is what one source is like.
type Profile struct {
	// Issuer as its ID tokens name it. Its addresses are discovered, unless Authorize,
	// Token and JWKS say them.
	Issuer                                       string
	Authorize, Token, Userinfo, JWKS, EndSession string
	// Hosts beside the issuer's that its addresses may name.
	Hosts []string
	// Internal hosts may have private addresses.
	Internal bool

	// Auth is how we prove ourselves: SecretBasic, SecretPost or PrivateKeyJWT.
	Auth string
	// AssertionAlg signs private_key_jwt: RS256, PS256 or ES256.
	AssertionAlg jose.SignatureAlgorithm
	// AssertionAudience is "token" (the endpoint's address) or "issuer".
	AssertionAudience string

	Scopes []string
	// ACR says how levels are asked for: "list" (acr_values, all that will do), "lowest"
	// (acr_values, the least that will do), "claims" (the claims parameter, essential where
	// one must be reached) or "none".
	ACR string
	// AskClaims are asked of userinfo by the claims parameter.
	AskClaims []string
	// ResponseMode is "query" or "form_post".
	ResponseMode string
	// LeaveOut are parameters that the source refuses, of code_challenge, ui_locales,
	// max_age, prompt and acr_values.
	LeaveOut []string

	// IDTokenAlgs and UserinfoAlgs are the signatures that count.
	IDTokenAlgs, UserinfoAlgs []jose.SignatureAlgorithm
	// IDTokenEncrypted: it must be.
	IDTokenEncrypted bool
	// UserinfoForm is what userinfo must be: "none" (it is not asked), "json", "signed" or
	// "encrypted" (signed, then encrypted).
	UserinfoForm string
	// KeyAlgs and ContentAlgs of encryption to us.
	KeyAlgs     []jose.KeyAlgorithm
	ContentAlgs []jose.ContentEncryption

	Claims Claims
	// Values replace values of claims, by claim: {"gender": {"F": "female"}}.
	Values map[string]map[string]string
	// LevelClaim states the level: "acr", or another of the ID token or userinfo. Of a
	// list, exactly one value must be a known level.
	LevelClaim string
	// Iss must be in answers (RFC 9207) where discovery does not say so.
	Iss bool
	// AlwaysFresh: each sign-in there asks the person, so that its answer needs no auth_time.
	AlwaysFresh bool
}

// Claims are the names under which the source tells of a person.
type Claims struct {
	Number     string // national number; people are known by (issuer, subject) where empty
	GivenNames string
	Surname    string
	BirthDate  string // YYYY-MM-DD
}

// Ways for a client to prove itself.
const (
	SecretBasic   = "client_secret_basic"
	SecretPost    = "client_secret_post"
	PrivateKeyJWT = "private_key_jwt"
)

// Forms of userinfo.
const (
	NoUserinfo        = "none"
	JSONUserinfo      = "json"
	SignedUserinfo    = "signed"
	EncryptedUserinfo = "encrypted"
)

// Level is what one value of the source is worth to the commune.
type Level struct {
	Value string   // as the source states it; "" for a source that states none
	Level string   // acr value
	AMR   []string // means
}

// Requirement is a claim that must hold one of some values: the group of those who work
// at the commune.
type Requirement struct {
	Claim  string
	Values []string
}

// Registration is a commune's, at a source.
type Registration struct {
	Commune commune.ID
	// Preset that the profile began as; it chooses the words.
	Preset string
	Profile
	ClientID string
	Secret   string // for SecretBasic and SecretPost, and HS256
	// Labels and Hints are what people call it, by language; the preset's words where empty.
	Labels, Hints map[i18n.Language]string
	// Levels the commune accepts, the highest first.
	Levels   []Level
	Required []Requirement
	// Rotate is how long a key of ours serves; 0 is for ever.
	Rotate time.Duration
	// TokenKeys lie in PKCS#11; where there is one for a purpose, none is made.
	TokenKeys []TokenKey
}

// registration is one at work.
type registration struct {
	Registration
	keys *keys
}

// signing algorithms that count at all; HS256 only where a setting names it.
var asymmetric = []jose.SignatureAlgorithm{jose.ES256, jose.PS256, jose.RS256}

var (
	keyAlgs     = []jose.KeyAlgorithm{jose.RSA_OAEP_256, jose.RSA_OAEP, jose.ECDH_ES, jose.ECDH_ES_A256KW}
	contentAlgs = []jose.ContentEncryption{jose.A256GCM, jose.A128GCM, jose.A128CBC_HS256, jose.A256CBC_HS512}
	optional    = []string{"code_challenge", "ui_locales", "max_age", "prompt", "acr_values"}
)

// samePlace says whether two profiles are of one provider.
func (p Profile) samePlace(q Profile) bool {
	return p.Issuer == q.Issuer && p.Authorize == q.Authorize && p.Token == q.Token && p.Userinfo == q.Userinfo &&
		p.JWKS == q.JWKS && p.EndSession == q.EndSession && slices.Equal(p.Hosts, q.Hosts) && p.Internal == q.Internal
}

// fixed says whether the addresses are given.
func (p Profile) fixed() bool { return p.Authorize != "" || p.Token != "" || p.JWKS != "" }

func (p Profile) leaves(parameter string) bool { return slices.Contains(p.LeaveOut, parameter) }

// check finds what cannot work or must not be.
func (r *Registration) check(plain bool) error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	one := func(key, value string, of ...string) {
		if !slices.Contains(of, value) {
			bad("%s %q: one of %v", key, value, of)
		}
	}
	if r.ClientID == "" {
		bad("client_id is missing")
	}
	one("auth", r.Auth, SecretBasic, SecretPost, PrivateKeyJWT)
	one("acr", r.ACR, "list", "lowest", "claims", "none")
	one("response_mode", r.ResponseMode, "query", "form_post")
	one("userinfo", r.UserinfoForm, NoUserinfo, JSONUserinfo, SignedUserinfo, EncryptedUserinfo)
	one("assertion_audience", r.AssertionAudience, "token", "issuer")
	if r.Auth == PrivateKeyJWT {
		one("assertion_alg", string(r.AssertionAlg), string(jose.RS256), string(jose.PS256), string(jose.ES256))
	} else if r.Secret == "" {
		bad("%s needs a secret", r.Auth)
	}
	for _, p := range r.LeaveOut {
		one("leave_out", p, optional...)
	}
	if !slices.Contains(r.Scopes, "openid") {
		bad("scopes must hold openid")
	}
	faults = append(faults, r.checkAddresses(plain), r.checkAlgorithms(), r.checkPeople())
	return errors.Join(faults...)
}

func (r *Registration) checkAddresses(plain bool) error {
	var faults []error
	addresses := map[string]string{"issuer": r.Issuer}
	if r.fixed() {
		maps.Copy(addresses, map[string]string{"authorization_endpoint": r.Authorize, "token_endpoint": r.Token, "jwks_uri": r.JWKS})
		if r.UserinfoForm != NoUserinfo {
			addresses["userinfo_endpoint"] = r.Userinfo
		}
	}
	for name, address := range addresses {
		if err := checkAddress(address, plain); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(faults...)
}

func checkAddress(address string, plain bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || (u.Scheme != "https" && !(plain && u.Scheme == "http")) {
		return fmt.Errorf("%q is no https address", address)
	}
	return nil
}

func (r *Registration) checkAlgorithms() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(r.IDTokenAlgs) == 0 {
		bad("no algorithm of ID tokens")
	}
	if len(r.UserinfoAlgs) == 0 && (r.UserinfoForm == SignedUserinfo || r.UserinfoForm == EncryptedUserinfo) {
		bad("no algorithm of userinfo")
	}
	for _, algs := range [][]jose.SignatureAlgorithm{r.IDTokenAlgs, r.UserinfoAlgs} {
		for _, a := range algs {
			switch {
			case slices.Contains(asymmetric, a):
			case a != jose.HS256:
				bad("algorithm %q: one of ES256, PS256 and RS256, and HS256 alone", a)
			case len(algs) > 1:
				bad("HS256 stands alone: beside another, a public key could be taken for the secret")
			case r.Auth == PrivateKeyJWT || len(r.Secret) < 32:
				bad("HS256 needs a client secret of at least 32 bytes")
			}
		}
	}
	if !r.encrypted() {
		return errors.Join(faults...)
	}
	if len(r.KeyAlgs) == 0 || len(r.ContentAlgs) == 0 {
		bad("encryption without an algorithm of keys or of content")
	}
	for _, a := range r.KeyAlgs {
		if !slices.Contains(keyAlgs, a) {
			bad("key algorithm %q: one of %v", a, keyAlgs)
		}
	}
	for _, a := range r.ContentAlgs {
		if !slices.Contains(contentAlgs, a) {
			bad("content algorithm %q: one of %v", a, contentAlgs)
		}
	}
	return errors.Join(faults...)
}

func (r *Registration) checkPeople() error {
	var faults []error
	if r.Claims.GivenNames == "" || r.Claims.Surname == "" || r.LevelClaim == "" {
		faults = append(faults, errors.New("the claims of given names, surname and level are needed"))
	}
	if len(r.Levels) == 0 {
		faults = append(faults, errors.New("no level: nobody could sign in"))
	}
	seen := map[string]bool{}
	for _, l := range r.Levels {
		if !slices.Contains(method.Levels, l.Level) || seen[l.Value] {
			faults = append(faults, fmt.Errorf("level %q is worth %q: each once, and one of %v", l.Value, l.Level, method.Levels))
		}
		seen[l.Value] = true
	}
	for _, q := range r.Required {
		if q.Claim == "" || len(q.Values) == 0 {
			faults = append(faults, errors.New("a requirement without claim or values"))
		}
	}
	return errors.Join(faults...)
}

func (r *Registration) encrypted() bool {
	return r.IDTokenEncrypted || r.UserinfoForm == EncryptedUserinfo
}

func (r *Registration) level(value string) (Level, bool) {
	for _, l := range r.Levels {
		if l.Value == value {
			return l, true
		}
	}
	return Level{}, false
}

// values are those that reach one of the acr values asked for, or all where none is.
func (r *Registration) values(acr []string) []string {
	var list []string
	for _, l := range r.Levels {
		if l.Value != "" && (len(acr) == 0 || slices.Contains(acr, l.Level)) {
			list = append(list, l.Value)
		}
	}
	return list
}

// reaches says whether some value is worth one of these levels.
func (r *Registration) reaches(acr []string) bool {
	return slices.ContainsFunc(r.Levels, func(l Level) bool { return slices.Contains(acr, l.Level) })
}
