package clerk

import (
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/cardscript"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Signing with the clerk's own card: the page's script (static/signing.js) goes through
// a batch, and asks here before and behind each PIN. It sees no PIN and decides nothing.
//
//	POST /desk/batches/ID/prepare {"order", "certificate"}         → {"id", "hash", "hashFunction", "number", "documents", "progress", "fingerprint"}
//	POST /desk/batches/ID/finish  {"order", "request", "signature"} → {"text"}
//	POST /desk/batches/ID/failed  {"order", "code", "tries"}        → {"text"}: what went wrong in the card program
//
// Refusals are {"error", "stop"}: stop where the next order would fail in the same way.

// question is the body of all three.
type question struct {
	Order       string `json:"order"`
	Certificate []byte `json:"certificate"`
	Request     string `json:"request"`
	Signature   []byte `json:"signature"`
	Code        string `json:"code"`
	Tries       int    `json:"tries"`
}

type refusalJSON struct {
	Error string `json:"error"`
	Stop  bool   `json:"stop"`
}

// answering hands a question about one order of a batch to f, and answers in JSON.
func (p *Pages) answering(f func(*http.Request, batch, int, question) (any, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		b, err := p.batchOf(r)
		if err != nil {
			return err
		}
		var q question
		d := json.NewDecoder(io.LimitReader(r.Body, 32<<10))
		d.DisallowUnknownFields()
		if err := d.Decode(&q); err != nil {
			return fault.New(fault.Invalid, "clerk.batch.missing", err)
		}
		n := slices.IndexFunc(b.Items, func(i item) bool { return i.Order == q.Order })
		if n < 0 || !b.Sign {
			return fault.New(fault.NotFound, "clerk.batch.missing", nil)
		}
		answer, err := f(r, b, n, q)
		if err == nil {
			return sendJSON(w, http.StatusOK, answer)
		}
		if lost := p.noteFailure(r, b, q.Order, err); lost != nil {
			return lost
		}
		e, _ := errors.AsType[*fault.Error](err)
		stop := e.Kind == fault.Forbidden && e.Key != "orders.own" || e.Kind == fault.Unreachable || strings.HasPrefix(e.Key, "card.")
		return sendJSON(w, web.Status(e.Kind), refusalJSON{reason(visit.Of(r), failed{e.Key, e.Args}), stop})
	}
}

func sendJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(v)
}

// toSign is what the card program is told of one document.
type toSign struct {
	ID           string `json:"id"`
	Hash         []byte `json:"hash"`
	HashFunction string `json:"hashFunction"`
	Number       int    `json:"number"`
	Documents    int    `json:"documents"`
	Progress     string `json:"progress"`
	Fingerprint  string `json:"fingerprint"` // of Hash, in groups as card programs show it
}

func (p *Pages) prepareSignature(r *http.Request, b batch, n int, q question) (any, error) {
	v := visit.Of(r)
	made, err := p.orders.PrepareSignature(r.Context(), v.Commune.ID, q.Order, me(v), b.Items[n].Content, q.Certificate)
	if err != nil {
		return nil, err
	}
	return toSign{
		ID: made.ID, Hash: made.Hash, HashFunction: made.HashFunction, Number: n + 1, Documents: len(b.Items),
		Progress:    v.T("clerk.batch.progress", "Number", n+1, "Documents", len(b.Items)),
		Fingerprint: fingerprint(made.Hash),
	}, nil
}

// fingerprint is a hash in groups that can be compared by eye.
func fingerprint(hash []byte) string {
	var groups []string
	for group := range slices.Chunk(hash, 4) {
		groups = append(groups, hex.EncodeToString(group))
	}
	return strings.Join(groups, " ")
}

type textJSON struct {
	Text string `json:"text"`
}

func (p *Pages) finishSignature(r *http.Request, b batch, n int, q question) (any, error) {
	v := visit.Of(r)
	if _, err := p.orders.ApproveSigned(r.Context(), v.Commune.ID, q.Order, me(v), b.Items[n].Content, q.Request, q.Signature); err != nil {
		return nil, err
	}
	return textJSON{v.T("clerk.batch.standing.decided")}, nil
}

// cardCodes are what a card program may say, as in card.*.
var cardCodes = []string{
	"no_reader_software", "no_middleware", "network_refused", "no_card", "no_certificate", "pin_incorrect", "pin_wrong", "pin_last_try",
	"pin_blocked", "pin_length", "cancelled", "removed", "other_card", "timeout", "busy",
}

// cardFailed keeps for the report what the card program said.
func (p *Pages) cardFailed(r *http.Request, b batch, _ int, q question) (any, error) {
	f := failed{Key: "card.failed"}
	if strings.HasPrefix(q.Code, "no_certificate_") { // why there is none matters to those who sign in
		q.Code = "no_certificate"
	}
	if slices.Contains(cardCodes, q.Code) {
		f.Key = "card." + q.Code
	}
	if q.Code == "pin_incorrect" {
		f.Args = map[string]any{"Count": min(max(q.Tries, 0), 3)}
		if q.Tries == 0 {
			f = failed{Key: "card.pin_wrong"}
		}
	}
	problem := fault.New(fault.Conflict, f.Key, nil)
	problem.Args = f.Args
	if err := p.noteFailure(r, b, q.Order, problem); err != nil {
		return nil, err
	}
	return textJSON{reason(visit.Of(r), f)}, nil
}

func (p *Pages) agentPorts() string {
	var list []string
	for _, port := range p.ports {
		list = append(list, fmt.Sprint(port))
	}
	return strings.Join(list, " ")
}

func (p *Pages) agents() []string {
	var list []string
	for _, port := range p.ports {
		list = append(list, fmt.Sprintf("http://127.0.0.1:%d", port))
	}
	return list
}

// ScriptPath is where Script is served, in no language.
const ScriptPath = "/desk/signing.js"

//go:embed static/signing.js
var step []byte

var script = cardscript.New(ScriptPath, step)

// Script serves the script of the signing page.
func Script(w http.ResponseWriter, r *http.Request) error {
	script.ServeHTTP(w, r)
	return nil
}
