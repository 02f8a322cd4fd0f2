//go:build !dev

package main

// allowPlainHTTP: sites without TLS may ask only in development.
const allowPlainHTTP = false

func newWindow(a *agent, pinentry string) window {
	return &pinentryWindow{agent: a, program: pinentry}
}
