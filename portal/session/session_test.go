package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/portal/session"
)

var ctx = context.Background()

// store is a kv in memory that lets the test look inside; lifetimes do not run in it.
type store struct {
	kv.Store
	mu     sync.Mutex
	values map[string][]byte
	counts map[string]int64
}

func (s *store) Put(_ context.Context, key string, v []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ttl <= 0 {
		return errors.New("no lifetime")
	}
	s.values[key] = v
	return nil
}

func (s *store) Get(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.values[key]; ok {
		return v, nil
	}
	return nil, kv.ErrMissing
}

func (s *store) Incr(_ context.Context, key string, _ time.Duration) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]int64{}
	}
	s.counts[key]++
	return s.counts[key], nil
}

func (s *store) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, key)
	return nil
}

func made(t *testing.T) (*session.Store, *store, *clock.Hand) {
	t.Helper()
	hand := clock.NewHand(time.Date(2026, 2, 3, 11, 0, 0, 0, time.UTC))
	inside := &store{values: map[string][]byte{}}
	st, err := session.NewStore(inside, bytes.Repeat([]byte{7}, 32), hand.Now)
	if err != nil {
		t.Fatal(err)
	}
	return st, inside, hand
}

func luc(t *testing.T) session.Session {
	t.Helper()
	head := 857300001
	n, err := eid.ParseNationalNumber(fmt.Sprintf("%09d%02d", head, 97-head%97))
	if err != nil {
		t.Fatal(err)
	}
	return session.Session{Commune: "beaumarais", Subject: "s-luc", Former: []string{"s-before"}, GivenNames: "Luc", Surname: "Lambert", Number: n, IDToken: "the.id.token"}
}

func TestASessionComesBackWhole(t *testing.T) {
	st, _, hand := made(t)
	want := luc(t)
	secret, err := st.Create(ctx, want, session.Device{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := st.Get(ctx, "beaumarais", secret)
	want.Began, want.Seen = hand.Now(), hand.Now()
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("another session came back (%v)", err)
	}
	if got.Name() != "Luc Lambert" {
		t.Error(got.Name())
	}
}

func TestTheStoreShowsNothing(t *testing.T) {
	st, inside, _ := made(t)
	who := luc(t)
	secret, err := st.Create(ctx, who, session.Device{})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Keep(ctx, "beaumarais", secret, "draft/x", map[string]string{"email": "luc@example.be"}); err != nil {
		t.Fatal(err)
	}
	for key, value := range inside.values {
		all := key + string(value)
		for _, hidden := range []string{secret, who.Number.Reveal(), "Lambert", "the.id.token", "luc@example.be"} {
			if strings.Contains(all, hidden) {
				t.Error("the store shows something it should not")
			}
		}
	}
}

func TestASecretOpensOneCommuneOnly(t *testing.T) {
	st, inside, _ := made(t)
	secret, err := st.Create(ctx, luc(t), session.Device{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Get(ctx, "zandvoorde", secret); !errors.Is(err, session.ErrNone) {
		t.Errorf("opened at another commune: %v", err)
	}
	// Not even where somebody moves the value in the store.
	for key, value := range inside.values {
		inside.values[strings.Replace(key, "/beaumarais/", "/zandvoorde/", 1)] = value
	}
	if _, err := st.Get(ctx, "zandvoorde", secret); !errors.Is(err, session.ErrNone) {
		t.Errorf("opened after it was moved: %v", err)
	}
	for _, wrong := range []string{"", "x", secret + "x", strings.Repeat("x", 1000)} {
		if _, err := st.Get(ctx, "beaumarais", wrong); !errors.Is(err, session.ErrNone) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestAnotherInstallKeyEndsSessions(t *testing.T) {
	st, inside, hand := made(t)
	secret, err := st.Create(ctx, luc(t), session.Device{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := session.NewStore(inside, bytes.Repeat([]byte{8}, 32), hand.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Get(ctx, "beaumarais", secret); !errors.Is(err, session.ErrNone) {
		t.Error(err)
	}
	if _, err := session.NewStore(inside, []byte("short"), hand.Now); err == nil {
		t.Error("a short key was taken")
	}
}

// use is a request that goes on in the session.
func use(st *session.Store, secret string) (*session.Session, error) {
	s, err := st.Get(ctx, "beaumarais", secret)
	if err != nil {
		return nil, err
	}
	return s, st.Used(ctx, secret, s)
}

func TestSeenTellsTheRequestBefore(t *testing.T) {
	st, _, hand := made(t)
	began := hand.Now()
	secret, err := st.Create(ctx, luc(t), session.Device{})
	if err != nil {
		t.Fatal(err)
	}
	hand.Add(20 * time.Minute)
	if s, err := use(st, secret); err != nil || !s.Seen.Equal(began) {
		t.Errorf("first: %v", err)
	}
	hand.Add(20 * time.Minute)
	if s, err := use(st, secret); err != nil || !s.Seen.Equal(began.Add(20*time.Minute)) {
		t.Errorf("second: %v", err)
	}
	hand.Add(session.Idle + time.Second)
	if _, err := use(st, secret); !errors.Is(err, session.ErrNone) {
		t.Errorf("idle: %v", err)
	}
}

// slow lets the test act between a session's reading and the note that it is in use.
type slow struct {
	kv.Store
	before func(key string)
}

func (s *slow) Put(ctx context.Context, key string, v []byte, ttl time.Duration) error {
	if s.before != nil {
		s.before(key)
	}
	return s.Store.Put(ctx, key, v, ttl)
}

func TestARequestUnderWayDoesNotReviveASession(t *testing.T) {
	_, inside, hand := made(t)
	late := &slow{Store: inside}
	st, err := session.NewStore(late, bytes.Repeat([]byte{7}, 32), hand.Now)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := st.Create(ctx, luc(t), session.Device{})
	if err != nil {
		t.Fatal(err)
	}
	hand.Add(5 * time.Minute)
	ended := false
	late.before = func(string) {
		ended = true
		if err := st.End(ctx, "beaumarais", secret); err != nil {
			t.Error(err)
		}
	}
	if _, err := use(st, secret); err != nil || !ended {
		t.Fatalf("the request under way: %v, ended %v", err, ended)
	}
	late.before = nil
	if _, err := use(st, secret); !errors.Is(err, session.ErrNone) {
		t.Errorf("the session is alive again: %v", err)
	}
}

// What the provider ends, ends at this commune: sessions there are, and one that a code
// under way begins afterwards. Others go on.
func TestTheProviderEndsItsSessions(t *testing.T) {
	st, _, _ := made(t)
	begin := func(c commune.ID, providers string) string {
		s := luc(t)
		s.Commune, s.SessionID = c, providers
		secret, err := st.Create(ctx, s, session.Device{})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	before := begin("beaumarais", "one")
	others := map[string]commune.ID{begin("beaumarais", "two"): "beaumarais", begin("zandvoorde", "one"): "zandvoorde", begin("beaumarais", ""): "beaumarais"}
	if err := st.EndAll(ctx, "beaumarais", "one"); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{before, begin("beaumarais", "one")} {
		if _, err := st.Get(ctx, "beaumarais", secret); !errors.Is(err, session.ErrNone) {
			t.Errorf("goes on: %v", err)
		}
	}
	for secret, c := range others {
		if _, err := st.Get(ctx, c, secret); err != nil {
			t.Errorf("another session at %s: %v", c, err)
		}
	}
}

// The clock jumps: a session made by a clock that ran ahead does not outlive two whole
// ones, and one that is set back by an hour ends nobody's.
func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour, -56 * 365 * 24 * time.Hour} {
		st, _, hand := made(t)
		before, err := st.Create(ctx, luc(t), session.Device{})
		if err != nil {
			t.Fatal(err)
		}
		hand.Add(jump)
		if _, err := use(st, before); (err == nil) != (jump == -time.Hour) {
			t.Errorf("%v later: %v", jump, err)
		}
		meanwhile, err := st.Create(ctx, luc(t), session.Device{})
		if err != nil {
			t.Fatal(err)
		}
		hand.Add(-jump)
		lasts := time.Duration(0)
		for ; lasts < 48*time.Hour; lasts += 20 * time.Minute {
			if _, err := use(st, meanwhile); err != nil {
				break
			}
			hand.Add(20 * time.Minute)
		}
		if lasts > 2*session.Whole {
			t.Errorf("begun %v away from the right time, a session lasts %v", jump, lasts)
		}
		t.Logf("begun by a clock that was %v off: %v by the right one", jump, lasts)
	}
}
