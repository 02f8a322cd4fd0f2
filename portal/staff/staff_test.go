package staff_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/portal/staff"
)

var ctx = context.Background()

func each(t *testing.T, f func(*testing.T, *staff.Register, *clock.Hand, *audit.Log, *sqldb.DB)) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			log, err := audit.New(db, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			hand := clock.NewHand(time.Date(2026, 2, 3, 11, 0, 0, 0, time.UTC))
			register, err := staff.New(ctx, db, log, hand.Now)
			if err != nil {
				t.Fatal(err)
			}
			f(t, register, hand, log, db)
		})
	}
}

func invite(t *testing.T, s *staff.Register, role staff.Role) string {
	t.Helper()
	code, err := s.Invite(ctx, "beaumarais", "Claire Dubois", role, "operator")
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestAnInvitationMakesOneMember(t *testing.T) {
	each(t, func(t *testing.T, s *staff.Register, _ *clock.Hand, log *audit.Log, db *sqldb.DB) {
		code := invite(t, s, staff.Clerk)
		var won atomic.Int32
		var wait sync.WaitGroup
		for _, subject := range []string{"a", "b", "c", "d", "e", "f"} {
			wait.Go(func() {
				if _, err := s.Join(ctx, "beaumarais", code, subject, subject); err == nil {
					won.Add(1)
				} else if fault.KeyOf(err) != "clerk.join.unknown" {
					t.Errorf("%s: %v", subject, err)
				}
			})
		}
		wait.Wait()
		members, err := s.Members(ctx, "beaumarais")
		if err != nil || won.Load() != 1 || len(members) != 1 {
			t.Errorf("%d joined, %d members, %v", won.Load(), len(members), err)
		}
		if err := log.Verify(ctx, "beaumarais"); err != nil {
			t.Error(err)
		}
		var kept string
		if err := db.QueryRow(ctx, `SELECT id FROM staff_invitation`).Scan(&kept); err != nil || strings.Contains(kept, code) || strings.Contains(kept, strings.ReplaceAll(code, "-", "")) {
			t.Errorf("the code itself is kept: %v", err)
		}
	})
}

func TestWhoWorksWhere(t *testing.T) {
	each(t, func(t *testing.T, s *staff.Register, hand *clock.Hand, _ *audit.Log, _ *sqldb.DB) {
		code := invite(t, s, staff.Administrator)
		if _, err := s.Join(ctx, "zandvoorde", code, "claire", "Claire"); fault.KeyOf(err) != "clerk.join.unknown" {
			t.Errorf("an invitation of another commune counted: %v", err)
		}
		if _, err := s.Join(ctx, "beaumarais", strings.ToLower(code), "claire", "Claire"); err != nil {
			t.Fatal(err)
		}
		if m, err := s.Member(ctx, "beaumarais", "claire"); err != nil || m == nil || m.Role != staff.Administrator || m.Name != "Claire" {
			t.Errorf("%+v %v", m, err)
		}
		if m, err := s.Member(ctx, "zandvoorde", "claire"); err != nil || m != nil {
			t.Errorf("at another commune: %+v %v", m, err)
		}
		if _, err := s.Join(ctx, "beaumarais", invite(t, s, staff.Clerk), "claire", "Claire"); fault.KeyOf(err) != "clerk.join.already" {
			t.Errorf("joined twice: %v", err)
		}
		if err := s.Remove(ctx, "beaumarais", "claire", "claire"); fault.KeyOf(err) != "clerk.staff.not_self" {
			t.Errorf("removed herself: %v", err)
		}
		if err := s.Remove(ctx, "zandvoorde", "claire", "wim"); fault.KeyOf(err) != "clerk.staff.unknown" {
			t.Errorf("removed from another commune: %v", err)
		}
		join(t, s, "zoe", staff.Administrator)
		if err := s.Remove(ctx, "beaumarais", "claire", "operator"); err != nil {
			t.Fatal(err)
		}
		if m, _ := s.Member(ctx, "beaumarais", "claire"); m != nil {
			t.Error("still a member")
		}
		if m, err := s.Join(ctx, "beaumarais", invite(t, s, staff.Clerk), "claire", "Claire"); err != nil || m.Role != staff.Clerk {
			t.Errorf("invited again: %v", err)
		}
	})
}

func TestInvitationsEnd(t *testing.T) {
	each(t, func(t *testing.T, s *staff.Register, hand *clock.Hand, _ *audit.Log, _ *sqldb.DB) {
		taken, late := invite(t, s, staff.Clerk), invite(t, s, staff.Clerk)
		open, err := s.Invitations(ctx, "beaumarais")
		if err != nil || len(open) != 2 {
			t.Fatalf("%d open, %v", len(open), err)
		}
		inv, err := s.Invited(ctx, "beaumarais", taken)
		if err != nil || inv.Name != "Claire Dubois" {
			t.Fatal(err)
		}
		if err := s.Withdraw(ctx, "zandvoorde", inv.ID, "operator"); err == nil {
			t.Error("another commune withdrew it")
		}
		if err := s.Withdraw(ctx, "beaumarais", inv.ID, "operator"); err != nil {
			t.Fatal(err)
		}
		hand.Add(time.Microsecond)
		if _, err := s.Join(ctx, "beaumarais", taken, "x", "X"); err == nil {
			t.Error("a withdrawn invitation counted")
		}
		hand.Add(staff.Lifetime)
		if _, err := s.Join(ctx, "beaumarais", late, "x", "X"); err == nil {
			t.Error("an old invitation counted")
		}
		for _, bad := range []struct {
			name string
			role staff.Role
		}{{"", staff.Clerk}, {"  ", staff.Clerk}, {"X", "mayor"}, {strings.Repeat("x", 300), staff.Clerk}} {
			if _, err := s.Invite(ctx, "beaumarais", bad.name, bad.role, "operator"); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%q as %q: %v", bad.name, bad.role, err)
			}
		}
	})
}

// What goes with joining and leaving happens in the same transaction, or neither does.
func TestWhatGoesWithJoiningAndLeaving(t *testing.T) {
	each(t, func(t *testing.T, s *staff.Register, _ *clock.Hand, _ *audit.Log, _ *sqldb.DB) {
		join(t, s, "a", staff.Administrator)
		no := errors.New("no")
		code := invite(t, s, staff.Clerk)
		if _, err := s.Join(ctx, "beaumarais", code, "b", "B", func(*sqldb.Tx, string) error { return no }); !errors.Is(err, no) {
			t.Errorf("joined: %v", err)
		}
		told := ""
		if _, err := s.Join(ctx, "beaumarais", code, "b", "B", func(_ *sqldb.Tx, invitation string) error { told = invitation; return nil }); err != nil || told == "" {
			t.Errorf("the invitation was not good again: %v, told %q", err, told)
		}
		if err := s.Remove(ctx, "beaumarais", "b", "a", func(*sqldb.Tx) error { return no }); !errors.Is(err, no) {
			t.Errorf("removed: %v", err)
		}
		if m, err := s.Member(ctx, "beaumarais", "b"); err != nil || m == nil {
			t.Errorf("gone although what goes with it failed: %v", err)
		}
	})
}
