// Package interop shows our files to programs of others.
//
// It owns nothing that ships: the zoo of files that people bring, sealed at every level
// and with every kind of key, before the programs that a machine has (qpdf, mutool,
// openssl, pdfsig), and a script that asks pyHanko, an implementation of PAdES that shares
// nothing with ours, which "make interop" runs with the interpreter of an environment
// where requirements.txt is installed.
package interop
