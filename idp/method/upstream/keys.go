package upstream

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/secret"
)

// Purposes of a key of ours.
const (
	Signing    = "sig"
	DecryptRSA = "enc-rsa"
	DecryptEC  = "enc-ec"
)

const (
	ahead   = 3 * 24 * time.Hour // a key is published so long before it signs: sources keep a key set for a day
	keep    = 7 * 24 * time.Hour // and serves so long after: what was encrypted to it may still come
	refresh = time.Minute        // between looks at what other nodes did
)

// TokenKey is a key of ours in PKCS#11. One that decrypts must be a crypto.Decrypter too.
type TokenKey struct {
	Purpose string
	Key     crypto.Signer
}

// keys are a commune's at a source: made, published, used and retired by themselves, and
// sealed under the install's secret where they lie in no token.
type keys struct {
	cfg      Config
	reg      Registration
	sealer   secret.Sealer
	purposes []string

	mu   sync.Mutex
	read time.Time
	all  []key
}

type key struct {
	purpose string
	kid     string
	active  time.Time
	private crypto.Signer
	public  jose.JSONWebKey
}

func newKeys(cfg Config, r Registration) (*keys, error) {
	k := &keys{cfg: cfg, reg: r, sealer: cfg.Secret.Sealer("upstream key"), purposes: purposes(r)}
	for _, t := range r.TokenKeys {
		if !slices.Contains(k.purposes, t.Purpose) {
			return nil, fmt.Errorf("a key in a token for %q: this registration uses %v", t.Purpose, k.purposes)
		}
		if err := fits(t, r); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// purposes are what a registration needs keys for.
func purposes(r Registration) []string {
	var list []string
	if r.Auth == PrivateKeyJWT {
		list = append(list, Signing)
	}
	if !r.encrypted() {
		return list
	}
	for _, a := range r.KeyAlgs {
		p := DecryptRSA
		if strings.HasPrefix(string(a), "ECDH-ES") {
			p = DecryptEC
		}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list
}

// fits says whether a token's key can serve its purpose.
func fits(t TokenKey, r Registration) error {
	_, isRSA := t.Key.Public().(*rsa.PublicKey)
	ec, isEC := t.Key.Public().(*ecdsa.PublicKey)
	_, decrypts := t.Key.(crypto.Decrypter)
	switch {
	case t.Purpose == Signing && r.AssertionAlg == jose.ES256 && !(isEC && ec.Curve == elliptic.P256()):
		return errors.New("ES256 needs a P-256 key")
	case t.Purpose == Signing && r.AssertionAlg != jose.ES256 && !isRSA:
		return fmt.Errorf("%s needs an RSA key", r.AssertionAlg)
	case t.Purpose == DecryptRSA && !(isRSA && decrypts):
		return errors.New("the key in the token cannot decrypt RSA-OAEP")
	case t.Purpose == DecryptEC:
		return errors.New("ECDH-ES is not done in a token: name RSA-OAEP alone, or leave this key out")
	}
	return nil
}

func (k *keys) any() bool { return len(k.purposes) > 0 }

// sign makes a compact JWS of payload with the signing key of now.
func (k *keys) sign(ctx context.Context, payload []byte) (string, error) {
	all, err := k.current(ctx)
	if err != nil {
		return "", err
	}
	now, found := k.cfg.Clock(), key{}
	for _, have := range all {
		if have.purpose == Signing && (found.private == nil || !have.active.After(now)) {
			found = have
		}
	}
	if found.private == nil {
		return "", errors.New("upstream: no key that signs")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.reg.AssertionAlg, Key: opaque{found, k.reg.AssertionAlg}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("upstream: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("upstream: %w", err)
	}
	return jws.CompactSerialize()
}

// open decrypts what was encrypted to one of our keys.
func (k *keys) open(ctx context.Context, raw string) (string, error) {
	all, err := k.current(ctx)
	if err != nil {
		return "", err
	}
	return openEncrypted(raw, k.reg.KeyAlgs, k.reg.ContentAlgs, func(alg jose.KeyAlgorithm, kid string) []any {
		purpose := DecryptRSA
		if strings.HasPrefix(string(alg), "ECDH-ES") {
			purpose = DecryptEC
		}
		var fit []any
		for _, have := range all {
			if have.purpose != purpose || (kid != "" && kid != have.kid) {
				continue
			}
			if _, far := have.private.(*rsa.PrivateKey); purpose == DecryptRSA && !far {
				fit = append(fit, unwrapper{have.private.(crypto.Decrypter)})
			} else {
				fit = append(fit, have.private)
			}
		}
		return fit
	})
}

// jwks is what the source may know. A signing key is there before it signs; of the keys
// that decrypt only the newest is there, for the source to use at once.
func (k *keys) jwks(ctx context.Context) ([]byte, error) {
	all, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for i, have := range all {
		newest := i+1 == len(all) || all[i+1].purpose != have.purpose
		if have.purpose == Signing || newest {
			set.Keys = append(set.Keys, have.public)
		}
	}
	return json.Marshal(set)
}

// try uses the signing key once.
func (k *keys) try(ctx context.Context) error {
	if !slices.Contains(k.purposes, Signing) {
		_, err := k.current(ctx)
		return err
	}
	_, err := k.sign(ctx, []byte(`{}`))
	return err
}

// current are the keys of now, by purpose and age.
func (k *keys) current(ctx context.Context) ([]key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.cfg.Clock()
	if age := now.Sub(k.read); k.all != nil && age < refresh && age > -refresh {
		return k.all, nil
	}
	all, err := k.load(ctx, now)
	if err != nil && k.all != nil { // the database is away: the keys we know go on
		k.cfg.Log.Error("keys of a sign-in source are not refreshed", "source", k.cfg.Name, "commune", k.reg.Commune, "error", err)
		return k.all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("upstream: keys: %w", err)
	}
	k.all, k.read = all, now
	return all, nil
}

func (k *keys) load(ctx context.Context, now time.Time) ([]key, error) {
	rows, err := k.cfg.Store.UpstreamKeys(ctx, k.reg.Commune, k.cfg.Name)
	if err != nil {
		return nil, err
	}
	made := false
	for _, p := range k.purposes {
		if k.inToken(p) != nil {
			continue
		}
		row, due := next(rows, p, now, k.reg.Rotate)
		if !due {
			continue
		}
		if err := k.make(ctx, row); err != nil {
			return nil, err
		}
		made = true
	}
	if made { // read again: another node may have been first with its own
		if rows, err = k.cfg.Store.UpstreamKeys(ctx, k.reg.Commune, k.cfg.Name); err != nil {
			return nil, err
		}
	}
	return k.assemble(rows, now)
}

func (k *keys) inToken(purpose string) crypto.Signer {
	for _, t := range k.reg.TokenKeys {
		if t.Purpose == purpose {
			return t.Key
		}
	}
	return nil
}

// next is the purpose's next generation, where it is due.
func next(rows []idpsql.UpstreamKey, purpose string, now time.Time, life time.Duration) (idpsql.UpstreamKey, bool) {
	var last idpsql.UpstreamKey
	for _, r := range rows {
		if r.Purpose == purpose {
			last = r
		}
	}
	following := idpsql.UpstreamKey{Purpose: purpose, Generation: last.Generation + 1, ActiveAt: now}
	switch {
	case last.KID == "":
		return following, true
	case life == 0 || now.Before(last.ActiveAt.Add(life-ahead)):
		return following, false
	case purpose == Signing:
		following.ActiveAt = last.ActiveAt.Add(life)
		if soonest := now.Add(ahead); following.ActiveAt.Before(soonest) { // nobody asked for long
			following.ActiveAt = soonest
		}
	}
	return following, true
}

func (k *keys) make(ctx context.Context, row idpsql.UpstreamKey) error {
	private, err := generate(row.Purpose, k.reg.AssertionAlg)
	if err != nil {
		return err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	row.Commune, row.Source = k.reg.Commune, k.cfg.Name
	if row.KID, err = thumbprint(private.Public()); err != nil {
		return err
	}
	row.Sealed = encode(k.sealer.Seal(plain, k.place(row)))
	return k.cfg.Store.AddUpstreamKey(ctx, row)
}

// place ties a sealed key to its row.
func (k *keys) place(r idpsql.UpstreamKey) string {
	return string(r.Commune) + " " + r.Source + " " + r.Purpose + " " + r.KID
}

func generate(purpose string, alg jose.SignatureAlgorithm) (crypto.Signer, error) {
	if purpose == DecryptEC || (purpose == Signing && alg == jose.ES256) {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

func thumbprint(public crypto.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	return encode(sum), err
}

// assemble opens the keys that are still of use, by purpose and age.
func (k *keys) assemble(rows []idpsql.UpstreamKey, now time.Time) ([]key, error) {
	var all []key
	for _, purpose := range k.purposes {
		if held := k.inToken(purpose); held != nil {
			made, err := k.key(purpose, time.Time{}, held)
			if err != nil {
				return nil, err
			}
			all = append(all, made)
			continue
		}
		for i, r := range rows {
			if r.Purpose != purpose || i+1 < len(rows) && rows[i+1].Purpose == purpose && rows[i+1].ActiveAt.Add(keep).Before(now) {
				continue
			}
			private, err := k.unseal(r)
			if err != nil {
				return nil, fmt.Errorf("key %s: %w", r.KID, err)
			}
			made, err := k.key(purpose, r.ActiveAt, private)
			if err != nil {
				return nil, err
			}
			all = append(all, made)
		}
	}
	return all, nil
}

func (k *keys) unseal(r idpsql.UpstreamKey) (crypto.Signer, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(r.Sealed)
	if err != nil {
		return nil, err
	}
	plain, err := k.sealer.Open(sealed, k.place(r))
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("no private key that signs")
	}
	return private, nil
}

func (k *keys) key(purpose string, active time.Time, private crypto.Signer) (key, error) {
	kid, err := thumbprint(private.Public())
	if err != nil {
		return key{}, err
	}
	public := jose.JSONWebKey{Key: private.Public(), KeyID: kid, Use: "enc"}
	if purpose == Signing {
		public.Use, public.Algorithm = "sig", string(k.reg.AssertionAlg)
	}
	for _, a := range k.reg.KeyAlgs { // the first of its kind is the one we prefer
		ec := strings.HasPrefix(string(a), "ECDH-ES")
		if public.Algorithm == "" && ec == (purpose == DecryptEC) {
			public.Algorithm = string(a)
		}
	}
	return key{purpose: purpose, kid: kid, active: active, private: private, public: public}, nil
}

// opaque signs by any crypto.Signer, in a token too.
type opaque struct {
	key key
	alg jose.SignatureAlgorithm
}

func (o opaque) Public() *jose.JSONWebKey        { return &o.key.public }
func (o opaque) Algs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{o.alg} }

func (o opaque) SignPayload(payload []byte, alg jose.SignatureAlgorithm) ([]byte, error) {
	sum := sha256.Sum256(payload)
	var opts crypto.SignerOpts = crypto.SHA256
	if alg == jose.PS256 {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	signature, err := o.key.private.Sign(rand.Reader, sum[:], opts)
	if err != nil || alg != jose.ES256 {
		return signature, err
	}
	var rs struct{ R, S *big.Int } // RFC 7518 §3.4 wants the two numbers, 32 bytes each
	if _, err := asn1.Unmarshal(signature, &rs); err != nil {
		return nil, err
	}
	if rs.R.BitLen() > 256 || rs.S.BitLen() > 256 {
		return nil, errors.New("a signature of another curve")
	}
	out := make([]byte, 64)
	rs.R.FillBytes(out[:32])
	rs.S.FillBytes(out[32:])
	return out, nil
}

// unwrapper decrypts the key of a JWE in a token.
type unwrapper struct{ inner crypto.Decrypter }

func (u unwrapper) DecryptKey(wrapped []byte, h jose.Header) ([]byte, error) {
	opts := &rsa.OAEPOptions{Hash: crypto.SHA1} // RSA-OAEP (RFC 7518 §4.3)
	switch jose.KeyAlgorithm(h.Algorithm) {
	case jose.RSA_OAEP:
	case jose.RSA_OAEP_256:
		opts.Hash = crypto.SHA256
	default:
		return nil, fmt.Errorf("no key for %s", h.Algorithm)
	}
	return u.inner.Decrypt(rand.Reader, wrapped, opts)
}
