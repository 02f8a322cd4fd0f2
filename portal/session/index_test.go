package session_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/portal/session"
)

// A person finds all their sessions and ends one of them or all others; nobody else's is
// theirs to see or end.
func TestAPersonFindsAndEndsTheirSessions(t *testing.T) {
	st, inside, hand := made(t)
	begin := func(c commune.ID, subject string, d session.Device) string {
		s := luc(t)
		s.Commune, s.Subject = c, subject
		secret, err := st.Create(ctx, s, d)
		if err != nil {
			t.Fatal(err)
		}
		hand.Add(time.Minute)
		return secret
	}
	firefox := session.Device{Browser: "Firefox", System: "Windows"}
	first := begin("beaumarais", "s-luc", firefox)
	before := begin("beaumarais", "s-before", session.Device{System: "iPhone"})
	here := begin("beaumarais", "s-luc", session.Device{})
	other := begin("beaumarais", "s-anna", firefox)
	there := begin("zandvoorde", "s-luc", firefox)
	subjects := []string{"s-luc", "s-before"}
	list := func() []session.Open {
		t.Helper()
		found, err := st.List(ctx, "beaumarais", subjects, here)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	all := list()
	if len(all) != 3 || !all[0].Current || all[1].Current || all[2].Current || all[2].Device != firefox || all[1].Device.System != "iPhone" || !all[2].Began.Before(all[1].Began) {
		t.Fatalf("%+v", all)
	}
	for key, value := range inside.values {
		if strings.Contains(key+string(value), "s-luc") || strings.Contains(string(value), "Firefox") || strings.Contains(key+string(value), first) {
			t.Errorf("the store shows whose or what: %s", key)
		}
	}
	// Another's ID ends nothing of theirs.
	if err := st.EndOpen(ctx, "beaumarais", []string{"s-anna"}, other, all[2].ID); err != nil || len(list()) != 3 {
		t.Errorf("somebody else has ended it: %v", err)
	}
	if err := st.EndOpen(ctx, "beaumarais", subjects, here, all[2].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Get(ctx, "beaumarais", first); !errors.Is(err, session.ErrNone) || len(list()) != 2 {
		t.Errorf("the one that was ended goes on: %v", err)
	}
	if err := st.EndOpen(ctx, "beaumarais", subjects, here, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Get(ctx, "beaumarais", before); !errors.Is(err, session.ErrNone) || len(list()) != 1 {
		t.Errorf("another goes on: %v", err)
	}
	for name, s := range map[string]struct {
		c      commune.ID
		secret string
	}{"this one": {"beaumarais", here}, "somebody else's": {"beaumarais", other}, "another commune's": {"zandvoorde", there}} {
		if _, err := st.Get(ctx, s.c, s.secret); err != nil {
			t.Errorf("%s has ended: %v", name, err)
		}
	}
	// What has ended by itself is not there; what a request keeps alive is, whatever the row.
	hand.Add(session.Idle + time.Minute)
	if n := len(list()); n != 0 {
		t.Errorf("%d sessions after the time is over", n)
	}
}

// Of many that begin at once none is hidden, and each is found for as long as it may last.
func TestNoSessionHidesAnother(t *testing.T) {
	st, _, hand := made(t)
	for range 12 { // wherever in a period they begin
		hand.Add(47 * time.Minute)
		var wait sync.WaitGroup
		secrets := make([]string, 8)
		for i := range secrets {
			wait.Go(func() {
				var err error
				if secrets[i], err = st.Create(ctx, luc(t), session.Device{}); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		end := hand.Now().Add(session.Whole)
		for hand.Now().Before(end.Add(-session.Idle)) {
			hand.Add(session.Idle - 5*time.Minute)
			for _, secret := range secrets {
				s, err := st.Get(ctx, "beaumarais", secret)
				if err != nil {
					t.Fatal(err)
				}
				if err := st.Used(ctx, secret, s); err != nil {
					t.Fatal(err)
				}
			}
			if open, err := st.List(ctx, "beaumarais", []string{"s-luc"}, ""); err != nil || len(open) != 8 {
				t.Fatalf("%d of 8 are found, %v", len(open), err)
			}
		}
	}
}
