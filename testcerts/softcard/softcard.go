// Package softcard points this process at a directory of SoftHSM tokens.
//
// It owns where SoftHSM's library is, its settings file and the directory of a test
// process. It refuses to know what is in the tokens. It guarantees that tests never
// touch the machine's own tokens: the settings file it writes names its own directory.
package softcard

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// ModuleVariable names the environment variable that overrides where the library is.
const ModuleVariable = "SOFTHSM2_MODULE"

var places = []string{
	"/usr/lib/softhsm/libsofthsm2.so",
	"/usr/lib/*/softhsm/libsofthsm2.so",
	"/usr/lib64/pkcs11/libsofthsm2.so",
	"/usr/lib64/softhsm/libsofthsm2.so",
	"/usr/lib64/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so",
	"/opt/homebrew/lib/softhsm/libsofthsm2.so",
	"/usr/local/opt/softhsm/lib/softhsm/libsofthsm2.so",
}

// Module finds SoftHSM's PKCS#11 library.
func Module() (string, error) {
	if path := os.Getenv(ModuleVariable); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", ModuleVariable, err)
		}
		return path, nil
	}
	for _, pattern := range places {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return found[0], nil
		}
	}
	return "", errors.New("SoftHSM is not installed (Debian: apt-get install softhsm2), or set " + ModuleVariable)
}

// Write makes a directory for tokens with the settings file that names it, and returns
// the file's path: the value for SOFTHSM2_CONF.
func Write(dir string) (conf string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	tokens := filepath.Join(dir, "tokens")
	if err := os.MkdirAll(tokens, 0o700); err != nil {
		return "", err
	}
	conf = filepath.Join(dir, "softhsm2.conf")
	text := "directories.tokendir = " + tokens + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
	return conf, os.WriteFile(conf, []byte(text), 0o600)
}

// Use is Write, and points this process at the directory. It takes effect at the next
// initialisation of the library, so before the first p11.Load.
func Use(dir string) error {
	conf, err := Write(dir)
	if err != nil {
		return err
	}
	return os.Setenv("SOFTHSM2_CONF", conf)
}

// Test points this test process at a token directory of its own, once, and returns the
// library's path. Without SoftHSM the test is skipped, or fails where CI is true. The
// directory outlives the test, since the library is initialised once for a process;
// it is removed after the process has ended.
func Test(t testing.TB) (module string) {
	t.Helper()
	module, err := Module()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if err := once(); err != nil {
		t.Fatal(err)
	}
	return module
}

var once = sync.OnceValue(func() error {
	dir, err := scratch()
	if err != nil {
		return err
	}
	return Use(dir)
})

// held keeps our ends of the pipes: one that is collected is closed.
var held sync.Map

// scratch makes a directory that goes when this process has ended, however it ends: a
// shell waits for the end of a pipe that only we hold.
func scratch() (string, error) {
	dir, err := os.MkdirTemp("", "belfry-tokens-")
	if err != nil {
		return "", err
	}
	sweeper := exec.Command("sh", "-c", `cat >/dev/null; rm -rf -- "$1"`, "sh", dir)
	end, err := sweeper.StdinPipe()
	if err != nil {
		return "", err
	}
	held.Store(dir, end)
	sweeper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	return dir, sweeper.Start()
}
