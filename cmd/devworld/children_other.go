//go:build !linux

package main

import "syscall"

// childAttributes: a group of its own, so that Ctrl-C at the terminal reaches it through us alone.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
