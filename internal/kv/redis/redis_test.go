package redis_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/kv/kvtest"
	"github.com/belfry-eid/belfry/internal/kv/redis"
	"github.com/belfry-eid/belfry/internal/kv/redis/redistest"
)

func open(t *testing.T, cfg redis.Config) *redis.Store {
	t.Helper()
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	s, err := redis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSuite(t *testing.T) {
	server := redistest.New(t, "--requirepass", "not secret")
	kvtest.Run(t, func(t *testing.T, now clock.Clock) kv.Store {
		return open(t, redis.Config{Addresses: []string{server.Address}, Password: "not secret", Database: 3, Clock: now})
	}, nil)
}

func TestSuiteBehindSentinels(t *testing.T) {
	g := redistest.NewGroup(t)
	kvtest.Run(t, func(t *testing.T, now clock.Clock) kv.Store {
		return open(t, redis.Config{Addresses: g.Sentinels, Primary: g.Name, Clock: now})
	}, nil)
}

// Values leave Redis by themselves, also those that nobody asks for again.
func TestNothingStays(t *testing.T) {
	server := redistest.New(t)
	s := open(t, redis.Config{Addresses: []string{server.Address}})
	ctx := t.Context()
	if err := s.Put(ctx, "v", []byte("x"), 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Incr(ctx, "n", 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if n := server.Do("DBSIZE"); n != "2" {
		t.Errorf("%s keys", n)
	}
	for end := time.Now().Add(10 * time.Second); server.Do("DBSIZE") != "0"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("keys are still there")
		}
	}
}

// A Redis that is away, full or without the right password refuses, in kind: callers
// answer 503 and let nobody in.
func TestRefusesWhenItCannotServe(t *testing.T) {
	away := redistest.New(t)
	away.Kill()
	full := redistest.New(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
	locked := redistest.New(t, "--requirepass", "not secret")
	for name, address := range map[string]string{"away": away.Address, "full": full.Address, "locked": locked.Address} {
		s := open(t, redis.Config{Addresses: []string{address}})
		begin := time.Now()
		err := s.Put(t.Context(), "v", []byte("x"), time.Minute)
		if fault.KindOf(err) != fault.Unreachable || errors.Is(err, kv.ErrMissing) {
			t.Errorf("%s: Put: %v", name, err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s: it took %v to say so", name, took)
		}
		if name == "full" {
			continue // reading goes on
		}
		if _, err := s.Get(t.Context(), "v"); fault.KindOf(err) != fault.Unreachable || errors.Is(err, kv.ErrMissing) {
			t.Errorf("%s: Get: %v", name, err)
		}
	}
}

// The primary dies: within seconds its replica serves, and no value is taken twice.
func TestFailOver(t *testing.T) {
	g := redistest.NewGroup(t)
	s := open(t, redis.Config{Addresses: g.Sentinels, Primary: g.Name})
	ctx := t.Context()
	if err := s.Put(ctx, "taken", []byte("x"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, "kept", []byte("y"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take(ctx, "taken"); err != nil {
		t.Fatal(err)
	}
	for g.Nodes[1].Do("GET", "belfry:v:kept") == "redis: nil" { // replication is not ours to prove
		time.Sleep(10 * time.Millisecond)
	}
	g.Primary().Kill()
	begin := time.Now()
	var last error
	for end := begin.Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if last = s.Put(ctx, "after", []byte("z"), time.Hour); last == nil {
			break
		}
		if fault.KindOf(last) != fault.Unreachable {
			t.Fatalf("meanwhile: %v", last)
		}
		if time.Now().After(end) {
			t.Fatalf("nothing serves: %v", last)
		}
	}
	t.Logf("the replica served after %v", time.Since(begin).Round(10*time.Millisecond))
	if _, err := s.Take(ctx, "taken"); !errors.Is(err, kv.ErrMissing) {
		t.Errorf("a value was taken again: %v", err)
	}
	if v, err := s.Get(ctx, "kept"); err != nil || string(v) != "y" {
		t.Errorf("%q, %v", v, err)
	}
}

func TestSettingsThatContradict(t *testing.T) {
	for name, cfg := range map[string]redis.Config{
		"nowhere":                   {},
		"two servers":               {Addresses: []string{"a:1", "b:1"}},
		"a cluster with sentinels":  {Addresses: []string{"a:1"}, Cluster: true, Primary: "x"},
		"a cluster with a database": {Addresses: []string{"a:1"}, Cluster: true, Database: 1},
	} {
		if _, err := redis.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCancelledIsNotAway(t *testing.T) {
	server := redistest.New(t)
	s := open(t, redis.Config{Addresses: []string{server.Address}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Get(ctx, "v"); fault.KindOf(err) == fault.Unreachable || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestForget(t *testing.T) {
	server := redistest.New(t)
	ours, others := open(t, redis.Config{Addresses: []string{server.Address}}), open(t, redis.Config{Addresses: []string{server.Address}, Prefix: "else:"})
	ctx := t.Context()
	for i := range 2500 {
		if err := ours.Put(ctx, fmt.Sprint(i), []byte("x"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := others.Put(ctx, "1", []byte("x"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := ours.Forget(ctx); err != nil {
		t.Fatal(err)
	}
	if n := server.Do("DBSIZE"); n != "1" {
		t.Errorf("%s keys are left, one is somebody else's", n)
	}
}
