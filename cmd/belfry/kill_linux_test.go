package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// stops picks from the calls of one order those between which something differs for who
// comes after: every fsync, rename and removal, and of a row of writes to one file the
// first and the second. What a process killed later in the row has written is no more
// and no less visible: SQLite reads a row of frames whole or not at all.
type stops struct {
	last point
	row  int
}

func (s *stops) counts(p point) bool {
	if p != s.last {
		s.last, s.row = p, 0
	}
	s.row++
	return p.call != "pwrite64" || s.row <= 2 || torture
}

// at makes the nth stop from now on end as f says, once; all others go on.
func (b *broken) at(n int, kind func(point) bool, f fate) {
	var s stops
	passed := 0
	b.server.set(func(p point) fate {
		if s.counts(p) && kind(p) {
			if passed++; passed == n {
				return f
			}
		}
		return goOn
	})
}

// commit says whether a stop is a commit; SQLite calls fdatasync where the system has it.
func commit(p point) bool {
	return p == point{"fsync", "belfry.db-wal"} || p == point{"fdatasync", "belfry.db-wal"}
}

// unharmed does one order and returns the stops it passed.
func (b *broken) unharmed(d *deal) (passed []point) {
	b.t.Helper()
	var s stops
	b.server.set(func(p point) fate {
		if s.counts(p) {
			passed = append(passed, p)
		}
		return goOn
	})
	b.through([]*deal{d}, (*deal).all)
	b.server.set(nil)
	return passed
}

// Kill -9 at each point of one order where something is made to last.
func TestKilledAtEachStep(t *testing.T) {
	b := startBroken(t, nil)
	citizen, desk := b.signedIn("luc"), b.clerk("beaumarais", "claire")
	b.through([]*deal{b.newDeal(citizen, desk)}, (*deal).all) // the first one makes folders, and warms up
	passed := b.unharmed(b.newDeal(citizen, desk))
	points := map[string]int{}
	for _, p := range passed {
		points[p.String()]++
	}
	t.Logf("%d points in one order: %v", len(passed), points)
	step := 1
	if !torture {
		step = max(1, len(passed)/20)
	}
	killed, slowest := map[string]int{}, time.Duration(0)
	for n := 1; n <= len(passed); n += step {
		d := b.newDeal(citizen, desk)
		where := point{}
		b.at(n, func(p point) bool { where = p; return true }, die)
		l := b.through([]*deal{d}, (*deal).all)
		if len(l.exits) == 0 {
			t.Logf("an order passed unharmed before point %d", n)
			break
		}
		killed[where.String()]++
		slowest = max(slowest, l.slowest)
		if have := b.ledger(b.database()); have.orders != len(b.deals) || have.numbers != len(b.deals) || have.papers != len(b.deals) {
			t.Fatalf("killed at point %d, %v: %d orders acknowledged, and there are %v", n, where, len(b.deals), have)
		}
	}
	t.Logf("killed before %v", killed)
	t.Logf("%v; %d calls of the token; slowest from start to paper %v", b.holds(), b.calls(), slowest.Round(time.Millisecond))
}

// The disk refuses to sync. The process ends by itself, and the next one has all that
// was acknowledged.
func TestDiskThatFails(t *testing.T) {
	b := startBroken(t, nil)
	citizen, desk := b.signedIn("luc"), b.clerk("beaumarais", "claire")
	commits := 0
	for _, p := range b.unharmed(b.newDeal(citizen, desk)) {
		if commit(p) {
			commits++
		}
	}
	step := 1
	if !torture {
		step = max(1, commits/4)
	}
	ended, tried := 0, 0
	for n := 1; n <= commits; n += step {
		d := b.newDeal(citizen, desk)
		b.at(n, commit, fail)
		l := b.through([]*deal{d}, (*deal).all)
		tried++
		ended += len(l.exits)
		for _, code := range l.exits {
			if code != 1 {
				t.Errorf("commit %d: the process ended with %d", n, code)
			}
		}
	}
	if ended == 0 {
		t.Errorf("the process never ended")
	}
	t.Logf("%d commits in one order; in %d orders one fsync failed, %d times the process ended: %v", commits, tried, ended, b.holds())
}

// Eight orders at once, kill -9 at a random moment, or between the token's answer and
// the commit that keeps it.
func TestKilledWithOrdersInFlight(t *testing.T) {
	b := startBroken(t, nil)
	rounds, seed := 5, uint64(1)
	if torture {
		rounds, seed = 200, uint64(time.Now().UnixNano())
	}
	random := rand.New(rand.NewPCG(seed, 0))
	var citizens []*person // each in a browser of its own: the windows of one share a draft
	for i := range 8 {
		citizens = append(citizens, b.signedIn([]string{"luc", "amina"}[i%2]))
	}
	desk := b.clerk("beaumarais", "claire")
	var recoveries []time.Duration
	kills, answered := 0, 0
	for round := range rounds {
		var deals []*deal
		for i := range 8 {
			deals = append(deals, b.newDeal(citizens[i], desk))
		}
		s, timer := b.server, (*time.Timer)(nil)
		if round%2 == 0 {
			answered++
			calls, more := b.calls(), random.IntN(8)
			b.server.set(func(point) fate {
				if b.calls() > calls+more {
					return die
				}
				return goOn
			})
		} else {
			timer = time.AfterFunc(50*time.Millisecond+time.Duration(random.Int64N(int64(1450*time.Millisecond))), func() { s.cmd.Process.Kill() })
		}
		l := b.through(deals, (*deal).all)
		if timer != nil && !timer.Stop() && b.server == s { // killed when all was done
			<-s.done
			l.exits = append(l.exits, -1)
			b.start()
		}
		kills += len(l.exits)
		recoveries = append(recoveries, l.slowest)
		b.server.set(nil)
	}
	slices.Sort(recoveries)
	l := b.holds()
	if l.void == 0 {
		t.Error("no answer of the token was lost: the kills came at other moments than they should")
	}
	t.Logf("seed %d: %d rounds of 8 orders, %d kills, %d of them after the token's answer; %v; %d calls of the token; from start to the last paper: median %v, longest %v",
		seed, rounds, kills, answered, l, b.calls(), recoveries[len(recoveries)/2].Round(time.Millisecond), recoveries[len(recoveries)-1].Round(time.Millisecond))
}
