// Package interop shows our files to programs of others.
//
// It owns nothing that ships: a script that asks pyHanko, an implementation of
// PAdES that shares nothing with ours, and a test that "make interop" runs with
// the interpreter of an environment where requirements.txt is installed.
package interop
