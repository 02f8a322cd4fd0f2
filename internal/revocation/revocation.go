// Package revocation reads what authorities say about certificates: OCSP answers
// (RFC 6960, RFC 9654) and revocation lists (RFC 5280 §5).
//
// It owns their syntax, whom they are about and who signed them. It refuses to
// know networks, trust and how fresh is fresh enough: its callers are logins,
// which ask about now, and signatures, which ask about the past. It guarantees
// that foreign bytes never panic it, and that a statement is returned only about
// the certificate that was asked about, under its own issuer.
package revocation

import "time"

// Status is what is said about a certificate.
type Status int

const (
	Unknown Status = iota // the issuer never heard of it, which is no consent
	Good
	Revoked
)

// Statement is what an answer or a list says about one certificate.
type Statement struct {
	Status    Status
	RevokedAt time.Time // where Status is Revoked
	From      time.Time // thisUpdate
	Next      time.Time // nextUpdate; zero where it says none
}
