//go:build !linux

package document

import (
	"os/exec"
	"syscall"
)

// apart puts the child in a process group of its own.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// limit does nothing here: only Linux sets limits of another process. The heap
// limit on the command line and the deadline hold everywhere.
func limit(pid, memoryMB int) error { return nil }
