// Package web is how the rooms answer HTTP.
//
// It owns what every answer shares: handlers that return errors, one place that
// turns an error into a page, the security headers, the rule against cross-site
// requests, body limits, cookies, one structured line a request and the reference
// a person can quote. It refuses to know pages, people, communes and routes.
// It guarantees that a log line holds the route's pattern, never the path or the
// query (both may carry a code or a token), and that X-Forwarded-* counts only
// from a listed proxy (threat T30).
//
// Implements the cookie prefixes of RFC 6265bis §4.1.3, CSP Level 3 and Fetch Metadata.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/code"
	"github.com/belfry-eid/belfry/internal/fault"
)

// Handler answers a request or returns why it could not; an error is turned into
// a page by Site.Failed, so a handler that returns one must not have written yet.
type Handler func(http.ResponseWriter, *http.Request) error

// Failure is what an error page may say.
type Failure struct {
	Status    int            // HTTP status of the answer
	Kind      fault.Kind     //
	Key       string         // message key, "fault.internal" where the error carries none
	Args      map[string]any // for the message
	Reference string         // what a person quotes on the phone; the log line has it too
}

// Site is what the handlers of one room share. Failed, Log and Clock must be set.
type Site struct {
	Log   *slog.Logger
	Clock clock.Clock
	// Failed writes the error page of the room.
	Failed func(http.ResponseWriter, *http.Request, Failure)
	// Parks are the patterns ("POST /saml/acs") at which a cross-site POST is
	// expected; each must park its input and answer 303.
	Parks []string
	// Proxies may set X-Forwarded-Proto and X-Forwarded-For; everybody else is ignored.
	Proxies []netip.Prefix
}

// BodyLimit is the most a form may weigh, in bytes.
const BodyLimit = 64 << 10

// Page makes h an http.Handler with the form's body limit. A form that is none is refused
// before h sees it, as whoever sent it has to be told, and not as a fault of ours.
func (s *Site) Page(h Handler) http.Handler {
	return s.Upload(func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				return fault.New(fault.Invalid, "fault.form", err)
			}
		}
		return h(w, r)
	}, BodyLimit)
}

// Upload is Page for a body of up to limit bytes.
func (s *Site) Upload(h Handler, limit int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// NotFound is the handler of "/": whatever no other pattern takes.
func NotFound(http.ResponseWriter, *http.Request) error {
	return fault.New(fault.NotFound, "fault.not_found", nil)
}

// Wrap puts round a room's routes what every request needs: reference, log line,
// recovery, headers and the cross-site rule.
func (s *Site) Wrap(routes http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	for _, p := range s.Parks {
		guard.AddInsecureBypassPattern(p)
	}
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.recover(w, r)
		if err := guard.Check(r); err != nil {
			s.fail(w, r, fault.New(fault.Forbidden, "fault.cross_site", err))
			return
		}
		routes.ServeHTTP(w, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.Clock()
		rec := &record{reference: code.Grouped(code.New(8), 4), origin: s.origin(r), remote: s.remote(r)}
		r = r.WithContext(context.WithValue(r.Context(), recordKey{}, rec))
		answer := &recorder{ResponseWriter: w}
		secure(answer.Header(), rec.origin)
		inner.ServeHTTP(answer, r)
		s.line(r, rec, answer, s.Clock().Sub(began))
	})
}

func (s *Site) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.Log.Error("panic", "ref", Reference(r), "panic", p, "stack", string(debug.Stack()))
	s.fail(w, r, errors.New("panic in a handler"))
}

func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := Failure{Kind: fault.KindOf(err), Key: "fault.internal", Reference: Reference(r)}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		f.Key, f.Args = e.Key, e.Args
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok && tooLarge != nil {
		f.Kind, f.Key, f.Status = fault.Invalid, "fault.too_large", http.StatusRequestEntityTooLarge
	}
	if f.Status == 0 {
		f.Status = Status(f.Kind)
	}
	Note(r, "error", err.Error())
	Note(r, "key", f.Key)
	if rec, ok := w.(*recorder); ok && rec.status != 0 {
		return // half an answer is out; the log has the cause
	}
	s.Failed(w, r, f)
}

var statuses = map[fault.Kind]int{
	fault.Internal:    http.StatusInternalServerError,
	fault.Invalid:     http.StatusBadRequest,
	fault.NotFound:    http.StatusNotFound,
	fault.Forbidden:   http.StatusForbidden,
	fault.Conflict:    http.StatusConflict,
	fault.Unreachable: http.StatusServiceUnavailable,
	fault.TooMany:     http.StatusTooManyRequests,
}

// Status is the HTTP status of a kind of failure.
func Status(k fault.Kind) int {
	if s, ok := statuses[k]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// See answers 303: the browser fetches to with GET.
func See(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// secure sets the headers of every answer. A page that needs more asks with Allow.
func secure(h http.Header, origin string) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; frame-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	// What a signed-in person saw must not come back with the back button after
	// sign-out on a shared computer (threat T24); static files set their own.
	h.Set("Cache-Control", "no-store")
	if strings.HasPrefix(origin, "https://") {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// Allow adds sources to one directive of this answer's Content-Security-Policy;
// it must be called before the first byte is written.
func Allow(w http.ResponseWriter, directive string, sources ...string) {
	parts := strings.Split(w.Header().Get("Content-Security-Policy"), "; ")
	for i, p := range parts {
		name, have, _ := strings.Cut(p, " ")
		if name != directive {
			continue
		}
		if have == "'none'" {
			have = ""
		}
		parts[i] = strings.TrimSpace(name + " " + strings.TrimSpace(have+" "+strings.Join(sources, " ")))
	}
	w.Header().Set("Content-Security-Policy", strings.Join(parts, "; "))
}

// AllowForm lets a form of this answer lead to the site of address: browsers hold the
// redirects that follow a form to form-action as well.
func AllowForm(w http.ResponseWriter, address string) {
	if u, err := url.Parse(address); err == nil {
		Allow(w, "form-action", u.Scheme+"://"+u.Host)
	}
}

type recordKey struct{}

// record is what one request's line is made of.
type record struct {
	reference, origin string
	remote            netip.Addr
	attrs             []any
}

func recordOf(r *http.Request) *record {
	rec, _ := r.Context().Value(recordKey{}).(*record)
	if rec == nil {
		return &record{}
	}
	return rec
}

// Reference is what a person quotes when something went wrong, for example "K7QM-2FJX".
func Reference(r *http.Request) string { return recordOf(r).reference }

// Origin is the scheme and host by which the browser reached us, for example
// "https://id.example.be". It is what the client said: compare it with a list.
func Origin(r *http.Request) string { return recordOf(r).origin }

// Remote is the caller's address, as the listed proxies saw it.
func Remote(r *http.Request) netip.Addr { return recordOf(r).remote }

// Neighbourhood is what one party controls: an address of IPv4, a /64 of IPv6.
func Neighbourhood(a netip.Addr) string {
	if a.Is6() {
		if net, err := a.Prefix(64); err == nil {
			return net.String()
		}
	}
	return a.String()
}

// Note adds a field to the request's line. Never a national number, PIN, code or token.
func Note(r *http.Request, key string, value any) {
	if rec, ok := r.Context().Value(recordKey{}).(*record); ok {
		rec.attrs = append(rec.attrs, key, value)
	}
}

func (s *Site) line(r *http.Request, rec *record, a *recorder, took time.Duration) {
	route := r.Pattern
	if route == "" {
		route = r.Method + " (no route)"
	}
	level := slog.LevelInfo
	if a.status >= 500 {
		level = slog.LevelError
	}
	attrs := append([]any{"ref", rec.reference, "host", r.Host, "route", route, "status", a.status, "bytes", a.bytes, "ms", float64(took.Microseconds()) / 1000}, rec.attrs...)
	s.Log.Log(r.Context(), level, "request", attrs...)
}

func (s *Site) trusted(r *http.Request) bool {
	peer := peerOf(r)
	for _, p := range s.Proxies {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

func (s *Site) origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || (s.trusted(r) && r.Header.Get("X-Forwarded-Proto") == "https") {
		scheme = "https"
	}
	return scheme + "://" + strings.ToLower(r.Host)
}

func (s *Site) remote(r *http.Request) netip.Addr {
	if s.trusted(r) {
		// The last entry is the one our own proxy wrote; those before it are hearsay.
		// Some proxies add a header of their own behind the caller's.
		list := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if a, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1])); err == nil {
			return a.Unmap()
		}
	}
	return peerOf(r)
}

func peerOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// recorder remembers what was answered, for the line.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *recorder) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *recorder) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (a *recorder) Unwrap() http.ResponseWriter { return a.ResponseWriter }
