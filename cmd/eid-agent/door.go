package main

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/page"
)

// The protocol, version 1 (the caller is internal/cardscript/card.js):
//
//	POST   /authenticate {"nonce","purpose","lang","address"} → 202 {"agent":"belfry","id","confirm"}
//	GET    /authenticate/ID  → 200 {"agent":"belfry","state":"waiting"} | {…,"token":{…},"identity":{…}} | {…,"error":{"code","tries"}}
//	DELETE /authenticate/ID  → 204, the person left the page
//
// where "identity" is there only if "address" was true and the card shows its files. For
// reading a card without PIN (by beginAtAgent and throughAgent of internal/cardscript/card.js; see read.go), with
// GET and DELETE of /identity/ID as above:
//
//	POST /identity {"commune","photo","lang"} → 202; then {…,"identity":{…}}
//
// and for signing documents (the caller is portal/clerk/static/signing.js; see sign.go),
// with GET and DELETE of /certificate/ID and /sign/ID as above:
//
//	POST /certificate {"commune","documents","lang"} → 202; then {…,"certificate":"…"}
//	POST /sign        {"commune","documents","number","certificate","hash","hashFunction","lang"} → 202; then {…,"signature":{…}}
//
// "confirm" is the page to open, absent where a window opens by itself. Refusals
// are {"agent":"belfry","error":{"code"}}.

const bodyLimit = 8 << 10

type answer struct {
	Agent       string        `json:"agent"`
	ID          string        `json:"id,omitempty"`
	Confirm     string        `json:"confirm,omitempty"`
	State       string        `json:"state,omitempty"`
	Token       *card.Token   `json:"token,omitempty"`
	Certificate []byte        `json:"certificate,omitempty"`
	Signature   *signature    `json:"signature,omitempty"`
	Identity    *idfile.Files `json:"identity,omitempty"`
	Error       *answerError  `json:"error,omitempty"`
}

type answerError struct {
	Code  string `json:"code"`
	Tries int    `json:"tries,omitempty"`
}

// handler is the only door. Host and peer are checked for everything, before routing.
func (a *agent) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/authenticate", a.fromPage(http.MethodPost, a.authenticate))
	mux.Handle("/authenticate/{id}", a.fromPage("GET, DELETE", a.operation))
	mux.Handle("/identity", a.fromPage(http.MethodPost, a.identity))
	mux.Handle("/identity/{id}", a.fromPage("GET, DELETE", a.operation))
	mux.Handle("/certificate", a.fromPage(http.MethodPost, a.certificate))
	mux.Handle("/certificate/{id}", a.fromPage("GET, DELETE", a.operation))
	mux.Handle("/sign", a.fromPage(http.MethodPost, a.signDocument))
	mux.Handle("/sign/{id}", a.fromPage("GET, DELETE", a.operation))
	mux.Handle("GET /static/", page.Static())
	a.window.routes(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		// A name that was made to lead here (DNS rebinding) shows in Host.
		if r.Host != a.host {
			http.Error(w, "wrong Host", http.StatusMisdirectedRequest)
			return
		}
		if err := samePerson(r.RemoteAddr, a.host); err != nil {
			a.log.Warn("refused", "error", err)
			http.Error(w, "another user of this computer", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// fromPage answers scripts of web pages: only with an Origin, which it allows by
// name, never credentials, and never what a form or an image could send.
func (a *agent) fromPage(methods string, next func(http.ResponseWriter, *http.Request, string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, err := originOf(r)
		if err != nil || origin == "http://"+a.host {
			refuse(w, http.StatusForbidden, "origin_refused")
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Vary", "Origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", methods)
			h.Set("Access-Control-Allow-Headers", "Content-Type")
			h.Set("Access-Control-Max-Age", "60")
			if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
				h.Set("Access-Control-Allow-Private-Network", "true")
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "cors" {
			refuse(w, http.StatusForbidden, "origin_refused")
			return
		}
		for _, m := range strings.Split(methods, ", ") {
			if r.Method == m {
				next(w, r, origin)
				return
			}
		}
		h.Set("Allow", methods)
		refuse(w, http.StatusMethodNotAllowed, "method_refused")
	})
}

// originOf is the one Origin header, of a site that may ask.
func originOf(r *http.Request) (string, error) {
	values := r.Header.Values("Origin")
	if len(values) != 1 {
		return "", errors.New("no Origin")
	}
	if err := card.CheckOrigin(values[0]); err != nil {
		return "", err
	}
	if !strings.HasPrefix(values[0], "https://") && !allowPlainHTTP {
		return "", errors.New("a site without TLS")
	}
	return values[0], nil
}

func (a *agent) authenticate(w http.ResponseWriter, r *http.Request, origin string) {
	req, err := readRequest(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad_request")
		return
	}
	o := &operation{origin: origin, nonce: req.Nonce, purpose: req.Purpose, lang: language(req.Lang)}
	if req.Address {
		o.read = &reading{}
	}
	a.ask(w, o)
}

// ask begins an operation, if its origin has not asked too often.
func (a *agent) ask(w http.ResponseWriter, o *operation) {
	if !a.limit.allows(o.origin, time.Now()) {
		w.Header().Set("Retry-After", "60")
		refuse(w, http.StatusTooManyRequests, "busy")
		return
	}
	confirm, err := a.begin(o)
	if err != nil {
		a.log.Info("refused", "origin", o.origin, "code", failure(err).code)
		refuse(w, http.StatusConflict, failure(err).code)
		return
	}
	a.log.Info("asked", "origin", o.origin, "purpose", o.purpose)
	send(w, http.StatusAccepted, answer{ID: o.id, Confirm: confirm})
}

// readRequest reads what a login page asks for.
func readRequest(r *http.Request) (request, error) {
	var req request
	if err := readJSON(r, &req); err != nil {
		return req, err
	}
	if purposes[req.Purpose] == "" {
		return req, errors.New("unknown purpose")
	}
	return req, card.CheckNonce(req.Nonce)
}

// readJSON accepts one JSON object of known fields and nothing else. The content
// type makes browsers ask before they send it for a page.
func readJSON(r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errors.New("not JSON")
	}
	d := json.NewDecoder(io.LimitReader(r.Body, bodyLimit))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}

// operation answers for one operation. An id of another origin does not exist.
func (a *agent) operation(w http.ResponseWriter, r *http.Request, origin string) {
	o := a.of(r.PathValue("id"), origin)
	if o == nil {
		refuse(w, http.StatusNotFound, "timeout")
		return
	}
	if r.Method == http.MethodDelete {
		o.finish(outcome{code: "cancelled"})
		w.WriteHeader(http.StatusNoContent)
		return
	}
	hold := time.NewTimer(pollHold)
	defer hold.Stop()
	select {
	case <-o.done:
	case <-hold.C:
		send(w, http.StatusOK, answer{State: "waiting"})
		return
	case <-r.Context().Done():
		return
	}
	if o.outcome.code == "" {
		send(w, http.StatusOK, answer{Token: o.outcome.token, Certificate: o.outcome.certificate, Signature: o.outcome.signature, Identity: o.outcome.identity})
		return
	}
	send(w, http.StatusOK, answer{Error: &answerError{o.outcome.code, o.outcome.tries}})
}

func send(w http.ResponseWriter, status int, a answer) {
	a.Agent = "belfry"
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // the page may be gone
}

func refuse(w http.ResponseWriter, status int, code string) {
	send(w, status, answer{Error: &answerError{Code: code}})
}

func asFault(err error) (*fault.Error, bool) { return errors.AsType[*fault.Error](err) }

// codeOf is the message key without the room, as cardstep.js looks it up.
func codeOf(f *fault.Error) string {
	code, ok := strings.CutPrefix(f.Key, "card.")
	if !ok {
		return "failed"
	}
	return code
}
