package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/web"
)

// Cookie binds login requests to a browser, before the prefix that web gives it on https.
const Cookie = "belfry-login"

// patience is how long a login request waits for the citizen.
const patience = time.Hour

// Request is a stored login request: what is asked, and how far it has come.
type Request struct {
	ID       string
	Browser  string // hash of the pre-login cookie
	Ask      Ask
	Language i18n.Language // the page's
	Created  time.Time
}

var (
	errGone    = fault.New(fault.NotFound, "idp.login_gone", nil)
	errBrowser = fault.New(fault.Forbidden, "idp.login_other_browser", nil)
)

// requests keeps login requests in the key-value store: losing one costs a sign-in.
type requests struct{ kv kv.Store }

func place(id string) string { return "idp:login:" + id }

// begin stores a new request of this browser, which gets its cookie if it has none.
func (rs requests) begin(w http.ResponseWriter, r *http.Request, ask Ask, lang i18n.Language, now time.Time) (Request, error) {
	cookie := web.Cookie(r, Cookie)
	if len(cookie) != len(web.NewSecret()) {
		cookie = web.NewSecret()
	}
	web.SetCookie(w, r, Cookie, cookie, patience) // again, so that it outlives the newest request
	req := Request{ID: rand.Text(), Browser: hash(cookie), Ask: ask, Language: lang, Created: now}
	return req, rs.save(r.Context(), req, now)
}

func (rs requests) save(ctx context.Context, req Request, now time.Time) error {
	text, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	left := patience - now.Sub(req.Created)
	if left <= 0 {
		return errGone
	}
	if err := rs.kv.Put(ctx, place(req.ID), text, left); err != nil {
		return unreachable(err)
	}
	return nil
}

// of returns the request of the address, if it is this browser's.
func (rs requests) of(r *http.Request) (Request, error) {
	text, err := rs.kv.Get(r.Context(), place(r.PathValue("login")))
	return belonging(r, text, err)
}

// take is of, and removes the request: of several who finish it, one does.
func (rs requests) take(r *http.Request) (Request, error) {
	if _, err := rs.of(r); err != nil { // another browser must not remove it
		return Request{}, err
	}
	text, err := rs.kv.Take(r.Context(), place(r.PathValue("login")))
	return belonging(r, text, err)
}

func belonging(r *http.Request, text []byte, err error) (Request, error) {
	if errors.Is(err, kv.ErrMissing) {
		return Request{}, errGone
	}
	if err != nil {
		return Request{}, unreachable(err)
	}
	var req Request
	if err := json.Unmarshal(text, &req); err != nil {
		return Request{}, fmt.Errorf("login: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(req.Browser), []byte(hash(web.Cookie(r, Cookie)))) != 1 {
		return Request{}, errBrowser
	}
	return req, nil
}

func unreachable(err error) error {
	return fault.New(fault.Unreachable, "idp.error_store", fmt.Errorf("login: %w", err))
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
