package main

import "syscall"

// childAttributes: a group of its own, so that Ctrl-C at the terminal reaches it through
// us alone, and an end with us even when we are killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
