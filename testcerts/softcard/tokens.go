package softcard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoToken says that a directory has no token of that serial number.
var ErrNoToken = errors.New("no token of this serial number")

// folder finds the token of a serial number. SoftHSM names a token's folder by a UUID and
// takes the serial number from its last sixteen hexadecimal digits.
func folder(dir, serial string) (string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "tokens"))
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		digits := strings.ReplaceAll(e.Name(), "-", "")
		if e.IsDir() && len(digits) == 32 && digits[16:] == serial {
			return filepath.Join(dir, "tokens", e.Name()), nil
		}
	}
	return "", fmt.Errorf("%s: %w", dir, ErrNoToken)
}

// Has says whether the directory has a token of this serial number.
func Has(dir, serial string) bool {
	_, err := folder(dir, serial)
	return err == nil
}

// Copy copies a token from one directory to another, as a card is put into a reader. A
// program that has SoftHSM initialised sees it after the next initialisation.
func Copy(from, to, serial string) error {
	if Has(to, serial) {
		return nil
	}
	src, err := folder(from, serial)
	if err != nil {
		return err
	}
	// Made beside and renamed, so that nobody sees half a token. The name is none of a token.
	tmp, err := os.MkdirTemp(to, "coming-")
	if err != nil {
		return err
	}
	if err := copyFiles(src, tmp); err != nil {
		os.RemoveAll(tmp)
		return err
	}
	return os.Rename(tmp, filepath.Join(to, "tokens", filepath.Base(src)))
}

// Remove takes a token out of a directory.
func Remove(dir, serial string) error {
	path, err := folder(dir, serial)
	if errors.Is(err, ErrNoToken) {
		return nil
	}
	if err != nil {
		return err
	}
	gone, err := os.MkdirTemp(dir, "gone-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(gone)
	return os.Rename(path, filepath.Join(gone, filepath.Base(path)))
}

// copyFiles copies the files of a token, which has no folders, for their owner alone.
func copyFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}
