package upstream_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/method/upstream"
)

// held is a key that only signs and decrypts, as one in a token does.
type held struct{ inner crypto.Signer }

func (h held) Public() crypto.PublicKey { return h.inner.Public() }

func (h held) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return h.inner.Sign(r, digest, opts)
}

type decrypting struct{ held }

func (d decrypting) Decrypt(r io.Reader, sealed []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	return d.inner.(crypto.Decrypter).Decrypt(r, sealed, opts)
}

// Keys in a token sign and decrypt; none is made beside them.
func TestKeysInAToken(t *testing.T) {
	sig, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	enc, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	for _, alg := range []jose.KeyAlgorithm{jose.RSA_OAEP, jose.RSA_OAEP_256} {
		s := newSite(t, "itsme", each(func(r *upstream.Registration) {
			r.TokenKeys = []upstream.TokenKey{{Purpose: upstream.Signing, Key: held{sig}}, {Purpose: upstream.DecryptRSA, Key: decrypting{held{enc}}}}
		}))
		s.fake.Bend = bend(func(a *answer) { a.KeyAlg = alg })
		if _, err := s.signIn(step("beaumarais"), s.means()); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		set, err := s.published("beaumarais")
		if err != nil || len(set.Keys) != 2 || !set.Keys[0].Key.(*rsa.PublicKey).Equal(sig.Public()) || !set.Keys[1].Key.(*rsa.PublicKey).Equal(enc.Public()) {
			t.Errorf("published: %+v, %v", set, err)
		}
		if rows, err := s.store.UpstreamKeys(t.Context(), "beaumarais", "source"); err != nil || len(rows) != 0 {
			t.Errorf("%d keys were made beside those of the token, %v", len(rows), err)
		}
	}
	s := newSite(t, "itsme", each(func(r *upstream.Registration) {
		r.AssertionAlg, r.TokenKeys = jose.ES256, []upstream.TokenKey{{Purpose: upstream.Signing, Key: held{ec}}}
	}))
	if _, err := s.signIn(step("beaumarais"), s.means()); err != nil {
		t.Errorf("ES256: %v", err)
	}
	for what, keys := range map[string][]upstream.TokenKey{
		"a key that cannot decrypt": {{Purpose: upstream.DecryptRSA, Key: held{enc}}},
		"an RSA key for ES256":      {{Purpose: upstream.Signing, Key: held{sig}}},
		"ECDH in a token":           {{Purpose: upstream.DecryptEC, Key: held{ec}}},
		"a purpose of none":         {{Purpose: "tls", Key: held{sig}}},
	} {
		_, err := upstream.New(s.config("itsme", each(func(r *upstream.Registration) {
			r.AssertionAlg, r.TokenKeys, r.KeyAlgs = jose.ES256, keys, append(r.KeyAlgs, jose.ECDH_ES)
		})))
		if err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
