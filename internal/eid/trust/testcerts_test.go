package trust_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/responder"
)

func verifier(t testing.TB, w *testcerts.World, change func(*trust.Config)) *trust.Verifier {
	t.Helper()
	cfg := trust.Config{Roots: w.Roots(), Intermediates: w.Intermediates(), Hosts: w.Hosts()}
	if change != nil {
		change(&cfg)
	}
	v, err := trust.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The invented people and what is the matter with their cards.
func TestPeoplesCards(t *testing.T) {
	w := testcerts.New(t)
	wants := map[testcerts.Status]error{
		testcerts.Good: nil, testcerts.Revoked: trust.ErrRevoked, testcerts.Suspended: trust.ErrRevoked,
		testcerts.Expired: trust.ErrExpired, testcerts.NotYet: trust.ErrNotYetValid, testcerts.UnknownCA: trust.ErrUnknownCA,
	}
	for _, p := range w.People() {
		c := w.Citizen(p.Name)
		if c.Authentication == nil {
			continue
		}
		got, err := verifier(t, w, nil).Authentication(context.Background(), c.Authentication.Raw)
		if !errors.Is(err, wants[c.Status]) {
			t.Errorf("%s, %s: %v", p.Name, c.Status, err)
		}
		if err == nil {
			who, err := trust.CitizenOf(got)
			if err != nil || who.Name() != c.FullName() || who.Foreigner != c.Foreigner || who.Number.Reveal() != c.Number {
				t.Errorf("%s: another holder: %v", p.Name, err)
			}
		}
		if c.Signature != nil && c.Status == testcerts.Good {
			if _, err := verifier(t, w, nil).Authentication(context.Background(), c.Signature.Raw); !errors.Is(err, trust.ErrWrongUse) {
				t.Errorf("%s: the signature certificate signs in: %v", p.Name, err)
			}
		}
	}
}

// The signature certificate signs and the authentication certificate does not; a card
// reported stolen a moment ago does not sign, though it could still sign in.
func TestSignatureCertificates(t *testing.T) {
	w := testcerts.New(t)
	v := verifier(t, w, nil)
	for name, want := range map[string]error{"sofie": nil, "amina": nil, "marc": trust.ErrRevoked, "greta": trust.ErrExpired, "nina": trust.ErrUnknownCA} {
		c := w.Citizen(name)
		got, err := v.Signature(context.Background(), c.Signature.Raw)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if who, err := trust.CitizenOf(got); err != nil || who.Number.Reveal() != c.Number || who.Foreigner != c.Foreigner {
				t.Errorf("%s: another holder: %v", name, err)
			}
		}
		if _, err := v.Signature(context.Background(), c.Authentication.Raw); !errors.Is(err, trust.ErrWrongUse) {
			t.Errorf("%s: the authentication certificate signs: %v", name, err)
		}
	}
	sofie := w.Citizen("sofie")
	sofie.Revoke()
	if _, err := v.Signature(context.Background(), sofie.Signature.Raw); !errors.Is(err, trust.ErrRevoked) {
		t.Errorf("a moment after it was revoked: %v", err)
	}
}

// Every way in which the responder can be wrong: the revocation list
// answers for it, and where that is away too, the login is refused with its words.
func TestResponderBehaviours(t *testing.T) {
	w := testcerts.New(t, testcerts.Own())
	card := w.Citizen("sofie").Authentication.Raw
	believed := map[responder.Behaviour]error{
		responder.Good: nil, responder.NoNonce: nil, responder.Bundled: nil,
		responder.Revoked: trust.ErrRevoked, responder.Unknown: trust.ErrRevoked,
	}
	for _, b := range responder.Behaviours(responder.OCSP) {
		for _, crl := range []responder.Behaviour{responder.Good, responder.Gone} {
			w.Reset()
			v := verifier(t, w, nil)
			// The CAs' status is known, so that only the card's is asked badly.
			if _, err := v.Authentication(context.Background(), w.Citizen("luc").Authentication.Raw); err != nil {
				t.Fatal(err)
			}
			set(t, w, responder.OCSP, b)
			set(t, w, responder.CRL, crl)
			want, known := believed[b]
			if !known && crl != responder.Good {
				want = trust.ErrResponderDown
			}
			if _, err := v.Authentication(context.Background(), card); !errors.Is(err, want) {
				t.Errorf("OCSP %s, CRL %s: %v, want %v", b, crl, err, want)
			}
		}
	}
	for _, b := range responder.Behaviours(responder.CRL) {
		w.Reset()
		v := verifier(t, w, nil)
		if _, err := v.Authentication(context.Background(), w.Citizen("luc").Authentication.Raw); err != nil {
			t.Fatal(err)
		}
		set(t, w, responder.OCSP, responder.TryLater)
		set(t, w, responder.CRL, b)
		want := trust.ErrResponderDown
		if b == responder.Good {
			want = nil
		}
		if _, err := v.Authentication(context.Background(), card); (want == nil) != (err == nil) || want != nil && !errors.Is(err, want) {
			t.Errorf("OCSP away, CRL %s: %v", b, err)
		}
	}
	w.Reset()
	for _, b := range responder.Behaviours(responder.AIA) {
		set(t, w, responder.AIA, b)
		_, err := verifier(t, w, func(c *trust.Config) { c.Intermediates = nil }).Authentication(context.Background(), card)
		if (b == responder.Good) != (err == nil) || err != nil && !errors.Is(err, trust.ErrResponderDown) && !errors.Is(err, trust.ErrUnknownCA) {
			t.Errorf("AIA %s: %v", b, err)
		}
	}
}

// A responder that hangs costs five seconds; then the revocation list answers.
func TestSlowResponder(t *testing.T) {
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	w := testcerts.New(t, testcerts.Own())
	t.Parallel()
	card := w.Citizen("sofie").Authentication.Raw
	v := verifier(t, w, nil)
	if _, err := v.Authentication(context.Background(), w.Citizen("luc").Authentication.Raw); err != nil {
		t.Fatal(err)
	}
	set(t, w, responder.OCSP, responder.Late(30*time.Second))
	began := time.Now()
	_, err := v.Authentication(context.Background(), card)
	if took := time.Since(began); err != nil || took < 4*time.Second || took > 15*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	// The next one does not wait: that address is left alone for a while.
	began = time.Now()
	if _, err := v.Authentication(context.Background(), w.Citizen("claire").Authentication.Raw); err != nil || time.Since(began) > 2*time.Second {
		t.Errorf("the next login: %v after %v", err, time.Since(began))
	}
	// Whoever leaves is not waited for.
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	began = time.Now()
	if _, err := verifier(t, w, nil).Authentication(ctx, card); !errors.Is(err, trust.ErrResponderDown) || time.Since(began) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func set(t *testing.T, w *testcerts.World, s responder.Service, b responder.Behaviour) {
	t.Helper()
	if err := w.Responder.Set(s, b); err != nil {
		t.Fatal(err)
	}
}

// A card reported stolen is refused after Reuse, and at once by a verifier that asks anew.
func TestStolenCard(t *testing.T) {
	now := clock.NewHand(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))
	w := testcerts.New(t, testcerts.Clock(now.Now))
	v := verifier(t, w, func(c *trust.Config) { c.Clock = now.Now })
	card := w.Citizen("sofie")
	if _, err := v.Authentication(context.Background(), card.Authentication.Raw); err != nil {
		t.Fatal(err)
	}
	card.Revoke()
	now.Add(5*time.Minute + time.Second)
	if _, err := v.Authentication(context.Background(), card.Authentication.Raw); !errors.Is(err, trust.ErrRevoked) {
		t.Errorf("five minutes after the report: %v", err)
	}
}
