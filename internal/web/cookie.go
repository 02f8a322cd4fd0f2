package web

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"
)

// NewSecret makes 260 random bits of text, for a cookie, an address or a token that
// nobody is to guess.
func NewSecret() string { return rand.Text() + rand.Text() }

// SetCookie gives the browser a cookie for this host alone: HttpOnly, SameSite=Lax,
// and on https with the __Host- prefix (RFC 6265bis §4.1.3.2). On http, which only a
// loopback install uses, the plain name is set, so that any program can sign in.
// A lifetime of 0 ends with the browser's session.
func SetCookie(w http.ResponseWriter, r *http.Request, name, value string, lifetime time.Duration) {
	http.SetCookie(w, cookie(r, name, value, int(lifetime/time.Second)))
}

// ClearCookie takes a cookie of SetCookie back.
func ClearCookie(w http.ResponseWriter, r *http.Request, name string) {
	http.SetCookie(w, cookie(r, name, "", -1))
}

// Cookie is the value of a cookie of SetCookie, "" where the browser sent none.
// The name depends on the scheme, so a cookie planted over http is not taken on https.
func Cookie(r *http.Request, name string) string {
	c, err := r.Cookie(cookieName(r, name))
	if err != nil {
		return ""
	}
	return c.Value
}

func cookie(r *http.Request, name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName(r, name), Value: value, Path: "/", MaxAge: maxAge,
		Secure: isHTTPS(r), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func cookieName(r *http.Request, name string) string {
	if isHTTPS(r) {
		return "__Host-" + name
	}
	return name
}

func isHTTPS(r *http.Request) bool { return strings.HasPrefix(Origin(r), "https://") }
