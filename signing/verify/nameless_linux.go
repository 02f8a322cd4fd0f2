package verify

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// nameless is a file in memory that no path leads to.
func nameless() (*os.File, error) {
	fd, err := unix.MemfdCreate("verify", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("verify: a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), "verify"), nil
}
