package staff_test

import (
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/portal/staff"
)

func join(t *testing.T, s *staff.Register, subject string, role staff.Role) {
	t.Helper()
	if _, err := s.Join(ctx, "beaumarais", invite(t, s, role), subject, "N "+subject); err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, err error, key string) {
	t.Helper()
	if fault.KeyOf(err) != key || (err == nil) != (key == "") {
		t.Errorf("got %v, want %q", err, key)
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	each(t, func(t *testing.T, s *staff.Register, _ *clock.Hand, log *audit.Log, _ *sqldb.DB) {
		join(t, s, "a", staff.Administrator)
		join(t, s, "b", staff.Clerk)
		wants(t, s.SetRole(ctx, "beaumarais", "a", staff.Clerk, "a"), "staff.last_administrator")
		wants(t, s.Remove(ctx, "beaumarais", "a", "operator"), "staff.last_administrator")
		wants(t, s.SetRole(ctx, "beaumarais", "b", "mayor", "a"), "clerk.staff.invite_incomplete")
		wants(t, s.SetRole(ctx, "zandvoorde", "b", staff.Administrator, "a"), "clerk.staff.unknown")
		wants(t, s.SetRole(ctx, "beaumarais", "b", staff.Administrator, "a"), "")
		// Each removes the other at once: one of them stays.
		var wg sync.WaitGroup
		wg.Go(func() { s.Remove(ctx, "beaumarais", "a", "b") })
		wg.Go(func() { s.SetRole(ctx, "beaumarais", "b", staff.Clerk, "a") })
		wg.Wait()
		members, err := s.Members(ctx, "beaumarais")
		if err != nil {
			t.Fatal(err)
		}
		administrators := 0
		for _, m := range members {
			if m.Role == staff.Administrator {
				administrators++
			}
		}
		if administrators != 1 {
			t.Errorf("%d administrators are left", administrators)
		}
		if err := log.Verify(ctx, "beaumarais"); err != nil {
			t.Error(err)
		}
	})
}

func TestEachRoleMayWhatTheOneBeforeMay(t *testing.T) {
	for i, r := range staff.Roles {
		if !r.Known() || r.Approves() != (i > 0) {
			t.Errorf("%s: approves %v", r, r.Approves())
		}
	}
	if staff.Role("").Known() || staff.Role("mayor").Approves() {
		t.Error("somebody without a role has one")
	}
}

func TestADeputyStandsIn(t *testing.T) {
	each(t, func(t *testing.T, s *staff.Register, hand *clock.Hand, _ *audit.Log, _ *sqldb.DB) { // it is Tuesday 3 February 2026
		for _, subject := range []string{"a", "b", "c"} {
			join(t, s, subject, staff.Approver)
		}
		set := func(subject, deputy, from, to string) error {
			return s.SetAbsence(ctx, "beaumarais", staff.Absence{Subject: subject, Deputy: deputy, From: from, To: to}, subject)
		}
		for name, c := range map[string]struct{ deputy, from, to, key string }{
			"no day":       {"b", "", "2026-02-05", "staff.absence.days"},
			"backwards":    {"b", "2026-02-06", "2026-02-05", "staff.absence.days"},
			"over":         {"b", "2026-01-06", "2026-02-02", "staff.absence.days"},
			"for ever":     {"b", "2026-02-06", "2029-02-05", "staff.absence.days"},
			"nobody":       {"", "2026-02-04", "2026-02-05", "staff.absence.deputy_missing"},
			"oneself":      {"a", "2026-02-04", "2026-02-05", "staff.absence.deputy_missing"},
			"a stranger":   {"x", "2026-02-04", "2026-02-05", "clerk.staff.unknown"},
			"as it can be": {"b", "2026-02-04", "2026-02-05", ""},
		} {
			t.Log(name)
			wants(t, set("a", c.deputy, c.from, c.to), c.key)
		}
		wants(t, set("c", "b", "2026-02-03", "2026-02-10"), "")
		standsIn := func(want ...string) {
			t.Helper()
			got, err := s.StandsInFor(ctx, "beaumarais", "b")
			if err != nil || len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
				t.Errorf("on %s b stands in for %v, want %v (%v)", hand.Now().Format(time.DateOnly), got, want, err)
			}
		}
		standsIn("c")
		if got, err := s.StandsInFor(ctx, "zandvoorde", "b"); err != nil || len(got) != 0 {
			t.Errorf("in another commune: %v, %v", got, err)
		}
		hand.Add(24 * time.Hour)
		standsIn("a", "c")
		hand.Add(48 * time.Hour) // Friday 6 February
		standsIn("c")
		all, err := s.Absences(ctx, "beaumarais")
		if err != nil || len(all) != 1 || !all["c"].Away(hand.Now()) || all["a"].Away(hand.Now()) {
			t.Errorf("%+v, %v", all, err)
		}
		wants(t, s.EndAbsence(ctx, "beaumarais", "c", "c"), "")
		wants(t, s.EndAbsence(ctx, "beaumarais", "c", "c"), "staff.absence.none")
		standsIn()
		wants(t, set("c", "b", "2026-02-06", "2026-02-10"), "")
		wants(t, s.Remove(ctx, "beaumarais", "b", "a"), "") // and with b the standing in
		standsIn()
	})
}
