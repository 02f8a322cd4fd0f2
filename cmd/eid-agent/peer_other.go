//go:build !linux

package main

// samePerson: only Linux tells without special rights whose the other end of a
// loopback connection is. Elsewhere the Origin and the confirmation must do.
func samePerson(string, string) error { return nil }
