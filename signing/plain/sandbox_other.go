//go:build !linux

package plain

// sandbox does nothing here: only Linux filters system calls.
func sandbox() error { return nil }
