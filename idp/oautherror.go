package idp

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/web"
)

// oauthError is what a client's program is told (RFC 6749 §4.1.2.1 and §5.2, OpenID
// Connect Core 1.0 §3.1.2.6, RFC 6750 §3.1). The description is for the developer
// who reads the answer, in English, and never holds what was sent.
type oauthError struct {
	Code        string
	Description string
	cause       error // for the log
}

func (e *oauthError) Error() string {
	if e.cause == nil {
		return e.Code + ": " + e.Description
	}
	return e.Code + ": " + e.Description + ": " + e.cause.Error()
}

func (e *oauthError) Unwrap() error { return e.cause }

// codes are the OAuth errors of our own failures.
var codes = map[fault.Kind]string{
	fault.Internal:    "server_error",
	fault.Invalid:     "invalid_request",
	fault.NotFound:    "invalid_request",
	fault.Forbidden:   "access_denied",
	fault.Conflict:    "invalid_request",
	fault.Unreachable: "temporarily_unavailable",
	fault.TooMany:     "temporarily_unavailable",
}

// oauth is err as a client is told it.
func oauth(err error) *oauthError {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return &oauthError{"invalid_request", "the request is too large", err}
	}
	if e, ok := errors.AsType[*oauthError](err); ok {
		return e
	}
	return &oauthError{codes[fault.KindOf(err)], "the provider could not answer", err}
}

var oauthStatuses = map[string]int{
	"invalid_client":          http.StatusUnauthorized,
	"invalid_token":           http.StatusUnauthorized,
	"insufficient_scope":      http.StatusForbidden,
	"server_error":            http.StatusInternalServerError,
	"temporarily_unavailable": http.StatusServiceUnavailable,
}

// api makes h a handler whose errors are JSON for programs.
func (p *Provider) api(h web.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, web.BodyLimit)
		if err := h(w, r); err != nil {
			answerError(w, r, err)
		}
	})
}

func answerError(w http.ResponseWriter, r *http.Request, err error) {
	e := oauth(err)
	web.Note(r, "oauth_error", e.Code)
	web.Note(r, "error", err.Error())
	status, ok := oauthStatuses[e.Code]
	if !ok {
		status = http.StatusBadRequest
	}
	if e.Code == "invalid_client" && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="belfry"`) // RFC 6749 §5.2
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": e.Code, "error_description": e.Description})
}

func answerJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}
