package card_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

// The card is taken out at each step of a sign-in, and put in again: the person is told
// that it was out, no token comes of it, no try of the PIN is spent on a card that is not
// there, and the same program signs in with it afterwards.
func TestTheCardIsTakenOutAtEachStep(t *testing.T) {
	f := softcard.NewFaulty(t)
	w := testcerts.New(t)
	held, err := w.MakeCard(testcerts.CardSpec{Person: testcerts.Person{Name: "out", GivenNames: "Test", Surname: "Personne", Number: "71715100070"}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := p11.Load(f.Module)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	one := find(t, m, held)
	if _, err := one.Authenticate(origin, nonce, held.Secret()); err != nil {
		t.Fatal(err)
	}

	const removed, noToken, deviceError = 0x32, 0xe0, 0x30 // PKCS #11: CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_DEVICE_ERROR
	steps := 0
	for _, step := range []struct {
		name   string
		fails  softcard.Failure
		logins int
	}{
		{"before it is looked for", softcard.Failure{Function: "GetSlotList", Code: softcard.NoSlots}, 0},
		{"when it is opened", softcard.Failure{Function: "OpenSession", Code: noToken}, 0},
		{"when the PIN is given", softcard.Failure{Function: "Login", Code: removed}, 1},
		{"when its key is asked", softcard.Failure{Function: "SignInit", Code: removed}, 1},
		{"while it signs", softcard.Failure{Function: "Sign", Code: removed}, 1},
		{"once it has signed", softcard.Failure{Function: "Sign", Code: removed, Lose: true}, 1},
		{"roughly, while it signs", softcard.Failure{Function: "Sign", Code: deviceError}, 1},
	} {
		before := f.Logins()
		f.Fail(step.fails)
		made, err := one.Authenticate(origin, nonce, held.Secret())
		if !errors.Is(err, card.ErrRemoved) && !errors.Is(err, card.ErrNoCard) {
			t.Errorf("out %s: %v", step.name, err)
		}
		if made.Signature != "" {
			t.Errorf("out %s: a token came of it", step.name)
		}
		if err != nil && strings.Contains(err.Error(), held.PIN) {
			t.Errorf("out %s: the error holds the PIN", step.name)
		}
		if n := f.Logins() - before; n > step.logins {
			t.Errorf("out %s: the PIN was given %d times", step.name, n)
		}
		f.Heal()
		again, err := one.Authenticate(origin, nonce, held.Secret())
		if err != nil {
			t.Errorf("in again after it was out %s: %v", step.name, err)
			continue
		}
		verify(t, again, origin, nonce, held)
		steps++
	}
	t.Logf("taken out at %d steps, signed in after each", steps)
}
