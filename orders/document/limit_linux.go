package document

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// apart puts the child in a process group of its own, so that Ctrl-C in a
// terminal ends the server first and the server ends the child.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// limit bounds what the process may take before it has seen any text: writable
// memory, CPU time in all (a child without parent ends by itself), no file to
// write to, no core dump. The address space is left alone: V8 reserves ranges of
// it that it never uses.
func limit(pid, memoryMB int) error {
	for _, l := range []struct {
		what int
		most uint64
	}{
		{unix.RLIMIT_DATA, uint64(memoryMB) << 20},
		{unix.RLIMIT_CPU, 600},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_CORE, 0},
	} {
		if err := unix.Prlimit(pid, l.what, &unix.Rlimit{Cur: l.most, Max: l.most}, nil); err != nil {
			return err
		}
	}
	return nil
}
