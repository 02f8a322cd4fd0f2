package main

import (
	"strconv"
	"sync"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

// reader is the card reader of the card reading program: a token directory of its own
// with a copy of each card that is put in.
type reader struct {
	mu   sync.Mutex
	all  string // every card
	here string // what is in the reader
}

// makeReader makes the reader, at first with every card that can be tried in it.
func (w *world) makeReader() error {
	w.reader = &reader{all: w.path("softhsm"), here: w.path("reader-softhsm")}
	if _, err := softcard.Write(w.reader.here); err != nil {
		return err
	}
	if exists(w.path("reader-softhsm", "known")) {
		return nil // it stays as it was left
	}
	for _, c := range w.pki.Cards() {
		if err := w.reader.insert(c); err != nil {
			return err
		}
	}
	return touch(w.path("reader-softhsm", "known"))
}

func (r *reader) insert(c *testcerts.Card) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return softcard.Copy(r.all, r.here, c.Serial)
}

func (r *reader) remove(c *testcerts.Card) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return softcard.Remove(r.here, c.Serial)
}

func (r *reader) holds(c *testcerts.Card) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return softcard.Has(r.here, c.Serial)
}

// agentPorts are those on which login pages look for the card reading program.
func (w *world) agentPorts() []int {
	if w.config.agent != 0 {
		return []int{w.config.agent}
	}
	return eid.AgentPorts
}

// startAgent starts the card reading program as its development build runs: on SoftHSM.
func (w *world) startAgent() *child {
	args := []string{"serve", "--module", w.pki.ModulePath()}
	for _, p := range w.agentPorts() {
		args = append(args, "--port", strconv.Itoa(p))
	}
	return w.start("eid-agent", []string{"SOFTHSM2_CONF=" + w.path("reader-softhsm", "softhsm2.conf")}, args...)
}
