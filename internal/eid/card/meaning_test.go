package card

import (
	"errors"
	"fmt"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/p11"
)

// What SoftHSM never says, and cards do.
func TestMeanings(t *testing.T) {
	for cause, want := range map[error]*fault.Error{
		p11.ErrPINLocked: ErrPINBlocked, p11.ErrPINFinalTry: ErrPINLastTry, p11.ErrPINRequired: ErrPINLength,
		p11.ErrCancelled: ErrCancelled, p11.ErrTokenGone: ErrRemoved, p11.ErrNoSuchToken: ErrRemoved, p11.ErrTimeout: ErrTimeout,
		p11.ErrBusy: ErrBusy, p11.ErrNoSuchKey: ErrNoCertificate, p11.ErrUnsupported: ErrFailed, errors.New("x"): ErrFailed,
	} {
		c := &Card{}
		c.flags.Store(&p11.Flags{LoginRequired: true})
		err := c.meaning(fmt.Errorf("use: %w", cause))
		if !errors.Is(err, want) || !errors.Is(err, cause) {
			t.Errorf("%v: %v, want %s", cause, err, want.Key)
		}
		// Whoever is told that it is the last try may then spend it.
		if c.LastTry() != (want == ErrPINLastTry) || c.AsksItself() {
			t.Errorf("%v: last try %v", cause, c.LastTry())
		}
	}
}

// Who asks for the PIN: the official middleware in its own window, a keypad, or we.
func TestAsksItself(t *testing.T) {
	for flags, want := range map[p11.Flags]bool{
		{}:                    true,
		{LoginRequired: true}: false,
		{LoginRequired: true, ProtectedPath: true}: true,
	} {
		c := &Card{}
		c.flags.Store(&flags)
		if c.AsksItself() != want {
			t.Errorf("%+v: %v", flags, !want)
		}
	}
}
