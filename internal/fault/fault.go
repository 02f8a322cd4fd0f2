// Package fault gives errors a kind, a message key and a cause.
//
// It owns the few kinds of failure that a caller can act on. It refuses to know
// HTTP, OAuth and languages: internal/web maps a Kind to a status, idp to an
// OAuth error code, and internal/i18n turns Key into the reader's words. It
// guarantees that what a reader sees (Key, Args) and what only the log may hold
// (Err) are never the same field.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what a caller may do about an error. The zero value is Internal.
type Kind int

const (
	Internal    Kind = iota // our fault; nothing the reader does will help
	Invalid                 // the input is wrong; the reader can correct it
	NotFound                // there is no such thing, or not for this reader
	Forbidden               // it exists, but this person may not
	Conflict                // somebody or something else came first
	Unreachable             // a service we need does not answer; later may work
	TooMany                 // asked too often; waiting helps
)

// Kinds lists every Kind, so that tables that map kinds can be tested for gaps.
var Kinds = []Kind{Internal, Invalid, NotFound, Forbidden, Conflict, Unreachable, TooMany}

var kindNames = [...]string{"internal", "invalid", "not found", "forbidden", "conflict", "unreachable", "too many"}

func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "internal"
	}
	return kindNames[k]
}

// Error is a failure on its way to a reader.
type Error struct {
	Kind Kind
	Key  string         // message key in the catalogues, for example "card.revoked"
	Args map[string]any // values for the message; never a national number or a secret
	Err  error          // the cause, for the log only; may be nil
}

// New returns an Error of this kind and message key; cause may be nil.
func New(kind Kind, key string, cause error) *Error {
	return &Error{Kind: kind, Key: key, Err: cause}
}

// With returns a copy of e that carries one more value for its message.
func (e *Error) With(name string, value any) *Error {
	args := make(map[string]any, len(e.Args)+1)
	for k, v := range e.Args {
		args[k] = v
	}
	args[name] = value
	return &Error{Kind: e.Kind, Key: e.Key, Args: args, Err: e.Err}
}

// Because returns a copy of e with its cause: e is the sentinel of a package, which
// errors.Is still finds in the copy.
func (e *Error) Because(cause error) *Error {
	return &Error{Kind: e.Kind, Key: e.Key, Args: e.Args, Err: cause}
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s (%s)", e.Key, e.Kind)
	}
	return fmt.Sprintf("%s (%s): %v", e.Key, e.Kind, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is compare by kind and key, so that a sentinel made with New
// matches the same failure carrying another cause.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Key == e.Key
}

// KindOf returns the kind of the outermost Error in err's chain, Internal where there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// KeyOf returns the message key of the outermost Error in err's chain, "" where there is none.
func KeyOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Key
	}
	return ""
}
