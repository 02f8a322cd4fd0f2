package p11

import (
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// Failures a caller can act on. Everything returned by this package that has such a
// meaning matches one of them with errors.Is; the text also names the call and the
// module's own code.
var (
	ErrPINIncorrect = errors.New("the token refused the PIN")
	ErrPINLocked    = errors.New("the token's PIN is locked")
	ErrPINLength    = errors.New("the PIN is shorter or longer than the token takes")
	ErrPINRequired  = errors.New("the token wants a PIN and none was given")
	ErrPINFinalTry  = errors.New("one try is left before the token locks, it is not spent without being asked")
	ErrCancelled    = errors.New("the holder cancelled")
	ErrTokenGone    = errors.New("the token is gone or has forgotten its login")
	ErrNoSuchToken  = errors.New("no token has this label and serial number")
	ErrAmbiguous    = errors.New("several tokens match, give the serial number")
	ErrNoSuchKey    = errors.New("the token has no such key")
	ErrExists       = errors.New("the token has an object of this label already")
	ErrUnsupported  = errors.New("the token cannot do this")
	ErrTimeout      = errors.New("the token did not answer in time")
	ErrBusy         = errors.New("the token is in use by another part of this process")
	ErrClosed       = errors.New("closed")
)

var meanings = map[pkcs11.Error]error{
	pkcs11.CKR_PIN_INCORRECT:              ErrPINIncorrect,
	pkcs11.CKR_PIN_INVALID:                ErrPINIncorrect,
	pkcs11.CKR_PIN_LEN_RANGE:              ErrPINLength,
	pkcs11.CKR_PIN_LOCKED:                 ErrPINLocked,
	pkcs11.CKR_FUNCTION_CANCELED:          ErrCancelled,
	pkcs11.CKR_CANCEL:                     ErrCancelled,
	pkcs11.CKR_DEVICE_REMOVED:             ErrTokenGone,
	pkcs11.CKR_DEVICE_ERROR:               ErrTokenGone,
	pkcs11.CKR_TOKEN_NOT_PRESENT:          ErrTokenGone,
	pkcs11.CKR_TOKEN_NOT_RECOGNIZED:       ErrTokenGone,
	pkcs11.CKR_SLOT_ID_INVALID:            ErrTokenGone,
	pkcs11.CKR_SESSION_HANDLE_INVALID:     ErrTokenGone,
	pkcs11.CKR_SESSION_CLOSED:             ErrTokenGone,
	pkcs11.CKR_USER_NOT_LOGGED_IN:         ErrTokenGone,
	pkcs11.CKR_FUNCTION_NOT_SUPPORTED:     ErrUnsupported,
	pkcs11.CKR_MECHANISM_INVALID:          ErrUnsupported,
	pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED: ErrUnsupported,
	pkcs11.CKR_KEY_TYPE_INCONSISTENT:      ErrUnsupported,
}

// callError gives a module's answer its meaning. op is the PKCS#11 function.
func callError(op string, err error) error {
	if err == nil {
		return nil
	}
	var code pkcs11.Error
	if errors.As(err, &code) {
		if meaning, ok := meanings[code]; ok {
			return fmt.Errorf("%w (%s: %v)", meaning, op, err)
		}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// isCode says whether err is the module's answer code.
func isCode(err error, code uint) bool {
	var c pkcs11.Error
	return errors.As(err, &c) && uint(c) == code
}
