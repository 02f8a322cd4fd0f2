package orders

import (
	"testing"
	"time"
)

// A register that is silent is asked again after a minute, then ever more rarely, and a
// clerk takes over after a day. What a page says of it comes true.
func TestASilentRegisterIsAskedLessAndLess(t *testing.T) {
	begin := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	o := Order{ChangedAt: begin}
	var pauses []time.Duration
	for now := begin; now.Sub(begin) < relayPatience; {
		again, clerk := o.Again(now)
		if !clerk.Equal(begin.Add(24 * time.Hour)) {
			t.Fatalf("a clerk takes over at %v", clerk)
		}
		if !again.After(now) || again.After(clerk) {
			t.Fatalf("at %v the register is said to be asked again at %v", now, again)
		}
		pauses = append(pauses, again.Sub(now))
		now = again
	}
	if pauses[0] != time.Minute || pauses[4] != time.Minute {
		t.Errorf("the first pauses are %v", pauses[:5])
	}
	for i, p := range pauses[1 : len(pauses)-1] {
		if p < pauses[i] || p > 30*time.Minute {
			t.Errorf("pause %d is %v after %v", i+1, p, pauses[i])
		}
	}
	if len(pauses) > 70 {
		t.Errorf("asked %d times in a day", len(pauses))
	}
	t.Logf("asked %d times in a day of silence, first after %v, then every %v at most", len(pauses), pauses[0], pauses[len(pauses)-2])
}
