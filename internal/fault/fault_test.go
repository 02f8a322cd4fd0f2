package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
)

func TestKindSurvivesWrapping(t *testing.T) {
	cause := errors.New("connection refused")
	err := fmt.Errorf("sign in: %w", fault.New(fault.Unreachable, "card.responder_down", cause))
	if fault.KindOf(err) != fault.Unreachable || fault.KeyOf(err) != "card.responder_down" {
		t.Errorf("kind %v key %q", fault.KindOf(err), fault.KeyOf(err))
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if !errors.Is(err, fault.New(fault.Unreachable, "card.responder_down", nil)) {
		t.Error("a sentinel with the same kind and key does not match")
	}
	if errors.Is(err, fault.New(fault.Forbidden, "card.revoked", nil)) {
		t.Error("another failure matches")
	}
}

func TestPlainErrorsAreInternal(t *testing.T) {
	if k := fault.KindOf(errors.New("boom")); k != fault.Internal {
		t.Errorf("kind %v", k)
	}
}

func TestWithLeavesTheOriginalAlone(t *testing.T) {
	base := fault.New(fault.Conflict, "orders.moved", nil)
	one := base.With("By", "Anne")
	if base.Args != nil || one.Args["By"] != "Anne" {
		t.Errorf("base %v, copy %v", base.Args, one.Args)
	}
}

func TestBecauseKeepsTheSentinel(t *testing.T) {
	sentinel, cause := fault.New(fault.Conflict, "orders.moved", nil).With("By", "Anne"), errors.New("row changed")
	err := sentinel.Because(cause)
	if !errors.Is(err, sentinel) || !errors.Is(err, cause) || err.Args["By"] != "Anne" || sentinel.Err != nil {
		t.Errorf("copy %+v, sentinel %+v", err, sentinel)
	}
}

func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range fault.Kinds {
		if seen[k.String()] {
			t.Errorf("kind %d shares the name %q", k, k)
		}
		seen[k.String()] = true
	}
}
