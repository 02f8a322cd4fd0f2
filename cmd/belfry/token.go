package main

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/p11"
)

// tokenKey is a seal's key whose token may go and come back. It gives the PIN once each
// time the token has forgotten its login, and never again after the token refused it:
// three wrong ones lock a token, and a supervisor that starts this program again and
// again would spend them in a minute. So a refusal is remembered in a file too.
type tokenKey struct {
	settings SealSettings
	public   crypto.PublicKey // of the certificate
	refused  string           // folder of the refusals
	secret   []byte           // under which they are named

	mu     sync.Mutex
	module *p11.Module
	token  *p11.Token
	key    *p11.Key
	final  error // the token refused the PIN: this process does not try again
}

func (in *install) tokenKey(k SealSettings, public crypto.PublicKey) *tokenKey {
	return &tokenKey{settings: k, public: public, refused: filepath.Join(in.settings.Server.Data, "refused-pins"), secret: in.derive("refused PINs")}
}

// tokenPatience is how long the start waits for a token.
const tokenPatience = 30 * time.Second

// away says that a token is not in its slot, or answers nothing, rather than no.
func away(err error) bool {
	return errors.Is(err, p11.ErrTokenGone) || errors.Is(err, p11.ErrNoSuchToken) || errors.Is(err, p11.ErrTimeout)
}

// readyWithin is Ready for a caller who cannot wait for ever. What hangs goes on hanging
// by itself: the PIN that it may hold is given once.
func (k *tokenKey) readyWithin(patience time.Duration) error {
	came := make(chan error, 1)
	go func() { came <- k.Ready() }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-came:
		return err
	case <-timer.C:
		return fmt.Errorf("token %q: %w", k.settings.Token, p11.ErrTimeout)
	}
}

// Public is the certificate's key, which Ready compares with the token's.
func (k *tokenKey) Public() crypto.PublicKey { return k.public }

// Ready makes the key ready, if need be by opening the token or giving it the PIN.
func (k *tokenKey) Ready() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.final != nil {
		return k.final
	}
	if k.key != nil {
		err := k.token.Present()
		if !errors.Is(err, p11.ErrTokenGone) {
			return err
		}
	}
	err := k.enter()
	if errors.Is(err, p11.ErrPINIncorrect) || errors.Is(err, p11.ErrPINLocked) || errors.Is(err, p11.ErrPINFinalTry) {
		k.final = err
	}
	return err
}

// enter gives the PIN, once.
func (k *tokenKey) enter() error {
	pin, err := p11.ReadPINFile(k.settings.PINFile)
	if err != nil {
		return fmt.Errorf("pin_file: %w", err)
	}
	defer pin.Wipe()
	mark, err := k.mark()
	if err != nil {
		return fmt.Errorf("pin_file: %w", err)
	}
	if _, err := os.Stat(mark); err == nil {
		return fmt.Errorf("token %q: %w before, and this PIN is not tried again: correct %s, or remove %s where the token has changed",
			k.settings.Token, p11.ErrPINIncorrect, k.settings.PINFile, mark)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("token %q: %w", k.settings.Token, err) // better no try than one too many
	}
	if k.token == nil {
		err = k.open(pin)
	} else {
		err = k.token.Login(pin)
	}
	if errors.Is(err, p11.ErrPINIncorrect) {
		err = errors.Join(err, remember(mark))
	}
	if err != nil {
		return fmt.Errorf("token %q: %w", k.settings.Token, err)
	}
	return k.find()
}

// mark is the file that says that the token refused the PIN of the settings.
func (k *tokenKey) mark() (string, error) {
	pin, err := os.ReadFile(k.settings.PINFile)
	if err != nil {
		return "", err
	}
	defer clear(pin)
	h := hmac.New(sha256.New, k.secret)
	fmt.Fprintf(h, "%q %q ", k.settings.Token, k.settings.Serial)
	h.Write(pin)
	return filepath.Join(k.refused, hex.EncodeToString(h.Sum(nil)[:16])), nil
}

func remember(mark string) error {
	if err := os.MkdirAll(filepath.Dir(mark), 0o700); err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o600)
}

func (k *tokenKey) open(pin p11.PIN) error {
	if k.module == nil {
		module, err := p11.Load(k.settings.Module)
		if err != nil {
			return fmt.Errorf("module: %w", err)
		}
		k.module = module
	}
	token, err := k.module.Open(p11.Selector{Label: k.settings.Token, Serial: k.settings.Serial}, pin, p11.Sessions(sessions(k.settings.Sessions)))
	if err != nil {
		return err
	}
	k.token = token
	return nil
}

func sessions(n int) int {
	if n <= 0 {
		return 4
	}
	return n
}

// find finds the key in the token that was opened.
func (k *tokenKey) find() error {
	if k.key != nil {
		return nil
	}
	key, err := k.token.Signer(k.settings.Key)
	if err != nil {
		return fmt.Errorf("key %q: %w", k.settings.Key, err)
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(k.public) {
		return fmt.Errorf("key %q: the certificate of the chain is another key's", k.settings.Key)
	}
	k.key = key
	return nil
}

// Sign is one call of the token.
func (k *tokenKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.mu.Lock()
	key := k.key
	k.mu.Unlock()
	if key == nil {
		return nil, fmt.Errorf("token %q: %w", k.settings.Token, p11.ErrTokenGone)
	}
	return key.Sign(random, digest, opts)
}

// Close logs out.
func (k *tokenKey) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var faults []error
	if k.token != nil {
		faults = append(faults, k.token.Close())
	}
	if k.module != nil {
		faults = append(faults, k.module.Close())
	}
	k.token, k.key, k.module = nil, nil, nil
	return errors.Join(faults...)
}
