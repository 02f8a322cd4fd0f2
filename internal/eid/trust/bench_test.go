package trust

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"math/big"
	"testing"
)

const distinctCards = 1200

// BenchmarkAuthentication measures one check of a certificate: the raw P-384
// verification that it cannot do without; the check of cards seen within Reuse;
// and of cards never seen, each with an OCSP answer of its own over HTTP (made
// beforehand, without nonce, as large responders do).
func BenchmarkAuthentication(b *testing.B) {
	w := newWorld(b)
	cards := make([][]byte, distinctCards)
	answers := map[string][]byte{}
	for i := range cards {
		c := w.card(nil)
		cards[i] = c.Raw
		answers[c.SerialNumber.String()] = w.answer(reply{serial: c.SerialNumber})
	}
	w.ocsp = func(serial *big.Int, _ []byte) []byte { return answers[serial.String()] }
	b.Run("rawP384", func(b *testing.B) {
		digest := sha512.Sum384([]byte("a digest"))
		key := leafKey()
		signature := must(ecdsa.SignASN1(rand.Reader, key, digest[:]))
		for b.Loop() {
			if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
				b.Fatal("does not verify")
			}
		}
		perSecond(b)
	})
	check := func(b *testing.B, v *Verifier, i int) {
		if _, err := v.Authentication(context.Background(), cards[i%distinctCards]); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("seen", func(b *testing.B) {
		v := w.verifier(nil)
		for i := range cards {
			check(b, v, i)
		}
		i := 0
		for b.Loop() {
			check(b, v, i)
			i++
		}
		perSecond(b)
	})
	b.Run("unseen", func(b *testing.B) {
		v := w.verifier(nil)
		i := 0
		for b.Loop() {
			if i%distinctCards == 0 {
				b.StopTimer()
				v = w.verifier(nil) // forgets the cards; the intermediate comes with it
				check(b, v, 1)
				i++
				b.StartTimer()
			}
			check(b, v, i)
			i++
		}
		perSecond(b)
	})
	b.Run("parse", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := x509.ParseCertificate(cards[i%distinctCards]); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b)
	})
}

func perSecond(b *testing.B) { b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "/s") }
